"""What a seed may be. Knows no PyTorch, so that a command line can check its seeds at once."""

from __future__ import annotations

from .errors import StyleGAN2Error

SEED_LIMIT = 2**32


def check_seed(seed: int) -> int:
    """The seed as a plain int. Raises StyleGAN2Error if it is not in 0 .. 2^32 - 1"""
    if not 0 <= seed < SEED_LIMIT:
        raise StyleGAN2Error(f"A seed is a whole number from 0 to {SEED_LIMIT - 1}, not {seed}.")
    return int(seed)
