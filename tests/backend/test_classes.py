"""Generators with classes: one is chosen, in pictures, walks, batches and training; and what is said where none is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings
from latent_loom.backend.errors import BadRequest, as_loom_error
from latent_loom.backend.job import Job
from latent_loom.backend.models.store import Store
from latent_loom.backend.service.handlers import HANDLERS, Context
from latent_loom.backend.textures.sheets import MARGIN
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.errors import ShapeError
from latent_loom.stylegan2.networks import Generator

from .adaptation.conftest import make_clip, make_generator

LOOK = {"generator": "classed", "size": [16, 16], "seeds": [0]}
GRID = {"generator": "classed", "size_px": 16, "seeds": [0], "styles": [["mossy", 0.0]]}
SHEET = {"generator": "classed", "size_px": 16, "count": 1, "amounts": [0.0]}
PROJECT = {"generator": "classed", "name": "wall", "steps": 1, "preview_every": 0}
PICTURE = {"picture": np.zeros((16, 16, 3), np.uint8)}
PROMPTS = {"source": "stone", "target": "mossy stone", "batch": 2, "iterations": 1}


@pytest.fixture
def ask(tmp_path):
    store = Store(tmp_path / "data")
    torch.manual_seed(0)
    sizes = {"z_dim": 8, "w_dim": 8, "resolution": 16, "channels": (8, 8, 8), "mapping_layers": 2, "tile": "xy"}
    for name, classes in (("classed", 3), ("plain", 0)):
        store.add_generator(Generator(GeneratorConfig(**sizes, c_dim=classes)), name)

    def handle(request, params, arrays=None):
        try:
            return HANDLERS[request](Context(store=store), params, arrays or {}, Job())
        except ShapeError as error:
            raise as_loom_error(error) from error

    return handle


def picture(ask, **changes) -> np.ndarray:
    return ask("generate", LOOK | changes).arrays["color"]


def test_every_class_has_pictures_of_its_own_and_the_first_is_taken_where_none_is_chosen_and_that_is_said(ask):
    none, *classes = (picture(ask, class_index=n) for n in (None, 0, 1, 2))
    assert np.array_equal(none, classes[0])
    assert all((a != b).any() for a, b in ((classes[0], classes[1]), (classes[1], classes[2])))
    (told,) = ask("generate", LOOK).value["warnings"]
    assert "classes 0 to 2" in told and "the first, 0, is used" in told
    assert ask("generate", LOOK | {"class_index": 1}).value["warnings"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"class_index": 3}, "has the classes 0 to 2; class 3"),
        ({"class_index": -1}, "give its number, from 0 on"),
        ({"generator": "plain", "class_index": 0}, "has no classes; class 0"),
    ],
)
def test_a_class_that_is_not_there_is_refused_in_a_sentence(ask, tmp_path, changes, said):
    with pytest.raises(BadRequest, match=said):
        picture(ask, **changes)
    with pytest.raises(BadRequest, match=said):
        ask("walk", LOOK | {"seeds": [0, 1], "frames": 2, "out": str(tmp_path / "walk")} | changes)
    out = {"out": str(tmp_path / "out")}
    projected = PROJECT | {"clip": "no-such"}  # is not looked for
    for request, params in (("grid", GRID | out), ("directions", SHEET | out), ("project", projected | out)):
        with pytest.raises(BadRequest, match=said):
            ask(request, params | changes, PICTURE if request == "project" else None)
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadRequest, match=said.replace("give its number, from 0 on", "class_index must be")):
        ask("adapt", {"generator": "classed", "name": "a"} | PROMPTS | changes)


def test_models_tell_how_many_classes_a_generator_has(ask):
    assert {g["name"]: g["classes"] for g in ask("models", {}).value["generators"]} == {
        "builtin": 0, "classed": 3, "plain": 0,
    }  # fmt: skip


@pytest.mark.parametrize("interpolation", ["w", "z"])
def test_a_walk_begins_with_the_picture_of_its_class(ask, tmp_path, interpolation):
    out = tmp_path / interpolation
    asked = LOOK | {"seeds": [0, 1], "frames": 2, "class_index": 2, "interpolation": interpolation, "out": str(out)}
    value = ask("walk", asked).value
    assert value["warnings"] == [] and np.array_equal(read(value["files"][0]["path"]), picture(ask, class_index=2)[0])


def test_a_batch_s_items_choose_their_classes_and_its_manifest_makes_them_again(ask, tmp_path):
    items = [{"name": "first"}, {"name": "third", "class": 2}, {"name": "none", "class_index": 9}]
    jobs = {"defaults": {"generator": "classed", "size": 16, "seeds": [0]}, "items": items}
    made = ask("batch", {"jobs": jobs, "out": str(tmp_path / "set")}).value
    assert [failed["name"] for failed in made["failed"]] == ["none"] and "class 9" in made["failed"][0]["message"]
    assert ["the first, 0, is used" in told for told in made["warnings"]] == [True]
    again = ask("batch", {"file": made["manifest"], "out": str(tmp_path / "again")}).value
    assert again["written"] == 2 and again["failed"] == []
    for folder in ("set", "again"):
        assert np.array_equal(read(tmp_path / folder / "third-0_color.png"), picture(ask, class_index=2)[0])


def test_a_kept_texture_keeps_its_class(ask):
    ask("keep", {"generator": "classed", "seed": 0, "name": "wall", "class_index": 1})
    assert np.array_equal(picture(ask, seeds=["wall"]), picture(ask, class_index=1))
    assert ask("generate", LOOK | {"seeds": ["wall"]}).value["warnings"] == []


def test_a_grid_and_a_sheet_of_directions_show_their_class_and_say_where_none_was_chosen(ask, tmp_path):
    ask("adapt", PROMPTS | {"generator": "classed", "name": "mossy"})

    def shown(request, asked, **changes):
        value = ask(request, asked | {"out": str(tmp_path / f"{request}{changes}")} | changes).value
        return read(value["file"]), value["warnings"]

    for request, asked in (("grid", GRID), ("directions", SHEET)):
        (none, told), *classes = (shown(request, asked, class_index=n) for n in (None, 0, 1, 2))
        assert len(told) == 1 and "the first, 0, is used" in told[0]
        assert all(told == [] for _, told in classes)
        first, *pictures = (sheet[-MARGIN - 16 :] for sheet in (none, *(sheet for sheet, _ in classes)))
        assert np.array_equal(first, pictures[0])
        assert all((a != b).any() for a, b in pairwise(pictures))
    ask("keep", {"generator": "classed", "seed": 0, "name": "wall", "class_index": 1})
    assert shown("grid", GRID, seeds=["wall"])[1] == []  # it has its class


def test_a_picture_is_projected_within_its_class_or_the_first_and_that_is_said(ask):
    def found(**changes):
        return ask("project", PROJECT | {"overwrite": True} | changes, PICTURE).value

    def points():
        return ask("generate", LOOK | {"seeds": ["wall"]}).arrays["color"]

    none, drawn = found(), {None: points()}
    assert len(none["warnings"]) == 1 and "the first, 0, is used" in none["warnings"][0]
    for n in range(3):
        assert found(class_index=n)["warnings"] == []
        drawn[n] = points()
    assert np.array_equal(drawn[None], drawn[0])
    assert all((drawn[a] != drawn[b]).any() for a, b in ((0, 1), (1, 2)))


def test_a_style_is_trained_and_measured_on_its_class_or_on_all_by_turns(ask):
    clip, generator = make_clip(), make_generator(c_dim=3)
    w = [generator.map(torch.zeros(1, 8), labels=generator.labels([n])) for n in range(3)]

    def classes(ws: torch.Tensor) -> set[int]:
        """By the nearest class centre of a generator whose latents say little beside their class."""
        return {min(range(3), key=lambda n: (one - w[n][0]).norm().item()) for one in ws}

    with torch.no_grad():
        generator.mapping.fc0.weight[:, :8] *= 1e-3  # z
        w = [generator.map(torch.ones(1, 8), labels=generator.labels([n])) for n in range(3)]
    for chosen, wanted in ((None, {0, 1, 2}), (1, {1})):
        settings = AdaptSettings(**PROMPTS | {"batch": 8}, class_index=chosen)
        run = Adaptation(generator, settings, clips=[clip], judge=clip)
        assert classes(run.draw().ws) == classes(run.subject.fixed(8).ws) == wanted
    told = ask("adapt", PROMPTS | {"generator": "classed", "name": "all"}).value["warnings"]
    assert len(told) == 1 and "trained on all of them" in told[0]
    assert ask("adapt", PROMPTS | {"generator": "classed", "name": "one", "class_index": 1}).value["warnings"] == []


def read(path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as opened:
        return np.asarray(opened)
