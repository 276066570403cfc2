from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from latent_loom.backend.errors import BadRequest, PromptError
from latent_loom.backend.service.parameters import parse


@dataclass(frozen=True, kw_only=True)
class Look:
    name: str
    size: tuple[int, int] = (512, 512)
    styles: tuple[tuple[str, float], ...] = ()
    iterations: int | Literal["auto"] = "auto"
    rate: float | None = None
    loop: bool = False
    jobs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.name == "empty":
            raise PromptError("The prompt is empty.")
        if self.name == "odd":
            raise ValueError("that is odd")


@dataclass(frozen=True, kw_only=True)
class Folder:
    out: Path | None = None


def one(**params):
    return parse("make", params, Look)[0]


def test_what_comes_over_the_wire_becomes_what_the_settings_want():
    look, folder = parse(
        "make",
        {"name": "a", "size": [64, 32], "styles": [["mossy", 1], ["worn", 0.5]], "iterations": 7, "out": "/tmp/x"},
        Look,
        Folder,
    )
    assert look.size == (64, 32)
    assert look.styles == (("mossy", 1.0), ("worn", 0.5))
    assert isinstance(look.styles[0][1], float)
    assert look.iterations == 7
    assert folder.out == Path("/tmp/x")


def test_an_unknown_parameter_is_named_with_near_names():
    with pytest.raises(BadRequest, match=r"make has no parameter 'sise'; did you mean 'size'\?"):
        one(name="a", sise=[1, 2])


def test_an_unknown_parameter_without_near_names_is_answered_with_all():
    with pytest.raises(BadRequest, match="it has: name, size, styles"):
        one(name="a", zzzzz=1)


def test_a_missing_parameter_is_named():
    with pytest.raises(BadRequest, match="make needs the parameter 'name'"):
        one()


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"name": 3}, "name must be text, not 3"),
        ({"size": [1, 2, 3]}, "size must be a list of 2"),
        ({"size": "512x512"}, "size must be a list"),
        ({"size": [1.5, 2]}, "size must be a whole number"),
        ({"styles": [["mossy", "strong"]]}, "styles must be a number"),
        ({"iterations": "many"}, "iterations must be a whole number or one of auto"),
        ({"iterations": True}, "iterations must be a whole number"),
        ({"rate": float("nan")}, "rate must be a number or nothing"),
        ({"loop": 1}, "loop must be true or false"),
        ({"jobs": [1]}, "jobs must be a map"),
    ],
)
def test_a_value_of_another_type_is_refused_in_a_sentence(params, sentence):
    with pytest.raises(BadRequest, match=sentence):
        one(**{"name": "a", **params})


def test_a_path_with_a_zero_byte_is_refused():
    with pytest.raises(BadRequest, match="out must be a path"):
        parse("make", {"out": "/tmp/\0x"}, Folder)


def test_what_the_settings_refuse_themselves_comes_out_as_it_is():
    with pytest.raises(PromptError, match="The prompt is empty"):
        one(name="empty")


def test_a_plain_value_error_of_the_settings_becomes_a_bad_request():
    with pytest.raises(BadRequest, match="make: that is odd"):
        one(name="odd")


def test_a_long_value_is_shortened_in_the_sentence():
    with pytest.raises(BadRequest) as caught:
        one(name=["x" * 10_000])
    assert len(str(caught.value)) < 200
