"""The connection file: private, whole, and refused with a sentence where it is not."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from latent_loom.protocol import connection_file, data_folder
from latent_loom.protocol.connection_file import ConnectionInfo
from latent_loom.protocol.errors import NoConnectionFile

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits; the profile folder is private")
INFO = ConnectionInfo(address="tcp://127.0.0.1:4000", token="secret", pid=7, session="abc")


def test_what_is_written_is_read(tmp_path):
    path = connection_file.write(INFO, tmp_path / "new" / "connection.json")
    assert connection_file.read(path) == INFO
    assert [p.name for p in path.parent.iterdir()] == ["connection.json"]


@posix
def test_only_the_owner_may_read_it_even_where_the_umask_allows_more(tmp_path):
    before = os.umask(0)
    try:
        path = connection_file.write(INFO, tmp_path / "c.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o602, 0o610])
def test_a_file_that_others_may_open_is_refused(tmp_path, mode):
    path = connection_file.write(INFO, tmp_path / "c.json")
    path.chmod(mode)
    with pytest.raises(NoConnectionFile, match="chmod 600"):
        connection_file.read(path)


@posix
def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = connection_file.write(INFO, tmp_path / "c.json")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(NoConnectionFile, match="another user"):
        connection_file.read(path)


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    path = connection_file.write(INFO, tmp_path / "c.json")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        connection_file.write(ConnectionInfo(address="tcp://x:1", token="t", pid=1, session="s"), path)
    assert connection_file.read(path) == INFO and [p.name for p in tmp_path.iterdir()] == ["c.json"]


GOOD = {"protocol": [1, 0], "address": "tcp://a:1", "token": "t", "pid": 1, "session": "s", "version": "0.1.0"}
CHANGES = [
    *({"address": value} for value in (5, "", "127.0.0.1")),
    *({"token": value} for value in ("", "x" * 256, None)),
    *({"pid": value} for value in ("1", True)),
    *({"protocol": value} for value in (1, [1], ["1", "0"])),
    {"session": None},
]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b"[" * 50_000,
        *[json.dumps({**GOOD, **change}).encode() for change in CHANGES],
    ],
)
def test_a_file_of_another_kind_is_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "c.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(NoConnectionFile, match="not a connection file"):
        connection_file.read(path)


def test_unknown_fields_of_a_newer_backend_are_ignored(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**GOOD, "mood": "good"}))
    path.chmod(0o600)
    assert connection_file.read(path).address == "tcp://a:1"


def test_a_folder_in_its_place_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(NoConnectionFile, match="Cannot read"):
        connection_file.read(tmp_path)


def test_removing_leaves_the_file_of_a_newer_backend(tmp_path):
    path = connection_file.write(INFO, tmp_path / "c.json")
    connection_file.remove(path, "another session")
    assert path.exists()
    connection_file.remove(path, "abc")
    connection_file.remove(path, "abc")
    assert not path.exists()


def test_the_token_has_256_bits_and_stands_in_no_repr():
    token = connection_file.new_token()
    assert len(bytes.fromhex(token)) == 32 and token != connection_file.new_token()
    assert "secret" not in repr(INFO)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/latent-loom"),
        ("linux", {"XDG_DATA_HOME": ""}, "~/.local/share/latent-loom"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "~/.local/share/latent-loom"),
        ("linux", {}, "~/.local/share/latent-loom"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "~/Library/Application Support/latent-loom"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/latent-loom"),
        ("win32", {}, "~/AppData/Local/latent-loom"),
    ],
)
def test_the_data_folder_is_where_the_platform_wants_it(monkeypatch, tmp_path, platform, variables, expected):
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert str(data_folder.data_folder()) == expected.replace("~", str(tmp_path))


def test_the_default_place_is_in_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(connection_file, "data_folder", lambda: tmp_path)
    assert connection_file.default_path() == tmp_path / "connection.json"
    with pytest.raises(NoConnectionFile, match="latent-loom serve"):
        connection_file.read()
