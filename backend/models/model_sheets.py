"""The sheets of docs/images: random textures, latent walks, starter styles. `latent-loom bench models --sheets DIR`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ...stylegan2.inputs import draw_inputs
from ...stylegan2.latents import seeds_of_kind, z_from_seed
from ...stylegan2.networks import Generator
from ..adaptation.style import Style, blend
from ..textures.sheets import Row, grid_sheet
from .procedural.captions import FAMILY_NAMES
from .samples import as_pixels, generated, labels_of
from .training_run import grid_picture

WALKS, STEPS, STYLED = 8, 10, 8
QUALITY = 75
"""Of the JPEG files: a reader shall see the textures, and a clone shall stay quick."""


def write_sheets(generator: Generator, styles: Sequence[Path], folder: Path) -> list[Path]:
    """Write textures.jpg, walks.jpg and, where there are styles, styles.jpg to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = {
        "textures": grid_picture(generated(generator, range(64)), 8),
        "walks": grid_picture(torch.cat([walk(generator, seed) for seed in range(WALKS)]), STEPS).reduce(2),
    }
    if styles:
        sheets["styles"] = Image.fromarray(styles_sheet(generator, styles))
    return [_save(picture, folder / f"{name}.jpg") for name, picture in sheets.items()]


@torch.no_grad()
def walk(generator: Generator, seed: int) -> Tensor:
    """STEPS pictures [STEPS, 3, R, R] on the straight line between the latents of two seeds; noise and class stay."""
    z = torch.stack([z_from_seed(s, generator.config.z_dim) for s in (seed, seed + WALKS)])
    labels = labels_of(generator, [seed, seed])
    first, last = generator.map(z.to(generator.mapping.w_avg.device), labels=labels)
    ws = torch.stack([first.lerp(last, t) for t in torch.linspace(0, 1, STEPS).tolist()])
    inputs = draw_inputs(generator.config, [seed] * STEPS).to(ws.device)
    return generator.synthesize(ws, inputs).clamp(-1, 1)


def styles_sheet(generator: Generator, styles: Sequence[Path]):
    """uint8 [H, W, 3]: the same seeds as the generator makes them, and with each style; a seed of each family, where
    latents fall into our families."""
    seeds, captions = list(range(STYLED)), [f"seed {seed}" for seed in range(STYLED)]
    if (kinds := generator.config.kinds) == len(FAMILY_NAMES):
        # the second: the first one of the last family lies on a border and shows another
        seeds = [seeds_of_kind(kind, kinds, generator.config.z_dim, count=2)[1] for kind in range(kinds)]
        captions = FAMILY_NAMES
    rows = [Row(label="the generator", pictures=list(as_pixels(generated(generator, seeds))))]
    for path in styles:
        style = Style.load(path)
        changed = blend(generator, [(style, 1.0)])
        rows.append(Row(label=style.info.name, pictures=list(as_pixels(generated(changed, seeds)))))
    return grid_sheet(rows, captions=captions, title="Starter styles", cell_px=92)


def _save(picture: Image.Image, path: Path) -> Path:
    partial = path.with_name(f".{path.name}")
    picture.save(partial, format="JPEG", quality=QUALITY)
    partial.replace(path)
    return path
