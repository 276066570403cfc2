"""What differs on Windows and macOS, with the platform faked: nothing of it has ever run there (docs/untested.md)."""

import ctypes
import os
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest
from loom_extension.addon import child, folders, machine, windows_job
from loom_extension.protocol import access_list, connection_file, private_file
from loom_extension.protocol.connection_file import ConnectionInfo

WINDOWS = {"SYSTEMROOT": r"C:\Windows", "USERNAME": "ann", "USERDOMAIN": "STUDIO"}


class Kernel:
    """Writes down what it is asked; `refuse` names a function that says no."""

    def __init__(self, refuse=""):
        self.refuse, self.asked = refuse, []

    def __getattr__(self, name):
        def call(*arguments):
            if name == "SetInformationJobObject":
                limits = ctypes.cast(arguments[2], ctypes.POINTER(windows_job._Extended)).contents
                arguments = (arguments[0], arguments[1], limits.Basic.LimitFlags, arguments[3])
            self.asked.append((name, *arguments))
            return 0 if name == self.refuse else 77

        return call

    def names(self):
        return [name for name, *_ in self.asked]


def test_a_child_is_put_in_a_job_that_ends_with_blender_and_lets_batches_go():
    kernel = Kernel()
    job = child.tie_to_us(types.SimpleNamespace(_handle=5), "win32", lambda: windows_job.Job(kernel))
    assert job is not None
    assert kernel.names() == ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"]
    assert kernel.asked[1][3] == windows_job.KILL_ON_JOB_CLOSE | windows_job.BREAKAWAY_OK
    assert kernel.asked[2] == ("AssignProcessToJobObject", 77, 5)
    job.close()
    job.close()
    assert kernel.names().count("CloseHandle") == 1


@pytest.mark.parametrize("refuse", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"])
def test_where_windows_refuses_the_pipe_alone_has_to_do(refuse):
    kernel = Kernel(refuse)
    assert child.tie_to_us(types.SimpleNamespace(_handle=5), "win32", lambda: windows_job.Job(kernel)) is None
    assert ("CloseHandle" in kernel.names()) == (refuse != "CreateJobObjectW"), "a handle was left open"


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the documented size is that of 64 bits")
def test_the_limits_have_the_size_that_windows_wants():
    assert ctypes.sizeof(windows_job._Basic) == 64 and ctypes.sizeof(windows_job._Extended) == 144


def test_elsewhere_there_is_no_job_and_no_flag():
    assert child.tie_to_us(object(), "linux", lambda: pytest.fail("asked")) is None
    assert child.tie_to_us(object(), "darwin", lambda: pytest.fail("asked")) is None
    assert child.no_window("darwin") == child.no_window("linux") == 0
    assert child.no_window("win32") == 0x08000000


def test_a_batch_leaves_the_job_and_the_console_on_windows(monkeypatch):
    from latent_loom.backend.textures import detach

    for name, flag in (("CREATE_NEW_PROCESS_GROUP", 0x200), ("CREATE_NO_WINDOW", 0x8000000),
                       ("CREATE_BREAKAWAY_FROM_JOB", 0x1000000)):  # fmt: skip
        monkeypatch.setattr(subprocess, name, flag, raising=False)
    monkeypatch.setattr(detach.sys, "platform", "win32")
    assert detach._apart() == {"creationflags": 0x200 | 0x8000000 | 0x1000000}
    monkeypatch.setattr(detach.sys, "platform", "darwin")
    assert detach._apart() == {"start_new_session": True}


def info() -> ConnectionInfo:
    return ConnectionInfo(address="tcp://127.0.0.1:5", token="t" * 64, pid=1, session="s")


def test_on_windows_the_connection_file_gets_an_access_list_of_one(tmp_path):
    asked = []

    def run(words, **options):
        asked.append((list(words), options))
        return types.SimpleNamespace(returncode=0)

    path = tmp_path / "connection.json"
    path.write_text("")
    access_list.close_to_others(path, platform="win32", environ=WINDOWS, run=run)
    words, options = asked[0]
    assert words[0] == r"C:\Windows\System32\icacls.exe", "a program of that name elsewhere must not be run"
    assert words[1:] == [str(path), "/inheritance:r", "/grant:r", r"STUDIO\ann:F"]
    assert options["creationflags"] == 0x08000000 and options["stdin"] == subprocess.DEVNULL


def test_an_access_list_that_cannot_be_made_is_an_error_and_leaves_no_file(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="could not close"):
        refused = types.SimpleNamespace(returncode=5)
        access_list.close_to_others(tmp_path, platform="win32", environ=WINDOWS, run=lambda *a, **n: refused)
    with pytest.raises(OSError, match="who this user is"):
        access_list.close_to_others(tmp_path, platform="win32", environ={}, run=lambda *a, **n: None)

    def refuse(path):
        raise OSError("no")

    monkeypatch.setattr(private_file, "close_to_others", refuse)
    with pytest.raises(OSError):
        connection_file.write(info(), tmp_path / "connection.json")
    assert list(tmp_path.iterdir()) == []


def test_the_token_is_written_only_after_the_file_is_closed_to_others(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(private_file, "close_to_others", lambda path: seen.append(path.read_text()))
    connection_file.write(info(), tmp_path / "connection.json")
    assert seen == [""]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_on_posix_a_file_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "f"
    path.write_text("")
    path.chmod(0o644)
    access_list.close_to_others(path, platform="darwin", run=lambda *a, **n: pytest.fail("no program is needed"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_paths_are_those_of_the_platform():
    assert child.venv_python(Path("v"), windows=True).as_posix() == "v/Scripts/python.exe"
    assert child.split_command(r'"C:\My Tools\python.exe" -m x', windows=True) == [r"C:\My Tools\python.exe", "-m", "x"]
    assert machine.this_machine("Darwin", lambda name: None, {}).system == "macos"
    assert folders.output_root("", "/Users/me/a.blend", Path("/own")).as_posix() == "/Users/me/loom_textures"


@pytest.mark.parametrize(
    ("platform", "environ", "wanted"),
    [
        ("win32", {"LOCALAPPDATA": "C:/Users/ann/AppData/Local"}, "C:/Users/ann/AppData/Local/latent-loom"),
        ("darwin", {}, "Library/Application Support/latent-loom"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/latent-loom"),
    ],
)
def test_the_data_folder_is_where_each_platform_keeps_such_things(platform, environ, wanted, monkeypatch):
    from loom_extension.protocol import data_folder

    monkeypatch.setattr(data_folder.sys, "platform", platform)
    for name in ("LOCALAPPDATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert data_folder.data_folder().as_posix().endswith(wanted)


def test_setting_up_on_windows_uses_the_environment_s_scripts(tmp_path, monkeypatch):
    from loom_extension.addon import setup

    monkeypatch.setattr(setup, "venv_python", lambda folder: child.venv_python(folder, windows=True))
    windows = machine.torch_for(machine.Machine(system="windows", nvidia=True))
    todo = setup.steps(Path(r"C:\Blender\python.exe"), tmp_path, Path("loom.whl"), windows)
    pip = [step.argv[0] for step in todo if "pip" in step.argv]
    assert pip and all(path.replace("\\", "/").endswith("Scripts/python.exe") for path in pip)
    assert sys.executable not in pip
