"""One number that says whether two generators are the same."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def generator_hash(generator: nn.Module) -> str:
    """sha256 (hex) over the name, shape and little-endian float32 bytes of every tensor, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
