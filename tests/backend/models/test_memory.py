"""Loaded models: a budget, the oldest go first, idle ones go in time, all go when asked; memory is looked at before."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.errors import OutOfMemory
from latent_loom.backend.models import memory
from latent_loom.backend.models.memory import MIB, MODELS, Models, Pool, nbytes_of
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures import memory as textures_memory
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator


def model(mib=1):
    return torch.zeros(mib * MIB, dtype=torch.uint8)


class Made:
    """Counts what was made."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return model()


def test_what_was_used_longest_ago_goes_first():
    pool, made = Pool(3 * MIB), {name: Made() for name in "abcd"}
    for name in ("a", "b", "c", "a", "d"):  # b is the oldest when d comes
        pool.get((name,), made[name])
    for name in "acd":
        pool.get((name,), made[name])
    assert [made[name].count for name in "acd"] == [1, 1, 1]
    pool.get(("b",), made["b"])
    assert made["b"].count == 2 and pool.nbytes == 3 * MIB


def test_room_is_made_before_a_model_is_loaded():
    pool = Pool(3 * MIB)
    pool.get(("old",), model)
    seen = []
    pool.get(("new",), lambda: (seen.append(pool.nbytes), model(3))[1], expected=3 * MIB)
    assert seen == [0] and len(pool) == 1


def test_one_model_over_the_budget_is_kept_all_the_same():
    pool, made = Pool(0), Made()
    for _ in range(3):
        pool.get(("a",), made)
    assert made.count == 1 and len(pool) == 1


def test_of_a_kind_only_the_last_few_are_kept_whatever_room_there_is():
    pool = Pool(100 * MIB)
    for strength in range(10):
        pool.get(("styled", strength), model, most=3)
    pool.get(("clip",), model)
    assert len(pool) == 4


def test_idle_models_go_and_others_stay(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    pool = Pool(10 * MIB)
    pool.get(("old",), model)
    now[0] = 100.0
    pool.get(("new",), model)
    assert pool.forget(60.0) == MIB and len(pool) == 1
    assert pool.forget() == MIB and len(pool) == 0


def test_bytes_are_counted_in_modules_maps_and_dataclasses(tmp_path):
    linear = torch.nn.Linear(3, 5)
    assert nbytes_of(linear) == 4 * (15 + 5)
    assert nbytes_of({"a": torch.zeros(2), "b": (torch.zeros(3), "text", None)}) == 20


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path)
    config = GeneratorConfig(z_dim=4, w_dim=4, resolution=8, channels=(4, 4), mapping_layers=1)
    store.add_generator(Generator(config).eval(), "small")
    MODELS.free()
    return store


def test_a_store_s_models_are_freed_and_loaded_again(store):
    first = store.generator("small")
    assert store.generator("small") is first and MODELS.device.nbytes > 0
    assert MODELS.free() >= nbytes_of(first) and MODELS.device.nbytes == 0
    again = store.generator("small")
    assert again is not first and torch.equal(again.mapping.w_avg, first.mapping.w_avg)


def test_too_little_memory_is_said_before_anything_is_loaded_and_other_models_are_freed_for_it(store, monkeypatch):
    store.generator("small")
    frees = iter([10, 10])
    monkeypatch.setattr(textures_memory, "available_mib", lambda device: next(frees))
    with pytest.raises(OutOfMemory, match=r"Loading .* takes about 164 MiB, and 10 MiB are free; close other programs"):
        MODELS.make_sure(torch.device("cpu"), 100 * MIB, "Loading it")
    assert len(MODELS.device) == 0
    frees = iter([10, 1000])
    MODELS.make_sure(torch.device("cpu"), 100 * MIB, "Loading it")  # what was freed is enough


def test_the_budget_is_what_was_asked_for():
    models = Models()
    assert models.device.budget >= memory.LEAST_MIB * MIB
    models.set_budget(torch.device("cpu"), 7)
    assert models.device.budget == 7 * MIB
