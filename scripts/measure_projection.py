"""The table of docs/LOG.md on projection: `.venv/bin/python scripts/measure_projection.py [TARGET ...]`.

A target is a family of the procedural renders, or a seed of the built-in generator beyond those that the search tries;
`stone/w` projects it to w, `stone/style` to StyleSpace.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from latent_loom.backend.models.procedural.captions import FAMILY_NAMES, Attributes
from latent_loom.backend.models.procedural.stream import render
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures.generate import texture
from latent_loom.backend.textures.project import ProjectSettings, project

TARGETS = ("100003", "100007", "100011", "stone", "wood", "grass", "fabric", "marble", "brick")


def target(store: Store, name: str) -> np.ndarray:
    if name.isdigit():
        return texture(store.generator("builtin"), int(name), size=(64, 64), tile="xy", psi=0.8)
    rng = torch.Generator().manual_seed(99)
    picture = render([Attributes(FAMILY_NAMES.index(name))], size=64, rng=rng)[0]
    return (picture.permute(1, 2, 0) * 255).round().byte().numpy()


def main() -> None:
    store = Store()
    for asked in sys.argv[1:] or TARGETS:
        began_s = time.process_time()
        name, _, space = asked.partition("/")
        settings = ProjectSettings(space=space or "w+")
        measures = project(store, settings, target(store, name), name=f"t-{name}").texture.info.measures
        shown = ", ".join(f"{key} {value:.3f}" for key, value in measures.items())
        print(f"{asked}: {shown}, {time.process_time() - began_s:.0f} s of processor", flush=True)


if __name__ == "__main__":
    main()
