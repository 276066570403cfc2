"""The installation of a backend, with small processes in the place of pip."""

import sys
import time
from pathlib import Path

from loom_extension.addon import setup
from loom_extension.addon.setup import Installation, Step


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def finish(installation: Installation, limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while installation.running:
        assert time.monotonic() < deadline
        installation.poll()
        time.sleep(0.01)


def test_the_steps_make_an_environment_install_the_wheel_and_try_it(tmp_path):
    titles = [step.title for step in setup.steps(Path("/blender/python"), tmp_path, Path("/zip/loom.whl"))]
    assert titles == ["Making its folder", "Installing", "Trying it"]
    first, second, _ = (step.argv for step in setup.steps(Path("/blender/python"), tmp_path, Path("/zip/loom.whl")))
    assert list(first) == ["/blender/python", "-m", "venv", str(tmp_path)]
    assert second[0].startswith(str(tmp_path)) and second[-1] == "/zip/loom.whl"


def test_an_environment_that_is_there_is_used_again(tmp_path):
    python_there = setup.venv_python(tmp_path)
    python_there.parent.mkdir(parents=True)
    python_there.write_text("")
    assert setup.steps(Path("/blender/python"), tmp_path, Path("x.whl"))[0].title == "Installing"


def test_steps_run_one_after_another_and_the_line_says_what_happens(tmp_path):
    todo = [Step(title="First", argv=python("print('one')")), Step(title="Second", argv=python("print('two')"))]
    installation = Installation(todo, tmp_path / "setup.log")
    assert installation.line().startswith("First")
    finish(installation)
    assert installation.state == setup.FINISHED and installation.fraction == 1.0
    assert (tmp_path / "setup.log").read_text().split() == ["one", "two"]


def test_a_step_that_fails_ends_it_with_the_reason(tmp_path):
    code = "print('ERROR: no space left'); raise SystemExit(1)"
    installation = Installation(
        [Step(title="Installing", argv=python(code)), Step(title="Never", argv=[])], tmp_path / "l"
    )
    finish(installation)
    assert installation.state == setup.FAILED
    assert installation.problem() == "Setting up the backend failed while installing. ERROR: no space left"


def test_a_program_that_is_missing_is_a_failure_too(tmp_path):
    installation = Installation([Step(title="Making its folder", argv=["/nowhere/python"])], tmp_path / "l")
    assert installation.state == setup.FAILED and "No such file" in installation.problem()


def test_cancel_stops_the_process_that_runs(tmp_path):
    installation = Installation([Step(title="Long", argv=python("import time; time.sleep(60)"))], tmp_path / "l")
    installation.cancel()
    assert installation.state == setup.CANCELLED and installation.running
    finish(installation)
    assert installation.state == setup.CANCELLED


def test_end_waits_until_the_process_is_gone(tmp_path):
    installation = Installation([Step(title="Long", argv=python("import time; time.sleep(60)"))], tmp_path / "l")
    installation.end()
    assert not installation.running
