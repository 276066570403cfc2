"""Keeping the texture of a seed under a name, and the picture of a kept texture."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from ...stylegan2.networks import Generator
from .generate import plan_canvas, render, texture_from_w
from .kept import KeptInfo, KeptTexture
from .look import check_seeds, check_size
from .variation import Variation
from .varied import Varied

if TYPE_CHECKING:
    from ..models.store import Store

THUMBNAIL_PX = 64


@dataclass(frozen=True, kw_only=True)
class KeepSettings:
    """The texture of `seed` as `generate` makes it without styles and with the noise as it is: those are chosen anew
    whenever it is used.

    name        what it is called from now on
    overwrite   replace another texture of that name
    psi, cutoff, mix, directions, class_index, noise_seed   see `variation.Variation`
    """

    seed: int
    name: str
    generator: str = "builtin"
    psi: float = 0.8
    cutoff: int | None = None
    mix: tuple[tuple[int, int], ...] = ()
    directions: tuple[tuple[str, float], ...] = ()
    class_index: int | None = None
    noise_seed: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_seeds((self.seed,))
        self.variation  # noqa: B018  its settings check themselves

    @property
    def variation(self) -> Variation:
        return Variation(**{f.name: getattr(self, f.name) for f in fields(Variation) if hasattr(self, f.name)})


def keep_seed(store: Store, settings: KeepSettings) -> KeptTexture:
    """Keep the texture of a seed. Raises NotFound (generator), AlreadyExists, BadRequest, CannotWrite."""
    store.textures.check_free(settings.name, settings.overwrite)
    generator = store.generator(settings.generator)
    ws = Varied(store, settings.generator, generator, settings.variation).seed(settings.seed)
    noise_seed = settings.seed if settings.noise_seed is None else settings.noise_seed
    side = max(THUMBNAIL_PX, min(generator.config.resolution, 256))
    texture = KeptTexture(
        info=KeptInfo(
            name=settings.name,
            generator=settings.generator,
            generator_hash=store.generator_hash(settings.generator),
            seed=noise_seed,
            origin="seed",
            settings={"seed": settings.seed, "psi": settings.psi} | settings.variation.varied(),
        ),
        ws=ws.cpu(),
        thumbnail=texture_from_w(generator, ws, noise_seed, size=(side, side), tile=generator.config.tile),
    )
    store.keep(texture, overwrite=settings.overwrite)
    return texture


def kept_picture(generator: Generator, kept: KeptTexture, *, size: tuple[int, int], tile: str) -> np.ndarray:
    """A kept texture, perhaps on a styled generator: uint8 [H, W, 3]. That it fits is checked where it is fetched."""
    check_size(size)
    canvas = plan_canvas(generator.config, size, tile)
    return render(kept.on(generator), kept.ws, kept.inputs(generator.config, canvas.grid), canvas)
