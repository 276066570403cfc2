"""A kept texture wherever a seed may stand: generate, walk, batch, and the command line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import BadRequest, NotFound
from latent_loom.backend.textures.batch import BatchSettings
from latent_loom.backend.textures.batch_run import run_batch
from latent_loom.backend.textures.generate import GenerateSettings, generate
from latent_loom.backend.textures.keep import KeepSettings, keep_seed, kept_picture
from latent_loom.backend.textures.kept import KeptInfo, KeptTexture, halved
from latent_loom.backend.textures.walk import WalkSettings, walk
from latent_loom.stylegan2.inputs import draw_inputs
from PIL import Image

LOOK = {"size": (32, 32), "psi": 0.8}


@pytest.fixture
def kept(store) -> KeptTexture:
    """The texture "wall" with an arrangement of its own, and "five", which is seed 5."""
    five = keep_seed(store, KeepSettings(seed=5, name="five"))
    generator = store.generator("builtin")
    wall = KeptTexture(
        info=KeptInfo(
            name="wall", generator="builtin", generator_hash=store.generator_hash("builtin"), seed=5,
            origin="projection", grid=(4, 4),
        ),
        ws=five.ws + 0.3,
        arrangement=halved(draw_inputs(generator.config, [77])),
    )  # fmt: skip
    store.keep(wall)
    return wall


def colors(store, **settings) -> np.ndarray:
    return generate(store, GenerateSettings(**(LOOK | settings))).images["color"]


def test_a_kept_texture_is_generated_beside_seeds(store, kept):
    pictures = colors(store, seeds=("wall", "five", 5))
    assert np.array_equal(pictures[0], kept_picture(store.generator("builtin"), kept, size=(32, 32), tile="xy"))
    assert np.array_equal(pictures[1], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_kept_texture_is_restyled_varied_and_arranged_anew(store, kept):
    plain = colors(store, seeds=("wall",))[0]
    changed = [
        colors(store, seeds=("wall",), **settings)[0]
        for settings in ({"styles": (("mossy", 1.0),)}, {"noise_seed": 3}, {"directions": (("d0", 3.0),)})
    ]
    assert len({p.tobytes() for p in [plain, *changed]}) == 4
    assert np.array_equal(colors(store, seeds=("wall",), psi=0.1)[0], plain)


def test_a_seed_is_kept_as_it_was_varied(store):
    varied = {"cutoff": 2, "mix": ((7, 3),), "directions": (("d0", 2.0),), "noise_seed": 9, "psi": 0.5}
    keep_seed(store, KeepSettings(seed=5, name="varied", **varied))
    kept, same = colors(store, seeds=("varied",)), colors(store, seeds=(5,), **varied)
    assert np.array_equal(kept, same) and not np.array_equal(kept, colors(store, seeds=(5,)))


def test_its_files_and_records_bear_its_name_and_hash(store, kept, tmp_path):
    made = generate(store, GenerateSettings(seeds=("wall", 5), **LOOK), tmp_path)
    assert [file["seed"] for file in made.files] == ["wall", 5]
    assert made.files[0]["path"].endswith("builtin-wall_color.png")
    assert store.textures.hash("wall") in Image.open(made.files[0]["path"]).text["latent-loom"]


def test_a_walk_begins_with_the_kept_texture(store, kept, tmp_path):
    walk(store, WalkSettings(seeds=("wall", 5, 6), frames=3, **LOOK), tmp_path)
    first = np.asarray(Image.open(tmp_path / "frame-0001.png"))
    assert np.array_equal(first, colors(store, seeds=("wall",))[0])


def test_a_walk_with_animated_noise_begins_with_it_too(store, kept, tmp_path):
    walk(store, WalkSettings(seeds=("wall", 5), frames=2, noise="animated", **LOOK), tmp_path)
    first = np.asarray(Image.open(tmp_path / "frame-0001.png"))
    assert np.array_equal(first, colors(store, seeds=("wall",))[0])


def test_a_walk_where_a_kept_texture_cannot_go_is_refused(store, kept, tmp_path):
    with pytest.raises(BadRequest, match="has no z"):
        WalkSettings(seeds=("wall", 5), interpolation="z")
    store.keep(
        KeptTexture(info=kept.renamed("far").info, ws=kept.ws, arrangement=kept.arrangement,
                    offsets={"b8.conv0": torch.ones(8)}),
    )  # fmt: skip
    with pytest.raises(BadRequest, match="StyleSpace"):
        walk(store, WalkSettings(seeds=("far", 5), frames=2, **LOOK), tmp_path)


def test_a_batch_names_kept_textures_beside_seeds(store, kept, tmp_path):
    items = [{"textures": ["wall", "five"], "seeds": "5", "name": "a", "size": 32}, {"texture": "wall", "size": 32}]
    made = run_batch(store, BatchSettings.from_mapping({"items": items}), tmp_path)
    assert made.failed == []
    assert {p.name for p in tmp_path.glob("*.png")} == {
        "a-wall_color.png", "a-five_color.png", "a-5_color.png", "builtin-wall_color.png",
    }  # fmt: skip
    again = run_batch(store, BatchSettings.from_mapping({"items": items}), tmp_path, resume=True)
    assert again.written == 0
    keep_seed(store, KeepSettings(seed=6, name="five", overwrite=True))
    assert run_batch(store, BatchSettings.from_mapping({"items": items}), tmp_path, resume=True).written == 1


def test_names_that_nothing_bears_are_told(store, kept):
    with pytest.raises(NotFound, match="did you mean 'wall'"):
        colors(store, seeds=("wal",))
    with pytest.raises(BadRequest, match="not a name"):
        GenerateSettings(seeds=("../wall",))
    with pytest.raises(BadRequest, match="taken for a seed"):
        keep_seed(store, KeepSettings(seed=5, name="5"))
