"""Keeping the texture of a seed under a name, and the picture of a kept texture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...stylegan2.networks import Generator
from ..errors import BadRequest
from .generate import plan_canvas, render, seed_to_ws, texture_from_w
from .kept import KeptInfo, KeptTexture
from .look import check_seeds, check_size

if TYPE_CHECKING:
    from ..models.store import Store

THUMBNAIL_PX = 64


@dataclass(frozen=True, kw_only=True)
class KeepSettings:
    """seed, psi, generator   the texture, as `generate` makes it without styles
    name                   what it is called from now on
    overwrite              replace another texture of that name
    """

    seed: int
    name: str
    generator: str = "builtin"
    psi: float = 0.8
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_seeds((self.seed,))
        if not (math.isfinite(self.psi) and -2 <= self.psi <= 2):
            raise BadRequest(f"The truncation psi is {self.psi}; give a number from -2 to 2 (0.8 is usual).")


def keep_seed(store: Store, settings: KeepSettings) -> KeptTexture:
    """Keep the texture of a seed. Raises NotFound (generator), AlreadyExists, BadRequest, CannotWrite."""
    store.textures.check_free(settings.name, settings.overwrite)
    generator = store.generator(settings.generator)
    ws = seed_to_ws(generator, settings.seed, psi=settings.psi)
    side = max(THUMBNAIL_PX, min(generator.config.resolution, 256))
    texture = KeptTexture(
        info=KeptInfo(
            name=settings.name,
            generator=settings.generator,
            generator_hash=store.generator_hash(settings.generator),
            seed=settings.seed,
            origin="seed",
            settings={"psi": settings.psi},
        ),
        ws=ws.cpu(),
        thumbnail=texture_from_w(generator, ws, settings.seed, size=(side, side), tile=generator.config.tile),
    )
    store.keep(texture, overwrite=settings.overwrite)
    return texture


def kept_picture(generator: Generator, kept: KeptTexture, *, size: tuple[int, int], tile: str) -> np.ndarray:
    """A kept texture, perhaps on a styled generator: uint8 [H, W, 3]. That it fits is checked where it is fetched."""
    check_size(size)
    canvas = plan_canvas(generator.config, size, tile)
    return render(kept.on(generator), kept.ws, kept.inputs(generator.config, canvas.grid), canvas)
