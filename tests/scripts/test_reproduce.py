"""scripts/reproduce.py from end to end, on small generators and a CLIP folder of random weights."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from latent_loom.backend.cli.main import main as latent_loom
from latent_loom.stylegan2.checkpoints import export_rosinality
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

ROOT = Path(__file__).parents[2]
SMALL_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


def _load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reproduce():
    return _load("reproduce")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    """A CLIP in open_clip's folder format that reads any English text."""
    import open_clip
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    model = open_clip.CLIP(**SMALL_CLIP)
    save_file({n: t.contiguous() for n, t in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    look = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    about = {"model_cfg": SMALL_CLIP, "preprocess_cfg": look}
    (folder / "open_clip_config.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory, reproduce) -> Path:
    """A data folder with a generator of random weights under each name that the edits use."""
    folder = tmp_path_factory.mktemp("data")
    torch.manual_seed(0)
    config = GeneratorConfig(z_dim=16, w_dim=16, resolution=8, channels=(512, 512), mapping_layers=2)
    export_rosinality(Generator(config), folder / "small.pt")
    for name in {edit.generator for edit in reproduce.EDITS}:
        assert latent_loom(["import", str(folder / "small.pt"), "--name", name, "--data", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("more", [("--only", "sketch", "dog-to-cat"), ("--only", "hut", "--ours")])
def test_the_edits_run_from_end_to_end(reproduce, data, clip_folder, tmp_path, more, capsys):
    code = reproduce.main(
        [
            *("--out", str(tmp_path), "--data", str(data), "--clip", f"local-dir:{clip_folder}", "--threads", "1"),
            *("--iterations", "2", "--seeds", "0-1", "--size", "16x16", *more),
        ]
    )
    assert code == 0, capsys.readouterr().err
    for name in ("hut",) if "hut" in more else ("sketch", "dog-to-cat"):
        for folder in ("before", "after"):
            assert len(list((tmp_path / name / folder).glob("*.png"))) == 2


def test_the_document_lists_the_edits_of_the_script(reproduce):
    text = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ([\w-]+) \| (.+) -> (.+) \| ([\w-]+) \| (\d+) \|$", text, re.M)
    assert rows == [(e.name, e.generator, e.source, e.target, e.kind, str(e.iterations)) for e in reproduce.EDITS]


def test_the_document_s_commands_are_the_script_s(reproduce, capsys):
    reproduce.main(["--out", "edits", "--print"])
    printed = [set(line.split()) for line in capsys.readouterr().out.splitlines()]
    text = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8").replace("\\\n", " ")
    by_hand = [line.split() for line in text.splitlines() if line.startswith("    latent-loom adapt")]
    assert len(by_hand) == 3
    for command in by_hand[:2]:
        assert any(set(command) <= line for line in printed), command
