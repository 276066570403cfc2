"""The numbers of docs/decisions/0007: how much large textures of generators with a fixed constant repeat themselves.

.venv/bin/python scripts/measure_repeats.py     (a minute)
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures.repeat import repeat_score
from latent_loom.backend.textures.varied import seed_to_ws
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.inputs import SynthesisInputs, draw_inputs
from latent_loom.stylegan2.networks import Generator

GRID = (16, 16)
"""Four times the training size along both axes."""
SEEDS = range(4)


def random_generator(resolution: int, noise: float, **changes) -> Generator:
    """Random weights, a 4x4 constant and no input map, as most generators have that are imported."""
    torch.manual_seed(0)
    channels = tuple(32 for _ in range(resolution.bit_length() - 2))
    settings = {"z_dim": 64, "w_dim": 64, "resolution": resolution, "channels": channels, "mapping_layers": 2}
    generator = Generator(GeneratorConfig(**(settings | changes)))
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(noise)
    return generator.eval()


def builtin_with_a_constant() -> Generator:
    """The built-in generator, trained, with one draw of its input map as a constant."""
    builtin = Store().generator("builtin")
    fixed = Generator(dataclasses.replace(builtin.config, const_size=4, input_map=0.0)).eval()
    state = builtin.state_dict()
    drawn = draw_inputs(builtin.config, [5]).input_map
    assert drawn is not None
    fixed.load_state_dict(state | {"synthesis.b4.const": state["synthesis.b4.const"] + drawn[0]})
    return fixed


@torch.no_grad()
def score(generator: Generator, seeds: list[int], inputs: SynthesisInputs) -> float:
    """Of one texture or, with several seeds, of their pictures blended over the plane, as a map of w would."""
    pictures = [generator.synthesize(seed_to_ws(generator, s, psi=1.0), inputs, tile="xy")[0].numpy() for s in seeds]
    height, width = pictures[0].shape[1:]
    y, x = np.mgrid[0:height, 0:width] * 2 * np.pi / np.array([height, width])[:, None, None]
    waves = np.stack([np.cos(x), np.sin(x), np.cos(y), np.sin(y)])[: len(seeds)]
    weights = np.exp(2 * waves) / np.exp(2 * waves).sum(0)
    picture = np.einsum("nhw,nchw->hwc", weights, np.stack(pictures))
    picture = (picture - picture.mean()) / picture.std() * 45 + 127.5
    found = repeat_score(np.clip(picture, 0, 255).astype(np.uint8), generator.config.resolution)
    assert found is not None
    return found


def main() -> None:
    kinds = {f"random, 32 px, noise {n}": random_generator(32, n) for n in (0.0, 0.1, 0.3)}
    kinds["random, 64 px, noise 0.1"] = random_generator(64, 0.1)
    kinds["random, 32 px, noise 0.1, clamped, 8 mapping layers"] = random_generator(
        32, 0.1, conv_clamp=256.0, mapping_layers=8
    )
    kinds["built-in, trained, with a constant"] = builtin_with_a_constant()
    for name, generator in kinds.items():
        found = []
        for seed in SEEDS:
            drawn = draw_inputs(generator.config, [seed], GRID)
            repeated = dataclasses.replace(drawn, places=None)
            blended = score(generator, [seed, 10 + seed, 20 + seed, 30 + seed], repeated)
            found.append((score(generator, [seed], repeated), blended, score(generator, [seed], drawn)))
        columns = " | ".join(f"{min(column):.2f} to {max(column):.2f}" for column in zip(*found, strict=True))
        print(f"| {name} | {columns} |", flush=True)


if __name__ == "__main__":
    main()
