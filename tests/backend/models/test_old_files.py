"""Files of earlier versions, kept in tests/golden/store: read for ever, and made new where they are written again.

python tests/backend/models/test_old_files.py VERSION      writes those of the version that is checked out
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation.measures import Measures
from latent_loom.backend.adaptation.stopping import Snapshot
from latent_loom.backend.adaptation.style import Style
from latent_loom.backend.errors import BadCheckpoint
from latent_loom.backend.models.store import Store
from latent_loom.backend.models.style_info import StyleInfo
from latent_loom.backend.textures.generate import GenerateSettings, generate
from latent_loom.backend.textures.keep import KeepSettings, keep_seed
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

GOLDEN = Path(__file__).parents[2] / "golden" / "store"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir()) if GOLDEN.is_dir() else []


def write(root: Path) -> None:
    """One of each kind, as small as they can be."""
    store = Store(root)
    torch.manual_seed(0)
    config = GeneratorConfig(z_dim=4, w_dim=4, resolution=8, channels=(4, 4), mapping_layers=1)
    store.add_generator(Generator(config).eval(), "old")
    tensors = {"synthesis.b8.conv0.bias": torch.linspace(-1, 1, 4)}
    info = StyleInfo(
        name="moss", generator="old", generator_hash=store.generator_hash("old"), source="stone", target="mossy stone",
        method="style", iterations=50, seed=7, clips=("builtin",), measures={"direction": 0.5}, settings={"batch": 2},
    )  # fmt: skip
    measures = Measures(direction=0.5, quality=0.5, retention=1.0, pinned=0.0, structure=1.0)
    snapshots = [
        Snapshot(iterations=n, tensors={k: t * n / 50 for k, t in tensors.items()}, measures=measures) for n in (25, 50)
    ]
    style = Style(info=info, tensors=tensors, thumbnail=np.full((4, 4, 3), 9, np.uint8))
    state = {"rng": torch.arange(4, dtype=torch.uint8)}
    store.library.add(style, snapshots, history={"loss": [1.0, 0.5]}, state=state)
    keep_seed(store, KeepSettings(seed=3, name="wall", generator="old"))
    made = generate(store, GenerateSettings(generator="old", seeds=(1,), size=(16, 16), styles=(("moss", 1.0),)))
    (root / "picture.json").write_text(json.dumps(made.images["color"][0, ::5, ::5].tolist()))


@pytest.fixture(params=VERSIONS)
def root(request, tmp_path) -> Path:
    shutil.copytree(GOLDEN / request.param, tmp_path / "data")
    return tmp_path / "data"


def test_everything_that_an_earlier_version_wrote_is_listed_whole(root):
    store = Store(root)
    assert [(g.name, g.broken) for g in store.generators() if not g.builtin] == [("old", None)]
    assert [(s.name, s.broken, s.snapshots) for s in store.styles() if not s.builtin] == [("moss", None, (25, 50))]
    assert [(k.name, k.broken) for k in store.kept()] == [("wall", None)]


def test_it_makes_the_pictures_that_it_made_then(root):
    look = GenerateSettings(generator="old", seeds=(1,), size=(16, 16), styles=(("moss", 1.0),))
    wanted = np.array(json.loads((root / "picture.json").read_text()))
    assert np.abs(generate(Store(root), look).images["color"][0, ::5, ::5].astype(int) - wanted).max() <= 1
    assert generate(Store(root), GenerateSettings(generator="old", seeds=("wall",), size=(16, 16))).images


def test_its_snapshots_and_the_state_of_its_training_are_taken_up(root):
    library = Store(root).library
    tensors, state, index = library.training("moss")
    assert (
        sorted(tensors) == [25, 50] and state["rng"].tolist() == [0, 1, 2, 3] and index.history == {"loss": [1.0, 0.5]}
    )
    assert torch.equal(library.style("moss@25").tensors["synthesis.b8.conv0.bias"], torch.linspace(-0.5, 0.5, 4))


def test_what_is_written_again_is_of_this_version_and_keeps_what_was_known(root):
    store = Store(root)
    before = store.style("moss")
    store.rename_style("moss", "fern")
    after = Store(root).style("fern")
    assert after.info == before.renamed("fern").info and len(Store(root).library.snapshots("fern").points) == 2
    assert b"data_sha256" in (root / "styles" / "fern.safetensors").read_bytes()


@pytest.mark.parametrize(
    "file", ["styles/moss.safetensors", "styles/moss.snapshots.safetensors", "kept/wall.safetensors"]
)
def test_a_file_of_a_later_version_is_left_alone_and_says_what_to_update(root, file):
    path = root / file
    raw = path.read_bytes()
    assert raw.count(b'\\"format\\": 1') == 1
    path.write_bytes(raw.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    store = Store(root)
    with pytest.raises(BadCheckpoint, match="newer Latent Loom; update this one"):
        store.library.training("moss") if "snapshots" in file else (
            store.style("moss") if "moss" in file else store.textures.texture("wall")
        )
    assert path.exists() and not (root / "damaged").exists()


def test_a_generator_of_a_later_version_says_what_to_update(root):
    path = root / "generators" / "old.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"format_version":"1"', b'"format_version":"9"'))
    with pytest.raises(BadCheckpoint, match="update Latent Loom"):
        Store(root).generator("old")
    assert path.exists()


if __name__ == "__main__":
    write(GOLDEN / sys.argv[1])
