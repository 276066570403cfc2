"""The outermost layer: parsing, exit codes, and what a user reads when something goes wrong."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import pytest
from latent_loom.backend.cli import listing, main, options, styles
from latent_loom.backend.cli.console import UnfinishedError
from latent_loom.backend.errors import Cancelled, NotFound

COMMANDS = (
    "demo",
    "serve",
    "keys",
    "top",
    "adapt",
    "generate",
    "directions",
    "walk",
    "grid",
    "batch",
    "library",
    "project",
    "textures",
    "import",
    "export",
    "models",
    "seeds",
    "styles",
    "train",
    "bench",
    "doctor",
)
HAND_ON = {"train", "bench", "keys"}  # their subjects take the options


def subparsers() -> dict[str, argparse.ArgumentParser]:
    parser = main.build_parser()
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


@pytest.fixture
def command(monkeypatch):
    """Replaces what `latent-loom models` does by a function of one's own."""

    def replace(run):
        monkeypatch.setattr(listing, "run_models", run)
        return ["models"]

    return replace


def test_every_designed_command_is_there_and_has_help(capsys):
    assert set(COMMANDS) == set(subparsers())
    for name in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main.main([name, "--help"])
        assert end.value.code == 0
        assert f"latent-loom {name}" in capsys.readouterr().out


def test_every_command_takes_json_but_those_that_hand_their_options_on():
    for name, parser in subparsers().items():
        if name not in HAND_ON:
            assert "--json" in parser._option_string_actions, name


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["paint"],
        ["generate"],
        ["generate", "--out", "x", "--seeds", "3-1"],
        ["generate", "--out", "x", "--size", "big"],
        ["generate", "--out", "x", "--style", ":1"],
        ["generate", "--out", "x", "--pbr", "--maps", "color"],
        ["generate", "--out", ""],
        ["generate", "--ou", "x"],
        ["walk", "--out", "x", "--frames", "0"],
        ["adapt", "--source", "stone"],
        ["adapt", "--source", "a", "--target", "b", "--iterations", "none"],
        ["styles", "show"],
        ["styles", "paint"],
        ["train", "nothing"],
        ["import"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_two_and_one_line_that_names_the_help(line, capsys):
    assert main.main(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("latent-loom") and err.rstrip().endswith("--help.")
    assert err.count("\n") == 1


def test_wrong_usage_with_json_still_ends_stdout_with_one_object(capsys):
    assert main.main(["generate", "--json", "--seeds", "x"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_a_foreseen_error_is_one_sentence_and_exit_code_one(command, capsys):
    def run(args, console):
        raise NotFound("There is no generator called 'x'; there are: builtin.")

    assert main.main(command(run)) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "There is no generator called 'x'; there are: builtin.\n")


def test_a_foreseen_error_with_json_is_an_object_too(command, capsys):
    def run(args, console):
        raise NotFound("There is none.")

    assert main.main([*command(run), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"error": {"code": "not_found", "message": "There is none."}}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled("Cancelled; everything finished so far is kept.")])
def test_an_interruption_exits_with_130(command, capsys, error):
    def run(args, console):
        raise error

    assert main.main(command(run)) == 130
    assert "everything finished so far is kept" in capsys.readouterr().err


def test_a_bug_is_one_sentence_that_names_a_file_with_the_traceback(command, capsys, tmp_path):
    def run(args, console):
        raise ZeroDivisionError("who divides by zero")

    assert main.main([*command(run), "--data", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err and err.count("\n") == 1
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in err
    assert "who divides by zero" in log.read_text()


def test_a_bug_is_told_even_where_its_log_cannot_be_written_to_the_data_folder(command, capsys, tmp_path, monkeypatch):
    def run(args, console):
        raise ZeroDivisionError

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert main.main([*command(run), "--data", str(blocked)]) == 1
    assert str(tmp_path / "latent-loom" / "logs") in capsys.readouterr().err


def test_work_done_in_part_exits_with_one_and_keeps_its_value(command, capsys):
    def run(args, console):
        raise UnfinishedError("One item failed.", {"written": 3})

    assert main.main([*command(run), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"written": 3}
    assert err == "One item failed.\n"


def test_json_prints_no_prose_and_ends_with_the_value(command, capsys):
    def run(args, console):
        console.say("for people")
        return {"generators": []}

    line = command(run)
    assert main.main(line) == 0
    assert capsys.readouterr().out == "for people\n"
    assert main.main([*line, "--json"]) == 0
    assert capsys.readouterr().out == '{"generators": []}\n'


def test_options_may_stand_before_or_after_an_action_of_styles():
    for line in (["styles", "--data", "d", "show", "mossy"], ["styles", "show", "mossy", "--data", "d"]):
        args = main.build_parser().parse_args(line)
        assert str(args.data) == "d" and args.name == "mossy" and args.run is styles.run_show


def test_what_was_left_out_is_left_to_the_handler():
    args = main.build_parser().parse_args(["generate", "--out", "x"])
    assert options.look_params(args) == {
        "generator": "builtin", "styles": [], "size": [512, 512], "tile": "xy",
    }  # fmt: skip


def test_pbr_asks_for_every_map_and_styles_blend():
    line = ["generate", "--out", "x", "--pbr", "--style", "mossy:0.5", "--style", "wet", "--psi", "0.5"]
    params = options.look_params(main.build_parser().parse_args(line))
    assert params["maps"] == ["color", "height", "normal", "roughness", "ao", "orm"]
    assert params["styles"] == [["mossy", 0.5], ["wet", 1.0]]
    assert params["psi"] == 0.5


def run_python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=os.environ | environment
    )


@pytest.mark.parametrize(
    "line", [["--help"], ["adapt", "--help"], ["generate", "--seeds", "x"], ["styles", "list"]], ids=" ".join
)
def test_help_wrong_usage_and_lists_import_no_torch(line, tmp_path):
    program = (
        "import sys\n"
        "from latent_loom.backend.cli.main import main\n"
        "try:\n"
        f"    main({line!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    outcome = run_python(program, XDG_DATA_HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path), HOME=str(tmp_path))
    assert outcome.returncode == 0, outcome.stderr


def test_a_reader_that_goes_away_causes_no_traceback(tmp_path):
    program = (
        "import sys\n"
        "from latent_loom.backend.cli import listing, main\n"
        "def run(args, console):\n"
        "    for i in range(100_000): print(i)\n"
        "    return {}\n"
        "listing.run_models = run\n"
        "sys.exit(main.main(['models']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert complaint == ""
