"""One antialiased resize for everything that CLIP sees: two small fixed matrices, the same on every device."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor


def _cubic(x: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Keys' cubic kernel (Keys 1981), the one that CLIP's own preprocessing uses through Pillow."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@functools.lru_cache(maxsize=512)
def resize_matrix(source: int, target: int) -> Tensor:
    """[target, source] float32: row i holds the weights of the source pixels in target pixel i, summing to 1.

    When shrinking, the kernel is stretched by the scale, which is what antialiasing is.
    """
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale - 0.5
    weights = _cubic((np.arange(source)[None] - centres[:, None]) / support)
    return torch.from_numpy((weights / weights.sum(1, keepdims=True)).astype(np.float32))


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Images [N, C, H, W] -> [N, C, height, width], antialiased bicubic, differentiable."""
    if images.shape[-2:] == (height, width):
        return images
    rows = resize_matrix(images.shape[-2], height).to(images)
    columns = resize_matrix(images.shape[-1], width).to(images)
    return rows @ images @ columns.T


def fit_square(images: Tensor, size: int) -> Tensor:
    """The shorter side resized to `size`, then the centre cropped: [N, C, H, W] -> [N, C, size, size]."""
    height, width = images.shape[-2:]
    scale = size / min(height, width)
    height, width = max(size, round(height * scale)), max(size, round(width * scale))
    images = resize(images, height, width)
    top, left = (height - size) // 2, (width - size) // 2
    return images[..., top : top + size, left : left + size]
