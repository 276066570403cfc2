import sys
import time
from pathlib import Path

import pytest
from loom_extension.addon import child
from loom_extension.addon.child import Child, Launch


def until(condition, limit_s=20.0):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)
    return value


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_blender_s_own_python_settings_do_not_reach_the_child():
    inherited = {"PATH": "/bin", "PYTHONPATH": "/blender", "PYTHONHOME": "/blender", "HOME": "/home"}
    kept = child.environment(inherited)
    assert {name: kept[name] for name in ("PATH", "HOME")} == {"PATH": "/bin", "HOME": "/home"}
    assert "PYTHONPATH" not in kept and "PYTHONHOME" not in kept


@pytest.mark.parametrize(
    ("line", "windows", "words"),
    [
        ("", False, []),
        ("latent-loom --threads 2", False, ["latent-loom", "--threads", "2"]),
        ("'/with space/python' -m x", False, ["/with space/python", "-m", "x"]),
        (r'"C:\Program Files\loom\latent-loom.exe" -v', True, [r"C:\Program Files\loom\latent-loom.exe", "-v"]),
    ],
)
def test_a_command_is_split_as_its_platform_writes_it(line, windows, words):
    assert child.split_command(line, windows=windows) == words


def test_a_lone_path_with_spaces_needs_no_quotes(tmp_path):
    program = tmp_path / "my tools" / "latent-loom"
    program.parent.mkdir()
    program.write_text("")
    assert child.split_command(str(program)) == [str(program)]


def test_the_user_s_command_comes_before_our_own_environment_and_that_before_the_path(tmp_path):
    own = child.venv_python(tmp_path)
    assert child.find_backend("", tmp_path, which=lambda name: None) is None
    assert child.find_backend("", tmp_path, which=lambda name: f"/bin/{name}") == ["/bin/latent-loom"]
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert child.find_backend("", tmp_path, which=lambda name: None) is None, "setting it up never came to its end"
    (tmp_path / child.MARK).write_text("{}")
    assert child.find_backend("", tmp_path, which=lambda name: f"/bin/{name}") == [str(own), "-m", child.RUN_MAIN]
    assert child.find_backend("loom", tmp_path) == ["loom"]


@pytest.mark.parametrize("program", ["/usr/bin/python3.11", r"C:\Python\python.exe", "python"])
def test_an_interpreter_as_command_runs_the_backend_s_main(program, tmp_path):
    assert child.is_python(program)
    assert child.find_backend(program.replace("\\", "/"), tmp_path)[1:] == ["-m", child.RUN_MAIN]


def test_the_environment_s_python_is_where_each_platform_puts_it():
    assert child.venv_python(Path("v"), windows=False).as_posix() == "v/bin/python"
    assert child.venv_python(Path("v"), windows=True).as_posix() == "v/Scripts/python.exe"


def test_the_child_is_told_to_watch_its_parent(tmp_path):
    launch = Launch(
        command=["loom"], connection_file=tmp_path / "c.json", log=tmp_path / "log", options=("--data", "d")
    )
    assert launch.argv == [
        "loom",
        "serve",
        "--connection-file",
        str(tmp_path / "c.json"),
        "--parent-stdin",
        "--data",
        "d",
    ]


def test_what_a_child_says_goes_to_its_log_and_its_exit_is_noticed(tmp_path):
    process = Child(python("print('first'); print('no such library'); raise SystemExit(3)"), tmp_path / "log")
    assert until(lambda: process.exit_code() is not None) and process.exit_code() == 3
    assert process.last_line() == "no such library"


def test_a_program_that_does_not_exist_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        Child(["/nowhere/latent-loom"], tmp_path / "log")


def test_closing_the_pipe_is_enough_for_a_child_that_watches_it(tmp_path):
    process = Child(python("import sys; sys.stdin.read()"), tmp_path / "log")
    assert process.exit_code() is None
    process.begin_stop(0.0)
    assert until(lambda: process.press(0.0)) and process.exit_code() == 0


def test_a_child_that_ignores_its_pipe_is_terminated_in_time_and_then_killed(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = Child(python(code), tmp_path / "log")
    until(process.last_line)
    process.begin_stop(0.0)
    assert not process.press(1.0)
    assert not process.press(child.CLOSED_LIMIT_S + 1)
    time.sleep(0.2)
    assert process.exit_code() is None, "it was to ignore that"
    assert not process.press(child.CLOSED_LIMIT_S + child.TERMINATED_LIMIT_S + 1)
    assert until(lambda: process.exit_code() is not None)


def test_a_child_that_was_not_asked_to_end_is_left_alone(tmp_path):
    process = Child(python("import sys; sys.stdin.read()"), tmp_path / "log")
    assert not process.press(1e9) and process.exit_code() is None
    process.end()


def test_end_ends_even_a_deaf_child(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = Child(python(code), tmp_path / "log")
    until(process.last_line)
    process.end(limit_s=0.4)
    assert process.exit_code() is not None


def test_a_log_that_is_not_there_has_no_lines(tmp_path):
    assert child.tail(tmp_path / "log", 5) == []
