# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching the live texture on and off, and asking for it."""

import bpy

from ...protocol.client import BackendLost
from .. import frame_handlers, live, live_images, place, pump
from ..params import BadInput
from ..settings.live import LiveSettings
from ..settings.texture import TextureSettings
from .apply import put_maps, report
from .takes import take, takes


@takes(LiveSettings, "live_size", "live_pbr", "live_limit_s")
@takes(TextureSettings, "apply_to", "mapping", "scale")
class LOOM_OT_live_start(pump.NeedsBackend, bpy.types.Operator):
    """Put a texture on the object that follows the sliders at once, and their animation"""

    bl_idname = "loom.live_start"
    bl_label = "Go Live"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        scene = context.scene
        settings = scene.loom
        take(self, settings)
        try:
            place.here(context, settings.apply_to)
            if pump.must_wait():
                pump.ready()
        except (BadInput, BackendLost) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        maps = live_images.ensure(scene, live_images.MAPS if settings.live_pbr else ("color",))
        if not settings.live_pbr:
            maps = {"color": maps["color"]}
        # Frame handlers change the image while Blender renders; the interface must not look at it then.
        scene.render.use_lock_interface = True
        frame_handlers.drop_persistent_data(scene)
        if settings.apply_to != "IMAGE":
            report(self, put_maps(scene, context.object, settings.apply_to, maps))
        settings.texture = maps["color"]
        settings.live = True
        if pump.must_wait():
            return _wait(self, scene)
        return {"FINISHED"}


class LOOM_OT_live_stop(bpy.types.Operator):
    """Leave the texture as it is; sliders move nothing until Generate is pressed"""

    bl_idname = "loom.live_stop"
    bl_label = "Stop Live"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        context.scene.loom.live = False
        return {"FINISHED"}


class LOOM_OT_live_update(pump.NeedsBackend, bpy.types.Operator):
    """Make the live texture show what the settings say now; a script then goes on with the right picture"""

    bl_idname = "loom.live_update"
    bl_label = "Update Live Texture"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        if not context.scene.loom.live:
            cls.poll_message_set("Go live first")
            return False
        return super().poll(context)

    def execute(self, context):
        if pump.must_wait():
            return _wait(self, context.scene)
        live.mistrust()
        return {"FINISHED"}


def _wait(operator: bpy.types.Operator, scene: bpy.types.Scene) -> set[str]:
    """The exact texture of the current frame, before anything else happens."""
    try:
        live.exact(scene, scene.evaluated_get(bpy.context.evaluated_depsgraph_get()).loom)
    except live.FrameLostError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


CLASSES = (LOOM_OT_live_start, LOOM_OT_live_stop, LOOM_OT_live_update)
