"""What the fuzzer found, read again; and every reader against whole inputs that were damaged at random.

`corpus/TARGET/` holds inputs that broke a reader once (`scripts/fuzz.py` puts them there), `reached/TARGET.zip` those
that go the farthest into it (`--keep`).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import seeds, targets

CORPUS = Path(__file__).parent / "corpus"
FOUND = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
TURNS = 150


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name[:12]}")
def test_what_broke_a_reader_once_is_refused_or_read(path, tmp_path, little_memory):
    with little_memory():
        targets.TARGETS[path.parent.name](path.read_bytes(), tmp_path)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_what_went_far_into_a_reader_is_refused_or_read(name, tmp_path, little_memory):
    inputs = seeds.reached(name)
    assert inputs
    with little_memory():
        for raw in inputs:
            targets.TARGETS[name](raw, tmp_path)


def test_every_find_belongs_to_a_target():
    assert {path.parent.name for path in FOUND} <= set(targets.TARGETS)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_damaged_input_is_refused_in_a_sentence_or_read(name, tmp_path, little_memory):
    rng = random.Random(name)
    whole = seeds.seeds(name, tmp_path / "whole")
    for raw in whole:
        targets.TARGETS[name](raw, tmp_path / "read")
    for _ in range(TURNS):
        damaged = bytearray(rng.choice(whole))
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(min(len(damaged), rng.choice((32, 400, len(damaged)))))
            change = rng.randrange(4)
            if change == 0:
                damaged[at] = rng.randrange(256)
            elif change == 1:
                damaged[at] ^= 1 << rng.randrange(8)
            elif change == 2:
                del damaged[at : at + rng.choice((1, 4, 64))]
            else:
                damaged[at:at] = rng.choice((b"\xff" * 4, b"\0" * 8, b"9" * 20, b"[" * 50, rng.randbytes(3)))
            if not damaged:
                break
        with little_memory():
            targets.TARGETS[name](bytes(damaged), tmp_path / "read")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("seeds", "size", "styles", "out", "name", "maps", "jobs", "file", "mix", "tile", "psi", "iterations", "clips")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.dictionaries(st.sampled_from(FIELDS), PLAIN, max_size=6), kind=st.integers(0, 7))
def test_parameters_of_any_value_become_settings_or_one_sentence(given, kind, tmp_path):
    import msgpack

    targets.params(bytes([kind]) + msgpack.packb(given), tmp_path)
