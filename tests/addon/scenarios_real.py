"""The add-on with the real backend as its child process, on a small generator with random weights called `tiny`.

`part`, `preferences`, `drain`, `fails_with` and `given` are put here by inside_blender.py. The scenarios run in order:
later ones use the style that the first one trains.
"""
# ruff: noqa: F821

import time
from pathlib import Path

import bpy

KEEPS_BACKEND = True  # a start takes seconds, and the backend is what is tested here


def _own_styles():
    """Those that did not come with the program."""
    return [style for style in part("runtime").session().styles if not style.get("builtin")]


def _settings():
    settings = bpy.context.scene.loom
    settings.generator = "tiny"
    return settings


def a_style_is_trained_by_words():
    settings = _settings()
    settings.source, settings.target, settings.iterations = "stone", "mossy stone", 2
    assert bpy.ops.loom.adapt() == {"FINISHED"}
    assert settings.chosen_styles() == [("mossy-stone", 1.0)]
    assert [style["target"] for style in _own_styles()] == ["mossy stone"]


def a_name_that_is_taken_is_refused_and_replaced_on_request():
    settings = _settings()
    settings.source, settings.target, settings.style_name, settings.iterations = (
        "stone",
        "rusty metal",
        "mossy-stone",
        2,
    )
    fails_with(bpy.ops.loom.adapt, "mossy-stone")
    assert part("runtime").session().trouble.mend == "loom.adapt_again"
    settings.target = "mossy stone"
    assert bpy.ops.loom.adapt_again() == {"FINISHED"}
    assert [style["name"] for style in _own_styles()] == ["mossy-stone"]


def a_word_that_the_model_does_not_know_is_named():
    settings = _settings()
    settings.source, settings.target = "stone", "zzyzx"
    fails_with(bpy.ops.loom.adapt, "zzyzx")


def a_texture_with_all_its_maps_lands_on_the_object():
    settings = _settings()
    settings.add_style("mossy-stone")
    bpy.ops.loom.generate()
    maps = part("images").set_of(settings.texture)
    assert set(maps) == {"color", "normal", "height", "roughness", "ao"}
    assert all(tuple(image.size) == (64, 64) for image in maps.values())
    assert Path(maps["height"].filepath).name == "mossy-stone-0_height.png"
    assert part("material").find_node(bpy.context.object.active_material) is not None


def the_same_seed_gives_the_same_bytes_and_strength_0_the_unchanged_texture():
    settings = _settings()
    bpy.ops.loom.generate()
    plain = Path(settings.texture.filepath).read_bytes()
    settings.add_style("mossy-stone")
    settings.styles[0].strength = 0.0
    bpy.ops.loom.generate()
    first = _pixels(settings.texture)
    settings.styles.clear()
    bpy.ops.loom.generate()
    assert Path(settings.texture.filepath).read_bytes() == plain
    assert _pixels(settings.texture) == first


def _pixels(image):
    return tuple(image.pixels[:4096])


def a_walk_becomes_a_sequence():
    settings = _settings()
    settings.walk_frames = 4
    bpy.ops.loom.walk()
    folder = Path(settings.texture.filepath).parent
    assert [path.name for path in sorted(folder.glob("*.png"))] == [f"frame-{number:04d}.png" for number in range(1, 5)]
    inside = part("material").find_node(bpy.context.object.active_material).node_tree
    user = next(node.image_user for node in inside.nodes if node.type == "TEX_IMAGE")
    assert (user.frame_duration, user.use_cyclic, user.use_auto_refresh) == (4, True, True)


def what_is_live_is_what_generate_writes_and_bake_too():
    settings = _settings()
    settings.add_style("mossy-stone", 0.6)
    bpy.ops.loom.direction_add()
    settings.directions[0].amount = 1.5
    settings.seed, settings.variety = 3, 0.7
    bpy.ops.loom.live_start()
    live = _pixels(settings.live_image)
    bpy.context.scene.frame_end = 2
    bpy.ops.loom.bake()
    folder = Path(settings.texture.filepath).parent
    assert _pixels(bpy.data.images.load(str(folder / "frame-0002.png"))) == live
    bpy.ops.loom.generate()
    assert _pixels(settings.texture) == live


def a_style_s_earlier_self_is_another_texture():
    settings = _settings()
    settings.add_style("mossy-stone")
    slot = settings.styles[0]
    assert slot.steps == 2
    bpy.ops.loom.generate(pbr=False)
    now = _pixels(settings.texture)
    slot.moment = 0.5
    bpy.ops.loom.generate()
    assert Path(settings.texture.filepath).name.startswith("mossy-stone-1-0") and _pixels(settings.texture) != now


def a_picture_is_taken_in_kept_and_walked_to():
    settings = _settings()
    image = bpy.data.images.new("Wall", 24, 24)
    bpy.ops.loom.restyle(image=image.name, restyle_steps=3, restyle_name="wall")
    assert settings.kept == "wall" and "wall" in bpy.context.window_manager.loom.textures
    bpy.ops.loom.walk_key_add()
    settings.kept, settings.seed = "", 5
    settings.mix_style("mossy-stone", 0.5)
    bpy.ops.loom.walk_key_add(hold=1)
    bpy.ops.loom.walk(walk_frames=5, walk_loop=False, walk_pbr=True, walk_speed="linear")
    assert set(part("images").set_of(settings.texture)) == {"color", "normal", "height", "roughness", "ao"}


def variations_and_directions_are_shown():
    _settings().seed = 2
    bpy.ops.loom.variations(count=4)
    bpy.ops.loom.directions_show(layers="ALL")
    assert bpy.data.images["Loom Variations"].size[0] == 64 * 2 + 2 and "Loom Directions" in bpy.data.images


def families_and_kinds_of_change_come_from_the_backend():
    _settings()
    lists = bpy.context.window_manager.loom
    assert "metal" in lists.materials and lists.presets["weathering"].label.startswith("moss")


def a_set_is_exported_and_going_on_makes_nothing_twice():
    settings = _settings()
    settings.add_style("mossy-stone")
    settings.batch_seeds, settings.batch_folder, settings.pbr = "0-2", str(given.out / "set"), False
    settings.batch_maps = {"color"}
    bpy.ops.loom.batch()
    assert "Wrote 3" in part("runtime").session().notice, part("runtime").session().notice
    bpy.ops.loom.batch()
    assert "Wrote 0, kept 3" in part("runtime").session().notice, part("runtime").session().notice


def a_set_outlives_its_backend_and_is_found_again():
    settings, folder = _settings(), given.out / "outlives"
    settings.batch_seeds, settings.batch_folder, settings.batch_maps = "0-3", str(folder), {"color"}
    assert bpy.ops.loom.batch(wait=False) == {"FINISHED"}
    runtime, batches = part("runtime"), part("batches")
    runtime.close()  # as when Blender quits
    limit = time.monotonic() + 180
    while (batches.read_state(folder) or {}).get("state") != "finished" and time.monotonic() < limit:
        time.sleep(0.2)
    assert len(list(folder.glob("*_color.png"))) == 4, batches.read_state(folder)
    runtime.remember_batches(part("root").own_data() / "batches.json")
    found = runtime.batches().find(str(folder))
    assert found is not None and found.finished and found.line() == "Finished: 4 of 4"


def a_generator_that_does_not_exist_is_answered_with_near_names():
    _settings().generator = "tiniy"
    fails_with(bpy.ops.loom.generate, "tiniy", "tiny")


def a_style_is_deleted():
    _settings().add_style("mossy-stone")
    bpy.ops.loom.style_delete()
    assert not _own_styles()


def a_material_is_chosen_by_name():
    loom = bpy.context.scene.loom
    loom.generator = "kinds"
    assert bpy.ops.loom.seed_of_kind(kind="brick") == {"FINISHED"}
    assert (loom.kind, loom.family) == ("brick", "brick"), "and the surface that belongs to it"
    first = loom.seed
    bpy.ops.loom.dice()
    assert loom.kind == "brick" and loom.seed != first
    bpy.ops.loom.generate(count=3, apply_to="IMAGE", width=16, height=16, pbr=False)
    loom.count = 1
    loom.batch_seeds, loom.batch_folder, loom.batch_maps = "0-7", str(given.out / "bricks"), {"color"}
    bpy.ops.loom.batch()
    names = {file.name for file in (given.out / "bricks").glob("*_color.png")}
    assert len(names) == 8 and names != {f"kinds-{n}_color.png" for n in range(8)}, "the first bricks, not the first"
    fails_with(lambda: bpy.ops.loom.seed_of_kind(kind="cheese"), "brick")
    loom.generator = "tiny"
    assert loom.kind == "" and part("operators.kinds").known("tiny") == []
    bpy.ops.loom.history_recall()
    assert (loom.generator, loom.kind) == ("kinds", "brick")


def a_class_is_chosen_where_a_texture_model_has_them():
    loom = bpy.context.scene.loom
    loom.generator = "classed"
    loom.width, loom.height, loom.pbr, loom.apply_to = 16, 16, False, "IMAGE"

    def made(**asked):
        bpy.ops.loom.generate(**asked)
        return tuple(loom.texture.pixels[:])

    classes = [made(class_index=number) for number in range(3)]
    assert len(set(classes)) == 3
    assert (part("operators.kinds").classes("classed"), part("operators.kinds").classes("tiny")) == (3, 0)
    assert made(class_index=1, generator="classed") == classes[1]
    bpy.ops.loom.variations(count=2)
    assert tuple(bpy.data.images["Loom Variations"].pixels[: 16 * 4]) == classes[1][: 16 * 4]
    assert bpy.ops.loom.directions_show(layers="ALL") == {"FINISHED"}
    bpy.ops.loom.keep(name="second")
    assert loom.kept == "second" and made(class_index=0) == classes[1], "a kept texture has its class"
    loom.kept = ""
    assert made() == classes[0]
    fails_with(lambda: bpy.ops.loom.generate(class_index=3), "classes 0 to 2")
    fails_with(lambda: bpy.ops.loom.adapt(one_class=True, style_name="third"), "classes 0 to 2")
    loom.class_index = 1
    assert bpy.ops.loom.adapt(iterations=1, source="stone", target="wet stone", style_name="second") == {"FINISHED"}
    loom.styles.clear()
    loom.one_class = False
    made(class_index=2)
    loom.generator = "tiny"
    assert loom.class_index == 0
    bpy.ops.loom.history_recall()  # of the newest
    assert (loom.generator, loom.class_index) == ("classed", 2)
