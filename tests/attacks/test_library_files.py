"""Styles, snapshots and kept textures from somebody else: damaged or made to lie, they are refused in one sentence."""

from __future__ import annotations

import random

import pytest
import torch
from latent_loom.backend.adaptation.snapshots import load_snapshots, save_snapshots
from latent_loom.backend.adaptation.style import Style
from latent_loom.backend.errors import LoomError
from latent_loom.backend.models.kept_library import KeptLibrary
from latent_loom.backend.textures.kept import KeptInfo, KeptTexture, halved
from latent_loom.stylegan2.inputs import draw_inputs

from ..backend.models.conftest import make_snapshots, style_of
from ..backend.textures.conftest import make_generator

READERS = {
    "style": Style.load,
    "snapshots": load_snapshots,
    "texture": KeptTexture.load,
    "list": lambda path: KeptLibrary(path.parent).entries(),
}


@pytest.fixture
def whole_files(tmp_path) -> dict[str, bytes]:
    shots = make_snapshots(25, 50)
    style = style_of(shots[0])
    style.save(tmp_path / "style")
    save_snapshots(tmp_path / "snapshots", "a run", shots)
    generator = make_generator()
    info = KeptInfo(name="wall", generator="builtin", generator_hash="0" * 64, seed=5, origin="projection", grid=(4, 4))
    drawn = halved(draw_inputs(generator.config, [7]))
    KeptTexture(info=info, ws=torch.zeros(generator.num_ws, 8)[None], arrangement=drawn).save(tmp_path / "texture")
    files = {name: (tmp_path / name).read_bytes() for name in ("style", "snapshots", "texture")}
    return files | {"list": files["texture"]}


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_raises_nothing_but_one_sentence(whole_files, tmp_path, little_memory, kind):
    whole, draw = whole_files[kind], random.Random(5)
    folder = tmp_path / "kept"
    folder.mkdir()
    path, refused = folder / "damaged.safetensors", 0
    for turn in range(400):
        damaged = bytearray(whole[: draw.randrange(len(whole)) if turn % 4 == 0 else len(whole)])
        for _ in range(draw.choice([1, 1, 2, 8]) if damaged else 0):
            damaged[draw.randrange(min(len(damaged), draw.choice([64, 600, len(damaged)])))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            with little_memory():
                READERS[kind](path)
        except LoomError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).endswith(".")
    assert refused > 100 or kind == "list"
