"""The installation of a backend, with small processes in the place of pip."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loom_extension.addon import machine, pip_output, setup
from loom_extension.addon.machine import Machine, torch_for
from loom_extension.addon.setup import Installation, Step

PYPI = torch_for(Machine(system="linux"))
WINDOWS = torch_for(Machine(system="windows", nvidia=True))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def finish(installation: Installation, limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while installation.running:
        assert time.monotonic() < deadline
        installation.poll()
        time.sleep(0.01)


def pretend_environment(folder: Path) -> None:
    there = setup.venv_python(folder)
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text("")


def titles(*arguments, **named) -> list[str]:
    return [step.title for step in setup.steps(*arguments, **named)]


def test_the_steps_make_an_environment_install_torch_and_the_wheel_and_try_it(tmp_path):
    given = (Path("/blender/python"), tmp_path, Path("/zip/loom.whl"), PYPI)
    assert titles(*given) == [
        *("Looking at Python", "Making its folder", "Noting what it is for", "Updating its installer", "PyTorch"),
        *("Latent Loom", "What belongs to it", "Trying it"),
    ]
    by_title = {step.title: list(step.argv) for step in setup.steps(*given)}
    assert by_title["Making its folder"] == ["/blender/python", "-m", "venv", str(tmp_path)]
    for title in ("PyTorch", "Latent Loom", "What belongs to it", "Trying it"):
        assert by_title[title][0].startswith(str(tmp_path)), "nothing is installed into Blender's Python"
    assert "--no-deps" in by_title["Latent Loom"] and by_title["What belongs to it"][-1] == "/zip/loom.whl"
    assert "--index-url" not in by_title["PyTorch"]


def test_on_windows_with_an_nvidia_gpu_torch_comes_from_pytorch_s_own_index(tmp_path):
    todo = setup.steps(Path("python.exe"), tmp_path, Path("loom.whl"), WINDOWS)
    argv = next(list(step.argv) for step in todo if step.title == "PyTorch")
    assert argv[argv.index("--index-url") + 1] == "https://download.pytorch.org/whl/cu128"


def test_an_environment_that_is_there_is_used_again_and_repair_removes_it(tmp_path):
    pretend_environment(tmp_path)
    given = (Path("/blender/python"), tmp_path, Path("x.whl"), PYPI)
    assert "Making its folder" not in titles(*given)
    assert titles(*given, anew=True)[:3] == ["Looking at Python", "Removing the old one", "Making its folder"]


def test_another_kind_of_torch_begins_anew_since_pip_would_keep_the_old_one(tmp_path):
    pretend_environment(tmp_path)
    (tmp_path / setup.TORCH_NOTE).write_text("default")
    given = (Path("/blender/python"), tmp_path, Path("x.whl"))
    assert "Removing the old one" not in titles(*given, PYPI)
    assert "Removing the old one" in titles(*given, torch_for(Machine(system="linux"), "CPU"))


def test_warnings_of_earlier_steps_are_not_the_reason_and_what_does_not_work_is_to_be_made_anew(tmp_path):
    warns = Step(title="PyTorch", argv=python("print('NewConnectionError')"))
    fails = Step(title="Trying it", argv=python("print('RuntimeError: operator does not exist'); raise SystemExit(1)"))
    installation = Installation([warns, fails], tmp_path / "l")
    finish(installation)
    assert installation.problem().endswith("“Trying it”: RuntimeError: operator does not exist")
    assert installation.damaged


def test_only_a_finished_environment_is_ready_and_another_wheel_makes_it_outdated(tmp_path):
    folder, wheel = tmp_path / "env", tmp_path / "loom.whl"
    wheel.write_bytes(b"one")
    assert setup.condition(folder, wheel) == setup.ABSENT
    pretend_environment(folder)
    assert setup.condition(folder, wheel) == setup.PARTIAL
    installation = Installation(
        [Step(title="Try", argv=python("print('hi')"))], tmp_path / "l", folder=folder, wheel=wheel
    )
    finish(installation)
    assert setup.condition(folder, wheel) == setup.READY
    assert setup.read_mark(folder)["said"] == "hi"
    newer = tmp_path / "newer.whl"
    newer.write_bytes(b"two")
    assert setup.condition(folder, newer) == setup.OUTDATED


@pytest.mark.parametrize("text", ["", "[]", "{", "\0"])
def test_a_mark_that_is_damaged_counts_as_not_finished(tmp_path, text):
    pretend_environment(tmp_path)
    (tmp_path / setup.MARK).write_text(text)
    assert setup.condition(tmp_path, None) == setup.PARTIAL


def test_setting_up_again_takes_the_mark_away_first(tmp_path):
    folder, wheel = tmp_path / "env", tmp_path / "loom.whl"
    wheel.write_bytes(b"one")
    pretend_environment(folder)
    (folder / setup.MARK).write_text(json.dumps({"wheel": setup.digest(wheel)}))
    fails = [Step(title="PyTorch", argv=python("raise SystemExit(1)"))]
    finish(Installation(fails, tmp_path / "l", folder=folder, wheel=wheel))
    assert setup.condition(folder, wheel) == setup.PARTIAL


def test_steps_run_one_after_another_and_the_line_says_what_happens(tmp_path):
    todo = [Step(title="First", argv=python("print('one')")), Step(title="Second", argv=python("print('two')"))]
    installation = Installation(todo, tmp_path / "setup.log")
    assert installation.line().startswith("First")
    finish(installation)
    assert installation.state == setup.FINISHED and installation.fraction == 1.0
    said = [line for line in (tmp_path / "setup.log").read_text().splitlines() if not line.startswith("---")]
    assert said == ["one", "two"]


def test_it_waits_for_a_backend_that_is_ending(tmp_path):
    gone = []
    installation = Installation(
        [Step(title="First", argv=python("print('one')"))], tmp_path / "l", when=lambda: bool(gone)
    )
    installation.poll()
    assert installation.state == setup.WAITING and installation.running and "Waiting" in installation.line()
    gone.append(True)
    finish(installation)
    assert installation.state == setup.FINISHED


def test_pip_s_progress_becomes_a_line_and_a_fraction(tmp_path):
    code = (
        "import time\n"
        "print('Downloading torch-2.9.1-cp311-cp311-manylinux_2_28_x86_64.whl (900.0 MB)')\n"
        "print('Progress 450000000 of 900000000', flush=True)\n"
        "time.sleep(60)"
    )
    todo = [Step(title="PyTorch", argv=python(code), share=9), Step(title="Then", argv=python(""), share=1)]
    installation = Installation(todo, tmp_path / "l", expected=900e6)
    deadline = time.monotonic() + 20
    while "450 of 900" not in installation.line() and time.monotonic() < deadline:
        installation.poll()
        time.sleep(0.01)
    assert installation.line() == "PyTorch: fetching torch 2.9.1, 450 of 900 MB"
    assert installation.fraction == pytest.approx(0.45)
    installation.end()


def test_bytes_of_several_files_add_up():
    heard = pip_output.Heard()
    for line in ("Downloading a-1-x.whl (5 MB)", "Progress 5000000 of 5000000", "Downloading b-2-x.whl (9 MB)",
                 "Progress 3000000 of 9000000"):  # fmt: skip
        heard.take(line)
    assert heard.bytes == 8_000_000 and heard.line() == "fetching b 2, 3 of 9 MB"


def test_a_step_that_fails_ends_it_with_the_reason(tmp_path):
    code = "print('ERROR: something odd'); raise SystemExit(1)"
    installation = Installation(
        [Step(title="PyTorch", argv=python(code)), Step(title="Never", argv=[])], tmp_path / "l"
    )
    finish(installation)
    assert installation.state == setup.FAILED
    assert installation.problem() == "Setting up the backend failed at “PyTorch”: something odd"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying ... NewConnectionError: [Errno -3] Temporary failure in name resolution", "network"),
        ("pip._vendor.urllib3.exceptions.IncompleteRead: IncompleteRead(1 bytes read)", "goes on from what has come"),
        ("ERROR: No matching distribution found for torch>=2.4", "there is no PyTorch for this"),
        ("The virtual environment was not created successfully because ensurepip is not available.", "python3-venv"),
        ("ERROR: [WinError 5] Access is denied: 'torch.dll'", "stop what uses the backend"),
        ("error: this is Python 3.9; Latent Loom needs 3.11 or newer", "Python 3.9"),
    ],
)
def test_what_usually_goes_wrong_is_told_with_what_to_do(line, words):
    assert words in pip_output.reason(["Collecting torch", line, "more"])


def test_a_program_that_is_missing_is_a_failure_too(tmp_path):
    installation = Installation([Step(title="Making its folder", argv=["/nowhere/python"])], tmp_path / "l")
    assert installation.state == setup.FAILED and "No such file" in installation.problem()


def test_cancel_stops_the_process_that_runs(tmp_path):
    installation = Installation([Step(title="Long", argv=python("import time; time.sleep(60)"))], tmp_path / "l")
    installation.cancel()
    assert installation.state == setup.CANCELLED and installation.running
    finish(installation)
    assert installation.state == setup.CANCELLED and "was stopped at “Long”" in installation.problem()


def test_end_waits_until_the_process_is_gone(tmp_path):
    installation = Installation([Step(title="Long", argv=python("import time; time.sleep(60)"))], tmp_path / "l")
    installation.end()
    assert not installation.running


def test_a_python_that_is_too_old_says_so_itself(tmp_path):
    old = f"import sys; sys.version_info = (3, 9, 0)\n{setup.CHECK_PYTHON}"
    done = subprocess.run(python(old), capture_output=True, text=True)
    assert done.returncode == 1 and "needs 3.11 or newer" in done.stderr


@pytest.mark.parametrize(
    ("system", "nvidia", "choice", "index", "about"),
    [
        ("linux", True, "AUTO", "", "NVIDIA GPU"),
        ("linux", False, "AUTO", "", "processor"),
        ("linux", False, "CPU", machine.CPU_INDEX, "processor only"),
        ("windows", True, "AUTO", machine.CUDA_INDEX, "NVIDIA GPU"),
        ("windows", False, "AUTO", "", "processor only"),
        ("windows", False, "GPU", machine.CUDA_INDEX, "NVIDIA GPU"),
        ("windows", True, "CPU", "", "processor only"),
        ("macos", False, "GPU", "", "Apple GPU"),
    ],
)
def test_each_computer_gets_the_torch_that_is_right_for_it(system, nvidia, choice, index, about):
    torch = torch_for(Machine(system=system, nvidia=nvidia), choice)
    assert torch.index == index and about in torch.about


def test_the_driver_is_what_tells_an_nvidia_gpu(tmp_path):
    def here(system, which=lambda name: None, root="/nowhere"):
        return machine.this_machine(system, which, {"SYSTEMROOT": str(root)})

    assert here("Linux") == Machine(system="linux", nvidia=False)
    assert here("Linux", lambda name: f"/usr/bin/{name}").nvidia
    assert not here("Darwin", lambda name: f"/usr/bin/{name}").nvidia
    (tmp_path / "System32").mkdir()
    (tmp_path / "System32" / "nvidia-smi.exe").write_text("")
    assert here("Windows", root=tmp_path) == Machine(system="windows", nvidia=True)


def test_a_folder_that_is_too_deep_for_windows_is_left_for_a_shorter_one():
    own, data = Path("C:/Users/" + "x" * 120 + "/backend"), Path("C:/Users/me/latent-loom")
    assert machine.backend_folder("", own, data, windows=True) == data / "environment"
    assert machine.backend_folder("", own, data, windows=False) == own
    assert machine.backend_folder("D:/loom", own, data, windows=True) == Path("D:/loom")
    assert machine.too_deep(own, windows=True) and not machine.too_deep(data, windows=True)


def test_the_command_to_copy_makes_installs_and_starts_in_one_line():
    line = setup.own_command(Path("/zip dir/loom.whl"), PYPI, windows=False)
    assert "\n" not in line and "-m venv ~/latent-loom &&" in line and "'/zip dir/loom.whl'" in line
    assert line.endswith("latent-loom serve")
    windows = setup.own_command(Path("loom.whl"), WINDOWS, windows=True)
    assert windows.startswith("py -3 -m venv") and "whl/cu128" in windows and r"Scripts\latent-loom" in windows
