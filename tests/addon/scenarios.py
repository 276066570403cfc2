"""What must hold inside Blender with the scripted backend. `inside_blender.py` runs each function, in an empty file.

`part`, `preferences`, `drain`, `fails_with` and `given` are put here by that runner.
"""
# ruff: noqa: F821

import json
import os
import time
import types
from pathlib import Path

import bpy


def the_wheels_that_the_zip_brought_are_imported():
    import msgpack
    import zmq

    assert ".local" in zmq.__file__ and ".local" in msgpack.__file__


def registering_again_and_again_leaves_nothing_behind():
    import addon_utils

    module = part("root").ROOT
    before = len(bpy.app.handlers.load_pre)
    for _ in range(3):
        addon_utils.disable(module)
        assert not hasattr(bpy.types.Scene, "loom")
        assert not hasattr(bpy.types, "LOOM_PT_main_view_3d")
        addon_utils.enable(module)
    assert len(bpy.app.handlers.load_pre) == before
    assert bpy.context.scene.loom.generator == "builtin"


def every_panel_draws_in_every_state():
    class Layout:
        """Takes everything a panel draws, and checks that what it names exists."""

        def __getattr__(self, name):
            return lambda *args, **named: self

        def prop(self, data, name, **named):
            assert name in data.bl_rna.properties, name
            return self

        def prop_search(self, data, name, source, list_name, **named):
            assert name in data.bl_rna.properties and list_name in source.bl_rna.properties
            return self

        def operator(self, idname, icon="NONE", **named):
            group, _, name = idname.partition(".")
            assert hasattr(bpy.types, f"{group.upper()}_OT_{name}"), idname
            _check_icon(icon)
            return self

        def label(self, text="", icon="NONE"):
            assert text
            _check_icon(icon)
            return self

        def menu(self, name, **named):
            assert hasattr(bpy.types, name)

    panels, session, job = part("panels"), part("runtime").session(), part("job")
    states = part("session")
    for state in (states.OFF, states.STARTING, states.CONNECTING, states.READY, states.LOST):
        session.state = state
        session.trouble = part("troubles").no_backend() if state == states.OFF else None
        jobs = {
            number: job.Job(id=number, type=type, title=type, done=1, total=3, eta_s=70, numbers={"direction": 0.5})
            for number, type in enumerate(("adapt", "generate", "walk", "batch", "import"))
        }
        for session.jobs in (jobs, {}):  # at work, every button is a Cancel
            for panel in panels.CLASSES:
                if issubclass(panel, bpy.types.Panel):
                    assert getattr(bpy.types, panel.bl_idname)
                    panel.draw_here(None, Layout(), bpy.context, bpy.context.scene.loom, session)
    part("operators.styles").LOOM_MT_styles.draw(types.SimpleNamespace(layout=Layout()), bpy.context)
    session.jobs = {}
    session.state = states.OFF


def _check_icon(icon):
    assert icon in bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items, icon


def without_a_backend_the_artist_hears_how_to_get_one():
    preferences().command = "/nowhere/latent-loom"
    fails_with(bpy.ops.loom.backend_start, "/nowhere/latent-loom", "preferences")
    assert part("runtime").session().trouble.mend == "loom.backend_setup"


def a_backend_that_stops_while_starting_is_noticed_and_quoted():
    preferences().command = f"{given.python} -c \"print('no such library'); raise SystemExit(3)\""
    fails_with(bpy.ops.loom.backend_start, "exit code 3", "no such library")
    bpy.ops.loom.backend_log()
    assert "no such library" in bpy.data.texts["Loom Backend Log"].as_string()


def a_backend_of_our_own_starts_and_stops():
    bpy.ops.loom.backend_start()
    session = part("runtime").session()
    assert session.connected and session.owns_backend and session.welcome.device == "fake"
    assert [entry.name for entry in bpy.context.window_manager.loom.generators] == ["builtin"]
    pid = session.child.pid
    bpy.ops.loom.backend_stop()
    assert session.state == "OFF" and session.child is None and session.trouble is None
    assert _is_gone(pid)


def disabling_the_add_on_ends_its_backend():
    import addon_utils

    bpy.ops.loom.backend_start()
    pid = part("runtime").session().child.pid
    addon_utils.disable(part("root").ROOT)
    assert _is_gone(pid)
    addon_utils.enable(part("root").ROOT)


def _is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def connecting_without_a_connection_file_says_what_to_start():
    preferences().mode = "CONNECT"
    preferences().connection_file = "/nowhere/connection.json"
    fails_with(bpy.ops.loom.backend_connect, "/nowhere/connection.json", "latent-loom serve")


def connecting_to_a_backend_that_runs_leaves_it_running():
    session = part("runtime").session()
    bpy.ops.loom.backend_start()
    child, session.child = session.child, None
    preferences().mode = "CONNECT"
    preferences().connection_file = str(part("root").run_folder() / "connection.json")
    session.disconnect()
    bpy.ops.loom.backend_connect()
    assert session.connected and not session.owns_backend
    bpy.ops.loom.backend_stop()
    assert child.exit_code() is None
    child.end()


def adapting_puts_the_new_style_into_the_mix_alone():
    settings = bpy.context.scene.loom
    settings.add_style("older")
    settings.target = "Mossy Stone!"
    assert bpy.ops.loom.adapt() == {"FINISHED"}
    assert settings.chosen_styles() == [("mossy-stone", 1.0)]
    assert "older" in settings.styles
    assert "mossy-stone" in bpy.context.window_manager.loom.styles
    assert tuple(bpy.data.images["Loom Preview"].size) == (64, 64)


def a_second_style_of_the_same_words_gets_a_name_of_its_own():
    bpy.context.scene.loom.target = "rust"
    bpy.ops.loom.adapt()
    bpy.ops.loom.adapt()
    assert [slot.name for slot in bpy.context.scene.loom.styles] == ["rust", "rust-2"]


def prompts_that_are_the_same_are_refused_before_anything_is_sent():
    bpy.context.scene.loom.source = bpy.context.scene.loom.target = "stone"
    fails_with(bpy.ops.loom.adapt, "the same", "To prompt")


def what_the_backend_refuses_is_told_in_its_own_sentence():
    bpy.context.scene.loom.target = "it fails"
    fails_with(bpy.ops.loom.adapt, "a word that is not known")


def a_backend_that_dies_in_the_middle_fails_the_job_and_can_be_started_again():
    bpy.context.scene.loom.target = "it dies"
    fails_with(bpy.ops.loom.adapt, "backend")
    session = part("runtime").session()
    assert session.state == "OFF" and not session.jobs
    assert session.trouble.mend == "loom.backend_start"
    bpy.ops.loom.backend_start()
    assert session.connected


def generating_loads_every_map_with_its_colour_space_and_where_it_came_from():
    settings = bpy.context.scene.loom
    settings.seed, settings.count = 5, 2
    bpy.ops.loom.generate()
    assert len(bpy.data.images) == 10
    maps = part("images").set_of(settings.texture)
    assert set(maps) == {"color", "normal", "height", "roughness", "ao"}
    assert maps["color"].colorspace_settings.name == "sRGB"
    assert {maps[name].colorspace_settings.name for name in maps if name != "color"} == {"Non-Color"}
    record = json.loads(maps["color"]["latent_loom"])
    assert record["params"]["seeds"] == [5] and record["params"]["size"] == [64, 64]


def files_that_blender_cannot_read_are_told_in_a_sentence():
    bpy.context.scene.loom.seed = 404
    fails_with(bpy.ops.loom.generate, "cannot read", "choose an output folder")
    assert "cannot read" in part("runtime").session().trouble.sentence


def generating_again_reads_the_same_files_into_the_same_images():
    bpy.ops.loom.generate()
    bpy.ops.loom.generate()
    assert len(bpy.data.images) == 5


def a_generated_texture_is_linked_into_the_object_s_material():
    bpy.ops.loom.generate()
    material = bpy.context.object.active_material
    group = part("material").find_node(material)
    shader = material.node_tree.nodes["Principled BSDF"]
    assert [shader.inputs[name].links[0].from_node for name in ("Base Color", "Roughness", "Normal")] == [group] * 3
    shown = group.node_tree.nodes.active
    assert shown is not None and shown.name == "Loom color", "Solid shading with Texture shows the active one"


def only_the_pictures_are_loaded_where_that_is_wanted():
    bpy.context.scene.loom.apply_to = "IMAGE"
    bpy.ops.loom.generate()
    assert bpy.context.object.active_material is None and not bpy.data.materials
    bpy.context.scene.loom.apply_to = "MATERIAL"
    bpy.ops.loom.apply()
    assert bpy.context.object.active_material is not None


def _material(name="Mine"):
    """A material of the artist's own on the active object."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    bpy.context.object.data.materials.append(material)
    return material


def what_the_artist_has_connected_stays_connected():
    material = _material()
    tree = material.node_tree
    mine = tree.nodes.new("ShaderNodeRGB")
    tree.links.new(mine.outputs[0], tree.nodes["Principled BSDF"].inputs["Base Color"])
    count = len(tree.nodes)
    bpy.ops.loom.generate()
    assert bpy.context.object.active_material == material
    shader = tree.nodes["Principled BSDF"]
    assert shader.inputs["Base Color"].links[0].from_node == mine
    assert shader.inputs["Normal"].links[0].from_node == part("material").find_node(material)
    assert len(tree.nodes) == count + 1


def applying_again_fills_the_same_group_anew():
    _material()
    bpy.ops.loom.generate()
    tree = bpy.context.object.active_material.node_tree
    nodes, groups = len(tree.nodes), len(bpy.data.node_groups)
    bpy.context.scene.loom.seed = 9
    bpy.context.scene.loom.pbr = False
    bpy.ops.loom.generate()
    assert (len(tree.nodes), len(bpy.data.node_groups)) == (nodes, groups)
    inside = part("material").find_node(bpy.context.object.active_material).node_tree
    assert [node.image for node in inside.nodes if node.type == "TEX_IMAGE"] == [bpy.context.scene.loom.texture]
    assert all(inside.nodes["Group Output"].inputs[name].is_linked for name in ("Color", "Roughness", "Normal"))


def a_group_that_another_material_shares_is_left_to_that_one():
    bpy.ops.loom.generate()
    find = part("material").find_node
    other = bpy.context.object.active_material.copy()
    shared = find(other).node_tree
    bpy.context.scene.loom.seed = 8
    bpy.ops.loom.generate()
    assert find(other).node_tree == shared
    assert find(bpy.context.object.active_material).node_tree != shared


def box_mapping_needs_no_uv_map():
    bpy.context.scene.loom.mapping = "BOX"
    bpy.ops.loom.generate()
    inside = part("material").find_node(bpy.context.object.active_material).node_tree
    assert {node.projection for node in inside.nodes if node.type == "TEX_IMAGE"} == {"BOX"}
    assert not [node for node in inside.nodes if node.type == "NORMAL_MAP"]


def a_new_material_takes_the_slot_and_the_old_one_is_kept():
    old = _material()
    bpy.context.scene.loom.apply_to = "NEW"
    bpy.ops.loom.generate()
    assert bpy.context.object.active_material not in (None, old)
    assert old.use_fake_user


def a_material_without_a_principled_shader_gets_the_node_and_no_links():
    material = _material()
    material.node_tree.nodes.clear()
    bpy.ops.loom.generate()
    assert part("material").find_node(material) is not None and not material.node_tree.links


def without_an_object_the_new_material_is_kept_for_later():
    bpy.data.objects.remove(bpy.context.object)
    bpy.ops.loom.generate()
    assert [material.use_fake_user for material in bpy.data.materials] == [True]


def an_object_that_takes_no_material_is_left_alone():
    bpy.ops.object.camera_add()
    bpy.ops.loom.generate()
    assert bpy.context.object.type == "CAMERA" and len(bpy.data.materials) == 1


def a_linked_object_is_refused_with_a_way_out():
    _material("Theirs")
    library = str(given.out / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=library)
    name = bpy.context.object.name
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_source, target):
        target.objects = [name]
    bpy.context.scene.collection.objects.link(target.objects[0])
    bpy.context.view_layer.objects.active = target.objects[0]
    fails_with(bpy.ops.loom.generate, "linked from another file", "New Material")
    bpy.context.scene.loom.apply_to = "NEW"
    fails_with(bpy.ops.loom.generate, "linked from another file", "Image Only")


def a_walk_plays_on_the_material_frame_by_frame_and_around():
    scene = bpy.context.scene
    scene.loom.walk_frames = 3
    bpy.ops.loom.walk()
    image = scene.loom.texture
    assert image.source == "SEQUENCE" and json.loads(image["latent_loom"])["frames"] == 3
    colours = [_rendered(frame) for frame in (1, 2, 3, 4)]
    assert colours[0] == colours[3], "it does not repeat"
    assert len(set(colours[:3])) == 3, "frames look alike"


def _rendered(frame):
    """The mean colour of the plane, seen from above in plain light."""
    import numpy as np

    scene = bpy.context.scene
    if scene.camera is None:
        bpy.ops.object.camera_add(location=(0, 0, 2))
        scene.camera = bpy.context.object
        bpy.ops.object.light_add(type="SUN")
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.frame_set(frame)
    scene.render.filepath = str(given.out / f"frame{frame}.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.empty(16 * 16 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return tuple(np.round(pixels.reshape(-1, 4).mean(0), 3).tolist())


def a_second_walk_is_not_mixed_with_the_first():
    bpy.context.scene.loom.walk_frames = 2
    bpy.ops.loom.walk()
    first = bpy.context.scene.loom.texture
    bpy.ops.loom.walk()
    folders = {Path(image.filepath).parent for image in (first, bpy.context.scene.loom.texture)}
    assert len(folders) == 2


def a_walk_of_one_seed_is_refused():
    bpy.context.scene.loom.walk_seeds = "4"
    fails_with(bpy.ops.loom.walk, "at least two different textures")


def a_set_is_exported_and_the_panel_says_where():
    settings = bpy.context.scene.loom
    settings.batch_folder = str(given.out / "my set")
    settings.batch_seeds = "0-3"
    assert bpy.ops.loom.batch() == {"FINISHED"}
    assert part("runtime").session().notice == f"Wrote 4, kept 0: {given.out / 'my set'}"


def what_failed_in_a_set_is_named():
    bpy.context.scene.loom.add_style("missing")
    bpy.ops.loom.batch()
    assert "missing: There is no such style" in part("runtime").session().trouble.sentence


def seeds_that_cannot_be_read_are_refused():
    bpy.context.scene.loom.batch_seeds = "one, two"
    fails_with(bpy.ops.loom.batch, "3, 7, 12-15")


def an_output_folder_that_is_a_file_is_refused():
    blocked = given.out / "a file"
    blocked.write_text("")
    preferences().output_folder = str(blocked)
    fails_with(bpy.ops.loom.generate, "a file", "choose another output folder")


def a_style_is_deleted_from_mix_and_backend():
    bpy.context.scene.loom.target = "moss"
    bpy.ops.loom.adapt()
    bpy.ops.loom.style_delete()
    assert not bpy.context.scene.loom.styles
    bpy.ops.loom.refresh()
    assert not bpy.context.window_manager.loom.styles


def a_checkpoint_on_disk_becomes_the_generator_of_the_scene():
    file = given.out / "My Model.pkl"
    file.write_bytes(b"x")
    bpy.ops.loom.import_generator(source="FILE", filepath=str(file))
    assert bpy.context.scene.loom.generator == "my-model"
    bpy.ops.loom.refresh()
    assert "my-model" in bpy.context.window_manager.loom.generators


def an_address_is_fetched_only_online_and_only_after_agreeing():
    system, url = bpy.context.preferences.system, "https://example.org/models/ffhq.pkl"

    def fetch(**more):
        return bpy.ops.loom.import_generator(source="URL", url=url, **more)

    system.use_online_access = False
    fails_with(lambda: fetch(agreed=True), "stay offline", "file from disk")
    system.use_online_access = True
    try:
        fails_with(fetch, "Nothing was fetched", "example.org")
        assert not part("runtime").session().jobs and bpy.context.scene.loom.generator == "builtin"
        fetch(agreed=True)
        assert bpy.context.scene.loom.generator == "ffhq"
        url = "https://example.org/missing.pkl"
        fails_with(lambda: fetch(agreed=True), "404")
    finally:
        system.use_online_access = False


def the_import_dialog_draws_for_both_places_online_or_not():
    seen = []

    class Layout:
        def __getattr__(self, name):
            return lambda *args, **named: self

        def prop(self, data, name, **named):
            seen.append(name)

        def label(self, text="", icon="NONE"):
            assert text
            _check_icon(icon)

    draw = part("operators.checkpoint").LOOM_OT_import_generator.draw
    for source in ("FILE", "URL"):
        for online in (False, True):
            bpy.context.preferences.system.use_online_access = online
            seen.clear()
            draw(types.SimpleNamespace(layout=Layout(), source=source, url="https://example.org/x.pkl"), bpy.context)
            assert ("agreed" in seen) == (source == "URL" and online)
    bpy.context.preferences.system.use_online_access = False


class _WithWindow:
    """Lets operators return at once, as they do beside the interface; `drain` plays the timer."""

    def __enter__(self):
        self.pump = part("pump")
        self.kept = self.pump.must_wait
        bpy.ops.loom.backend_start()
        self.pump.must_wait = lambda: False
        return part("runtime").session()

    def __exit__(self, *error):
        self.pump.must_wait = self.kept
        self.pump.stop_timer()


def with_a_window_operators_return_at_once_and_ticks_bring_the_result():
    with _WithWindow() as session:
        bpy.ops.loom.generate()
        assert bpy.context.scene.loom.texture is None
        drain(lambda: not session.jobs)
        assert bpy.context.scene.loom.texture is not None


def a_bug_in_a_tick_is_told_and_the_timer_goes_on():
    pump, real = part("pump"), part("pump").step
    pump.step = lambda: 1 / 0
    try:
        assert pump.tick() > 0
    finally:
        pump.step = real
    assert "failed at this (ZeroDivisionError)" in part("runtime").session().trouble.sentence


def cancel_ends_the_job_and_is_no_error():
    with _WithWindow() as session:
        bpy.context.scene.loom.target = "slow"
        bpy.ops.loom.adapt()
        job = session.running("adapt")
        drain(lambda: job.done > 0)
        for _ in range(50):
            if bpy.ops.loom.cancel.poll():
                bpy.ops.loom.cancel(job=job.id)
        drain(lambda: not session.jobs)
        assert job.state == "CANCELLED" and session.trouble is None
        assert not bpy.context.scene.loom.styles


def a_job_of_an_earlier_file_touches_nothing_in_the_next_one():
    with _WithWindow() as session:
        bpy.context.scene.loom.count = 3
        bpy.ops.loom.generate()
        job = session.running("generate")
        bpy.ops.wm.read_homefile(use_empty=True)
        drain(lambda: not session.jobs)
        assert job.state == "FINISHED" and job.value["files"]
        assert not bpy.data.images and bpy.context.scene.loom.texture is None


def an_object_that_was_deleted_meanwhile_is_not_missed():
    with _WithWindow() as session:
        bpy.ops.loom.generate()
        bpy.data.objects.remove(bpy.context.object)
        drain(lambda: not session.jobs)
        assert bpy.context.scene.loom.texture is not None


def a_renamed_object_is_found_again():
    with _WithWindow() as session:
        thing = bpy.context.object
        bpy.ops.loom.generate()
        thing.name = "Renamed"
        bpy.ops.object.empty_add()
        drain(lambda: not session.jobs)
        assert thing.active_material is not None


def settings_and_provenance_come_back_with_the_file():
    bpy.context.scene.loom.target = "moss"
    bpy.ops.loom.adapt()
    bpy.context.scene.loom.styles[0].strength = 0.75
    bpy.ops.loom.generate()
    path = str(given.out / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    settings = bpy.context.scene.loom
    assert settings.chosen_styles() == [("moss", 0.75)] and settings.target == "moss"
    assert part("images").record_of(settings.texture)["params"]["styles"] == [["moss", 0.75]]


def two_scenes_have_settings_of_their_own():
    bpy.context.scene.loom.seed = 5
    other = bpy.data.scenes.new("Other")
    assert other.loom.seed == 0


def a_tick_that_comes_at_once_is_not_put_off():
    """As sliders do that another timer moves in every turn: made anew each time, ours would never have its turn."""
    pump, stopped = part("pump"), []
    must_wait, stop = pump.must_wait, pump.stop_timer
    pump.must_wait = lambda: False
    pump.start_timer()
    try:
        pump.stop_timer = lambda: stopped.append(1)
        pump.start_timer()
        assert not stopped
        pump._due_s = time.monotonic() + 0.5  # an idle one
        pump.start_timer()
        assert stopped
    finally:
        pump.must_wait, pump.stop_timer = must_wait, stop
        pump.stop_timer()
