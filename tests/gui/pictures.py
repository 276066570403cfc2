# ruff: noqa: F821  (inside.py gives the names)
"""The pictures of docs/guide.md, each of the real interface at the step that it shows."""

from __future__ import annotations

import bpy
import mathutils
import numpy as np

HEAD = ("Main",)


def set_up():
    """What is seen first: nothing is set up yet."""
    chosen, command = given.preferences(), given.command
    chosen.command = ""
    part("pump")._looked_s = -60.0
    yield from until(lambda: part("runtime").wants_setup(), 60)
    yield from given.picture("step-set-up", panels=HEAD)
    chosen.command = command
    part("pump")._looked_s = -60.0
    bpy.ops.loom.backend_start()
    yield from until(lambda: session().connected and session().styles, 300)


def adapt():
    """While a style trains: its preview in the tab and in an Image Editor; afterwards it is in the list."""
    loom = bpy.context.scene.loom
    loom.source, loom.target, loom.style_name, loom.iterations = "stone", "mossy stone", "moss", 24
    with given.in_view():
        bpy.ops.loom.adapt()
    job = session().running("adapt")
    yield from until(lambda: job.done >= 11, 600)
    yield from given.picture("step-adapt", panels=(*HEAD, "Adapt"), what="BESIDE")
    yield from until(lambda: not job.running, 600)
    assert job.state == "FINISHED", job.trouble
    yield from until(lambda: not session().jobs, 60)


def material():
    """Where a texture model knows materials."""
    loom = bpy.context.scene.loom
    model = next((entry for entry in session().generators if entry.get("kinds")), None)
    if model is None:
        given.note(skipped="no texture model here knows materials")
        return
    before = loom.generator
    loom.generator = model["name"]
    with given.in_view():
        bpy.ops.loom.seed_of_kind(kind=model["kinds"][1])
    yield from until(lambda: loom.kind and not session().working, 60)
    yield from given.picture("step-material", panels=("Styles", "Texture"))
    loom.generator, loom.family = before, "auto"


def trouble():
    """A prompt with a word that is not known: said where the button is, too."""
    loom = bpy.context.scene.loom
    loom.target = "mossy xylophone"
    with given.in_view():
        bpy.ops.loom.adapt()
    yield from until(lambda: session().trouble is not None, 60)
    yield from given.picture("step-trouble", panels=("Adapt",))
    bpy.ops.loom.dismiss()
    loom.target = "mossy stone"


def generate_and_apply():
    loom = bpy.context.scene.loom
    loom.width = loom.height = 256
    loom.seed = 12
    _look_at_the_cube()
    with given.in_view():
        bpy.ops.loom.generate(apply_to="NEW", family="stone")
    job = session().running("generate")
    yield from until(lambda: not job.running, 300)
    assert job.state == "FINISHED", job.trouble
    yield from given.picture("step-generate", panels=("Texture", "Material"), what="VIEW")


def sliders():
    """Live: styles mixed, a direction, variations."""
    loom = bpy.context.scene.loom
    loom.mix_style("rusty", 0.4)
    with given.in_view():
        bpy.ops.loom.direction_add(layers="FINE")
        bpy.ops.loom.live_start(apply_to="MATERIAL")
    loom.directions[0].amount = 1.5
    live = part("live")
    wanted = live.key_of(live.asked_params(loom, full=False))
    yield from until(lambda: live._shown.get(bpy.context.scene.session_uid) == wanted, 120)
    with given.in_view():
        bpy.ops.loom.variations(count=9)
    yield from until(lambda: not session().working and not session().jobs, 120)
    part("thumbnails").fetch()
    yield from until(lambda: not session().jobs, 120)
    yield from given.picture("step-sliders", panels=("Styles", "Directions", "Variations"), what="VIEW")


def walk():
    loom = bpy.context.scene.loom
    for loom.seed in (3, 7, 12):
        bpy.ops.loom.walk_key_add(hold=2)
    loom.walk_frames = 24
    yield from until(lambda: not session().jobs, 120)
    yield from given.picture("step-walk", panels=("Walk",))
    with given.in_view():
        bpy.ops.loom.walk(width=128, height=128)
    job = session().running("walk")
    yield from until(lambda: not job.running, 300)
    assert job.state == "FINISHED", job.trouble
    bpy.context.scene.frame_set(9)
    yield 0.5


def restyle():
    """A picture of one's own: here a wall of bricks."""
    loom = bpy.context.scene.loom
    image = bpy.data.images.new("Garden Wall", 128, 128)
    part("images").set_pixels(image, _bricks())
    image.pack()
    loom.restyle_image, loom.restyle_steps = image, 60
    with given.in_view():
        bpy.ops.loom.restyle()
    job = session().running("project")
    yield from until(lambda: job.done >= 20, 300)
    yield from given.picture("step-restyle", panels=("Restyle", "Texture"))
    yield from until(lambda: not job.running, 300)
    assert job.state == "FINISHED", job.trouble


def batch():
    loom = bpy.context.scene.loom
    for name, strength in (("moss", 0.8), ("rusty", 0.4)):
        loom.mix_style(name, strength)
    loom.batch_source, loom.batch_detach, loom.batch_seeds = "STYLES", True, "0-31"
    loom.batch_sizes = "64"
    with given.in_view():
        bpy.ops.loom.batch_estimate()
    yield from until(lambda: not session().running("batch"), 120)
    with given.in_view():
        bpy.ops.loom.batch()
    yield from until(lambda: any(batch.fraction > 0.3 for batch in part("runtime").batches().all), 120)
    yield from given.picture("step-batch", panels=("Batch", "Batches"))
    yield from until(lambda: all(batch.finished for batch in part("runtime").batches().all), 300)


def history():
    yield from given.picture("step-history", panels=("History",))


def models():
    bpy.ops.loom.disk()
    yield from until(lambda: session().disk, 60)
    yield from given.picture("step-models", panels=("Models", "Train"))


def _bricks() -> np.ndarray:
    """Four courses of bricks, uint8 [128, 128, 3]."""
    y, x = np.mgrid[:128, :128]
    course = y // 32
    along = (x + 32 * (course % 2)) % 128
    joint = (y % 32 < 4) | (along % 64 < 4)
    shade = np.random.default_rng(1).normal(0, 12, (128, 128)) + 18 * ((course * 2 + along // 64) % 3)
    colour = np.where(joint[..., None], (150, 145, 138), (135, 62, 44)) + shade[..., None]
    return np.clip(colour, 0, 255).astype(np.uint8)


def _look_at_the_cube() -> None:
    """Near, right of the middle: beside the sidebar."""
    for thing in [thing for thing in bpy.context.scene.objects if thing.type != "MESH"]:
        bpy.data.objects.remove(thing)
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "VIEW_3D":
            space = area.spaces.active
            space.shading.type, space.shading.color_type = "SOLID", "TEXTURE"
            space.show_region_toolbar = False
            view = space.region_3d
            view.view_distance = 7.0
            view.view_location = view.view_rotation @ mathutils.Vector((-1.3, 0.0, 0.0))
