import getpass
import secrets
from pathlib import Path

import pytest
import zmq
from latent_loom.backend.cli.doctor_report import redacted, report

DATA = Path("/srv/projects/secret-film/loom")


@pytest.mark.parametrize(
    "said",
    [
        f"{DATA}/styles cannot be written",
        f"there is no {Path.home()}/work/secret-film/x.json.",
        "cannot read '/mnt/clients/secret-film/a.safetensors' (denied)",
        "kernels from C:\\Users\\secret-film\\AppData\\x.dll.",
        pytest.param(f"token {secrets.token_hex(32)}", id="token"),
        "a backend at tcp://secret-film.example.org:4000 answers",
    ],
)
def test_no_folder_address_or_token_is_left(said):
    left = redacted(said, DATA)
    assert "secret-film" not in left and str(Path.home()) not in left
    assert not any(len(word) >= 32 and all(c in "0123456789abcdef" for c in word) for word in left.split())


def test_no_key_is_left():
    public, secret = (key.decode() for key in zmq.curve_keypair())
    left = redacted(f"keys {public} and '{secret}'", DATA)
    assert public not in left and secret not in left


def test_the_users_name_is_left_out_and_other_words_stay(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "rosalind")
    assert redacted("Rosalind's torch 2.14.1, cpu, 3/4 done.", DATA) == "[user]'s torch 2.14.1, cpu, 3/4 done."


def test_the_report_is_one_block_with_a_line_for_each_check():
    text = report([{"state": "ok", "name": "device", "said": "The processor."}], DATA)
    assert text == "### latent-loom doctor\n\n```\nok    device           The processor.\n```"
