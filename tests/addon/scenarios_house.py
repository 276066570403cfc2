"""What must hold inside Blender around the making of textures: setting up, state, history, presets, sets, models.

`part`, `preferences`, `drain`, `fails_with` and `given` are put here by inside_blender.py; the backend is scripted.
"""
# ruff: noqa: F821

import json
import sys
from pathlib import Path

import bpy


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


class _Setup:
    """Online, with the steps of setting up replaced by small ones; `todo` are (title, code)."""

    def __init__(self, *todo):
        self.todo = todo

    def __enter__(self):
        self.setup = part("setup")
        self.kept = self.setup.steps
        self.setup.steps = lambda *args, **named: [
            self.setup.Step(title=title, argv=[sys.executable, "-c", code]) for title, code in self.todo
        ]
        bpy.context.preferences.system.use_online_access = True
        folder = given.out / "environment"
        preferences().setup_folder, preferences().command = str(folder), ""
        return folder

    def __exit__(self, *error):
        self.setup.steps = self.kept
        bpy.context.preferences.system.use_online_access = False
        preferences().setup_folder = ""


def setting_up_a_backend_asks_for_online_access_first():
    fails_with(bpy.ops.loom.backend_setup, "stay offline", "Copy Command")
    fails_with(bpy.ops.loom.backend_repair, "stay offline")
    assert part("runtime").installation() is None


def setting_up_tells_where_it_failed_and_why_and_the_log_is_at_hand():
    with _Setup(("PyTorch", "print('ERROR: [Errno 28] No space left on device'); raise SystemExit(1)"), ("Then", "")):
        fails_with(bpy.ops.loom.backend_setup, "PyTorch", "disk is full")
        trouble = part("runtime").session().trouble
        assert trouble.mend == "loom.backend_setup" and trouble.more == ("loom.setup_log", "Show Log")
        bpy.ops.loom.setup_log()
        assert "Errno 28" in bpy.data.texts["Loom Setup Log"].as_string()


def too_little_room_on_the_disk_is_told_before_anything_is_fetched():
    machine = part("machine")
    kept, machine.free_gib = machine.free_gib, lambda folder: 0.5
    try:
        with _Setup(("PyTorch", "")):
            fails_with(bpy.ops.loom.backend_setup, "0.5 GB free", "make room")
    finally:
        machine.free_gib = kept


def what_was_set_up_is_started_at_once_and_not_before_it_is_whole():
    make = (
        "import os, pathlib, stat; p = pathlib.Path({folder!r}) / 'bin'; p.mkdir(parents=True, exist_ok=True);"
        "q = p / 'python'; q.write_text('#!/bin/sh\\nshift 2\\nexec {command} \"$@\"\\n'); q.chmod(0o755)"
    ).format(folder=str(given.out / "environment"), command=given.command)
    with _Setup(("Making", make)) as folder:
        assert preferences().backend_command() is None or folder.name not in str(preferences().backend_command())
        bpy.ops.loom.backend_setup()
        assert part("root").backend_condition() == "READY"
        part("pump").ready()
        session = part("runtime").session()
        assert session.connected and session.owns_backend
        (folder / "latent-loom.json").unlink()
        assert part("root").backend_condition() == "PARTIAL"


def the_set_up_dialog_says_what_is_fetched_and_where_it_goes():
    import types

    said = []

    class Layout:
        def __getattr__(self, name):
            return lambda *args, **named: self

        def label(self, text="", icon="NONE"):
            said.append(text)

        def prop(self, data, name, **named):
            assert name in data.bl_rna.properties

    draw = part("operators.setup").LOOM_OT_backend_setup.draw
    draw(types.SimpleNamespace(layout=Layout()), bpy.context)
    text = " ".join(said)
    assert "Nothing is installed into Blender" in text and "GB" in text and "PyPI" in text and "stay offline" in text


def the_welcome_stands_only_where_nothing_can_be_started():
    runtime, pump = part("runtime"), part("pump")
    preferences().command, preferences().setup_folder = "", str(given.out / "nowhere")
    kept = part("child").find_backend.__kwdefaults__["which"]
    part("child").find_backend.__kwdefaults__["which"] = lambda name: None
    try:
        pump._looked_s = -60.0
        pump.look_at_backend()
        assert runtime.wants_setup() and runtime.condition() == "ABSENT"
        preferences().command = given.command
        pump._looked_s = -60.0
        pump.look_at_backend()
        assert not runtime.wants_setup()
    finally:
        part("child").find_backend.__kwdefaults__["which"] = kept
        preferences().setup_folder = ""


def the_command_to_copy_is_one_line_with_the_wheel_of_the_zip():
    line = part("setup").own_command(part("root").backend_wheel(), part("root").torch())
    assert "\n" not in line and "latent_loom-" in line and "serve" in line
    assert bpy.ops.loom.copy_command() == {"FINISHED"}


def another_computer_s_backend_needs_address_keys_and_online_access():
    preferences().mode = "REMOTE"
    fails_with(bpy.ops.loom.backend_connect, "stay offline")
    bpy.context.preferences.system.use_online_access = True
    try:
        fails_with(bpy.ops.loom.backend_connect, "Give the address")
        assert part("runtime").session().trouble.mend == "loom.preferences"
        preferences().address = "tcp://127.0.0.1:9"
        fails_with(bpy.ops.loom.backend_connect, "public key")
    finally:
        bpy.context.preferences.system.use_online_access = False
        preferences().address = ""


def memory_is_given_back_and_the_panel_knows_what_is_held():
    with _WithWindow() as session:
        drain(lambda: session.memory_used_mib == 700)
        assert not session.working, "asking for the state is no work"
        bpy.ops.loom.free_memory()
        drain(lambda: "Freed 700 MiB" in session.notice)
        drain(lambda: session.memory_used_mib == 0)
        assert part("panels.main").memory_line(session) == "0.0 of 1 GB"


def every_texture_stands_in_the_history_with_its_picture():
    settings = bpy.context.scene.loom
    settings.seed, settings.count = 4, 2
    bpy.ops.loom.generate()
    entries = [part("history").read(item.record) for item in settings.history]
    assert sorted(entry.params["seeds"] for entry in entries) == [[4], [5]]
    assert all(len(entry.files) == 5 for entry in entries)
    picture = part("history").unpack(entries[0].thumb)
    assert picture.shape == (64, 64, 3) and picture.std() > 5
    image = next(one for one in bpy.data.images if bpy.path.abspath(one.filepath) == entries[0].color_file())
    top_left = [round(value * 255) for value in image.pixels[63 * 64 * 4 : 63 * 64 * 4 + 3]]
    assert list(picture[0, 0]) == top_left, "upside down, or another picture"


def making_the_same_again_makes_no_second_entry():
    bpy.ops.loom.generate()
    bpy.ops.loom.generate()
    assert len(bpy.context.scene.loom.history) == 1


def a_walk_is_one_entry():
    bpy.context.scene.loom.walk_frames = 3
    bpy.ops.loom.walk()
    entries = [part("history").read(item.record) for item in bpy.context.scene.loom.history]
    assert [entry.kind for entry in entries] == ["walk"]
    assert part("history").unpack(entries[0].thumb).std() > 5, "its first frame is its picture"


def settings_are_recalled_as_they_were():
    settings = bpy.context.scene.loom
    settings.add_style("moss")
    settings.styles[0].strength, settings.seed, settings.target, settings.tile_x = 0.4, 7, "moss", False
    bpy.ops.loom.generate()
    settings.styles.clear()
    settings.seed, settings.target, settings.tile_x, settings.width = 1, "rust", True, 128
    assert bpy.ops.loom.history_recall() == {"FINISHED"}
    assert [(slot.name, round(slot.strength, 3)) for slot in settings.styles] == [("moss", 0.4)]
    assert (settings.seed, settings.target, settings.tile_x, settings.width) == (7, "moss", False, 64)
    assert len(settings.history) == 1, "recalling must not touch the list itself"


def the_history_travels_in_the_blend_and_an_image_is_had_again():
    settings = bpy.context.scene.loom
    settings.seed = 9
    bpy.ops.loom.generate()
    path = str(given.out / "history.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not bpy.context.scene.loom.history
    bpy.ops.wm.open_mainfile(filepath=path)
    settings = bpy.context.scene.loom
    assert part("history").read(settings.history[0].record).params["seeds"] == [9]
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)
    bpy.ops.loom.history_show()
    assert settings.texture is not None and set(part("images").set_of(settings.texture)) == {
        *("color", "normal", "height", "roughness", "ao")
    }


def a_file_that_is_gone_is_told_and_the_settings_are_there_still():
    bpy.ops.loom.generate()
    settings = bpy.context.scene.loom
    entry = part("history").read(settings.history[0].record)
    for file in entry.files:
        Path(file["path"]).unlink()
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)
    fails_with(bpy.ops.loom.history_show, "is gone", "recall the settings")
    assert bpy.ops.loom.history_recall() == {"FINISHED"}


def an_entry_is_removed_with_or_without_its_files():
    settings = bpy.context.scene.loom
    settings.count = 2
    bpy.ops.loom.generate()
    first = part("history").read(settings.history[0].record)
    bpy.ops.loom.history_delete()
    assert len(settings.history) == 1 and Path(first.color_file()).is_file()
    second = part("history").read(settings.history[0].record)
    bpy.ops.loom.history_delete(files=True)
    assert not settings.history and not any(Path(file["path"]).exists() for file in second.files)
    assert not bpy.ops.loom.history_delete.poll()


def an_undo_does_not_lose_what_was_made():
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.loom.generate()
    bpy.ops.ed.undo_push(message="after")
    uuid = bpy.context.scene.loom.history[0].uuid
    bpy.ops.ed.undo()
    assert [item.uuid for item in bpy.context.scene.loom.history] == [uuid]


def the_history_of_two_scenes_is_kept_apart():
    bpy.ops.loom.generate()
    first, other = bpy.context.scene, bpy.data.scenes.new("Other")
    assert len(first.loom.history) == 1 and not other.loom.history


def what_a_job_makes_lands_in_the_history_of_the_scene_it_was_asked_in():
    with _WithWindow() as session:
        first = bpy.context.scene
        bpy.ops.loom.generate()
        bpy.context.window_manager.windows  # noqa: B018
        other = bpy.data.scenes.new("Other")
        drain(lambda: not session.working)
        assert len(first.loom.history) == 1 and not other.loom.history


def presets_keep_all_settings_the_styles_too():
    settings = bpy.context.scene.loom
    settings.add_style("moss")
    settings.styles[0].strength, settings.width, settings.batch_maps = 0.25, 256, {"color", "orm"}
    assert bpy.ops.loom.preset_add(name="Mossy Look") == {"FINISHED"}
    file = next(Path(folder) / "Mossy_Look.py" for folder in bpy.utils.preset_paths("latent_loom"))
    assert file.is_file()
    settings.styles.clear()
    settings.add_style("rust")
    settings.width, settings.batch_maps = 64, {"color"}
    bpy.ops.script.execute_preset(filepath=str(file), menu_idname="LOOM_MT_presets")
    assert [(slot.name, slot.strength) for slot in settings.styles] == [("moss", 0.25)]
    assert settings.width == 256 and settings.batch_maps == {"color", "orm"}
    bpy.ops.loom.preset_add(name="Mossy Look", remove_name=True)
    assert not file.exists()


def a_set_of_a_list_of_prompts_trains_what_is_missing():
    settings = bpy.context.scene.loom
    text = bpy.data.texts.new("wanted")
    text.write("stone -> mossy stone\nrust\n")
    settings.batch_source, settings.batch_text, settings.batch_seeds = "TEXT", text, "0-1"
    settings.batch_folder, settings.batch_maps = str(given.out / "listed"), {"color"}
    bpy.ops.loom.batch()
    sent = json.loads((given.out / "listed" / "asked.json").read_text())
    assert [entry["name"] for entry in sent["jobs"]["adapt"]] == ["mossy-stone", "rust"]
    assert sent["jobs"]["defaults"]["maps"] == ["color"] and not sent.get("detach")
    text.clear()
    fails_with(bpy.ops.loom.batch, "list is empty")
    settings.batch_text = None
    fails_with(bpy.ops.loom.batch, "Choose a text")
    settings.batch_source = "FILE"
    fails_with(bpy.ops.loom.batch, ".csv, .jsonl or .toml")


def a_set_that_runs_on_is_found_again_stopped_and_taken_up():
    runtime = part("runtime")
    settings = bpy.context.scene.loom
    settings.batch_folder, settings.batch_seeds = str(given.out / "detached"), "0-9"
    part("pump").BATCHES_S = 0.1
    with _WithWindow() as session:
        bpy.ops.loom.batch()
        drain(lambda: runtime.batches().all and not session.working)
        batch = runtime.batches().all[0]
        assert batch.running and batch.out == str(given.out / "detached")
        drain(lambda: batch.state.get("done", 0) > 1)
        runtime.remember_batches(part("root").own_data() / "batches.json")
        again = runtime.batches().find(batch.out)
        assert again is not None and again.running
        bpy.ops.loom.batch_cancel(folder=again.out)
        drain(lambda: again.state.get("state") == "cancelled")
        assert again.resumable
        bpy.ops.loom.batch_resume(folder=again.out)
        drain(lambda: runtime.batches().find(batch.out).finished, 120)
        assert "is finished" in session.notice
    bpy.ops.loom.batch_forget(folder=batch.out)
    assert runtime.batches().find(batch.out) is None


def an_estimate_makes_nothing_and_is_said_in_a_line():
    bpy.context.scene.loom.batch_folder = str(given.out / "estimated")
    bpy.ops.loom.batch_estimate()
    session = part("runtime").session()
    assert session.notice.startswith("16 textures in 80 files, about 40 s")
    assert part("operators.batch").said() == session.notice, "it stands beside its button too"
    session.notice = "Freed 700 MiB of memory."
    assert part("operators.batch").said() == "", "other news is not of a set"


def a_finished_set_becomes_an_asset_library_when_that_is_wanted():
    folder = given.out / "finished set"
    folder.mkdir(exist_ok=True)
    libraries = bpy.context.preferences.filepaths.asset_libraries
    before = len(libraries)
    bpy.ops.loom.batch_library(folder=str(folder), add=False)
    assert len(libraries) == before
    for _ in range(2):
        bpy.ops.loom.batch_library(folder=str(folder), add=True)
    assert len(libraries) == before + 1 and Path(libraries[-1].path) == folder
    sent = json.loads((folder / "asked.json").read_text())
    assert Path(sent["blender"]).is_file() and (Path(sent["addon"]) / "headless" / "library.py").is_file()
    libraries.remove(libraries[-1])


def a_language_model_is_fetched_only_online_and_only_after_agreeing():
    system, fetch = bpy.context.preferences.system, bpy.ops.loom.clip_fetch
    name = "ViT-B-32:openai"
    fails_with(lambda: fetch(name=name, agreed=True), "stay offline")
    system.use_online_access = True
    try:
        fails_with(lambda: fetch(name=name), "Nothing was fetched")
        assert not part("runtime").session().jobs
        assert fetch(name=name, agreed=True) == {"FINISHED"}
        clip = next(clip for clip in part("runtime").session().clips if clip["name"] == name)
        assert clip["there"]
        bpy.ops.loom.model_choose(kind="clip", name=name)
        bpy.ops.loom.adapt(target="moss")
        bpy.ops.loom.model_delete(kind="clip", name=name)
        assert bpy.context.scene.loom.clip == "builtin"
        bpy.context.scene.loom.clip = name
        fails_with(bpy.ops.loom.adapt, "not here", "Models")
        assert not next(clip for clip in part("runtime").session().clips if clip["name"] == name)["there"]
    finally:
        system.use_online_access = False


def a_folder_of_pictures_becomes_the_texture_model_of_the_scene():
    settings, folder = bpy.context.scene.loom, given.out / "my bricks"
    fails_with(bpy.ops.loom.train_generator, "Choose the folder")
    folder.mkdir()
    settings.train_folder = str(folder)
    fails_with(bpy.ops.loom.train_generator, "no pictures")
    (folder / "a.png").write_bytes(b"x")
    bpy.ops.loom.train_generator()
    assert settings.generator == "my-bricks"
    assert tuple(bpy.data.images["Loom Preview"].size) == (64, 64), "the sheet was not shown"
    bpy.ops.loom.model_delete(kind="generator", name="my-bricks")
    assert settings.generator == "builtin"


def the_disk_used_is_told_in_lines():
    bpy.ops.loom.disk()
    assert part("model_jobs").disk_lines(part("runtime").session().disk) == [
        *("Texture models: 3 MB", "Free on the disk: 5.0 GB")
    ]


def the_preferences_draw_in_every_mode():
    class Layout:
        def __getattr__(self, name):
            return lambda *args, **named: self

        def prop(self, data, name, **named):
            assert name in preferences().bl_rna.properties, name

        def operator(self, idname, **named):
            assert hasattr(bpy.types, idname.replace("loom.", "LOOM_OT_")), idname
            return self

        def label(self, text="", icon="NONE"):
            assert text and icon in bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items

    class Preferences:
        layout = Layout()

        def __getattr__(self, name):
            kind = part("preferences").LoomPreferences
            found = getattr(kind, name, None) if name.startswith("_draw") else None
            return found.__get__(self) if found else getattr(preferences(), name)

    for mode in ("OWN", "CONNECT", "REMOTE"):
        preferences().mode = mode
        part("preferences").LoomPreferences.draw(Preferences(), bpy.context)


def every_operator_and_setting_says_what_it_is_for():
    silent = [name for name in dir(bpy.ops.loom) if not getattr(bpy.ops.loom, name).get_rna_type().description]
    own = ("batch_", "setup_", "train_")
    scene = [prop for prop in bpy.context.scene.loom.bl_rna.properties if prop.identifier.startswith(own)]
    left = ("rna_type", "name", "bl_idname")
    chosen = [prop for prop in preferences().bl_rna.properties if prop.identifier not in left]
    silent += [prop.identifier for prop in (*scene, *chosen) if not prop.description]
    assert silent == [], silent
