"""The handlers called in this process, as the command line calls them, on a small random generator."""

import json

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation import adapt as adaptation_function
from latent_loom.backend.adaptation.style import Style, StyleInfo
from latent_loom.backend.errors import (
    AlreadyExists,
    BadCheckpoint,
    BadRequest,
    Cancelled,
    CannotWrite,
    NonFinite,
    NotFound,
    OutOfMemory,
    PromptError,
    as_loom_error,
)
from latent_loom.backend.job import Job
from latent_loom.backend.service.handlers import AT_ONCE, AT_THE_DESK, AT_THE_DOOR, HANDLERS, PARTIAL, Context
from latent_loom.protocol import frames
from latent_loom.protocol.requests import REQUESTS
from latent_loom.stylegan2.errors import StyleGAN2Error

LOOK = {"generator": "small", "size": [16, 16]}
PROMPTS = {"generator": "small", "source": "stone", "target": "mossy stone", "batch": 2}


def own_styles(store) -> list[str]:
    """The names of those that did not come with the program."""
    return [entry.name for entry in store.styles() if not entry.builtin]


@pytest.fixture
def call(store):
    def handle(type, params, job=None):
        return HANDLERS[type](Context(store=store), params, {}, job or Job())

    return handle


def add_style(store, name="mossy", bias=0.5):
    generator = store.generator("small")
    tensors = {"synthesis.b8.conv0.bias": torch.full_like(generator.synthesis.b8.conv0.bias, bias)}
    about = {"source": "stone", "target": "mossy stone", "method": "style", "iterations": 3, "seed": 0}
    info = StyleInfo(name=name, generator="small", generator_hash=store.generator_hash("small"), clips=("a",), **about)
    store.add_style(Style(info=info, tensors=tensors))


def test_there_is_a_handler_for_every_request_and_for_nothing_else():
    assert set(HANDLERS) == set(REQUESTS) - {"shutdown"}
    assert set(HANDLERS) >= AT_THE_DESK | AT_THE_DOOR | AT_ONCE


def test_every_handler_takes_every_parameter_of_the_table_by_name(call):
    for request in REQUESTS.values():
        for name in (*request.required, *request.optional):
            if request.name in HANDLERS:
                with pytest.raises(Exception) as caught:
                    call(request.name, {name: object()})
                assert "has no parameter" not in str(caught.value), (request.name, name)


@pytest.mark.parametrize("type", sorted(set(HANDLERS)))
def test_an_unknown_parameter_is_refused_by_every_handler(call, type):
    with pytest.raises(BadRequest, match=f"{type} has no parameter 'colour_of_the_sky'"):
        call(type, {"colour_of_the_sky": "blue"})


def test_lists_say_what_there_is_and_can_travel(call, store):
    add_style(store)
    (store.root / "styles" / "broken.safetensors").write_bytes(b"nothing")
    models = call("models", {}).value
    small = next(entry for entry in models["generators"] if entry["name"] == "small")
    assert (small["resolution"], small["builtin"], len(small["hash"])) == (16, False, 64)
    assert {"name": "builtin", "builtin": True} in models["clips"]
    broken, mossy = (style for style in call("styles", {}).value["styles"] if not style.get("builtin"))
    assert "broken" in broken
    assert (mossy["name"], mossy["target"], mossy["iterations"]) == ("mossy", "mossy stone", 3)
    frames.encode({"value": models})
    frames.encode({"value": {"styles": [broken, mossy]}})


def test_generate_without_a_folder_answers_with_pictures(call):
    answer = call("generate", {**LOOK, "seeds": [1, 2], "maps": ["color", "normal"]})
    assert answer.arrays["color"].shape == (2, 16, 16, 3)
    assert answer.arrays["normal"].shape == (2, 16, 16, 3)
    assert answer.value["files"] == []


def test_generate_into_a_folder_answers_with_files(call, tmp_path):
    answer = call("generate", {**LOOK, "seeds": [1], "name": "wall", "out": str(tmp_path / "out")})
    (file,) = answer.value["files"]
    assert (file["seed"], file["map"]) == (1, "color")
    assert (tmp_path / "out" / "wall-1_color.png").is_file()
    assert not answer.arrays
    json.dumps(answer.value)


def test_a_style_changes_the_picture_and_strength_0_does_not(call, store):
    add_style(store)
    plain, zero, styled = (
        call("generate", {**LOOK, "seeds": [1], "styles": styles}).arrays["color"]
        for styles in ([], [["mossy", 0]], [["mossy", 1]])
    )
    assert np.array_equal(plain, zero)
    assert not np.array_equal(plain, styled)


@pytest.mark.parametrize(
    ("type", "params"),
    [
        ("generate", {"seeds": [1], "out": "here"}),
        ("walk", {"seeds": [1, 2], "out": "here"}),
        ("batch", {"file": "jobs.toml", "out": "/tmp/x"}),
        ("export", {"file": "out.pt"}),
        ("import", {"file": "in.pkl", "name": "x"}),
    ],
)
def test_a_relative_path_is_refused(call, type, params):
    with pytest.raises(BadRequest, match="must be a whole path from the root"):
        call(type, params)


def test_walk_writes_its_frames(call, tmp_path):
    value = call("walk", {**LOOK, "seeds": [1, 2], "frames": 3, "out": str(tmp_path / "walk")}).value
    assert value["frames"] == 3
    assert [file["frame"] for file in value["files"]] == [1, 2, 3]
    assert (tmp_path / "walk" / "frame-0003.png").is_file()
    json.dumps(value)


def test_batch_takes_a_map_or_a_file_and_says_what_was_written(call, tmp_path):
    jobs = {"defaults": {**LOOK}, "items": [{"seeds": [1, 2], "name": "a"}]}
    value = call("batch", {"jobs": jobs, "out": str(tmp_path / "set")}).value
    assert (value["written"], value["failed"]) == (2, [])
    json.dumps(value)
    file = tmp_path / "jobs.toml"
    file.write_text('[defaults]\ngenerator = "small"\nsize = "16x16"\n[[items]]\nseeds = "1-2"\nname = "a"\n')
    again = call("batch", {"file": str(file), "out": str(tmp_path / "set"), "resume": True}).value
    assert (again["written"], again["skipped"]) == (0, 2)


def test_batch_needs_a_map_or_a_file(call, tmp_path):
    with pytest.raises(BadRequest, match="needs either `jobs`"):
        call("batch", {"out": str(tmp_path)})


def test_what_is_exported_can_be_imported(call, tmp_path):
    file = tmp_path / "exported"
    assert call("export", {"generator": "small", "file": str(file)}).value["bytes"] == file.stat().st_size
    value = call("import", {"file": str(file), "name": "again"}).value
    assert (value["generator"]["name"], value["generator"]["resolution"]) == ("again", 16)
    before, after = (
        call("generate", {**LOOK, "generator": name, "seeds": [1]}).arrays["color"] for name in ("small", "again")
    )
    assert np.array_equal(before, after)


def test_a_generator_that_the_format_cannot_hold_is_refused_in_a_sentence(call, tmp_path):
    file = tmp_path / "exported.pt"
    with pytest.raises(StyleGAN2Error) as caught:
        call("export", {"generator": "small", "file": str(file), "format": "rosinality"})
    assert "export it as safetensors" in str(as_loom_error(caught.value))
    assert not file.exists()


def test_an_export_with_a_style_alone_uses_the_styles_own_generator(call, store, tmp_path):
    add_style(store)
    call("export", {"styles": [["mossy", 1]], "file": str(tmp_path / "styled")})
    call("import", {"file": str(tmp_path / "styled"), "name": "styled"})
    styled = call("generate", {**LOOK, "seeds": [1], "styles": [["mossy", 1]]}).arrays["color"]
    folded = call("generate", {**LOOK, "generator": "styled", "seeds": [1]}).arrays["color"]
    assert np.array_equal(styled, folded)


def test_an_export_folds_in_every_style_at_its_strength(call, store, tmp_path):
    add_style(store, "mossy")
    add_style(store, "snowy", bias=0.2)
    styles = [["mossy", 0.5], ["snowy", -1.5]]
    call("export", {"styles": styles, "file": str(tmp_path / "both")})
    call("import", {"file": str(tmp_path / "both"), "name": "both"})
    styled = call("generate", {**LOOK, "seeds": [1], "styles": styles}).arrays["color"]
    folded = call("generate", {**LOOK, "generator": "both", "seeds": [1]}).arrays["color"]
    assert np.array_equal(styled, folded)
    with pytest.raises(BadRequest, match="from -10 to 10"):
        call("export", {"styles": [["mossy", 11]], "file": str(tmp_path / "far")})


def test_a_foreign_file_is_not_imported(call, tmp_path):
    file = tmp_path / "foreign.pkl"
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(Exception) as caught:
        call("import", {"file": str(file), "name": "x"})
    assert isinstance(as_loom_error(caught.value), BadCheckpoint)


def test_a_missing_file_is_said(call, tmp_path):
    with pytest.raises(NotFound, match="There is no file"):
        call("import", {"file": str(tmp_path / "none.pkl"), "name": "x"})


def test_a_deleted_style_is_gone(call, store):
    add_style(store, "green")
    call("delete_style", {"name": "green"})
    assert all(style.get("builtin") for style in call("styles", {}).value["styles"])
    with pytest.raises(NotFound):
        call("delete_style", {"name": "green"})


def test_adapt_makes_a_style_and_reports(call, store):
    reports = []
    value = call("adapt", {**PROMPTS, "name": "mossy", "iterations": 2}, Job(report=reports.append)).value
    assert value["style"]["name"] == "mossy"
    assert value["style"]["iterations"] == 2
    assert [report.done for report in reports] == [1, 2]
    assert own_styles(store) == ["mossy"]
    frames.encode({"value": value})


def test_a_taken_name_is_refused_before_any_work(call, store):
    add_style(store)
    reports = []
    with pytest.raises(AlreadyExists, match="'mossy'"):
        call("adapt", {**PROMPTS, "name": "mossy", "iterations": 1}, Job(report=reports.append))
    assert reports == []


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"target": "stone"}, PromptError),
        ({"source": " "}, PromptError),
        ({"target": "xyzzyish stone"}, PromptError),
        ({"generator": "smal"}, NotFound),
        ({"name": "Not A Name"}, BadRequest),
        ({"iterations": "many"}, BadRequest),
    ],
)
def test_bad_input_to_adapt_is_refused_and_leaves_nothing(call, store, params, error):
    with pytest.raises(error):
        call("adapt", {**PROMPTS, "name": "mossy", "iterations": 1, **params})
    assert own_styles(store) == []


def test_a_folder_for_the_report_that_cannot_be_made_is_found_out_before_any_work(call, store, tmp_path):
    reports, file = [], tmp_path / "file"
    file.write_text("")
    with pytest.raises(CannotWrite, match="choose another output folder"):
        call("adapt", {**PROMPTS, "name": "m", "iterations": 1, "report": str(file / "x")}, Job(report=reports.append))
    assert reports == []


def test_a_cancelled_adaptation_keeps_its_last_snapshot(call, store, monkeypatch):
    module = __import__(adaptation_function.__module__, fromlist=["SNAPSHOT_EVERY"])
    monkeypatch.setattr(module, "SNAPSHOT_EVERY", 2)
    done = []
    job = Job(report=done.append, cancelled=lambda: len(done) >= 5)
    with pytest.raises(Cancelled, match=f"after 4 iterations is kept as the style 'mossy{PARTIAL}'"):
        call("adapt", {**PROMPTS, "name": "mossy", "iterations": 50}, job)
    (entry,) = (entry for entry in store.styles() if not entry.builtin)
    assert (entry.name, entry.info.iterations) == ("mossy" + PARTIAL, 4)


@pytest.mark.parametrize("error", [NonFinite, OutOfMemory])
def test_a_run_that_fails_midway_says_where_its_last_snapshot_is(call, store, monkeypatch, error):
    module = __import__(adaptation_function.__module__, fromlist=["SNAPSHOT_EVERY"])
    monkeypatch.setattr(module, "SNAPSHOT_EVERY", 1)
    real = module.Adaptation.step

    def step(run):
        if run.iterations == 2:
            raise error("It failed; try something else.")
        return real(run)

    monkeypatch.setattr(module.Adaptation, "step", step)
    with pytest.raises(error, match=f"^It failed; try something else; .* 2 iterations is kept .* 'mossy{PARTIAL}'.$"):
        call("adapt", {**PROMPTS, "name": "mossy", "iterations": 5})
    assert own_styles(store) == ["mossy" + PARTIAL]


def test_status_without_a_service_is_idle(call):
    assert call("status", {}).value["state"] == "idle"


def test_resume_goes_on_from_what_a_cancel_kept_and_keeps_all_snapshots(call, store, monkeypatch):
    module = __import__(adaptation_function.__module__, fromlist=["SNAPSHOT_EVERY"])
    monkeypatch.setattr(module, "SNAPSHOT_EVERY", 2)
    done = []
    with pytest.raises(Cancelled):
        call("adapt", {**PROMPTS, "name": "mossy", "iterations": 8}, Job(done.append, lambda: len(done) >= 5))
    call("adapt", {**PROMPTS, "name": "mossy", "iterations": 8, "resume": True}, Job(done.append))
    assert [report.done for report in done[5:]] == [5, 6, 7, 8]
    assert [entry.name for entry in store.styles() if entry.name.startswith("mossy")] == ["mossy"]
    assert store.library.snapshots("mossy").iterations == (2, 4, 6, 8)
    call("adapt", {**PROMPTS, "name": "unbroken", "iterations": 8})
    parted, whole = (store.style(name).tensors for name in ("mossy", "unbroken"))
    assert all(np.array_equal(parted[name], tensor) for name, tensor in whole.items())


def test_resume_without_anything_to_go_on_from_says_so(call):
    with pytest.raises(NotFound, match="start without resume"):
        call("adapt", {**PROMPTS, "name": "nowhere", "iterations": 2, "resume": True})


def test_a_preset_s_settings_are_used_where_none_are_given(call, store):
    call("adapt", {**PROMPTS, "name": "hint", "preset": "subtle", "iterations": 1, "decay": 2.0})
    settings = store.style("hint").info.settings
    assert (settings["method"], settings["learning_rate"], settings["decay"]) == ("style", 0.02, 2.0)


def test_models_lists_methods_with_the_sizes_of_their_results_and_presets(call):
    value = call("models", {}).value
    sizes = {method["name"]: method["bytes"]["small"] for method in value["methods"]}
    assert 0 < sizes["style"] < sizes["lowrank"] and sizes["layers"] <= sizes["full"]
    assert {"weathering", "subtle"} <= {preset["name"] for preset in value["presets"]}


@pytest.mark.parametrize("type", ["generate", "walk", "grid", "directions"])
def test_what_is_refused_leaves_no_empty_folder_and_takes_none_that_was_there(call, tmp_path, type):
    params = {"generator": "small", "styles": [["nowhere", 1.0]]}
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "new" / "deep", tmp_path / "there"):
        with pytest.raises(NotFound, match="nowhere"):
            call(type, params | {"out": str(out)})
    assert sorted(tmp_path.iterdir()) == [tmp_path / "home", tmp_path / "there"]


def test_what_a_kill_left_of_a_file_goes_when_the_file_is_made_again(call, store, tmp_path):
    add_style(store)
    out = tmp_path / "out"
    out.mkdir()
    for name in (".small-1_color.png.0123abcd.part", ".small-2_color.png.0123abcd.part", ".grid.png.0123abcd.part"):
        (out / name).write_bytes(b"half")
    call("generate", LOOK | {"seeds": [1], "out": str(out)})
    assert sorted(p.name for p in out.glob(".*")) == [
        ".grid.png.0123abcd.part",
        ".small-2_color.png.0123abcd.part",  # perhaps another process is writing it
    ]
    call("generate", LOOK | {"seeds": [2], "out": str(out)})
    call("grid", {"generator": "small", "styles": [["mossy", 1.0]], "seeds": [1], "out": str(out), "size_px": 16})
    assert list(out.glob(".*")) == []
