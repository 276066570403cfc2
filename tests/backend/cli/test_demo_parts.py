"""The demo's own pieces; test_demo.py runs the whole of it."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest
from latent_loom.backend.cli import demo, demo_blender, demo_pictures
from latent_loom.backend.cli.console import Console
from latent_loom.backend.cli.demo_report import Report
from latent_loom.backend.errors import AlreadyExists
from PIL import Image


class Backend:
    connection_file = Path("connection.json")


def report(tmp_path: Path) -> Report:
    return Report(out=tmp_path, console=Console(as_json=True))


def show(told: Report, blender: Path | None, addon_zip: Path) -> None:
    demo_blender.run(told, Backend(), blender=blender, addon_zip=addon_zip, generator="tiny", style="mossy")


def zip_with(path: Path, script: str | None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "")
        if script is not None:
            archive.writestr(demo_blender.SCRIPT, script)
    return path


def test_an_earlier_demo_is_replaced_but_for_files_of_others(tmp_path):
    demo.prepare(tmp_path)
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "old.png").touch()
    (tmp_path / "mine.txt").write_text("kept")
    demo.prepare(tmp_path)
    assert not (tmp_path / "textures").exists()
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path):
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "precious.png").touch()
    with pytest.raises(AlreadyExists, match="--out"):
        demo.prepare(tmp_path)
    assert (tmp_path / "textures" / "precious.png").exists()


def test_frames_become_an_endless_animation(tmp_path):
    frames = []
    for shade in (0, 100, 200):
        frames.append(tmp_path / f"{shade}.png")
        Image.new("RGB", (16, 8), (shade, 0, 0)).save(frames[-1])
    (tmp_path / "previews").mkdir()
    path = demo_pictures.write_animation(tmp_path / "previews" / "walk.webp", frames, fps=10)
    with Image.open(path) as animation:
        assert animation.n_frames == 3 and animation.size == (16, 8) and animation.info["loop"] == 0
    assert [p.name for p in path.parent.iterdir()] == ["walk.webp"]


def test_times_add_up_and_everything_is_in_the_value(tmp_path):
    told = report(tmp_path)
    with told.part("first") as part:
        part["said"] = "a file"
    told.numbers["identical"] = True
    value = told.value()
    assert value["identical"] is True and value["parts"][0]["said"] == "a file"
    assert value["total_s"] == value["seconds"]["first"] >= 0


def test_the_table_ends_with_what_lies_where(tmp_path, capsys):
    told = Report(out=tmp_path, console=Console())
    with told.part("textures") as part:
        part["said"] = "7 files in textures"
    told.table()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("textures") and lines[-2].endswith("7 files in textures")
    assert lines[-1].endswith(str(tmp_path))


def test_without_a_blender_the_part_is_skipped_with_its_reason(tmp_path, monkeypatch):
    told = report(tmp_path)
    monkeypatch.setattr(demo_blender.shutil, "which", lambda name: None)
    show(told, None, tmp_path / "x.zip")
    assert "no Blender" in told.numbers["blender"]["skipped"] and told.problems == []


def test_without_the_zip_the_part_is_skipped_with_its_reason(tmp_path):
    for addon_zip, reason in ((None, "not named"), (tmp_path / "no.zip", "no file")):
        told = report(tmp_path)
        show(told, Path(sys.executable), addon_zip)
        assert reason in told.numbers["blender"]["skipped"]


def test_the_script_of_the_zip_runs_with_what_it_needs(tmp_path):
    script = "import os, sys, pathlib\nargs = sys.argv[1:]\n"
    script += "out = args[args.index('--out') + 1]\n"
    script += "pathlib.Path(out, 'seen.txt').write_text(' '.join([*args, os.environ['BLENDER_USER_RESOURCES']]))\n"
    script += 'print(\'{"material": "/m.png", "film": null}\')\nprint(\'Blender quit\')\n'
    told = report(tmp_path)
    addon_zip = zip_with(tmp_path / "addon.zip", script)
    show(told, Path(sys.executable), addon_zip)
    seen = (tmp_path / "blender" / "seen.txt").read_text().split()
    assert seen[seen.index("--zip") + 1] == str(addon_zip)
    assert seen[seen.index("--connection") + 1] == "connection.json"
    assert seen[seen.index("--style") + 1] == "mossy" and seen[seen.index("--generator") + 1] == "tiny"
    assert not Path(seen[-1]).is_relative_to(Path.home() / ".config")
    assert told.problems == [] and told.numbers["blender"]["material"] == "/m.png"
    assert told.parts[-1]["said"] == "/m.png"


def test_a_failure_in_blender_is_a_problem_that_names_the_log(tmp_path):
    told = report(tmp_path)
    addon_zip = zip_with(tmp_path / "addon.zip", "import sys; print('no material'); sys.exit(3)")
    show(told, Path(sys.executable), addon_zip)
    assert "exit code 3" in told.problems[0]
    assert (tmp_path / "blender" / "blender.log").read_text() == "no material\n"


@pytest.mark.parametrize("content", ["a zip of something else", "no zip at all"])
def test_a_foreign_zip_is_a_problem_that_says_what_to_do(tmp_path, content):
    told = report(tmp_path)
    path = tmp_path / "addon.zip"
    if content == "no zip at all":
        path.write_bytes(io.BytesIO(b"nothing").getvalue())
    else:
        zip_with(path, None)
    show(told, Path(sys.executable), path)
    assert "build_addon.py" in told.problems[0]


def test_a_blender_that_cannot_be_run_is_a_problem(tmp_path):
    told = report(tmp_path)
    addon_zip = zip_with(tmp_path / "addon.zip", "")
    show(told, tmp_path / "nothing", addon_zip)
    assert "--blender" in told.problems[0]
