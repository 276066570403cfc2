"""The commands' real work, in this process, on a tiny generator."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from latent_loom.backend.cli import main
from latent_loom.backend.job import Job
from PIL import Image
from safetensors.torch import load_file

TINY = ("--generator", "tiny", "--size", "32x32")
BATCH = """
[defaults]
generator = "tiny"
size = "32x32"
[[items]]
name = "first"
seeds = "0-2"
[[items]]
name = "second"
seeds = [7]
maps = ["color", "normal"]
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "batch.json"}


@pytest.fixture(scope="session")
def mossy(data) -> str:
    """A style made in two steps on the tiny generator, by the built-in CLIP."""
    from latent_loom.backend.cli import main

    line = ["adapt", "--generator", "tiny", "--source", "stone", "--target", "mossy stone", "--name", "mossy"]
    assert main.main([*line, "--iterations", "2", "--batch", "2", "--data", str(data)]) == 0
    return "mossy"


def test_generate_writes_a_file_per_seed_and_map(loom, tmp_path):
    done = loom("generate", *TINY, "--seeds", "0-2", "--maps", "color,normal", "--out", tmp_path / "out")
    assert done.code == 0, done.complaint
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"tiny-{seed}_{which}.png" for seed in (0, 1, 2) for which in ("color", "normal")
    ]
    assert {file["path"] for file in done.value["files"]} == {str(p) for p in (tmp_path / "out").iterdir()}


def test_what_asks_for_a_picture_takes_a_class_and_says_where_there_is_none(loom, mossy, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "photo.png")
    for line in (
        ("generate", "--size", 16),
        ("grid", "--style", mossy),
        ("directions",),
        ("project", tmp_path / "photo.png", "--name", "classed"),
    ):
        done = loom(*line, "--generator", "tiny", "--class", 1, "--out", tmp_path / "out")
        assert done.code == 1 and "This generator has no classes; class 1 cannot be asked of it." in done.complaint
        assert loom(*line, "--class", "first", "--out", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


def test_the_same_seed_gives_the_same_bytes_whatever_else_is_made_with_it(loom, tmp_path):
    loom("generate", *TINY, "--seeds", "3,1", "--pbr", "--out", tmp_path / "a")
    loom("generate", *TINY, "--seed", "3", "--pbr", "--threads", "1", "--out", tmp_path / "b")
    both, one = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert len(one) == 6
    assert all(both[name] == content for name, content in one.items())


def test_a_walk_writes_its_frames_in_order(loom, tmp_path):
    done = loom("walk", *TINY, "--seeds", "3,7", "--frames", "4", "--loop", "--out", tmp_path / "walk")
    assert done.code == 0, done.complaint
    names = sorted(path.name for path in (tmp_path / "walk").glob("frame-*.png"))
    assert names == [f"frame-000{n}.png" for n in (1, 2, 3, 4)]
    assert done.value["frames"] == 4


def test_a_batch_writes_its_items_and_a_manifest_and_skips_them_when_resumed(loom, tmp_path):
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(BATCH)
    done = loom("batch", jobs, "--out", tmp_path / "set")
    assert done.code == 0, done.complaint
    lines = Path(done.value["manifest"]).read_text().splitlines()
    assert len(lines) >= 4 and all(json.loads(line) for line in lines)
    before = contents(tmp_path / "set")
    again = loom("batch", jobs, "--out", tmp_path / "set", "--resume")
    assert again.code == 0 and contents(tmp_path / "set") == before


def test_a_style_is_made_listed_shown_used_renamed_and_deleted(loom, mossy, tmp_path):
    own = [style["name"] for style in loom("styles").value["styles"] if not style.get("builtin")]
    assert own == ["mossy"]
    shown = loom("styles", "show", "mossy").value["style"]
    assert (shown["source"], shown["target"], shown["iterations"]) == ("stone", "mossy stone", 2)
    plain, styled = tmp_path / "plain", tmp_path / "styled"
    loom("generate", *TINY, "--name", "x", "--out", plain)
    loom("generate", *TINY, "--name", "x", "--style", "mossy:3", "--out", styled)
    assert contents(plain)["x-0_color.png"] != contents(styled)["x-0_color.png"]
    assert loom("styles", "rename", "mossy", "green").code == 0
    assert "did you mean" in loom("styles", "show", "gren").complaint
    assert loom("styles", "rename", "green", "mossy").code == 0
    file = tmp_path / "styled.safetensors"
    assert loom("export", "--generator", "tiny", "--style", "mossy:0.5", file).code == 0 and file.stat().st_size > 1000
    twice = tmp_path / "twice.safetensors"
    assert loom("export", "--style", "mossy:0.25", "--style", "mossy:0.25", twice).code == 0
    folded, once = load_file(twice), load_file(file)
    torch.testing.assert_close(folded, once, rtol=0, atol=1e-6)  # none is dropped; a sum in two steps rounds twice


def test_the_list_of_styles_is_the_service_s_own_and_needs_no_pytorch(loom, data, mossy):
    from latent_loom.backend.models.store import Store
    from latent_loom.backend.service.handlers import HANDLERS, Context

    served = HANDLERS["styles"](Context(store=Store(data)), {}, {}, Job()).value["styles"]
    assert loom("styles").value["styles"] == served
    code = "import sys; from latent_loom.backend.cli import listing; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("damage", ["short", "empty", "foreign"])
def test_a_style_that_cannot_be_read_is_listed_as_broken_and_hides_no_other(loom, data, mossy, damage):
    whole = (data / "styles" / "mossy.safetensors").read_bytes()
    contents = {"short": whole[:40], "empty": b"", "foreign": (data / "generators" / "tiny.safetensors").read_bytes()}
    path = data / "styles" / "damaged.safetensors"
    path.write_bytes(contents[damage])
    try:
        listed = {style["name"]: style for style in loom("styles").value["styles"]}
    finally:
        path.unlink()
    assert listed["damaged"]["broken"] and listed["mossy"]["source"] == "stone"


def test_a_style_is_deleted_by_its_name(loom, data, mossy):
    copy = data / "styles" / "spare.safetensors"
    copy.write_bytes((data / "styles" / "mossy.safetensors").read_bytes())
    assert loom("styles", "delete", "spare").code == 0
    assert not copy.exists()
    assert loom("styles", "delete", "spare").code == 1


def test_a_name_is_not_taken_twice_without_overwrite(loom, mossy):
    line = ("adapt", "--generator", "tiny", "--source", "stone", "--target", "mossy stone", "--name", "mossy")
    done = loom(*line, "--iterations", "1")
    assert done.code == 1 and done.value["error"]["code"] == "already_exists"


def test_an_exported_generator_comes_back_and_makes_the_same_pictures(loom, tmp_path):
    file = tmp_path / "copy.safetensors"
    assert loom("export", "--generator", "tiny", file).code == 0
    done = loom("import", file, "--overwrite")
    assert done.code == 0, done.complaint
    assert done.value["generator"]["name"] == "copy"
    assert "copy" in [generator["name"] for generator in loom("models").value["generators"]]
    for generator in ("tiny", "copy"):
        loom("generate", "--generator", generator, "--size", "32x32", "--name", "x", "--out", tmp_path / generator)
    first, second = (Image.open(tmp_path / generator / "x-0_color.png") for generator in ("tiny", "copy"))
    assert first.tobytes() == second.tobytes()


def test_a_generator_that_a_format_cannot_hold_is_refused_with_the_one_that_can(loom, tmp_path):
    done = loom("export", "--generator", "tiny", tmp_path / "tiny.pt")
    assert done.code == 1 and "safetensors" in done.complaint
    assert list(tmp_path.iterdir()) == []


def test_the_words_of_the_builtin_clip_are_listed(loom):
    assert {"stone", "mossy"} <= set(loom("models", "--words").value["words"])


def test_models_name_the_generators_and_clips(loom):
    value = loom("models").value
    assert "tiny" in [generator["name"] for generator in value["generators"]]
    assert "builtin" in [clip["name"] for clip in value["clips"]]


ADAPT = ("adapt", "--generator", "tiny", "--name", "new", "--iterations", "1")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ((*ADAPT, "--source", "", "--target", "moss"), "bad_prompt", "empty"),
        (("adapt", "--generator", "tiny", "--source", "stone", "--target", ""), "bad_prompt", "empty"),
        ((*ADAPT, "--source", "stone", "--target", "Stone "), "bad_prompt", "same"),
        ((*ADAPT, "--source", "stone", "--target", "gruyere stone"), "bad_prompt", "'gruyere'.*--clip"),
        ((*ADAPT, "--source", "stone", "--target", "mossy stone", "--clip", "nobody"), "not_found", "nobody"),
        (("generate", "--generator", "tini", "--out", "x"), "not_found", "did you mean 'tiny'"),
        (("generate", "--generator", "tiny", "--style", "no-such", "--out", "x"), "not_found", "no-such"),
        (("generate", *TINY, "--psi", "7", "--out", "x"), "bad_request", "psi"),
        (("generate", *TINY, "--seeds", "1,1", "--out", "x"), "bad_request", "twice"),
        (("batch", "no-such.toml", "--out", "x"), "not_found", "no-such.toml"),
        (("import", "no-such.pkl"), "not_found", "no-such.pkl"),
        (("styles", "rename", "no-such", "new"), "not_found", "no-such"),
        (("export", "--generator", "no-such", "x.pt"), "not_found", "no-such"),
        (("export", "--generator", "tiny", "."), "cannot_write", "is a folder; give the name of a file"),
        (("import", ".", "--name", "folder"), "bad_checkpoint", "is a folder; give the model file"),
        (("models", "--words", "nobody"), "not_found", "no model 'nobody'; built in are builtin"),
    ],
)
def test_bad_input_is_one_sentence_with_its_code(loom, tmp_path, monkeypatch, line, code, said):
    monkeypatch.chdir(tmp_path)
    done = loom(*line)
    assert (done.code, done.value["error"]["code"]) == (1, code)
    assert re.search(said, done.complaint) and done.complaint.count("\n") == 1
    assert list(tmp_path.rglob("*.png")) == []


def test_an_output_folder_that_cannot_be_written_is_said_before_any_work(loom, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = loom("generate", *TINY, "--out", tmp_path / "file" / "out")
    assert (done.code, done.value["error"]["code"]) == (1, "cannot_write")


def test_an_export_makes_its_folder_and_names_no_temporary_file_where_it_cannot(loom, tmp_path):
    file = tmp_path / "new" / "tiny.safetensors"
    done = loom("export", "--generator", "tiny", file)
    assert done.code == 0 and file.is_file(), done.complaint
    done = loom("export", "--generator", "tiny", file / "below" / "tiny.safetensors")
    assert (done.code, done.value["error"]["code"]) == (1, "cannot_write")
    assert str(file / "below") in done.complaint and ".part" not in done.complaint


@pytest.mark.parametrize(("seeds", "said"), [("3", "1 file in "), ("3,4", "2 files in ")])
def test_one_file_is_not_called_files(data, capsys, tmp_path, seeds, said):
    assert main.main(["generate", *TINY, "--seeds", seeds, "--out", str(tmp_path), "--data", str(data)]) == 0
    assert capsys.readouterr().out.startswith(said)


def test_a_truncated_checkpoint_is_refused(loom, data, tmp_path):
    whole = (data / "generators" / "tiny.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    done = loom("import", tmp_path / "cut.safetensors")
    assert (done.code, done.value["error"]["code"]) == (1, "bad_checkpoint")


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


def test_a_pickle_that_tries_to_run_code_is_refused_and_runs_none(loom, tmp_path):
    trap = tmp_path / "sprung"
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps({"G_ema": Bomb(trap)}))
    done = loom("import", tmp_path / "bomb.pkl")
    assert (done.code, done.value["error"]["code"]) == (1, "bad_checkpoint")
    assert not trap.exists()


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT, which only POSIX can send to one process")
def test_an_interrupted_walk_exits_with_130_and_keeps_whole_frames(data, tmp_path):
    command = [sys.executable, "-m", "latent_loom.backend.cli.main", "walk", *TINY, "--frames", "3000"]
    command += ["--data", str(data), "--out", str(tmp_path / "walk"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob("walk/frame-*3.png")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "everything finished so far is kept" in err
    assert json.loads(out)["error"]["code"] == "cancelled"
    frames = list((tmp_path / "walk").glob("frame-*.png"))
    for frame in frames:
        Image.open(frame).load()
    assert len(frames) >= 3
