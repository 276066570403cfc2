"""How much memory a texture will take, said before it is taken, and whether it is there."""

from __future__ import annotations

from pathlib import Path

import torch

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.memory import activation_bytes, input_bytes
from ..errors import OutOfMemory
from .canvas import plan_canvas
from .windows import HALO, WINDOW_PX, whole_blocks

MIB = 1 << 20
ALLOCATOR_MIB = 64
"""Freed blocks that the allocator keeps."""
FINISH_BYTES, RESAMPLE_BYTES = 15, 48
"""For each pixel of the picture while it is rounded, and while it is resampled before: planes of three floats."""
WINDOW_BYTES = 64
"""For each pixel of a window beside its activations: its noise, and its colours on their way into the picture."""
MAPS_BYTES = 64
"""For each pixel while maps are made from the colours: fields in float32 and the spectra of blurs."""
_GROUP = Path("/sys/fs/cgroup")


def predicted_mib(
    config: GeneratorConfig, size: tuple[int, int], tile: str, maps: tuple[str, ...], device: torch.device
) -> int:
    """What making one texture adds to the process at its worst moment, weights and what is there already apart: MiB."""
    canvas = plan_canvas(config, size, tile)
    strips = device.type == "cpu"
    split, blocks = whole_blocks(config, canvas.grid), config.blocks
    coarse = activation_bytes(config, canvas.grid, range(split), strips=strips)
    pixels = canvas.grid[0] * canvas.grid[1] << 2 * (blocks - 1)
    fine = 0
    if split < blocks:
        scale = 1 << (blocks - split)
        window = [min((n << split - 1), WINDOW_PX // scale + 2 * HALO) * 2 for n in canvas.grid]
        kept = 4 * (config.channels[split - 1] + config.image_channels) * (pixels // scale**2)
        fine = activation_bytes(config, (window[0], window[1]), range(split, blocks), strips=strips) + kept
        fine += 12 * pixels + WINDOW_BYTES * (window[0] * window[1] << 2 * (blocks - split - 1))
    exact = canvas.crop == canvas.size[::-1]
    finish = pixels * ((FINISH_BYTES if exact else RESAMPLE_BYTES) + (0 if maps == ("color",) else MAPS_BYTES))
    return round((input_bytes(config, canvas.grid) + max(coarse, fine, finish)) / MIB) + ALLOCATOR_MIB


def available_mib(device: torch.device) -> int | None:
    """What is free on `device`, in MiB; None = not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // MIB
    found = [free for free in (_free_of_machine(), _free_of_group()) if free is not None]
    return min(found, default=None)


def _free_of_machine() -> int | None:
    """Linux; elsewhere None."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _free_of_group() -> int | None:
    """What the control group that a container runs in leaves; None where there is no limit."""
    try:
        limit, used = ((_GROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        cache = (_GROUP / "memory.stat").read_text().split("inactive_file ")[1].split()[0]
        return (int(limit) - int(used) + int(cache)) // MIB
    except (OSError, ValueError, IndexError):
        return None


def check_memory(needed_mib: int, device: torch.device, size: tuple[int, int]) -> None:
    """Raise OutOfMemory where less is free than `needed_mib`."""
    free = available_mib(device)
    if free is not None and needed_mib > free:
        raise OutOfMemory(
            f"A texture of {size[0]}x{size[1]} px takes about {needed_mib} MiB, and {free} MiB are free; make it "
            "smaller, ask for the colour alone, or close other programs."
        )
