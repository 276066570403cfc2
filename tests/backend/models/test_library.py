"""The library of styles: what fits what, differences of generators, and files that come from others."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation.difference import difference
from latent_loom.backend.adaptation.style import DOWN, UP, Style, blend
from latent_loom.backend.errors import AlreadyExists, BadCheckpoint, BadRequest, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.models.relatives import fit
from latent_loom.backend.service.handlers import HANDLERS, Context
from safetensors.torch import save

from ..textures.conftest import make_generator
from .conftest import BIAS, WEIGHT, make_snapshots, make_tensors, style_of


@pytest.fixture
def call(store):
    return lambda type, **params: HANDLERS[type](Context(store=store), params, {}, Job())


def make_child(change: float = 0.1):
    child = make_generator()
    with torch.no_grad():
        for parameter in child.synthesis.parameters():
            parameter.add_(change * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return child


def test_a_style_is_at_home_on_its_generator_warned_of_on_relatives_and_refused_elsewhere(store, call):
    store.add_generator(make_child(), "child")
    store.add_generator(make_generator(channels=(8, 8, 12, 6)), "wide")
    relations = {name: fit(store, "mossy", name) for name in ("builtin", "child", "wide")}
    assert [f.relation for f in relations.values()] == ["own", "relative", "foreign"]
    assert "same shapes and other weights" in relations["child"].reason
    assert f"{BIAS} of 8, which is 12 there" in relations["wide"].reason
    look = {"generator": "child", "styles": [["mossy@25", 1.0]], "size": [16, 16]}
    assert call("generate", **look).value["warnings"] == [fit(store, "mossy@25", "child").reason]
    assert call("generate", **look | {"generator": "builtin"}).value["warnings"] == []
    with pytest.raises(BadRequest, match="which is 12 there"):
        call("generate", **look | {"generator": "wide"})
    listed = call("styles", generator="wide").value["styles"]
    assert [(s["name"], s["relation"]) for s in listed] == [("mossy", "foreign")]


def test_finding_relatives_reads_no_weights(store, monkeypatch):
    store.add_generator(make_child(), "child")
    for loads in ("_load_generator",):
        monkeypatch.setattr(type(store), loads, lambda *_: pytest.fail("weights were read"))
    monkeypatch.setattr(Style, "load", lambda *_: pytest.fail("weights were read"))
    assert fit(store, "mossy", "child").relation == "relative"


def test_the_difference_of_two_generators_turns_one_into_the_other():
    parent, child = make_generator(), make_child()
    style = difference(parent, child, name="c", parent_name="p", child_name="c")
    turned = blend(parent, [(style, 1.0)])
    for name, parameter in child.named_parameters():
        assert torch.allclose(dict(turned.named_parameters())[name], parameter, atol=1e-6)
    assert not any(name.startswith("mapping.") for name in style.tensors)


def test_two_differences_at_one_half_are_the_mean_of_the_children():
    parent, a, b = make_generator(), make_child(0.1), make_child(-0.3)
    styles = [difference(parent, child, name="x", parent_name="p", child_name="c") for child in (a, b)]
    mixed = dict(blend(parent, [(style, 0.5) for style in styles]).named_parameters())
    for (name, pa), pb in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.allclose(mixed[name], (pa + pb) / 2, atol=1e-5)


def test_a_difference_of_the_same_or_of_other_shapes_is_refused():
    parent = make_generator()
    for child, said in (
        (make_generator(), "are the same"),
        (make_generator(channels=(8, 8, 12, 6)), "different shapes"),
    ):
        with pytest.raises(BadRequest, match=said):
            difference(parent, child, name="x", parent_name="p", child_name="c")


def test_the_requests_of_the_library_do_what_they_say(store, call, tmp_path):
    shown = call("show_style", name="mossy").value["style"]
    assert shown["fits"] == [{"generator": "builtin", "relation": "own", "reason": ""}]
    assert [point["iterations"] for point in shown["points"]] == [25, 50, 60]
    assert shown["settings"]["judge"] == "judge" and len(shown["generator_hash"]) == 64
    assert call("choose_snapshot", name="mossy", iterations=25.0).value["style"]["iterations"] == 25
    picture = call("show_style", name="mossy").arrays["thumbnail"]
    assert picture.shape == (1, 32, 32, 3) and picture.dtype == np.uint8
    assert call("rename_style", name="mossy", new_name="green").value["style"]["name"] == "green"
    assert call("export_style", name="green@60", file=str(tmp_path / "g.safetensors")).value["bytes"] > 0
    with pytest.raises(AlreadyExists):
        call("import_style", file=str(tmp_path / "g.safetensors"), name="green")
    taken = call("import_style", file=str(tmp_path / "g.safetensors"), name="given").value["style"]
    assert (taken["name"], taken["iterations"], taken["snapshots"]) == ("given", 60, [])
    assert torch.equal(store.style("given").tensors[BIAS], make_tensors(60)[BIAS])
    store.add_generator(make_child(), "child")
    derived = call("derive_style", generator="child", parent="builtin", name="child").value["style"]
    assert (derived["method"], derived["generator"]) == ("difference", "builtin")
    with pytest.raises(NotFound):
        call("import_style", file=str(tmp_path / "none"))


def hostile(tmp_path, tensors, info=None, **changes):
    """A style file with other tensors or other provenance than we would write."""
    path = tmp_path / "h.safetensors"
    about = json.loads(style_of(make_snapshots(1)[0]).info.to_json()) | changes
    path.write_bytes(save(tensors, {"latent_loom_style": info or json.dumps(about)}))
    return path


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({BIAS: torch.full((8,), float("nan"))}, "not finite"),
        ({BIAS: torch.zeros(8, dtype=torch.int64)}, "no change of a parameter"),
        ({"../../etc": torch.zeros(8)}, "no change of a parameter"),
        ({"x" * 300: torch.zeros(8)}, "no change of a parameter"),
        ({WEIGHT + UP: torch.zeros(8, 2)}, "half a low-rank change"),
        ({WEIGHT + DOWN: torch.zeros(2, 8, 3, 3)}, "half a low-rank change"),
        ({WEIGHT + UP: torch.zeros(8), WEIGHT + DOWN: torch.zeros(2, 8)}, "half a low-rank change"),
        ({WEIGHT + UP: torch.zeros(50_000, 1), WEIGHT + DOWN: torch.zeros(1, 50_000)}, "more than any generator"),
        ({"thumbnail": torch.zeros(4096, 4096, 3, dtype=torch.uint8)}, "no small picture"),
        ({"thumbnail": torch.zeros(4, 4, dtype=torch.uint8)}, "no small picture"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_honest_style_is_refused(call, tmp_path, tensors, said):
    with pytest.raises(BadCheckpoint, match=said):
        call("import_style", file=str(hostile(tmp_path, tensors)))


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "x" * 5000}, {"target": "\x1b[2J"}, {"iterations": "ten"}, {"seed": True},
        {"measures": {"q": "high"}},
        {"clips": [3]}, {"settings": {"a": float("nan")}}, {"name": 5}, {"format": "1"},
    ],
)  # fmt: skip
def test_provenance_that_no_run_writes_is_refused(call, tmp_path, changes):
    with pytest.raises(BadCheckpoint, match="damaged"):
        call("import_style", file=str(hostile(tmp_path, {BIAS: torch.zeros(8)}, **changes)))


def test_a_name_that_would_leave_the_folder_is_refused(call, tmp_path, store):
    path = hostile(tmp_path, {BIAS: torch.zeros(8)}, name="../../../evil")
    with pytest.raises(BadRequest, match="is not a name"):
        call("import_style", file=str(path))
    assert call("import_style", file=str(path), name="tame").value["style"]["name"] == "tame"


def test_a_deeply_nested_header_is_refused(call, tmp_path):
    path = hostile(tmp_path, {BIAS: torch.zeros(8)}, info="[" * 200_000)
    with pytest.raises(BadCheckpoint, match="damaged"):
        call("import_style", file=str(path))
