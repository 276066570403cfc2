"""Adaptations that stop in the middle: what is kept, what goes on, and what nobody's work may be replaced by."""

from __future__ import annotations

import contextlib
import resource

import pytest
import torch
from latent_loom.backend.adaptation import adapt as adaptation_function
from latent_loom.backend.adaptation.style import Style
from latent_loom.backend.errors import AlreadyExists, BadRequest, Cancelled, CannotWrite
from latent_loom.backend.job import Job
from latent_loom.backend.service.handlers import HANDLERS, Context

PROMPTS = {"generator": "small", "source": "stone", "target": "mossy stone", "batch": 2, "name": "mossy"}


@pytest.fixture
def adapt(store, monkeypatch):
    """`adapt` with a snapshot after every second step."""
    module = __import__(adaptation_function.__module__, fromlist=["SNAPSHOT_EVERY"])
    monkeypatch.setattr(module, "SNAPSHOT_EVERY", 2)

    def ask(job=None, **params):
        return HANDLERS["adapt"](Context(store=store), PROMPTS | params, {}, job or Job()).value

    return ask


@pytest.fixture
def interrupted(adapt) -> None:
    """Four of eight iterations are kept."""
    done = []
    with pytest.raises(Cancelled, match="after 4 iterations is kept as the style 'mossy-partial'"):
        adapt(Job(done.append, lambda: len(done) >= 5), iterations=8)


@contextlib.contextmanager
def files_of_at_most(size: int):
    """The system refuses to write larger ones, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((store.root / "styles").iterdir())}


def test_an_interrupted_run_is_not_replaced_unasked(adapt, interrupted, store):
    before = contents(store)
    with pytest.raises(AlreadyExists, match="kept as the style 'mossy-partial'; go on with it"):
        adapt(iterations=2)
    assert contents(store) == before
    assert adapt(iterations=2, overwrite=True)["style"]["iterations"] == 2
    assert not store.library.has("mossy-partial")


def test_going_on_from_a_finished_style_asks_before_it_is_replaced(adapt, store):
    adapt(iterations=2)
    with pytest.raises(AlreadyExists, match="to go on from it, ask to overwrite it"):
        adapt(iterations=4, resume=True)
    with pytest.raises(BadRequest, match="has 2 iterations already"):
        adapt(iterations=2, resume=True, overwrite=True)
    assert adapt(iterations=4, resume=True, overwrite=True)["style"]["iterations"] == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 3}, r"other settings \(batch 2, not 3\)"),
        ({"seed": 1, "decay": 0.5}, r"decay 0.0, not 0.5; seed 0, not 1"),
        ({"learning_rate": 0.01}, r"learning_rate 0.006, not 0.01"),
    ],
)
def test_a_run_goes_on_with_the_settings_that_it_began_with(adapt, interrupted, store, changes, said):
    before = contents(store)
    with pytest.raises(BadRequest, match=said):
        adapt(iterations=8, resume=True, **changes)
    assert contents(store) == before
    assert adapt(iterations=9, resume=True, diversity_floor=0.1, preview_every=1)["style"]["iterations"] == 9


def test_a_cancel_before_the_next_snapshot_says_what_the_run_went_on_from(adapt, interrupted):
    with pytest.raises(Cancelled, match="after 4 iterations is kept as the style 'mossy-partial'"):
        adapt(Job(cancelled=lambda: True), iterations=8, resume=True)


def test_a_disk_that_fills_between_two_snapshots_keeps_the_first_one_and_the_run_goes_on_from_it(adapt, store):
    adapt(iterations=2, name="two")
    whole = store.root / "styles" / "two.snapshots.safetensors"
    with (
        files_of_at_most(whole.stat().st_size + 4096),
        pytest.raises(CannotWrite, match=r"free some space .*; the state after 2 iterations is kept as .*'mossy-part"),
    ):
        adapt(iterations=6)
    assert store.library.snapshots("mossy-partial").iterations == (2,)
    assert not [name for name in contents(store) if name.startswith(".")]
    adapt(iterations=6, resume=True)
    adapt(iterations=6, name="unbroken")
    assert_equal(store, "mossy", "unbroken")


def test_a_disk_that_is_full_at_the_first_snapshot_claims_nothing(adapt, store):
    with files_of_at_most(2048), pytest.raises(CannotWrite, match=r"another data folder\.$"):
        adapt(iterations=2)
    assert contents(store) == {}


def test_a_run_whose_style_alone_found_no_room_ends_without_another_step(adapt, store, monkeypatch):
    real = Style.saving

    def full(style, path):
        if path.name == "mossy.safetensors":
            raise OSError(28, "No space left on device")
        return real(style, path)

    with monkeypatch.context() as patch, pytest.raises(CannotWrite, match=r"4 iterations is kept .* 'mossy-partial'"):
        patch.setattr(Style, "saving", full)
        adapt(iterations=4)
    done = []
    assert adapt(Job(done.append), iterations=4, resume=True)["style"]["iterations"] == 4
    assert done == [] and not store.library.has("mossy-partial")
    adapt(iterations=4, name="unbroken")
    assert_equal(store, "mossy", "unbroken")


def test_a_disk_that_fills_while_a_report_is_written_leaves_no_half_of_it(adapt, store, tmp_path):
    def report(folder):
        params = {"name": "mossy", "file": str(tmp_path / folder / "mossy.html")}
        HANDLERS["report_style"](Context(store=store), params, {}, Job())
        return {path.suffix: path.stat().st_size for path in (tmp_path / folder).iterdir()}

    adapt(iterations=2)
    sizes = report("whole")
    assert sizes[".json"] < sizes[".html"]
    with files_of_at_most(sizes[".html"] - 1), pytest.raises(CannotWrite, match=r"Cannot write 'mossy\.html'"):
        report("full")
    assert list((tmp_path / "full").iterdir()) == []


def test_a_report_that_cannot_be_written_says_that_the_style_is_there(adapt, store, tmp_path, monkeypatch):
    def full(*_):
        raise CannotWrite("Cannot write it.")

    monkeypatch.setattr("latent_loom.backend.service.handlers.adaptation.write_report", full)
    with pytest.raises(CannotWrite, match="Cannot write it; the style 'mossy' is ready all the same"):
        adapt(iterations=2, report=str(tmp_path / "report"))
    assert store.library.has("mossy") and not store.library.has("mossy-partial")


@pytest.mark.parametrize("request_name", ["export", "export_style"])
def test_a_disk_that_fills_while_exporting_names_the_file_and_leaves_none(adapt, store, tmp_path, request_name):
    adapt(iterations=2)
    file = tmp_path / "out" / "given.safetensors"
    params = {"styles": [["mossy", 1.0]]} if request_name == "export" else {"name": "mossy"}
    with files_of_at_most(512), pytest.raises(CannotWrite, match=r"'given.safetensors' .* choose another folder"):
        HANDLERS[request_name](Context(store=store), params | {"file": str(file)}, {}, Job())
    assert list(file.parent.iterdir()) == []


def assert_equal(store, one: str, other: str) -> None:
    a, b = (store.style(name).tensors for name in (one, other))
    assert a.keys() == b.keys() and all(torch.equal(t, b[name]) for name, t in a.items())
