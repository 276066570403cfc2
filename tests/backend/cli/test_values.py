from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from latent_loom.backend.cli import values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", [0]),
        ("0-3", [0, 1, 2, 3]),
        ("3,7,12", [3, 7, 12]),
        ("5-5", [5]),
        ("9, 0-1", [9, 0, 1]),
        ("4294967295", [4294967295]),
    ],
)
def test_seeds_are_single_numbers_and_ranges_in_the_order_written(text, expected):
    assert values.seeds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ",", "1,", "a", "-1", "1-", "-", "1.5", "3-1", "1--2", "0-999999999", "4294967296", "1_0", "9" * 50],
)
def test_malformed_seeds_are_refused_with_a_sentence(text):
    with pytest.raises(ArgumentTypeError, match=r"\.$"):
        values.seeds(text)


@given(st.text())
def test_any_text_is_either_seeds_or_refused(text):
    try:
        found = values.seeds(text)
    except ArgumentTypeError:
        return
    assert found and all(0 <= seed <= values.LARGEST_SEED for seed in found)


def test_a_size_is_width_first():
    assert values.size("512x256") == (512, 256)
    assert values.size("64X32") == (64, 32)


def test_a_single_number_is_a_square():
    assert values.size("512") == (512, 512)


@pytest.mark.parametrize("text", ["", "x", "512x", "x512", "-1x5", "axb", "1x2x3", "5.5x5"])
def test_malformed_sizes_are_refused_with_the_right_form(text):
    with pytest.raises(ArgumentTypeError, match="WIDTHxHEIGHT"):
        values.size(text)


@pytest.mark.parametrize("text", ["0x512", "512x0", "100000x16"])
def test_sizes_that_no_picture_has_are_refused(text):
    with pytest.raises(ArgumentTypeError, match="out of range"):
        values.size(text)


def test_a_style_has_the_strength_one_unless_written():
    assert values.style("mossy") == ("mossy", 1.0)
    assert values.style("mossy:0.8") == ("mossy", 0.8)
    assert values.style("mossy:-0.5") == ("mossy", -0.5)


@pytest.mark.parametrize("text", ["", ":1", "mossy:", "mossy:x", "mossy:nan", "mossy:inf", "mossy:1:2"])
def test_malformed_styles_are_refused_with_the_right_form(text):
    with pytest.raises(ArgumentTypeError, match=r"like mossy:0\.8|give a number from"):
        values.style(text)


def test_maps_are_listed_or_all():
    assert values.maps("color, normal") == ["color", "normal"]
    assert values.maps("all") == list(values.MAPS)


def test_an_unknown_map_is_named_beside_the_known_ones():
    with pytest.raises(ArgumentTypeError, match=r"no map 'bump'.*choose from color"):
        values.maps("color,bump")


def test_iterations_are_auto_or_a_number():
    assert values.iterations("auto") == "auto"
    assert values.iterations("30") == 30
    for text in ("0", "-3", "many", "1.5", ""):
        with pytest.raises(ArgumentTypeError, match="or auto"):
            values.iterations(text)


@pytest.mark.parametrize("text", ["nan", "inf", "", "x"])
def test_numbers_are_finite(text):
    with pytest.raises(ArgumentTypeError):
        values.number(text)


def test_an_empty_path_is_a_slip_and_not_the_current_folder():
    with pytest.raises(ArgumentTypeError):
        values.path("")
    assert values.path("a/b") == Path("a/b")
    assert values.path("~/x") == Path.home() / "x"
