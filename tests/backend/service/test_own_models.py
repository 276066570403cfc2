"""Full CLIPs, generators of one's own pictures and what the disk holds, through the handlers."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import AlreadyExists, BadCheckpoint, BadRequest, Cancelled, DownloadFailed, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.models import download as downloads
from latent_loom.backend.models import full_clips
from latent_loom.backend.models.clips import find_clip, own_clips
from latent_loom.backend.models.full_clips import FullClip
from latent_loom.backend.service.handlers import HANDLERS, Context
from PIL import Image

from ..models.file_server import Server
from .conftest import small_generator

TINY = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A CLIP of the full ones' form with random weights, known to open_clip as loom-tiny: (model, its file)."""
    import open_clip
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("configs")
    (folder / "loom-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model("loom-tiny").eval()
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "weights")
    return model, (folder / "weights").read_bytes()


@pytest.fixture
def server(monkeypatch, tiny):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(downloads, "PAUSES_S", (0.01, 0.01))
    server = Server()
    server.manners.content = tiny[1]
    clip = FullClip(name="loom-tiny:test", url=server.url("/weights"), mb=1, licence="CC0", about="tiny")
    monkeypatch.setitem(full_clips.FULL_CLIPS, clip.name, clip)
    yield server
    server.close()


def ask(store, type, job=None, **params):
    return HANDLERS[type](Context(store=store), params, {}, job or Job()).value


def clips(store):
    return {clip["name"]: clip for clip in ask(store, "models")["clips"]}


def test_a_full_clip_is_fetched_once_and_then_works_without_a_network(store, server, tiny):
    import open_clip

    told = clips(store)["loom-tiny:test"]
    assert (told["there"], told["licence"], told["mb"]) == (False, "CC0", 1)
    ask(store, "fetch_clip", name="loom-tiny:test")
    assert clips(store)["loom-tiny:test"]["there"] and own_clips(store.root) == []
    asked = len(server.manners.asked)
    ask(store, "fetch_clip", name="loom-tiny:test")
    assert len(server.manners.asked) == asked, "it is there already"
    server.close()
    found = find_clip(store.root, "loom-tiny:test")
    with torch.no_grad():
        want = tiny[0].encode_text(open_clip.get_tokenizer("ViT-B-32")(["stone"]))
    assert found.name == "loom-tiny:test" and found.size == 32
    assert torch.allclose(found.embed_texts(["stone"]), want / want.norm(dim=-1, keepdim=True), atol=1e-6)


def test_a_download_that_is_cancelled_goes_on_where_it_stopped(store, server):
    stop = threading.Event()
    server.manners.breaks = [300_000] * 3
    with pytest.raises((Cancelled, DownloadFailed)):
        ask(store, "fetch_clip", Job(report=lambda progress: stop.set(), cancelled=stop.is_set), name="loom-tiny:test")
    assert not clips(store)["loom-tiny:test"]["there"]
    server.manners.breaks = []
    ask(store, "fetch_clip", name="loom-tiny:test")
    assert server.manners.asked[-1][0] is not None, "it began anew"
    assert clips(store)["loom-tiny:test"]["there"]


def test_what_is_no_clip_is_refused_and_nothing_is_kept(store, server):
    server.manners.content = b"<html>sign in first</html>"
    with pytest.raises(BadCheckpoint, match="not the weights of loom-tiny:test"):
        ask(store, "fetch_clip", name="loom-tiny:test")
    assert not clips(store)["loom-tiny:test"]["there"] and not list((store.root / "downloads").glob("*/weights"))


def test_an_unknown_clip_is_answered_with_near_names(store):
    with pytest.raises(NotFound, match="ViT-B-32:openai"):
        ask(store, "fetch_clip", name="ViT-B-32:openia")


def test_a_clip_is_deleted_and_the_built_in_one_is_not(store, server):
    ask(store, "fetch_clip", name="loom-tiny:test")
    ask(store, "delete_clip", name="loom-tiny:test")
    assert not clips(store)["loom-tiny:test"]["there"]
    with pytest.raises(NotFound):
        ask(store, "delete_clip", name="loom-tiny:test")
    with pytest.raises(BadRequest, match="part of the program"):
        ask(store, "delete_clip", name="builtin")
    with pytest.raises(NotFound):
        ask(store, "delete_clip", name="../generators")


def test_every_full_clip_is_one_of_open_clip_s_with_its_settings():
    import open_clip

    for clip in full_clips.FULL_CLIPS.values():
        assert open_clip.get_pretrained_cfg(clip.architecture, clip.tag)["hf_hub"].rstrip("/") in clip.url
        config = full_clips._config(clip)
        assert config["model_cfg"]["quick_gelu"] and len(config["preprocess_cfg"]["mean"]) == 3


def test_a_generator_is_trained_on_a_folder_cancelled_and_gone_on_with(store, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 256, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    seen = []
    wanted = {"name": "mine", "images": str(folder), "size": 64, "total": 48, "save_every": 16}
    with pytest.raises(Cancelled, match="goes on from there"):
        trains = Job(report=seen.append, cancelled=lambda: any(told.stage == "generator" for told in seen))
        ask(store, "train_generator", trains, **wanted)
    assert store.generator("mine").config.resolution == 64
    before = len(seen)
    value = ask(store, "train_generator", Job(report=seen.append), **wanted)
    assert value["generator"]["name"] == "mine" and any("4" in sentence for sentence in value["warnings"])
    steps = [told.done for told in seen[before:] if told.stage == "generator"]
    assert steps == [3], "it began anew"
    sheet = next(progress.preview for progress in reversed(seen) if progress.preview is not None)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and max(sheet.shape) <= 640
    ask(store, "delete_generator", name="mine")
    assert not (store.root / "training" / "mine").exists()
    assert "mine" not in [entry.name for entry in store.generators()]


def test_a_folder_without_pictures_and_a_name_that_is_taken_are_refused(store, tmp_path):
    with pytest.raises((BadRequest, NotFound)):
        ask(store, "train_generator", name="mine", images=str(tmp_path / "nowhere"))
    store.add_generator(small_generator(), "taken")
    with pytest.raises(AlreadyExists):
        ask(store, "train_generator", name="taken", images=str(tmp_path))
    with pytest.raises(BadRequest, match="whole path"):
        ask(store, "train_generator", name="mine", images="pictures")


def test_the_built_in_generator_is_not_deleted(store):
    with pytest.raises(BadRequest, match="part of the program"):
        ask(store, "delete_generator", name="builtin")


def test_the_disk_is_told_by_folders(store):
    before = ask(store, "disk")["parts"]["generators"]
    entry = store.add_generator(small_generator(), "tiny2")
    told = ask(store, "disk")
    assert told["parts"]["generators"] == before + entry.bytes and told["free_bytes"] > 0
    assert told["root"] == str(store.root)
