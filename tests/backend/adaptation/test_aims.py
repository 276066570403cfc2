"""Targets of every kind: several texts, negatives, pictures, both; bad ones each in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings, adapt
from latent_loom.backend.adaptation.aims import Pictures, find_aim, text_direction
from latent_loom.backend.adaptation.clip import unit
from latent_loom.backend.errors import BadRequest, NotFound, PromptError
from PIL import Image

OWN = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
TEXT = {"source": "stone", "target": "mossy stone"}


def aim_of(clip, **changes):
    settings = AdaptSettings(**changes)
    return find_aim(clip, settings, Pictures.read(settings, torch.device("cpu")), OWN)


@pytest.fixture
def picture(tmp_path):
    """Writes a file: `picture(name, array or PIL picture)`."""

    def write(name: str, pixels) -> str:
        (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(tmp_path / name)
        return tmp_path / name

    return write


def green(height: int = 40, width: int = 60) -> np.ndarray:
    noise = np.random.RandomState(0).randint(0, 60, (height, width, 3))
    return (noise + np.array([30, 120, 30])).astype(np.uint8)


def test_several_targets_are_the_weighted_mean_of_their_ways(clip):
    def difference(target: str) -> torch.Tensor:
        return (clip.embed_prompt(target) - clip.embed_prompt("stone")).mean(0)

    found = aim_of(clip, **TEXT, targets=(("wet stone", 0.5),))
    expected = unit((difference("mossy stone") + 0.5 * difference("wet stone")) / 1.5)
    assert torch.allclose(found.direction, expected, atol=1e-6)
    assert torch.allclose(found.weights, torch.tensor([2 / 3, 1 / 3]))


def test_a_negative_is_taken_away_from_the_direction(clip):
    wanted, avoided = text_direction(clip, "stone", "mossy stone"), text_direction(clip, "stone", "wet stone")
    found = aim_of(clip, **TEXT, negatives=(("wet stone", 0.4),)).direction
    assert found @ avoided < wanted @ avoided
    assert torch.allclose(found.norm(), torch.tensor(1.0))


def test_a_negative_that_cancels_the_target_is_refused_before_work_starts(clip):
    with pytest.raises(PromptError, match=r"'mossy stone' cancels the target.*less weight"):
        aim_of(clip, **TEXT, negatives=(("mossy stone", 1.0),))


def test_pictures_as_target_give_the_way_from_the_generators_own_pictures_to_them(clip, picture):
    path = picture("moss.png", green(32, 32))
    pixels = torch.from_numpy(green(32, 32)).permute(2, 0, 1)[None] / 127.5 - 1
    found = aim_of(clip, images=(path,))
    expected = unit(clip.embed_images(pixels)[0] - clip.embed_images(OWN).mean(0))
    assert torch.allclose(found.direction, expected, atol=1e-5)


def test_source_pictures_take_the_place_of_the_generators_own(clip, picture):
    target, source = picture("moss.png", green(32, 32)), picture("grey.png", np.full((32, 32, 3), 128, np.uint8))
    found = aim_of(clip, images=(target,), source_images=(source,))
    grey = torch.full((1, 3, 32, 32), 128 / 127.5 - 1)
    pixels = torch.from_numpy(green(32, 32)).permute(2, 0, 1)[None] / 127.5 - 1
    assert torch.allclose(found.direction, unit((clip.embed_images(pixels) - clip.embed_images(grey))[0]), atol=1e-5)


def test_text_and_pictures_are_mixed_by_weight(clip, picture):
    path = picture("moss.png", green())
    text, image = aim_of(clip, **TEXT).direction, aim_of(clip, images=(path,)).direction
    mixed = aim_of(clip, **TEXT, images=(path,), image_weight=2.0).direction
    assert torch.allclose(mixed, unit(text + 2 * image), atol=1e-5)


def test_a_style_of_pictures_says_how_many_and_holds_no_path(generator, clip, picture, tmp_path):
    path = picture("moss.png", green())
    settings = AdaptSettings(images=(path,), iterations=1, batch=2)
    style = adapt(generator, settings, clips=[clip], judge=clip)
    assert style.info.target == "1 picture" and len(style.info.settings["images"][0]) == 64
    assert str(tmp_path) not in style.info.to_json()


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((1, 1, 3), np.uint8), "only 1x1 px"),
        (np.zeros((40, 40, 4), np.uint8), "transparent all over"),
    ],
)
def test_pictures_that_show_nothing_are_refused_by_name(generator, clip, picture, pixels, said):
    with pytest.raises(BadRequest, match=f"odd.png.*{said}"):
        Adaptation(generator, AdaptSettings(images=(picture("odd.png", pixels),)), clips=[clip])


def test_damaged_missing_and_huge_pictures_are_refused_by_name(generator, clip, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (70_000, 8)).save(tmp_path / "huge.png")
    for name, error, said in (
        ("text.png", BadRequest, "cannot be read as a picture"),
        ("gone.png", NotFound, "There is no picture"),
        ("huge.png", BadRequest, "larger than"),
    ):
        with pytest.raises(error, match=said):
            Adaptation(generator, AdaptSettings(images=(tmp_path / name,)), clips=[clip])


def test_grey_sixteen_bit_and_half_transparent_pictures_are_good_targets(clip, picture):
    half = np.dstack([green(), np.where(np.arange(60) < 30, 0, 255)[None].repeat(40, 0)]).astype(np.uint8)
    sixteen = Image.fromarray(np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16))
    for name, pixels in (("grey.png", green()[..., 0]), ("deep.png", sixteen), ("half.png", half)):
        assert torch.isfinite(aim_of(clip, images=(picture(name, pixels),)).direction).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "target prompt is empty.*or give pictures"),
        ({"target": "moss"}, "source prompt is empty"),
        ({"source": "stone", "targets": (("moss", 1.0),)}, "first of several targets"),
        ({**TEXT, "targets": (("wet stone", 0.0),)}, "weight of 'wet stone'"),
        ({**TEXT, "negatives": ((" ", 1.0),)}, "prompts is empty"),
        ({**TEXT, "negatives": (("stone", 1.0),)}, "negative 'stone' is the source itself"),
        ({**TEXT, "targets": ((" Stone", 1.0),)}, "same prompt"),
        ({**TEXT, "batch": 1, "in_domain": 1.0}, "in_domain compares the pictures of a batch"),
        ({**TEXT, "batch": 1, "diversity": 0.5}, "diversity compares the pictures of a batch"),
        ({**TEXT, "method": "style", "keep_share": 0.5, "iterations": 1}, "give 2 iterations or more"),
        ({"images": ("a.png",), "negatives": (("wet", 1.0),)}, "need a target prompt"),
        ({**TEXT, "source_images": ("a.png",)}, "need target pictures"),
        ({**TEXT, "image_weight": 2.0}, "image_weight weighs pictures against text"),
        ({**TEXT, "images": tuple("abcdefgh" * 9)}, "At most 64 pictures"),
        ({**TEXT, "rank": 2, "method": "full"}, "rank means nothing to the method full"),
        ({**TEXT, "coarse": False, "method": "layers"}, "coarse means nothing to the method layers"),
        ({**TEXT, "keep_share": 0.2}, "keep_share means nothing to the method lowrank"),
        ({**TEXT, "top_layers": 3}, "top_layers means nothing"),
        ({**TEXT, "select_every": 10}, "select_every means nothing to the method lowrank"),
        ({**TEXT, "patch_size": 0.3}, "patch_size means nothing without the patch loss"),
        ({**TEXT, "directional": 0.0, "contrast": 0.0}, "No loss leads to the target"),
        ({"images": ("a.png",), "directional": 0.0}, "No loss leads to the target"),
        ({"images": ("a.png",), "patch": 1.0}, "patch loss compares with texts"),
        ({**TEXT, "precision": "half"}, "no precision 'half'"),
        ({**TEXT, "clips": ("builtin*x",)}, "'builtin.x' is not a CLIP with a weight"),
        ({**TEXT, "clips": ("builtin*0",)}, "weight above 0"),
        ({**TEXT, "patch_size": 0}, "patch_size must be between"),
    ],
)
def test_contradictory_and_empty_requests_are_refused_in_a_sentence(changes, said):
    with pytest.raises((BadRequest, PromptError), match=said):
        AdaptSettings(**changes)


def test_a_whole_aim_reads_as_one_line():
    settings = AdaptSettings(
        **TEXT, targets=(("wet stone", 0.5),), negatives=(("green", 1.0),), images=("a.png", "b.png")
    )
    assert settings.described_target() == "mossy stone + 0.5 wet stone + 2 pictures - 1 green"


def test_unknown_words_of_every_prompt_are_named(generator, clip):
    with pytest.raises(PromptError, match="'grenish'"):
        Adaptation(generator, AdaptSettings(**TEXT, negatives=(("grenish", 1.0),)), clips=[clip])
