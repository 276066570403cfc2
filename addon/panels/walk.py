# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture that changes over time."""

from .base import LoomPanel
from .parts import draw_job


class Walk(LoomPanel):
    bl_label = "Walk"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "walk_seeds")
        layout.prop(settings, "walk_frames")
        layout.prop(settings, "walk_loop")
        layout.prop(settings, "walk_speed")
        job = session.running("walk")
        if job is not None:
            draw_job(layout, job)
        else:
            layout.operator("loom.walk", icon="RENDER_ANIMATION")
