"""No command replaces a file that is there already, unless it is told to with --overwrite."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from latent_loom.backend.textures import detach
from PIL import Image

LOOK = ("--generator", "tiny", "--size", 16)
SHEET = ("--generator", "tiny", "--cell", 16, "--seeds", "0,1", "--frames", 2)
OLD = b"somebody's"


@pytest.fixture(scope="module")
def ferny(data) -> Iterator[str]:
    """A style made in two steps on the tiny generator."""
    from latent_loom.backend.cli import main

    line = ["adapt", "--generator", "tiny", "--source", "stone", "--target", "mossy stone", "--name", "ferny"]
    assert main.main([*line, "--iterations", "2", "--batch", "2", "--data", str(data), "--overwrite"]) == 0
    yield "ferny"
    assert main.main(["styles", "delete", "ferny", "--data", str(data)]) == 0


@pytest.fixture
def photo(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def commands(ferny, photo, tmp_path):
    """Name -> (command line, one of the files that it writes)."""
    out = tmp_path / "out"
    grid = ("grid", *SHEET, "--style", ferny, "--out", out)
    return {
        "export": (("export", "--generator", "tiny", out / "tiny.safetensors"), out / "tiny.safetensors"),
        "styles export": (("styles", "export", ferny, out / "ferny.safetensors"), out / "ferny.safetensors"),
        "a report": (("styles", "report", ferny, "--out", out / "r.html"), out / "r.html"),
        "a report's numbers": (("styles", "report", ferny, "--out", out / "r.html"), out / "r.json"),
        "generate": (("generate", *LOOK, "--seeds", "0-2", "--pbr", "--out", out), out / "tiny-2_normal.png"),
        "generate at strengths": (
            ("generate", *LOOK, "--style", ferny, "--strengths", "0,1", "--format", "webp", "--out", out),
            out / "ferny-0-at1_color.webp",
        ),
        "directions": (
            ("directions", "--generator", "tiny", "--count", 1, "--layers", "coarse", "--out", out),
            out / "previews" / "directions-tiny-coarse.png",
        ),
        "grid": (grid, out / "grid.png"),
        "a grid's frames": (grid, out / "grid" / "frame-0002.png"),
        "a grid's animation": (grid, out / "previews" / "grid.webp"),
        "project": (
            ("project", photo, "--name", "wall", "--generator", "tiny", "--steps", 1, "--out", out),
            out / "wall_color.png",
        ),
        "doctor": (("doctor", "--report", out / "report.md"), out / "report.md"),
    }  # fmt: skip


NAMES = ("export", "styles export", "a report", "a report's numbers", "generate", "generate at strengths",
         "directions", "grid", "a grid's frames", "a grid's animation", "project", "doctor")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_there_is_replaced_only_where_that_is_asked_for(loom, commands, name, tmp_path):
    line, file = commands[name]
    file.parent.mkdir(parents=True)
    file.write_bytes(OLD)
    done = loom(*line)
    assert (done.code, done.value["error"]["code"]) == (1, "already_exists")
    assert f"{str(file)!r} is there already" in done.complaint and "--overwrite" in done.complaint
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [file]  # told before the work
    assert file.read_bytes() == OLD
    assert loom(*line, "--overwrite").code in ((0, 1) if name == "doctor" else (0,))
    assert file.read_bytes() != OLD
    if name == "project":
        assert loom("textures", "delete", "wall").code == 0


def test_several_files_are_told_as_that_many(loom, tmp_path):
    line = ("generate", *LOOK, "--seeds", "0-2", "--out", tmp_path)
    assert loom(*line).code == 0
    done = loom(*line)
    assert done.complaint.strip() == (
        f"{str(tmp_path / 'tiny-0_color.png')!r} and 2 more files are there already; name another folder with --out, "
        "or replace them with --overwrite."
    )
    assert loom("generate", *LOOK, "--seeds", "3", "--out", tmp_path).code == 0  # others beside them are no matter


def test_a_report_on_a_run_is_refused_before_the_run(loom, tmp_path):
    line = ["adapt", "--generator", "tiny", "--source", "stone", "--target", "wet stone", "--name", "damp"]
    line += ["--iterations", 1, "--batch", 2, "--report", tmp_path]
    (tmp_path / "damp.html").write_bytes(OLD)
    done = loom(*line)
    assert done.code == 1 and "damp.html' is there already; name another folder with --report" in done.complaint
    assert "damp" not in [style["name"] for style in loom("styles").value["styles"]]
    assert loom(*line, "--overwrite").code == 0 and (tmp_path / "damp.html").read_bytes() != OLD
    assert loom("styles", "delete", "damp").code == 0


def test_a_batch_takes_no_other_s_folder_and_a_detached_one_is_told_what_its_command_was(loom, tmp_path, monkeypatch):
    jobs, out = tmp_path / "jobs.jsonl", tmp_path / "set"
    jobs.write_text(json.dumps({"generator": "tiny", "size": 16, "seeds": "0"}) + "\n")
    line = ("batch", jobs, "--out", out)
    assert loom(*line).code == 0
    made = (out / "manifest.jsonl").read_bytes()
    jobs.write_text(json.dumps({"generator": "tiny", "size": 16, "seeds": "1"}) + "\n")
    for more in ((), ("--detach",)):
        done = loom(*line, *more)
        assert (done.code, done.value["error"]["code"]) == (1, "already_exists")
        assert "There is a batch in" in done.complaint and "--resume" in done.complaint
    assert (out / "manifest.jsonl").read_bytes() == made
    assert loom(*line, "--dry-run").code == 0
    started = []
    monkeypatch.setattr(detach, "begin", lambda command, folder: started.extend(command))
    assert loom(*line, "--detach", "--overwrite").code == 0
    assert loom(*started[started.index("batch") :]).code == 0
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 1
    assert loom(*line, "--resume").code == 0


def test_a_library_is_not_replaced(loom, tmp_path):
    (tmp_path / "library.blend").write_bytes(OLD)
    assert "library.blend' is there already" in loom("library", tmp_path).complaint
    assert "There is no" in loom("library", tmp_path, "--overwrite").complaint  # on to the next: no batch was made here
