# SPDX-License-Identifier: GPL-3.0-or-later
"""A small set for looking at a material: a sphere and a block with UV maps, a floor, three lights, a camera."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
from mathutils import Vector

# (name, location, aimed at, size in m, power in W, colour)
LIGHTS = (
    ("Key", (-3.8, -2.2, 4.4), (0.0, 0.0, 0.6), 1.4, 480.0, (1.0, 0.95, 0.88)),
    ("Rim", (3.2, 3.4, 3.0), (0.2, 0.0, 0.8), 1.2, 300.0, (0.82, 0.9, 1.0)),
    ("Fill", (4.2, -4.0, 2.2), (0.0, 0.0, 0.6), 3.0, 90.0, (1.0, 1.0, 1.0)),
)
FLOOR_GREY, SKY_GREY = 0.1, 0.16


def build() -> tuple[bpy.types.Object, bpy.types.Object]:
    """Empty the file and set the stage; returns the sphere (active, selected) and the block."""
    # Loading an empty file would load factory preferences with it, and those know no extension.
    bpy.data.batch_remove([*bpy.data.objects, *bpy.data.meshes, *bpy.data.materials, *bpy.data.lights])
    scene = bpy.context.scene
    _floor(scene)
    block = _block(scene)
    sphere = _sphere(scene)
    for light in LIGHTS:
        _light(scene, *light)
    _camera(scene)
    world = bpy.data.worlds.new("Stage")
    world.color = (SKY_GREY,) * 3
    if world.node_tree is None:
        world.use_nodes = True
    background = world.node_tree.nodes.get("Background") or world.node_tree.nodes.new("ShaderNodeBackground")
    background.inputs["Color"].default_value = (SKY_GREY, SKY_GREY, SKY_GREY * 1.05, 1.0)
    scene.world = world
    bpy.context.view_layer.objects.active = sphere
    sphere.select_set(True)
    return sphere, block


def use_cycles(scene: bpy.types.Scene, *, width: int, height: int, samples: int) -> None:
    """Path tracing on the processor: the other renderer needs a display."""
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = bool(getattr(bpy.app.build_options, "openimagedenoise", True))
    scene.cycles.max_bounces = 4
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"


def render_still(scene: bpy.types.Scene, path: Path) -> Path:
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return path


def render_frames(scene: bpy.types.Scene, folder: Path, frames: int) -> list[Path]:
    """Frames 1 to `frames`, as numbered pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    scene.frame_start, scene.frame_end = 1, frames
    scene.render.filepath = str(folder / "####")
    scene.render.use_persistent_data = True  # the next frame differs in a picture alone
    bpy.ops.render.render(animation=True)
    return [folder / f"{frame:04d}.png" for frame in range(1, frames + 1)]


def film(frames: list[Path], path: Path, *, rate: int, repeat: int) -> Path | None:
    """The pictures as an MPEG-4 film that plays `repeat` times; None where this Blender cannot write films."""
    if not bpy.app.build_options.codec_ffmpeg:
        return None
    scene = bpy.data.scenes.new("Film")
    first = bpy.data.images.load(str(frames[0]))
    scene.render.resolution_x, scene.render.resolution_y = first.size
    scene.render.fps = rate
    scene.view_settings.view_transform = "Standard"
    editor = scene.sequence_editor_create()
    strip = editor.strips.new_image("Frames", str(frames[0]), channel=1, frame_start=1)
    for frame in frames[1:] + frames * (repeat - 1):
        strip.elements.append(frame.name)
    scene.frame_start, scene.frame_end = 1, len(frames) * repeat
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # from 5.0 on
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "H264"
    scene.render.ffmpeg.constant_rate_factor = "HIGH"
    scene.render.filepath = str(path)
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(animation=True, scene=scene.name)
    return path if path.is_file() else None


def _sphere(scene: bpy.types.Scene) -> bpy.types.Object:
    """A sphere whose texture is as wide as it is high at the equator."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=48, radius=0.85, location=(-0.72, -0.25, 0.85))
    sphere = bpy.context.object
    for corner in sphere.data.uv_layers.active.data:
        corner.uv.x *= 2.0
    bpy.ops.object.shade_smooth()
    # The poles, where every UV map pinches, lie on its outline.
    sphere.rotation_euler = (math.radians(-28), 0.0, math.radians(20))
    return sphere


def _block(scene: bpy.types.Scene) -> bpy.types.Object:
    """A block with rounded edges; every face shows the texture once."""
    bpy.ops.mesh.primitive_cube_add(size=1.45, location=(1.02, 0.35, 0.725), rotation=(0, 0, math.radians(28)))
    block = bpy.context.object
    for face in block.data.polygons:
        corners = ((0, 0), (1, 0), (1, 1), (0, 1))
        for loop, corner in zip(face.loop_indices, corners, strict=True):
            block.data.uv_layers.active.data[loop].uv = corner
    bevel = block.modifiers.new("Rounded", "BEVEL")
    bevel.width, bevel.segments = 0.06, 4
    bpy.ops.object.shade_smooth()
    return block


def _floor(scene: bpy.types.Scene) -> None:
    bpy.ops.mesh.primitive_plane_add(size=30)
    material = bpy.data.materials.new("Floor")
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (FLOOR_GREY, FLOOR_GREY, FLOOR_GREY, 1.0)
    shader.inputs["Roughness"].default_value = 0.7
    bpy.context.object.data.materials.append(material)


def _light(scene, name, location, aim, size, power, color) -> None:
    light = bpy.data.lights.new(name, "AREA")
    light.shape, light.size, light.energy, light.color = "DISK", size, power, color
    thing = bpy.data.objects.new(name, light)
    _aim(thing, location, aim)
    scene.collection.objects.link(thing)


def _camera(scene: bpy.types.Scene) -> None:
    camera = bpy.data.cameras.new("Camera")
    camera.lens = 56
    thing = bpy.data.objects.new("Camera", camera)
    _aim(thing, (-0.5, -6.2, 3.3), (0.15, 0.0, 0.74))
    scene.collection.objects.link(thing)
    scene.camera = thing


def _aim(thing: bpy.types.Object, location: tuple, target: tuple) -> None:
    thing.location = location
    thing.rotation_euler = (Vector(target) - Vector(location)).to_track_quat("-Z", "Y").to_euler()
