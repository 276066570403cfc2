"""New styles from words and pictures, kept textures, restyling, walks with keys, assets, scripts; scripted backend.

`part`, `preferences`, `drain`, `fails_with` and `given` are put here by inside_blender.py.
"""
# ruff: noqa: F821

import json
from pathlib import Path

import bpy
import numpy as np

KEEPS_BACKEND = True


def _asked():
    """What the backend was asked for the newest style."""
    return part("runtime").session().styles[-1]["asked"]


def _image(name="Mine", colour=0.25):
    image = bpy.data.images.new(name, 48, 32)
    values = np.full((32, 48, 4), colour, np.float32)
    values[:16] = 1.0  # the lower half
    image.pixels.foreach_set(values.ravel())
    return image


def a_style_of_several_words_and_pictures_is_asked_for_in_full():
    loom = bpy.context.scene.loom
    loom.target, loom.style_name = "mossy stone", "much"
    bpy.ops.loom.phrase_add(kind="targets", words=" wet  stone ", weight=0.5)
    bpy.ops.loom.phrase_add(kind="targets")  # empty: not sent
    bpy.ops.loom.phrase_add(kind="negatives", words="snow", weight=0.25)
    loom.keep_fixed = "green, cracked"
    file = given.out / "moss 1.png"
    _image("Saved").save(filepath=str(file))
    bpy.ops.loom.pictures_add(directory=str(given.out), files=[{"name": "moss 1.png"}])
    bpy.ops.loom.picture_add_image(name=_image().name)
    assert bpy.ops.loom.change_kind(name="weathering") == {"FINISHED"}
    assert bpy.ops.loom.adapt() == {"FINISHED"}
    asked = _asked()
    assert asked["targets"] == [["wet stone", 0.5]] and asked["negatives"] == [["snow", 0.25]]
    assert asked["keep_fixed"] == ["green", "cracked"] and asked["preset"] == "weathering"
    assert "method" not in asked and "iterations" not in asked, "the preset's own settings count"
    first, second = asked["images"]
    assert first == str(file) and Path(second).is_file() and Path(second).suffix == ".png"
    assert bpy.data.images["Mine"].source == "GENERATED", "the artist's image stays what it was"


def a_picture_that_is_not_there_is_refused():
    fails_with(lambda: bpy.ops.loom.pictures_add(filepath="/nowhere/x.png"), "no picture")
    fails_with(lambda: bpy.ops.loom.picture_add_image(name="nothing"), "no image")


def pictures_alone_make_a_style_that_is_called_after_the_first():
    loom = bpy.context.scene.loom
    loom.target = ""
    file = given.out / "Rusty Plate.png"
    _image("Saved").save(filepath=str(file))
    bpy.ops.loom.pictures_add(filepath=str(file))
    bpy.ops.loom.adapt()
    assert loom.chosen_styles() == [("rusty-plate", 1.0)]


def a_kind_of_change_that_nobody_knows_is_refused_with_those_there_are():
    bpy.ops.loom.backend_start() if bpy.ops.loom.backend_start.poll() else None
    fails_with(lambda: bpy.ops.loom.change_kind(name="melting"), "melting", "weathering")


def the_preview_is_one_image_that_blender_need_not_ask_about():
    bpy.context.scene.loom.target = "moss"
    bpy.ops.loom.adapt()
    image = bpy.data.images["Loom Preview"]
    assert not image.is_dirty and image.packed_file is None
    bpy.context.scene.loom.target = "rust"
    bpy.ops.loom.adapt()
    assert len([one for one in bpy.data.images if one.name.startswith("Loom Preview")]) == 1


def a_style_can_be_gone_back_in_its_training():
    loom = bpy.context.scene.loom
    bpy.ops.loom.adapt(target="mossy", iterations=20, style_name="back")
    slot = loom.styles["back"]
    assert slot.steps == 20 and loom.chosen_styles() == [("back", 1.0)]
    slot.moment = 0.5
    assert loom.chosen_styles() == [("back@10", 1.0)]
    assert bpy.ops.loom.style_settle() == {"FINISHED"}
    assert slot.moment == 1.0


def what_an_operator_is_called_with_is_what_the_panel_shows():
    loom = bpy.context.scene.loom
    assert bpy.ops.loom.generate(seed=5, width=32, height=16, tile_y=False, pbr=False, apply_to="IMAGE") == {"FINISHED"}
    assert (loom.seed, loom.width, loom.height, loom.tile_y, loom.pbr) == (5, 32, 16, False, False)
    asked = part("images").record_of(loom.texture)["params"]
    assert (asked["seeds"], asked["size"], asked["tile"], asked["maps"]) == ([5], [32, 16], "x", ["color"])
    bpy.ops.loom.generate()
    assert part("images").record_of(loom.texture)["params"]["seeds"] == [5], "what is not given is as it was"


def directions_and_the_surface_travel_with_a_texture():
    loom = bpy.context.scene.loom
    bpy.ops.loom.direction_add(name="d3-fine")
    loom.directions[0].amount = 1.5
    bpy.ops.loom.generate(family="metal", relief=2.0)
    asked = part("images").record_of(loom.texture)["params"]
    assert asked["directions"] == [["d3-fine", 1.5]] and asked["material"] == "metal" and asked["relief"] == 2.0


def a_seed_is_kept_under_a_name_and_used_from_then_on():
    loom = bpy.context.scene.loom
    loom.seed = 7
    assert bpy.ops.loom.keep(name="My Wall") == {"FINISHED"}
    assert loom.kept == "my-wall" and "my-wall" in bpy.context.window_manager.loom.textures
    bpy.ops.loom.generate()
    assert part("images").record_of(loom.texture)["params"]["seeds"] == ["my-wall"]
    fails_with(lambda: bpy.ops.loom.keep(name="My Wall"), "another name")
    bpy.ops.loom.texture_delete()
    assert loom.kept == "" and "my-wall" not in bpy.context.window_manager.loom.textures
    fails_with(bpy.ops.loom.texture_delete, "Choose the kept texture")


def a_picture_is_taken_in_and_restyled():
    loom = bpy.context.scene.loom
    loom.restyle_image = _image("Old Wall")
    assert bpy.ops.loom.restyle(then_generate=True, restyle_detail="DOUBLE") == {"FINISHED"}
    assert loom.kept == "old-wall"
    kept = next(one for one in part("runtime").session().textures if one["name"] == "old-wall")
    assert kept["shapes"] == {"picture": [32, 48, 3]} and kept["size"] == [128, 128]
    assert part("images").record_of(loom.texture)["params"]["seeds"] == ["old-wall"]


def the_active_image_node_is_taken_in_where_no_picture_is_chosen():
    fails_with(bpy.ops.loom.restyle, "Choose the picture")
    material = bpy.data.materials.new("Mine")
    if material.node_tree is None:
        material.use_nodes = True
    bpy.context.object.data.materials.append(material)
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = _image("On the Node")
    material.node_tree.nodes.active = node
    bpy.ops.loom.restyle(restyle_name="noded")
    assert bpy.context.scene.loom.kept == "noded"


def an_image_without_a_picture_is_refused():
    image = bpy.data.images.new("Lost", 8, 8)
    image.source, image.filepath = "FILE", "/nowhere/lost.png"
    fails_with(lambda: bpy.ops.loom.restyle(image="Lost"), "no picture in it")


def what_is_taken_in_is_the_picture_the_right_way_up():
    picture = part("images").picture_of(_image())
    assert picture.shape == (32, 48, 3) and picture[0, 0, 0] == 64 and picture[-1, 0, 0] == 255


def a_walk_goes_through_keys_with_styles_of_their_own():
    loom = bpy.context.scene.loom
    loom.add_style("moss", 0.8)
    loom.seed = 3
    bpy.ops.loom.walk_key_add(hold=1)
    loom.styles["moss"].strength = 0.2
    bpy.ops.loom.direction_add()
    loom.directions[0].amount = 2.0
    loom.seed, loom.variety = 4, 0.5
    bpy.ops.loom.walk_key_add()
    loom.walk_keys[1].ease = "smooth"
    assert loom.walk_keys[0].label() == "Seed 3 · moss 0.8"
    bpy.ops.loom.walk(walk_frames=6)
    asked = part("images").record_of(loom.texture)["params"]
    assert asked["seeds"] == [3, 4] and asked["styles"] == []
    assert asked["key_styles"] == [[["moss", 0.8]], [["moss", 0.2]]]
    assert asked["key_directions"] == [[], [["d0", 2.0]]] and asked["key_psi"] == [0.8, 0.5]
    assert asked["key_hold"] == [1, 0] and asked["key_ease"] == ["linear", "smooth"]
    loom.walk_key_index = 0
    bpy.ops.loom.walk_key_show()
    assert loom.seed == 3 and round(loom.styles["moss"].strength, 3) == 0.8 and not loom.directions
    bpy.ops.loom.walk_key_move(way="DOWN")
    assert [key.seed for key in loom.walk_keys] == [4, 3] and loom.walk_key_index == 1
    bpy.ops.loom.walk_key_remove()
    fails_with(bpy.ops.loom.walk, "two different textures")


def too_few_frames_for_the_stays_are_refused():
    loom = bpy.context.scene.loom
    for loom.seed in (1, 2):
        bpy.ops.loom.walk_key_add(hold=20)
    fails_with(lambda: bpy.ops.loom.walk(walk_frames=30), "too few", "at least 42")


def a_walk_becomes_a_strip_from_the_current_frame_on():
    scene = bpy.context.scene
    scene.frame_set(11)
    bpy.ops.loom.walk(walk_frames=5, walk_to="STRIP")
    bpy.ops.loom.walk(walk_frames=5, walk_to="STRIP")
    editor = scene.sequence_editor
    first, second = editor.strips if hasattr(editor, "strips") else editor.sequences
    assert first.type == "IMAGE" and len(first.elements) == 5
    assert {(int(one.frame_final_start), int(one.frame_final_duration)) for one in (first, second)} == {(11, 5)}
    assert first.channel != second.channel and bpy.context.object.active_material is None


def the_maps_of_a_walk_move_too_where_that_is_wanted():
    bpy.ops.loom.walk(walk_frames=3, walk_pbr=True)
    maps = part("images").set_of(bpy.context.scene.loom.texture)
    assert set(maps) == {"color", "normal", "height", "roughness", "ao"}
    assert {image.source for image in maps.values()} == {"SEQUENCE"}
    inside = part("material").find_node(bpy.context.object.active_material).node_tree
    assert {n.image_user.frame_duration for n in inside.nodes if n.type == "TEX_IMAGE"} == {3}


def a_material_becomes_an_asset_with_preview_tags_and_catalogue():
    assert not bpy.ops.loom.asset_mark.poll()
    loom = bpy.context.scene.loom
    bpy.ops.wm.save_as_mainfile(filepath=str(given.out / "assets.blend"))
    bpy.ops.loom.style_add(name="moss", strength=0.5)
    bpy.ops.loom.generate(family="metal")
    material = bpy.context.object.active_material
    assert bpy.ops.loom.asset_mark(tags="cellar, wet") == {"FINISHED"}
    assert [tag.name for tag in material.asset_data.tags] == ["moss", "builtin", "seamless", "metal", "cellar", "wet"]
    assert material.asset_data.description == "builtin + moss 0.5, seed 0"
    lines = (given.out / "blender_assets.cats.txt").read_text().splitlines()
    assert f"{material.asset_data.catalog_id}:Latent Loom/builtin/moss:Latent Loom-builtin-moss" in lines
    assert tuple(material.preview.image_size) == (256, 256) and max(material.preview.image_pixels_float[:4000]) > 0.1
    bpy.ops.loom.asset_mark()
    assert (given.out / "blender_assets.cats.txt").read_text().count("builtin/moss") == 1
    assert loom.texture is not None


def a_material_of_a_linked_file_is_no_asset_of_ours():
    bpy.ops.loom.generate()
    library = str(given.out / "theirs.blend")
    name = bpy.context.object.name
    bpy.ops.wm.save_as_mainfile(filepath=library)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_source, target):
        target.objects = [name]
    bpy.context.scene.collection.objects.link(target.objects[0])
    bpy.context.view_layer.objects.active = target.objects[0]
    assert not bpy.ops.loom.asset_mark.poll()
    fails_with(bpy.ops.loom.live_start, "linked from another file")


def a_folder_that_cannot_be_written_stops_nothing_but_the_job():
    blocked = given.out / "read only"
    blocked.write_text("")
    preferences().output_folder = str(blocked / "x")
    fails_with(bpy.ops.loom.walk, "choose another output folder")
    bpy.ops.loom.live_start()
    bpy.ops.wm.save_as_mainfile(filepath=str(given.out / "saved all the same.blend"))
    assert "choose another output folder" in part("runtime").session().trouble.sentence
    assert (given.out / "saved all the same.blend").is_file()


def everything_that_can_be_set_or_pressed_says_what_it_is():
    silent = []
    for group in part("settings").CLASSES:
        for name, rna in group.bl_rna.properties.items():
            if name not in ("rna_type", "name") and not rna.description:
                silent.append(f"{group.__name__}.{name}")
    operators = part("operators")
    for kind in operators.CLASSES:
        if issubclass(kind, bpy.types.Operator):
            rna = getattr(bpy.ops.loom, kind.bl_idname.partition(".")[2]).get_rna_type()
            if len(rna.description) < 20:
                silent.append(kind.bl_idname)
            silent += [
                f"{kind.bl_idname}.{name}"
                for name, one in rna.properties.items()
                if name != "rna_type"
                and not one.description
                and not one.is_hidden  # presets have some of Blender's own
            ]
    assert not silent, silent


def the_words_of_the_interface_are_those_of_artists():
    jargon = ("truncation", "psi", "latent ", "sefa", "stylegan", "snapshot", "projection", "w+", "checkpoint")
    found = []
    for kind in (*part("settings").CLASSES, *part("operators").CLASSES):
        if not hasattr(kind, "bl_rna"):
            continue
        texts = [kind.bl_rna.description if issubclass(kind, bpy.types.Operator) else ""]
        for rna in kind.bl_rna.properties.values():
            texts += [rna.name, rna.description]
        found += [(kind.__name__, word) for text in texts for word in jargon if word in text.lower()]
    assert [one for one in found if "import_generator" not in one[0]] == []


def the_example_of_the_guide_for_scripts_runs():
    import re

    text = (Path(given.here).parents[1] / "docs" / "scripting.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 2
    blend = given.out / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    for block in blocks:
        bpy.ops.wm.open_mainfile(filepath=str(blend))
        bpy.context.scene.loom.width = bpy.context.scene.loom.height = 64
        scene = bpy.context.scene
        scene.render.engine, scene.cycles.samples = "CYCLES", 1
        scene.render.resolution_x = scene.render.resolution_y = 16
        scene.render.filepath = str(given.out / "farm" / "####")
        exec(compile(block, "docs/scripting.md", "exec"), {"__name__": "__main__"})
    assert json.loads(bpy.context.scene.loom.texture["latent_loom"])["params"]
