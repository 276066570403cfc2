from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from latent_loom.backend.errors import BadRequest, Cancelled, CannotWrite, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.textures import making
from latent_loom.backend.textures.batch import BatchSettings
from latent_loom.backend.textures.batch_file import BatchFileError
from latent_loom.backend.textures.batch_run import run_batch
from latent_loom.backend.textures.batch_state import read_state
from latent_loom.backend.textures.generate import GenerateSettings, generate
from PIL import Image

JOBS = {
    "defaults": {"size": 32, "maps": "color,normal"},
    "items": [
        {"name": "moss", "style": "mossy:0.8", "seeds": "0-1"},
        {"name": "plain", "seeds": [4], "maps": ["color"], "size": "48x32"},
    ],
}
FILES = ["moss-0_color.png", "moss-0_normal.png", "moss-1_color.png", "moss-1_normal.png", "plain-4_color.png"]


def jobs(**changes) -> BatchSettings:
    return BatchSettings.from_mapping(JOBS | changes)


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    """All but where the run stands, which differs between one that was resumed and one that was not."""
    passing = ("batch.json", ".batch.lock")
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name not in passing}


def test_a_batch_writes_its_files_and_a_manifest_that_fits_them(store, tmp_path):
    result = run_batch(store, jobs(), tmp_path)
    assert (result.written, result.skipped, result.failed) == (5, 0, [])
    assert sorted(p.name for p in tmp_path.glob("*.png")) == FILES
    assert [r["file"] for r in records(tmp_path)] == FILES
    for record in records(tmp_path):
        data = (tmp_path / record["file"]).read_bytes()
        assert record["bytes"] == len(data) and record["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_manifest_line_is_enough_to_repeat_its_file(store, tmp_path):
    run_batch(store, jobs(), tmp_path / "batch")
    r = records(tmp_path / "batch")[1]
    again = GenerateSettings(
        generator=r["generator"], styles=tuple((name, strength) for name, strength, _ in r["styles"]),
        seeds=(r["seed"],), size=tuple(r["size"]), tile=r["tile"], psi=r["psi"], maps=(r["map"],), relief=r["relief"],
        normal=r["normal"], name="again",
    )  # fmt: skip
    generate(store, again, tmp_path)
    assert (tmp_path / "again-0_normal.png").read_bytes() == (tmp_path / "batch" / r["file"]).read_bytes()


def test_a_picture_is_the_same_alone_and_in_any_batch(store, tmp_path):
    run_batch(store, jobs(), tmp_path / "a")
    run_batch(store, jobs(items=JOBS["items"][::-1]), tmp_path / "b")
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_interrupted_and_resumed_batch_leaves_what_an_uninterrupted_one_does(store, tmp_path):
    asked = itertools.count()
    job = Job(cancelled=lambda: next(asked) == 1)
    with pytest.raises(Cancelled):
        run_batch(store, jobs(), tmp_path / "a", job)
    assert [r["file"] for r in records(tmp_path / "a")] == FILES[:2]
    state = read_state(tmp_path / "a")
    assert (state["state"], state["done"], state["written"]) == ("cancelled", 1, 2)  # what was under way counts too
    result = run_batch(store, jobs(), tmp_path / "a", resume=True)
    assert (result.written, result.skipped) == (3, 2)
    run_batch(store, jobs(), tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_resume_makes_anew_what_is_missing_damaged_or_of_other_settings(store, tmp_path):
    run_batch(store, jobs(), tmp_path)
    (tmp_path / "moss-0_color.png").unlink()
    damaged = bytearray((tmp_path / "moss-1_color.png").read_bytes())
    damaged[-20] ^= 1  # the same size, another hash
    (tmp_path / "moss-1_color.png").write_bytes(damaged)
    changed = [JOBS["items"][0], JOBS["items"][1] | {"psi": 0.5}]
    result = run_batch(store, jobs(items=changed), tmp_path, resume=True)
    assert (result.written, result.skipped) == (3, 2)
    run_batch(store, jobs(items=changed), tmp_path / "fresh")
    fresh = contents(tmp_path / "fresh")
    assert {name: (tmp_path / name).read_bytes() for name in fresh} == fresh


def test_without_resume_everything_is_made_anew(store, tmp_path):
    run_batch(store, jobs(), tmp_path)
    result = run_batch(store, jobs(), tmp_path)
    assert (result.written, result.skipped) == (5, 0)


def test_a_manifest_with_a_broken_last_line_is_resumed_from(store, tmp_path):
    run_batch(store, jobs(), tmp_path)
    path = tmp_path / "manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    result = run_batch(store, jobs(), tmp_path, resume=True)
    assert (result.written, result.skipped) == (1, 4)
    assert path.read_bytes() == whole


def test_a_manifest_of_a_newer_version_or_of_something_else_is_refused(store, tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"version": 99, "file": "a.png"}\n')
    with pytest.raises(BadRequest, match="another version"):
        run_batch(store, jobs(), tmp_path, resume=True)
    (tmp_path / "manifest.jsonl").write_text("one\ntwo\nthree\n")
    with pytest.raises(BadRequest, match="not a batch's manifest"):
        run_batch(store, jobs(), tmp_path, resume=True)


def test_an_item_that_fails_is_recorded_and_stops_nothing_else(store, tmp_path):
    broken = [JOBS["items"][0] | {"style": "mosssy"}, *JOBS["items"][1:]]
    reports = []
    result = run_batch(store, jobs(items=broken), tmp_path, Job(report=reports.append))
    assert result.written == 1
    assert [f["name"] for f in result.failed] == ["moss"]
    assert "did you mean 'mossy'" in result.failed[0]["message"]
    assert json.loads((tmp_path / "failed.jsonl").read_text()) == result.failed[0]
    assert (reports[-1].done, reports[-1].total) == (3, 3)
    run_batch(store, jobs(), tmp_path, resume=True)
    assert not (tmp_path / "failed.jsonl").exists()


def test_a_bug_in_one_item_is_isolated_too(store, tmp_path, monkeypatch):
    real = making.make_texture

    def buggy(store, item, seed, strength):
        if seed == 1:
            raise ZeroDivisionError("oh")
        return real(store, item, seed, strength)

    monkeypatch.setattr(making, "make_texture", buggy)
    result = run_batch(store, jobs(), tmp_path)
    assert result.written == 3
    assert "ZeroDivisionError: oh" in result.failed[0]["message"]


def test_a_full_disk_ends_the_batch_with_one_sentence(store, tmp_path, monkeypatch):
    calls = []

    def full(path, data):
        calls.append(path)
        raise CannotWrite("Cannot write; free some space.")

    monkeypatch.setattr(making, "write_atomic", full)
    with pytest.raises(CannotWrite):
        run_batch(store, jobs(), tmp_path)
    assert len(calls) <= 4  # those that were under way


def test_a_disk_that_fills_up_leaves_whole_files_and_a_state_and_the_batch_goes_on_later(store, tmp_path, monkeypatch):
    real, calls = os.fsync, itertools.count()

    def full(descriptor):
        if next(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CannotWrite, match=r"No space left.*free some space"):
            run_batch(store, jobs(), tmp_path)
    made = list(tmp_path.glob("*.png"))
    assert 0 < len(made) < 5 and not list(tmp_path.glob("*.part"))
    for path in made:
        Image.open(path).load()
    result = run_batch(store, jobs(), tmp_path, resume=True)
    assert result.written + result.skipped == 5 and result.failed == []


MANY = """
import sys
from pathlib import Path
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures.batch import BatchSettings
from latent_loom.backend.textures.batch_run import run_batch
from latent_loom.backend.textures.batch_state import read_state
root, builtin, out = map(Path, sys.argv[1:])
items = [{"name": "many", "seeds": "0-9999"}]
run_batch(Store(root, builtin=builtin), BatchSettings.from_mapping({"defaults": {"size": 32}, "items": items}), out)
"""


def test_a_killed_batch_leaves_only_whole_files_and_is_resumed(store, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", MANY, str(store.root), str(store.builtin), str(out)])
    try:
        until = time.monotonic() + 120
        while len(list(out.glob("*.png"))) < 4 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    made = sorted(p.name for p in out.glob("*.png"))
    assert len(made) >= 4
    many = BatchSettings.from_mapping({"defaults": {"size": 32}, "items": [{"name": "many", "seeds": "0-2"}]})
    result = run_batch(store, many, out, resume=True)
    assert (result.written, result.skipped) == (0, 3)
    assert [p for p in out.iterdir() if p.name.endswith(".part")] == []
    listed = {r["file"]: r["sha256"] for r in records(out)}
    assert len(set(made) - set(listed)) <= 8  # at most what the writers had under way
    for name, digest in listed.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_a_toml_file_says_the_same_as_the_mapping(tmp_path):
    path = tmp_path / "jobs.toml"
    path.write_text(
        '[defaults]\nsize = 32\nmaps = "color,normal"\n[[items]]\nname = "moss"\nstyle = "mossy:0.8"\nseeds = "0-1"\n'
        '[[items]]\nname = "plain"\nseeds = [4]\nmaps = ["color"]\nsize = "48x32"\n'
    )
    assert BatchSettings.from_file(path) == jobs()


@pytest.mark.parametrize(
    "text, error, sentence",
    [
        (None, NotFound, "no batch file"),
        ("a = 1\nb = = 2", BadRequest, "jobs.toml is not valid TOML.*line 2"),
        (b"\xff\xfe", BadRequest, "UTF-8"),
        (
            "[default]\n",
            BadRequest,
            "jobs.toml, line 1: The batch has an unknown key 'default'; did you mean 'defaults'",
        ),
        ("", BadRequest, "no items"),
        ("items = 3", BadRequest, "must be a list of tables"),
        ("defaults = 3\n[[items]]", BadRequest, "must be a table"),
        (
            "[[items]]\n[[items]]\nseds = 3",
            BadRequest,
            r"jobs.toml, line 3: \[\[items\]\] 2 has an unknown key 'seds'; did you mean 'seeds'",
        ),
        ("[defaults]\ntile = 3\n[[items]]", BadRequest, r"\[defaults\], tile: 3 is not text"),
        ('[[items]]\nseeds = "4-2"', BadRequest, r"\[\[items\]\] 1, seeds: .*runs backwards; write 2-4"),
        ("[[items]]\nsize = 8", BadRequest, r"\[\[items\]\] 1: The size 8x8 is out of range"),
        ('[[items]]\nname = "../../up"', BadRequest, r"\[\[items\]\] 1: '../../up' cannot start a file name"),
        ('[[items]]\nname = "/etc/x"', BadRequest, "cannot start a file name"),
        ('[[items]]\nname="A"\n[[items]]\nname="a"', BadRequest, "Items 1 and 2 would both write 'a-0_color.png'"),
        ('[defaults]\nname = "x"\n[[items]]', BadRequest, "unknown key 'name'"),
    ],
)
def test_a_bad_batch_file_is_refused_in_a_sentence(tmp_path, text, error, sentence):
    path = tmp_path / "jobs.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error, match=sentence):
        BatchSettings.from_file(path)


def test_seeds_of_an_item_with_a_kind_count_those_that_show_it():
    def seeds_of(generator, kind, numbers):
        if kind != "brick":
            raise NotFound("There is no kind 'brik'; did you mean 'brick'?")
        return tuple((100 if generator == "mine" else 500) + 10 * number for number in numbers)

    entry = {"generator": "mine", "kind": "brick", "seeds": "0,2", "textures": ["wall"]}
    (item,) = BatchSettings.from_mapping({"items": [entry]}, seeds_of).items
    assert item.settings.seeds == ("wall", 100, 120)
    jobs = {"defaults": {"kind": "brick"}, "items": [{"name": "a", "textures": ["wall"]}, {"name": "b"}]}
    kept, first = BatchSettings.from_mapping(jobs, seeds_of).items
    assert (kept.settings.seeds, first.settings.seeds) == (("wall",), (500,))
    for seeds_known, kind, said in ((seeds_of, "brik", "did you mean 'brick'"), (None, "brick", "nobody knows")):
        with pytest.raises(BatchFileError, match=said) as caught:
            BatchSettings.from_mapping({"items": [entry | {"kind": kind}]}, seeds_known)
        assert caught.value.key == "kind"


def test_nothing_is_written_when_the_batch_is_refused(store, tmp_path):
    with pytest.raises(BadRequest):
        run_batch(store, jobs(items=[{"name": "a"}, {"name": "a"}]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_killed_run_left_is_cleared_away(store, tmp_path):
    (tmp_path / ".moss-0_color.png.0011.part").write_bytes(b"half")
    run_batch(store, jobs(), tmp_path)
    assert [p for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
