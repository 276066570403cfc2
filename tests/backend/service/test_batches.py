"""Batches as requests: dry runs, styles made first, detached runs that are found again and cancelled."""

from __future__ import annotations

import time

import pytest
import torch
from latent_loom.backend.cli import main
from latent_loom.backend.errors import AlreadyExists, BadRequest, LoomError, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.models.store import Store
from latent_loom.backend.service.handlers import HANDLERS, Context, batches
from latent_loom.backend.textures import detach, making
from latent_loom.backend.textures.batch_state import is_running, only_batch_in
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

ADAPT = {"name": "mossy", "generator": "tiny", "source": "stone", "target": "mossy stone", "iterations": 2, "batch": 2}
ITEMS = [{"name": "moss", "style": "mossy", "seeds": "0-2"}]
JOBS = {"defaults": {"generator": "tiny", "size": 32}, "adapt": [ADAPT], "items": ITEMS}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("data")
    config = GeneratorConfig(
        z_dim=8, w_dim=8, resolution=16, channels=(8, 8, 8), mapping_layers=2, tile="xy", input_map=1.0, const_size=1
    )
    Store(folder).add_generator(Generator(config), "tiny")
    return folder


@pytest.fixture
def ask(root):
    def asked(request, **params):
        return HANDLERS[request](Context(store=Store(root)), params, {}, Job()).value

    return asked


def test_a_style_is_made_first_and_used_again_and_not_made_twice(ask, tmp_path, monkeypatch):
    out = str(tmp_path / "set")
    reckoned = ask("batch", jobs=JOBS, out=out, dry_run=True)
    assert (reckoned["textures"], reckoned["files"], reckoned["missing"]) == (3, 3, [])
    assert reckoned["adapt"] == [{"name": "mossy", "iterations": 2, "there": False}]
    assert reckoned["seconds"] > 0 and reckoned["bytes"] > 0 and not (tmp_path / "set").exists()
    made = ask("batch", jobs=JOBS, out=out)
    assert (made["written"], made["failed"]) == (3, [])
    monkeypatch.setattr(batches, "adapt", None)
    assert ask("batch", jobs=JOBS, out=out, resume=True)["skipped"] == 3
    again = ask("batch", jobs=JOBS, out=out, dry_run=True, resume=True)
    assert again["there"] == 3 and again["adapt"][0]["there"] and again["seconds"] == 0
    other = JOBS | {"adapt": [ADAPT | {"target": "snowy stone"}]}
    with pytest.raises(AlreadyExists, match=r"'mossy'.*made otherwise"):
        ask("batch", jobs=other, out=out)


def test_a_style_whose_run_was_interrupted_is_gone_on_with_and_replaced_only_when_asked(ask, tmp_path):
    ask("adapt", **ADAPT | {"name": "fern-partial"})

    def reckon(resume=False, **changes):
        jobs = JOBS | {"adapt": [ADAPT | {"name": "fern"} | changes], "items": [{"style": "fern"}]}
        return ask("batch", jobs=jobs, out=str(tmp_path / "set"), dry_run=True, resume=resume)["adapt"]

    with pytest.raises(AlreadyExists, match=r"'fern': a run of that name was interrupted; go on with it \(resume\)"):
        reckon()
    with pytest.raises(AlreadyExists, match=r"other settings was interrupted; delete the style 'fern-partial'"):
        reckon(resume=True, seed=1)
    assert reckon(resume=True)[0]["name"] == reckon(overwrite=True)[0]["name"] == "fern"


def test_an_adaptation_that_cannot_be_meant_is_refused_before_anything_is_made(ask, tmp_path):
    for change, sentence in (
        ({"sauce": "x"}, "did you mean 'source'"),
        ({"method": "best"}, "There is no method"),
        ({"preset": "moos"}, "preset"),
    ):
        with pytest.raises(LoomError, match=sentence):
            ask("batch", jobs=JOBS | {"adapt": [ADAPT | change]}, out=str(tmp_path / "set"))
    assert not (tmp_path / "set").exists()


def test_a_file_s_adaptation_is_refused_with_file_and_line(ask, tmp_path):
    file = tmp_path / "jobs.toml"
    for wrong, sentence in (
        ('sauce = "x"', r"^jobs.toml, line 8: \[\[adapt\]\] 'b': .*did you mean 'source'"),
        ('iterations = "many"', r"^jobs.toml, line 8: \[\[adapt\]\] 'b': .*iterations"),
        ("preset = 3", r"^jobs.toml, line 8: .*preset must be"),
        ('images = ["nope.png"]', r"^jobs.toml, line 8: .*no picture .*nope.png"),
        ('name = "b/c"', r"^jobs.toml, line 6: .*not a name"),
    ):
        whole = 'source = "stone"\ntarget = "mossy stone"\n'
        second = wrong if wrong.startswith("name") else f'name = "b"\n# why\n{wrong}'
        file.write_text(f'[[adapt]]\nname = "a"\n{whole}[[adapt]]\n{second}\n{whole}[[items]]\nname = "a"\n')
        with pytest.raises(BadRequest, match=sentence):
            ask("batch", file=str(file), out=str(tmp_path / "set"))


def test_an_adaptation_that_fails_stops_nothing_else(ask, tmp_path):
    jobs = JOBS | {"adapt": [ADAPT | {"name": "zzz", "target": "qwertz"}], "items": [{"name": "a"}, {"style": "zzz"}]}
    made = ask("batch", jobs=jobs, out=str(tmp_path / "set"))
    assert made["written"] == 1
    assert [entry["name"] for entry in made["failed"]] == ["adapt zzz", "zzz"]


def test_a_dry_run_names_what_is_missing(ask, tmp_path):
    jobs = {"items": [{"generator": "tiny", "size": 32, "style": "rusti"}, {"generator": "tinny"}]}
    reckoned = ask("batch", jobs=jobs, out=str(tmp_path / "set"), dry_run=True)
    assert len(reckoned["missing"]) == 2 and "'rusti'" in reckoned["missing"][0]


def test_a_dry_run_names_a_slip_that_is_near_a_style_to_be_made(ask, tmp_path):
    ask("batch", jobs=JOBS, out=str(tmp_path / "set"))
    jobs = JOBS | {"items": [{"generator": "tiny", "style": "mosy"}]}
    (missing,) = ask("batch", jobs=jobs, out=str(tmp_path / "other"), dry_run=True)["missing"]
    assert "'mosy'; did you mean 'mossy'" in missing


def test_a_style_that_vanishes_halfway_fails_its_textures_and_a_passing_fault_is_tried_again(
    ask, tmp_path, monkeypatch
):
    real, calls = making.make_texture, []

    def flaky(store, look, seed, strength):
        calls.append(seed)
        if seed == 1 and calls.count(1) == 1:
            raise RuntimeError("a passing fault")
        if seed == 2:
            raise NotFound("There is no style called 'gone'.")
        return real(store, look, seed, strength)

    monkeypatch.setattr(making, "make_texture", flaky)
    jobs = {"items": [{"generator": "tiny", "size": 32, "seeds": "0-3"}]}
    made = ask("batch", jobs=jobs, out=str(tmp_path / "set"))
    assert calls == [0, 1, 2, 3, 1, 2] and made["written"] == 3
    assert made["failed"] == [{"name": "tiny", "message": "There is no style called 'gone'.", "count": 1}]
    state = ask("batch_status", out=str(tmp_path / "set"))
    assert [state[name] for name in ("written", "skipped", "failed")] == [
        made[n] for n in ("written", "skipped", "lost")
    ]
    assert made["lost"] == 1


def test_a_style_that_fails_is_counted_where_the_batch_stands_as_in_its_answer(ask, tmp_path, monkeypatch):
    def refuse(*_):
        raise NotFound("There is no CLIP.")

    monkeypatch.setattr(batches, "adapt", refuse)
    jobs = JOBS | {"adapt": [ADAPT | {"name": "other"}], "items": [{"generator": "tiny", "seeds": "0"}]}
    made = ask("batch", jobs=jobs, out=str(tmp_path / "set"))
    assert (made["written"], made["lost"], ask("batch_status", out=str(tmp_path / "set"))["failed"]) == (1, 1, 1)


def test_a_detached_batch_is_found_again_and_cancelled_and_goes_on(ask, tmp_path):
    out = str(tmp_path / "set")
    jobs = {"items": [{"generator": "tiny", "size": 32, "seeds": "0-19999"}]}
    begun = ask("batch", jobs=jobs, out=out, detach=True)
    assert begun["detached"] and begun["state"] == "running" and begun["total"] == 20000
    with pytest.raises(LoomError, match="running in"):
        ask("batch", jobs=jobs, out=out, detach=True)
    assert ask("batch_cancel", out=out)["state"] == "running"
    until = time.monotonic() + 120
    while is_running(tmp_path / "set") and time.monotonic() < until:
        time.sleep(0.1)
    state = ask("batch_status", out=out)
    assert state["state"] == "cancelled" and state["done"] < 20000
    detach._started.pop().wait()
    (tmp_path / "set" / "batch.json").write_text('{"version": 1, "state": "running", "done": 3, "total": 20000}')
    assert ask("batch_status", out=out)["state"] == "killed"


@pytest.mark.parametrize("said", [(), ("--threads", "2")])
def test_a_detached_batch_takes_as_many_threads_as_whoever_starts_it(root, tmp_path, monkeypatch, said):
    command = []
    monkeypatch.setattr(detach, "begin", lambda started, folder: command.extend(started))
    monkeypatch.setattr(detach, "read_state", lambda folder: {})
    file, before = tmp_path / "jobs.jsonl", torch.get_num_threads()
    file.write_text('{"generator": "tiny", "size": 32}\n')
    line = ["batch", str(file), "--out", str(tmp_path / "set"), "--data", str(root)]
    used, real = [], making.make_texture

    def make(*task):
        used.append(torch.get_num_threads())
        return real(*task)

    monkeypatch.setattr(making, "make_texture", make)
    try:
        torch.set_num_threads(3)
        assert main.main([*line, "--detach", *said]) == 0
        torch.set_num_threads(1)
        assert main.main(command[command.index("batch") :]) == 0
    finally:
        torch.set_num_threads(before)
    assert used == [2 if said else 3]


def test_a_detached_batch_that_cannot_begin_says_why(ask, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "manifest.jsonl").write_text('{"version": 99, "file": "a.png"}\n')
    with pytest.raises(LoomError, match="another version"):
        ask("batch", jobs=JOBS | {"adapt": []}, out=str(tmp_path / "set"), resume=True, detach=True)


def test_two_batches_do_not_share_a_folder(ask, tmp_path):
    with only_batch_in(tmp_path), pytest.raises(AlreadyExists, match="is running in"):
        ask("batch", jobs=JOBS | {"adapt": []}, out=str(tmp_path))


def test_a_folder_without_a_batch_and_contradictions_are_told(ask, tmp_path):
    with pytest.raises(NotFound, match="no batch in"):
        ask("batch_status", out=str(tmp_path))
    with pytest.raises(BadRequest, match="goes with resume"):
        ask("batch", jobs=JOBS, out=str(tmp_path), verify=True)


def test_a_link_out_of_the_folder_is_refused(ask, tmp_path):
    out = tmp_path / "set"
    out.mkdir()
    (out / "moss").symlink_to(tmp_path)
    with pytest.raises(BadRequest, match="leads out of the output folder"):
        ask("batch", jobs={"items": [{"generator": "tiny", "naming": "moss/{seed}"}]}, out=str(out))
