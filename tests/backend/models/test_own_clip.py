from __future__ import annotations

import json

import pytest
import torch
from latent_loom.backend.adaptation.clip import load_clip
from latent_loom.backend.errors import AlreadyExists, BadCheckpoint, BadRequest, Cancelled
from latent_loom.backend.job import Job
from latent_loom.backend.models.captioned_folder import read_captions
from latent_loom.backend.models.clips import find_clip, own_clips
from latent_loom.backend.models.own_clip import CaptionedPictures, OwnClipTraining, inherited, train_own_clip
from latent_loom.backend.models.store import Store
from latent_loom.backend.models.train_clip import build
from PIL import Image


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Red and blue pictures, captioned beside them; one without a caption."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(5):
        Image.new("RGB", (64, 70), (200, 30 * i, 20) if i % 2 else (20, 30 * i, 200)).save(folder / f"{i}.png")
        if i < 4:
            (folder / f"{i}.txt").write_text("Red lacquer!\na red floor\n" if i % 2 else "blue lacquer\n")
    return folder


def settings(images, **changes) -> OwnClipTraining:
    return OwnClipTraining(images=str(images), **({"steps": 4, "batch": 4, "warmup": 1} | changes))


def test_captions_are_read_from_all_three_places(tmp_path):
    (tmp_path / "a.txt").write_text("mossy slate\n\nwet slate\n")
    (tmp_path / "captions.csv").write_text('file,caption\nb.png,"old, cracked tar"\nb.png,...\n')
    (tmp_path / "captions.jsonl").write_text(json.dumps({"file": "sub/c.png", "caption": ["x y", "z"]}) + "\n")
    found = read_captions(tmp_path, ["a.png", "b.png", "sub/c.png", "d.png"])
    assert found == {"a.png": ["mossy slate", "wet slate"], "b.png": ["old, cracked tar"], "sub/c.png": ["x y", "z"]}


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("captions.jsonl", "{nonsense", "Line 1 of captions.jsonl is no JSON"),
        ("captions.jsonl", "[1]", "Line 1 of captions.jsonl names no picture"),
        ("captions.csv", "picture,words\na.png,stone", "Line 2 of captions.csv names no picture"),
        ("a.txt", b"\xff\xfe\xfa", "a.txt cannot be read"),
    ],
)
def test_captions_that_cannot_be_understood_are_a_sentence(tmp_path, file, content, complaint):
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadRequest, match=complaint):
        read_captions(tmp_path, ["a.png"])


def test_every_caption_of_a_picture_is_true_of_it():
    pictures = [torch.zeros(3, 64, 64, dtype=torch.uint8)] * 2
    settings = OwnClipTraining(images="x")
    data = CaptionedPictures(pictures, [["red floor", "Floor"], ["floor"]], settings.crops, 0)
    batch = data.batch(16, 3, augmented=False)
    assert batch.positive.diagonal().all()
    red = torch.tensor([text == "red floor" for text in batch.texts])
    assert red.any() and not red.all() and batch.positive[:, ~red].all() and not batch.positive[:, red].all()
    assert torch.equal(batch.images, data.batch(16, 3, augmented=False).images)


def test_a_clip_of_ones_own_is_found_by_name_reads_its_words_and_goes_on_exactly(images, tmp_path):
    whole, broken = Store(tmp_path / "a"), Store(tmp_path / "b")
    said: list[str] = []
    card = train_own_clip(settings(images), whole, "mine", say=said.append)
    assert card["steps_done"] == 4 and card["pictures"] == 4 and card["held_out"] == 0
    assert said[0] == "4.png was skipped: it has no caption." and "4 pictures with captions are few" in said[1]
    assert own_clips(whole.root) == ["mine"]
    clip = find_clip(whole.root, "mine")
    assert clip.name == "mine" and "lacquer" in clip.tokenizer.words and not clip.unknown_words("red floor")
    assert clip.embed_images(torch.rand(1, 3, 80, 80)).shape == (1, 128)
    assert str(tmp_path) not in (whole.root / "clips" / "mine" / "training.json").read_text()

    steps: list[int] = []
    with pytest.raises(Cancelled, match=r"Stopped after 2 steps.*'mine'"):
        stop = Job(lambda p: steps.append(p.done) if p.stage == "clip" else None, lambda: len(steps) == 1)
        train_own_clip(settings(images), broken, "mine", job=stop)
    train_own_clip(settings(images), broken, "mine")
    one, two = ((s.root / "clips" / "mine" / "open_clip_model.safetensors").read_bytes() for s in (whole, broken))
    assert one == two

    with pytest.raises(BadCheckpoint, match="other settings"):
        (images / "0.txt").write_text("blue lacquer and more words\n")
        train_own_clip(settings(images, steps=5), whole, "mine")
    (whole.root / "training" / "clip-mine" / "checkpoint.pt").unlink()
    with pytest.raises(AlreadyExists, match="'mine'"):
        train_own_clip(settings(images), whole, "mine")


def test_a_new_clip_begins_as_the_built_in_one_where_they_share_words():
    model, tokenizer, _ = build("clip", ["lacquer", "mossy", "stone"], 20)
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    builtin = load_clip("builtin")
    state = inherited(fresh, tokenizer)
    old = builtin.model.state_dict()
    assert torch.equal(state["visual.conv1.weight"], old["visual.conv1.weight"])
    words, known = tokenizer(["mossy lacquer"])[0], builtin.tokenizer(["mossy"])[0]
    rows, theirs = state["token_embedding.weight"], old["token_embedding.weight"]
    assert torch.equal(rows[words[1]], theirs[known[1]]) and torch.equal(rows[words[3]], theirs[known[2]])
    assert torch.equal(rows[words[2]], fresh["token_embedding.weight"][words[2]])
    model.load_state_dict(state)


def test_captions_that_are_all_the_same_teach_nothing(tmp_path):
    for name in ("a", "b"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("stone")
    with pytest.raises(BadRequest, match="fewer than two captions"):
        train_own_clip(settings(tmp_path), Store(tmp_path / "data"), "mine")
