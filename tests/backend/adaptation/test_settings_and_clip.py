from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation.clip import WordTokenizer, check_prompt, load_clip
from latent_loom.backend.adaptation.settings import AdaptSettings
from latent_loom.backend.errors import BadCheckpoint, BadRequest, NotFound, PromptError
from latent_loom.backend.models.train_clip import ClipTraining, train_clip


@pytest.mark.parametrize(("source", "target", "which"), [("", "moss", "source"), ("stone", "  ", "target")])
def test_an_empty_prompt_is_refused_before_work_starts(source, target, which):
    with pytest.raises(PromptError, match=f"The {which} prompt is empty"):
        AdaptSettings(source=source, target=target)


def test_source_equal_to_target_is_refused_whatever_the_case_and_spacing():
    with pytest.raises(PromptError, match="same prompt"):
        AdaptSettings(source="mossy stone", target=" Mossy  Stone")


@pytest.mark.parametrize(
    "change",
    [
        {"method": "magic"},
        {"iterations": 0},
        {"seed": -1},
        {"batch": 0},
        {"rank": 0},
        {"learning_rate": 0},
        {"clips": ()},
        {"tile": "z"},
    ],
)
def test_settings_out_of_range_are_refused_by_name(change):
    with pytest.raises(BadRequest, match=f"(?i){next(iter(change)).rstrip('s')}"):
        AdaptSettings(source="a", target="b", **change)


def test_the_word_tokenizer_puts_the_highest_id_at_the_end_of_the_text():
    tokenizer = WordTokenizer(["mossy", "stone"], context_length=6)
    tokens = tokenizer(["Mossy stone!", "unheard-of stone", "stone " * 20])
    assert tokens.tolist()[0] == [4, 2, 3, 5, 0, 0]
    assert tokens.tolist()[1] == [4, 1, 1, 3, 5, 0]
    assert tokens.argmax(1).tolist() == [3, 4, 5]


def test_a_full_clip_knows_every_word(clip):
    clip = type(clip)("full", clip.model, lambda texts: None, clip.templates, size=64, mean=(0.5,) * 3, std=(0.5,) * 3)
    check_prompt(clip, "a watercolour of a zebra")


def test_an_unknown_clip_offers_near_names():
    with pytest.raises(NotFound, match="ViT-B-32"):
        load_clip("ViT-B32:openai")
    with pytest.raises(NotFound, match="there are: openai"):
        load_clip("ViT-B-32:nobody")
    with pytest.raises(NotFound, match="There is no CLIP in"):
        load_clip("local-dir:nowhere")


@pytest.mark.parametrize(("tag", "quick"), [("openai", True), ("laion2b_s34b_b79k", False)])
def test_a_full_clip_gets_the_activation_that_its_weights_were_trained_with(monkeypatch, tag, quick):
    import open_clip

    asked = {}

    def no_network(architecture, **options):
        asked.update(options)
        raise OSError("offline")

    monkeypatch.setattr(open_clip, "create_model", no_network)
    with pytest.raises(BadCheckpoint, match="could not be fetched"):
        load_clip(f"ViT-B-32:{tag}")
    assert asked["pretrained"] == tag and asked["force_quick_gelu"] is quick


def test_the_recipe_writes_a_folder_that_loads_through_open_clip(tmp_path):
    card = train_clip(ClipTraining(steps=2, batch=4, bank=64, refresh=4), tmp_path / "clip", tmp_path / "work")
    clip = load_clip(f"local-dir:{tmp_path / 'clip'}")
    assert card["steps_done"] == 2 and 0 <= card["retrieval_top1"] <= 1
    assert "mossy" in clip.tokenizer.words and clip.size == 64
    images = torch.rand(2, 3, 48, 48) * 2 - 1
    features = clip.embed_images(images)
    assert features.shape == (2, 128) and torch.allclose(features.norm(dim=1), torch.ones(2), atol=1e-5)
    assert clip.embed_prompt("mossy stone").shape == (len(clip.templates), 128)


def test_any_open_clip_architecture_goes_the_same_way(tmp_path, monkeypatch):
    """A real ViT-B-32's layout with random weights, as a folder in open_clip's format, with CLIP's own tokenizer."""
    import json

    import open_clip
    from open_clip.factory import get_model_config
    from safetensors.torch import save_file

    config = get_model_config("ViT-B-32") | {"embed_dim": 64}
    config["vision_cfg"] |= {"layers": 1, "width": 64, "head_width": 32}
    config["text_cfg"] |= {"layers": 1, "width": 64, "heads": 2}
    torch.manual_seed(0)
    model = open_clip.model.CLIP(**config)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    clip = load_clip(f"local-dir:{tmp_path}")
    assert clip.size == 224 and len(clip.templates) == 80
    assert clip.embed_prompt("a zebra made of stone").shape == (80, 64)
    assert clip.embed_images(torch.rand(1, 3, 256, 256)).shape == (1, 64)


def test_texts_that_one_number_of_threads_embedded_are_not_taken_for_another(monkeypatch):
    """Their last bits differ: a run would not repeat the one of a fresh process."""
    clip, before, embedded = load_clip("builtin"), torch.get_num_threads(), []
    embed = clip.embed_texts
    monkeypatch.setattr(clip, "embed_texts", lambda texts: embedded.append(torch.get_num_threads()) or embed(texts))
    try:
        for threads in (1, 2, 1, 2):
            torch.set_num_threads(threads)
            clip.embed_prompt("burnt purple bark")
    finally:
        torch.set_num_threads(before)
    assert embedded == [1, 2]
