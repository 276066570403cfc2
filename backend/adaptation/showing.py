"""Pictures that show what a generator makes: the same fixed latents each time, so that styles can be compared."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.networks import Generator
from .measures import fixed_latents


@torch.no_grad()
def fixed_pictures(generator: Generator, count: int, tile: str | None = None, class_index: int | None = None) -> Tensor:
    """The first `count` fixed latents' pictures, [count, 3, R, R], one at a time; tile None = as it was trained."""
    ws, inputs = fixed_latents(generator, count, class_index=class_index)
    return torch.cat([generator(ws[n : n + 1], inputs.items(slice(n, n + 1)), tile=tile) for n in range(count)])


def as_bytes(images: Tensor) -> np.ndarray:
    """Images [N, 3, H, W] in [-1, 1] -> uint8 [N, H, W, 3]; one channel is shown as grey."""
    shown = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    return ((shown.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def thumbnail(generator: Generator, tile: str | None = None, class_index: int | None = None) -> np.ndarray:
    """uint8 [h, w, 3] of the first fixed latent, at most 256 px."""
    image = fixed_pictures(generator, 1, tile, class_index)
    step = max(1, image.shape[-1] // 256)
    if step > 1:
        image = torch.nn.functional.avg_pool2d(image, step)
    return as_bytes(image)[0]
