"""Address and keys of a backend on another computer, as the preferences hold them."""

import json

import pytest
import zmq
from loom_extension.addon import remote
from loom_extension.addon.params import BadInput
from loom_extension.addon.session import CONNECTING, Session

PUBLIC, _ = (key.decode() for key in zmq.curve_keypair())
MINE, SECRET = (key.decode() for key in zmq.curve_keypair())


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "mine.key_secret"
    path.write_text(f'curve\n    public-key = "{MINE}"\n    secret-key = "{SECRET}"\n')
    return str(path)


def test_address_and_keys_are_read_and_the_public_half_is_reckoned(key_file):
    there = remote.read(" 10.0.0.5:5760 ", PUBLIC, key_file)
    assert (there.address, there.server_key, there.client_keys) == ("tcp://10.0.0.5:5760", PUBLIC, (MINE, SECRET))
    assert SECRET not in repr(there)


@pytest.mark.parametrize(
    "text", [PUBLIC, f"# key\n{PUBLIC}\n", f'{{"public_key": "{PUBLIC}"}}', f'public-key = "{PUBLIC}"']
)
def test_a_key_file_may_be_zeromq_s_json_or_bare(text, tmp_path, key_file):
    path = tmp_path / "server.key"
    path.write_text(text)
    assert remote.read("tcp://h:1", str(path), key_file).server_key == PUBLIC


@pytest.mark.parametrize(
    ("address", "server", "words"),
    [
        ("", PUBLIC, "Give the address"),
        ("http://h:1", PUBLIC, "no address"),
        ("h", PUBLIC, "no address"),
        ("h:1", "", "public key"),
        ("h:1", "/nowhere/key", "Cannot read"),
    ],
)
def test_what_is_missing_is_named(address, server, words, key_file):
    with pytest.raises(BadInput, match=words):
        remote.read(address, server, key_file)


def test_a_file_without_a_key_is_refused(tmp_path, key_file):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(BadInput, match="no public key in"):
        remote.read("h:1", str(tmp_path / "x"), key_file)


def test_the_file_of_keys_add_holds_all(tmp_path):
    file = tmp_path / "laptop.json"
    told = {"address": "tcp://studio:47555", "token": "-", "server_key": PUBLIC, "client_keys": [MINE, SECRET]}
    file.write_text(json.dumps(told))
    assert remote.read_file(str(file)) == remote.Remote(
        address="tcp://studio:47555", server_key=PUBLIC, client_keys=(MINE, SECRET)
    )
    file.write_text(json.dumps(told | {"server_key": "short"}))
    with pytest.raises(BadInput, match="damaged"):
        remote.read_file(str(file))


@pytest.mark.parametrize("text", ["", "[]", '{"address": "tcp://h:1"}'])
def test_another_file_says_how_to_make_one(text, tmp_path):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(BadInput, match="keys add"):
        remote.read_file(str(tmp_path / "f.json"))
    with pytest.raises(BadInput, match="Cannot read"):
        remote.read_file(str(tmp_path / "nowhere"))


def test_the_session_connects_with_the_keys(key_file):
    session = Session()
    session.connect_remote(remote.read("127.0.0.1:9", PUBLIC, key_file))
    assert session.state == CONNECTING
    session.disconnect()
