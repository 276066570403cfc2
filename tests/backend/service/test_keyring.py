import json
import os
import stat

import pytest
from latent_loom.backend.cli import main
from latent_loom.backend.errors import AlreadyExists, BadRequest, NotFound
from latent_loom.backend.service import keyring
from latent_loom.protocol import connection_file
from latent_loom.protocol.errors import NoConnectionFile

ADDRESS = "tcp://studio:47555"


def test_a_key_is_made_listed_and_removed(tmp_path):
    info = keyring.add(tmp_path, "laptop", ADDRESS)
    assert info.client_keys is not None
    assert keyring.clients(tmp_path) == {"laptop": info.client_keys[0]}
    assert info.server_key == keyring.server_pair(tmp_path)[0]
    assert keyring.curve_keys(tmp_path).allowed_clients == {info.client_keys[0]}
    keyring.remove(tmp_path, "laptop")
    assert keyring.clients(tmp_path) == {} and keyring.curve_keys(tmp_path) is None
    with pytest.raises(NotFound):
        keyring.remove(tmp_path, "laptop")


def test_the_secret_of_a_client_does_not_stay_here(tmp_path):
    info = keyring.add(tmp_path, "laptop", ADDRESS)
    kept = "".join(path.read_text() for path in keyring.folder(tmp_path).iterdir())
    assert info.client_keys[0] in kept and info.client_keys[1] not in kept


@pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits; the profile folder is private")
def test_keys_are_private_and_refused_where_they_are_not(tmp_path):
    keyring.add(tmp_path, "laptop", ADDRESS)
    folder = keyring.folder(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    (folder / keyring.SERVER).chmod(0o644)
    with pytest.raises(BadRequest, match="Others may read"):
        keyring.server_pair(tmp_path)


@pytest.mark.parametrize("name", ["owner", "Laptop", "../x", "", "a" * 65])
def test_a_name_is_a_name_and_not_the_owners(tmp_path, name):
    with pytest.raises(BadRequest, match="no name for a key"):
        keyring.add(tmp_path, name, ADDRESS)


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:1", "tcp://*:1", "tcp://studio:0", "studio:1", "tcp://studio:*"])
def test_an_address_that_no_client_can_reach_is_refused(tmp_path, address):
    with pytest.raises(BadRequest):
        keyring.add(tmp_path, "laptop", address)


def test_a_second_key_of_one_name_is_refused(tmp_path):
    keyring.add(tmp_path, "laptop", ADDRESS)
    with pytest.raises(AlreadyExists):
        keyring.add(tmp_path, "laptop", ADDRESS)


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', '{"../x": "k"}', "{", '{"a": "short"}'])
def test_a_damaged_list_is_a_sentence_and_lets_nobody_in(tmp_path, content):
    keyring.add(tmp_path, "laptop", ADDRESS)
    (keyring.folder(tmp_path) / keyring.CLIENTS).write_text(content)
    with pytest.raises(BadRequest):
        keyring.clients(tmp_path)


def test_two_commands_pair_two_machines(tmp_path, capsys):
    data, laptop = tmp_path / "data", tmp_path / "laptop"
    out = tmp_path / "laptop.json"
    add = ["keys", "add", "laptop", "--address", ADDRESS, "--data", str(data), "--out", str(out)]
    assert main.main(add) == 0
    assert "latent-loom serve --address tcp://0.0.0.0:47555" in capsys.readouterr().out
    out.chmod(0o644)  # as a copy from elsewhere comes
    assert main.main(["keys", "accept", str(out), "--connection-file", str(laptop / "connection.json")]) == 0
    info = connection_file.read(laptop / "connection.json")
    assert info.address == ADDRESS and info.client_keys[0] == keyring.clients(data)["laptop"]
    assert stat.S_IMODE((laptop / "connection.json").stat().st_mode) == 0o600
    assert main.main(["keys", "list", "--json", "--data", str(data)]) == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [key["name"] for key in listed["keys"]] == ["laptop"]
    assert main.main(["keys", "remove", "laptop", "--data", str(data)]) == 0
    assert keyring.clients(data) == {}


def test_a_key_whose_file_cannot_be_written_is_not_left_on_the_list(tmp_path, capsys):
    data = tmp_path / "data"
    (tmp_path / "file").write_text("in the way")
    add = [
        "keys",
        "add",
        "laptop",
        "--address",
        ADDRESS,
        "--data",
        str(data),
        "--out",
        str(tmp_path / "file" / "x.json"),
    ]
    assert main.main(add) == 1
    assert keyring.clients(data) == {} and "Traceback" not in capsys.readouterr().err


def test_an_ordinary_connection_file_is_not_accepted(tmp_path):
    info = connection_file.ConnectionInfo(address="tcp://127.0.0.1:1", token="t", pid=1, session="s")
    with pytest.raises(BadRequest, match="keys add"):
        keyring.accept(connection_file.write(info, tmp_path / "c.json"), tmp_path / "other.json")


@pytest.mark.skipif(os.name != "posix", reason="there are no such pipes on Windows")
def test_a_pipe_in_the_place_of_a_connection_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "connection.json", 0o600)
    with pytest.raises(NoConnectionFile, match="is no file"):
        connection_file.read(tmp_path / "connection.json")
