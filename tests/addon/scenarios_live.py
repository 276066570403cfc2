"""Styles as sliders, the live texture, animation, rendering and baking, with the scripted backend.

`part`, `preferences`, `drain`, `fails_with` and `given` are put here by inside_blender.py.
"""
# ruff: noqa: F821

import json
import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np

KEEPS_BACKEND = True


class _WithWindow:
    """Operators return at once and frames follow without waiting, as beside the interface; `drain` is the timer."""

    def __enter__(self):
        self.pump = part("pump")
        self.kept = self.pump.must_wait
        bpy.ops.loom.backend_start() if bpy.ops.loom.backend_start.poll() else None
        self.pump.must_wait = lambda: False
        return part("runtime").session()

    def __exit__(self, *error):
        self.pump.must_wait = self.kept
        self.pump.stop_timer()


def _live(**settings):
    """The scene's settings, live, with a style that the backend need not know."""
    loom = bpy.context.scene.loom
    loom.add_style("moss")
    for name, value in settings.items():
        setattr(loom, name, value)
    assert bpy.ops.loom.live_start() == {"FINISHED"}
    return loom


def _pixels(image=None):
    image = image or bpy.context.scene.loom.live_image
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    return values


def _sum(image=None):
    return round(float(_pixels(image).sum()), 2)


def _still(session):
    drain(lambda: not session.jobs)
    return _sum()


def going_live_puts_a_texture_on_the_object_and_locks_the_interface_for_renders():
    loom = _live()
    node = part("material").find_node(bpy.context.object.active_material)
    assert [n.image for n in node.node_tree.nodes if n.type == "TEX_IMAGE"] == [loom.live_image]
    assert tuple(loom.live_image.size) == (64, 64) and _pixels().std() > 0.01
    assert bpy.context.scene.render.use_lock_interface


def every_slider_moves_the_texture():
    with _WithWindow() as session:
        loom = _live()
        seen = [_still(session)]
        bpy.ops.loom.direction_add(layers="FINE")
        moves = (
            lambda: setattr(loom.styles[0], "strength", 0.3),
            lambda: setattr(loom, "variety", 0.5),
            lambda: setattr(loom, "seed", 9),
            lambda: setattr(loom.directions[0], "amount", 2.0),
            lambda: setattr(loom.styles[0], "use", False),
        )
        for move in moves:
            move()
            seen.append(_still(session))
        assert len(set(seen)) == len(seen), seen
        assert loom.directions[0].name == "d0-fine"


def the_last_of_many_moves_is_what_is_shown_and_most_are_never_made():
    with _WithWindow() as session:
        loom = _live()
        _still(session)
        made = []
        for step in range(40):
            loom.styles[0].strength = step / 40
        made = [job for job in session.jobs.values() if job.slot == "live"]
        last = _still(session)
        loom.styles[0].strength = 0.0
        _still(session)
        assert sum(job.state == "FINISHED" for job in made) < 40
        loom.styles[0].strength = 39 / 40
        assert _sum() == last, "what was made before comes back without asking"


def a_slider_moved_back_asks_nobody():
    with _WithWindow() as session:
        loom = _live()
        first = _still(session)
        loom.variety = 0.3
        _still(session)
        loom.variety = 0.8
        assert not session.jobs and _sum() == first


def an_answer_to_a_move_that_is_over_is_not_shown():
    with _WithWindow() as session:
        loom = _live()
        first = _still(session)
        loom.seed = 5
        loom.seed = 0  # remembered: shown at once
        drain(lambda: not session.jobs)
        assert _sum() == first


def without_live_sliders_move_nothing():
    with _WithWindow() as session:
        loom = _live()
        before = _still(session)
        bpy.ops.loom.live_stop()
        loom.seed = 77
        assert not session.jobs and _sum() == before


def a_live_texture_that_fails_says_why_in_the_panel():
    with _WithWindow() as session:
        loom = _live()
        _still(session)
        loom.seed = 500
        drain(lambda: not session.jobs)
        assert "too little memory" in session.trouble.sentence


def half_the_size_is_faster_and_renders_have_it_all():
    loom = _live(live_size="HALF")
    assert tuple(loom.live_image.size) == (64, 64), "without a window every picture is exact"
    with _WithWindow() as session:
        loom.seed = 3
        _still(session)
        assert tuple(loom.live_image.size) == (32, 32)


def material_maps_follow_too_where_that_is_wanted():
    loom = _live(live_pbr=True)
    maps = part("live_images").of(bpy.context.scene)
    assert set(maps) == {"color", "normal", "height", "roughness", "ao"}
    assert maps["normal"].colorspace_settings.name == "Non-Color"
    before = _sum(maps["height"])
    loom.seed = 12
    bpy.ops.loom.live_update()
    assert _sum(maps["height"]) != before


def _animate(loom, last=4):
    loom.styles[0].strength = 0.0
    loom.styles[0].keyframe_insert("strength", frame=1)
    loom.styles[0].strength = 1.0
    loom.styles[0].keyframe_insert("strength", frame=last)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, last


def a_keyframed_strength_is_followed_in_playback_and_remembered():
    with _WithWindow() as session:
        scene = bpy.context.scene
        loom = _live()
        _animate(loom)
        seen = {}
        for frame in (1, 2, 3, 4):
            scene.frame_set(frame)
            seen[frame] = _still(session)
        assert len(set(seen.values())) == 4
        for frame in (3, 1, 4, 2):
            scene.frame_set(frame)
            assert not session.jobs and _sum() == seen[frame]


def a_driven_slider_is_followed():
    scene = bpy.context.scene
    loom = _live()
    loom.driver_add("variety").driver.expression = "frame / 10"
    scene.frame_set(2)
    second = _sum()
    scene.frame_set(7)
    assert _sum() != second


def _stage():
    """A camera above the plane, in light without shadow."""
    scene = bpy.context.scene
    plane = bpy.context.object
    bpy.ops.object.camera_add(location=(0, 0, 2))
    scene.camera = bpy.context.object
    bpy.ops.object.light_add(type="SUN")
    bpy.context.view_layer.objects.active = plane
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.image_settings.file_format = "PNG"
    return scene


def _colour(path):
    image = bpy.data.images.load(str(path))
    values = _pixels(image).reshape(-1, 4)[:, :3].mean(0)
    bpy.data.images.remove(image)
    return tuple(np.round(values, 3).tolist())


def a_rendered_animation_has_each_frame_s_own_texture():
    scene = _stage()
    loom = _live()
    _animate(loom)
    scene.render.filepath = str(given.out / "film" / "####")
    bpy.ops.render.render(animation=True)
    colours = [_colour(given.out / "film" / f"{frame:04d}.png") for frame in (1, 2, 3, 4)]
    assert len(set(colours)) == 4, colours
    for frame in (4, 2):  # the same frame alone is the same picture
        scene.frame_set(frame)
        scene.render.filepath = str(given.out / f"alone{frame}.png")
        bpy.ops.render.render(write_still=True)
        assert _colour(scene.render.filepath) == colours[frame - 1]


def persistent_data_do_not_keep_an_old_texture():
    scene = _stage()
    loom = _live()
    scene.render.use_persistent_data = True
    _animate(loom)
    scene.render.filepath = str(given.out / "persistent" / "####")
    bpy.ops.render.render(animation=True)
    colours = [_colour(given.out / "persistent" / f"{frame:04d}.png") for frame in (1, 2, 3, 4)]
    assert len(set(colours)) == 4, colours


def a_render_stops_with_the_reason_where_a_frame_cannot_be_had():
    scene = _stage()
    loom = _live(live_limit_s=1.0)
    loom.seed = 502
    loom.keyframe_insert("seed", frame=1)
    loom.seed = 503  # the backend takes too long for this one
    loom.keyframe_insert("seed", frame=2)
    scene.frame_start, scene.frame_end = 1, 3
    path = scene.render.filepath = str(given.out / "stopped" / "####")
    fails_with(lambda: bpy.ops.render.render(animation=True), "did not make this frame", "within 1 s")
    assert [file.name for file in sorted((given.out / "stopped").iterdir())] == ["0001.png"]
    assert scene.render.filepath == path, "the artist's path is back"
    assert "Frame 2" in part("runtime").session().trouble.sentence
    drain(lambda: not part("runtime").session().jobs)


def a_still_of_a_frame_that_cannot_be_had_ends_the_process_with_1():
    """In a Blender of its own, where nothing was started and nothing can be."""
    script = given.out / "still.py"
    scene = _stage()
    _live()
    blend = given.out / "still.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    package = part("root").ROOT
    script.write_text(
        "import bpy\n"
        f"bpy.ops.wm.open_mainfile(filepath={str(blend)!r})\n"
        f"preferences = bpy.context.preferences.addons[{package!r}].preferences\n"
        "preferences.mode, preferences.command = 'OWN', '/nowhere/latent-loom'\n"
        "bpy.context.scene.loom.seed = 8\n"
        f"bpy.context.scene.render.filepath = {str(given.out / 'pink.png')!r}\n"
        "bpy.ops.render.render(write_still=True)\n"
        "print('went on')\n"
    )
    enable = f"import addon_utils\naddon_utils.enable({package!r}, default_set=True)\n"
    enable = f"import bpy\n{enable}exec(open({str(script)!r}).read())"
    command = [sys.executable, "-c", enable]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 1, (done.returncode, done.stdout[-1500:], done.stderr[-1500:])
    assert "There is no backend" in done.stderr, done.stderr[-1500:]
    assert "went on" not in done.stdout
    assert scene.loom.live


def undo_brings_back_what_was_shown():
    with _WithWindow() as session:
        bpy.ops.ed.undo_push(message="before")
        loom = _live()
        first = _still(session)
        bpy.ops.ed.undo_push(message="live")
        loom.seed = 31
        _still(session)
        bpy.ops.ed.undo_push(message="moved")
        bpy.ops.ed.undo()
        session = part("runtime").session()
        assert bpy.context.scene.loom.seed == 0
        assert _still(session) == first


def undo_and_saving_in_the_middle_of_a_job_harm_nothing():
    with _WithWindow() as session:
        bpy.ops.ed.undo_push(message="one")
        bpy.context.scene.loom.variety = 0.5
        bpy.ops.ed.undo_push(message="two")
        bpy.ops.loom.generate()
        bpy.ops.ed.undo()
        bpy.ops.wm.save_as_mainfile(filepath=str(given.out / "middle.blend"))
        drain(lambda: not session.jobs)
        assert bpy.context.scene.loom.variety != 0.5 and bpy.context.scene.loom.texture is not None
        assert bpy.context.object.active_material is not None


def taking_in_a_picture_can_be_cancelled():
    with _WithWindow() as session:
        image = bpy.data.images.new("Slow", 8, 8)
        bpy.ops.loom.restyle(image=image.name, restyle_steps=1000)
        job = session.running("project")
        drain(lambda: job.done > 0)
        bpy.ops.loom.cancel(job=job.id)
        drain(lambda: not session.jobs)
        assert job.state == "CANCELLED" and bpy.context.scene.loom.kept == "" and session.trouble is None


def undoing_live_gives_the_object_back_what_it_had():
    with _WithWindow():
        bpy.ops.ed.undo_push(message="before")
        _live()
        bpy.ops.ed.undo_push(message="live")
        assert bpy.context.object.active_material is not None
        bpy.ops.ed.undo()
        assert bpy.context.object.active_material is None and not bpy.context.scene.loom.live


def a_saved_file_opens_with_what_it_showed():
    loom = _live(seed=4)
    shown = _sum()
    blend = str(given.out / "live.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    assert loom.live_image.packed_file is None and not loom.live_image.is_dirty
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=blend)
    loom = bpy.context.scene.loom
    assert loom.live and abs(_sum() - shown) < 0.05
    loom.seed = 5
    bpy.ops.loom.live_update()
    assert _sum() != shown


def a_file_loaded_while_a_live_texture_is_on_its_way_is_left_alone():
    with _WithWindow() as session:
        loom = _live()
        _still(session)
        loom.seed = 41
        bpy.ops.wm.read_homefile(use_empty=True)
        drain(lambda: not session.jobs)
        assert not bpy.data.images and not bpy.context.scene.loom.live


def two_scenes_have_live_textures_of_their_own():
    first = bpy.context.scene
    _live(seed=1)
    mine = _sum()
    other = bpy.data.scenes.new("Other")
    with bpy.context.temp_override(scene=other):
        other.loom.apply_to = "IMAGE"
        other.loom.width = other.loom.height = 64
        other.loom.seed = 2
        part("live_images").ensure(other)
        other.loom.live = True
    part("live").exact(other, other.loom)
    assert other.loom.live_image != first.loom.live_image
    assert _sum(first.loom.live_image) == mine != _sum(other.loom.live_image)


def an_animation_is_baked_to_files_that_need_no_backend():
    scene = _stage()
    loom = _live()
    _animate(loom)
    exact = {}
    for frame in (1, 2, 3, 4):
        scene.frame_set(frame)
        exact[frame] = np.round(_pixels().reshape(-1, 4)[:, :3].mean(0), 2).tolist()
    scene.frame_set(3)
    assert bpy.ops.loom.bake(bake_pbr=True) == {"FINISHED"}
    assert scene.frame_current == 3 and not loom.live
    image = loom.texture
    assert image.source == "SEQUENCE" and set(part("images").set_of(image)) == {
        *("color", "normal", "height", "roughness", "ao")
    }
    folder = Path(image.filepath).parent
    for frame, mean in exact.items():
        picture = bpy.data.images.load(str(folder / f"frame-{frame:04d}.png"))
        assert np.round(_pixels(picture).reshape(-1, 4)[:, :3].mean(0), 2).tolist() == mean
    part("runtime").close()
    scene.render.filepath = str(given.out / "baked" / "####")
    bpy.ops.render.render(animation=True)
    colours = [_colour(given.out / "baked" / f"{frame:04d}.png") for frame in (1, 2, 3, 4)]
    assert len(set(colours)) == 4 and part("runtime").session().state == "OFF"


def variations_are_shown_and_one_is_taken():
    loom = bpy.context.scene.loom
    loom.seed = 6
    assert bpy.ops.loom.variations(count=5) == {"FINISHED"}
    image = bpy.data.images["Loom Variations"]
    seeds = json.loads(image["latent_loom"])["params"]["seeds"]
    assert seeds[0] == 6 and len(set(seeds)) == 5 and tuple(image.size) == (64 * 3 + 4, 64 * 2 + 2)
    assert _pixels(image).reshape(-1, 4)[:, :3].max() > 0.2, "a colour space that is set afterwards empties it"
    bpy.ops.loom.variation_pick(cell=3)
    assert loom.seed == seeds[3]
    fails_with(lambda: bpy.ops.loom.variation_pick(cell=5), "no such variation")


def a_locked_seed_is_left_alone():
    loom = bpy.context.scene.loom
    loom.seed, loom.seed_locked = 6, True
    assert not bpy.ops.loom.dice.poll() and not bpy.ops.loom.variation_pick.poll()
    loom.seed_locked = False
    bpy.ops.loom.dice()


def a_chosen_material_holds_for_dice_variations_and_several_at_once():
    loom = bpy.context.scene.loom
    assert bpy.ops.loom.seed_of_kind(kind="brick") == {"FINISHED"}
    bricks = range(4321, 4321 + 64)
    assert loom.seed in bricks and loom.kind == "brick"
    before = loom.seed
    bpy.ops.loom.dice()
    assert loom.seed in bricks and loom.seed != before and loom.kind == "brick"
    bpy.ops.loom.variations(count=5)
    seeds = json.loads(bpy.data.images["Loom Variations"]["latent_loom"])["params"]["seeds"]
    assert seeds[0] == loom.seed and len(set(seeds)) == 5 and set(seeds) <= set(bricks)
    bpy.ops.loom.variation_pick(cell=2)
    assert loom.seed == seeds[2] and loom.kind == "brick"
    bpy.ops.loom.generate(count=3)
    made = [entry.params["seeds"][0] for entry in _entries(loom)]
    assert len(set(made)) == 3 and set(made) <= set(bricks)
    loom.count = 1


def what_a_seed_shows_is_not_claimed_once_it_is_another():
    loom = bpy.context.scene.loom
    for name, value in (("seed", 7), ("kept", "wall"), ("generator", "other")):
        bpy.ops.loom.seed_of_kind(kind="brick")
        setattr(loom, name, value)
        assert loom.kind == "", name
        loom.kept, loom.generator = "", "builtin"
    bpy.ops.loom.seed_of_kind(kind="brick")
    bpy.ops.loom.seed_of_kind(kind="")
    assert loom.kind == ""


def a_material_brings_its_surface():
    loom = bpy.context.scene.loom
    bpy.ops.loom.seed_of_kind(kind="metal")
    assert loom.family == "metal"
    bpy.ops.loom.seed_of_kind(kind="brick")  # there is no surface of that name
    assert loom.family == "auto"


def a_material_that_is_not_known_is_refused():
    fails_with(lambda: bpy.ops.loom.seed_of_kind(kind="cheese"), "stone, brick")
    assert part("operators.kinds").known("builtin") == ["stone", "brick", "metal"]
    loom = bpy.context.scene.loom
    loom.kind = "stone"  # as after a file was opened: its seeds are not known
    fails_with(lambda: bpy.ops.loom.variations(count=5), "Choose the material stone once more")
    bpy.ops.loom.dice()
    assert loom.kind == "stone" and loom.seed in range(4321, 4321 + 64)
    loom.seed_locked = True
    assert not bpy.ops.loom.seed_of_kind.poll()


def a_class_is_asked_for_where_the_texture_model_has_some():
    loom, session, shown = bpy.context.scene.loom, part("runtime").session(), []

    class Layout:
        def __getattr__(self, name):
            return lambda *args, **named: self

        def prop(self, data, name, **named):
            shown.append(name)

    def is_shown(classes):
        session.generators = [{"name": "builtin", **classes}]
        shown.clear()
        part("panels.styles").Styles.draw_here(None, Layout(), bpy.context, loom, session)
        assert "seed" in shown
        return "class_index" in shown

    kept = session.generators
    try:
        assert not is_shown({}) and not is_shown({"classes": 0}) and is_shown({"classes": 3})
        loom.class_index = 2
        assert is_shown({}), "so that it can be taken back"
    finally:
        session.generators = kept


def what_directions_do_is_shown():
    assert bpy.ops.loom.directions_show(layers="FINE") == {"FINISHED"}
    image = bpy.data.images["Loom Directions"]
    assert tuple(image.size) == (90, 60) and json.loads(image["latent_loom"])["params"]["layers"] == "fine"
    assert _pixels(image).reshape(-1, 4)[:, :3].max() > 0.2, "a colour space that is set afterwards empties it"


def _entries(loom):
    return [part("history").read(item.record) for item in loom.history]


def generating_takes_the_place_of_the_live_texture():
    loom = _live()
    bpy.ops.loom.generate()
    assert not loom.live and loom.texture != loom.live_image
    node = part("material").find_node(bpy.context.object.active_material)
    assert loom.live_image not in [n.image for n in node.node_tree.nodes if n.type == "TEX_IMAGE"]
