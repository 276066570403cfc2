from __future__ import annotations

import json
import os

import pytest
from latent_loom.backend.cli import doctor_checks, main
from latent_loom.backend.cli.doctor_checks import Check


def test_a_missing_library_is_a_failure_that_names_it(monkeypatch):
    monkeypatch.setattr(doctor_checks, "LIBRARIES", ("numpy", "no-such-library"))
    check = doctor_checks.check_versions()
    assert check.state == "fail" and "no-such-library" in check.said and "numpy" not in check.said


def test_versions_are_named():
    assert "latent-loom 0." in doctor_checks.check_versions().said


def test_more_threads_than_cores_are_a_warning_with_the_right_number(monkeypatch):
    import torch

    before = torch.get_num_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    try:
        assert "--threads 1" in doctor_checks.check_threads(3).said
        assert doctor_checks.check_threads(1).state == "ok"
    finally:
        torch.set_num_threads(before)


def test_a_data_folder_that_does_not_exist_yet_is_fine_and_is_not_made(tmp_path):
    check = doctor_checks.check_folder(tmp_path / "a" / "b")
    assert check.state in ("ok", "warn") and "made on first use" in check.said
    assert not (tmp_path / "a").exists()


def test_a_data_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")
    check = doctor_checks.check_folder(tmp_path / "file" / "data")
    assert check.state == "fail" and "--data" in check.said


def test_the_device_that_is_told_is_the_one_that_computes(monkeypatch):
    from latent_loom.backend.service import device

    apple = device.Device(torch_name="mps", label="Apple GPU", memory_mib=16384)
    monkeypatch.setattr(device, "find_device", lambda: apple)
    assert doctor_checks.check_device().said == "Apple GPU, 16.0 GiB."
    monkeypatch.setattr(device, "find_device", lambda: device.Device(torch_name="cpu", label="cpu", memory_mib=1))
    assert "processor" in doctor_checks.check_device().said


def test_the_operators_in_use_are_told():
    assert doctor_checks.check_kernels().said == "PyTorch operators, as was asked for."


def test_no_connection_file_is_fine_and_a_leftover_one_is_a_warning(tmp_path):
    path = tmp_path / "connection.json"
    assert doctor_checks.check_connection(path).state == "ok"
    info = {"protocol": [1, 0], "address": "tcp://127.0.0.1:9", "token": "t", "pid": 1, "session": "s", "version": "0"}
    path.write_text(json.dumps(info))
    path.chmod(0o600)
    check = doctor_checks.check_connection(path)
    assert check.state == "warn" and "left over" in check.said


def test_a_check_that_breaks_is_a_failed_line_and_the_others_go_on(monkeypatch, tmp_path):
    def broken() -> Check:
        raise ZeroDivisionError

    monkeypatch.setattr(doctor_checks, "check_device", broken)
    for name in ("check_builtin_models", "check_texture"):
        monkeypatch.setattr(doctor_checks, name, lambda: Check(name="x", state="ok", said="."))
    checks = list(doctor_checks.all_checks(tmp_path, tmp_path / "none.json", None))
    assert [check.state for check in checks if check.name == "device"] == ["fail"]
    assert "ZeroDivisionError" in next(check.said for check in checks if check.name == "device")
    assert checks[-1].name == "connection"


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_a_failed_check_fails_the_command(monkeypatch, capsys, state, code):
    found = [Check(name="device", state=state, said="Said.")]
    monkeypatch.setattr(doctor_checks, "all_checks", lambda *args: iter(found))
    assert main.main(["doctor", "--json"]) == code
    value = json.loads(capsys.readouterr().out)
    assert value == {"ok": code == 0, "checks": [{"name": "device", "state": state, "said": "Said."}]}
