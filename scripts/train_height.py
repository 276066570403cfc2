"""Train the network that guesses the height of a surface (`backend/textures/height.py`) on rendered materials.

    python scripts/train_height.py --out backend/textures/height.safetensors
    python scripts/train_height.py --without brick,bark,leather,plaster --out held_out.safetensors

The pictures are those of `backend/models/procedural`, whose true height is known; nothing else is read. Same settings,
same machine, same threads: same weights. Weights are float16, CC0.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from latent_loom.backend.models.procedural.captions import FAMILY_NAMES, Attributes
from latent_loom.backend.models.procedural.stream import draw_attributes, render_with_depth
from latent_loom.backend.textures.height import HeightNet
from safetensors.torch import save_file
from torch import Tensor

SIZES = (64, 64, 64, 128)
BATCH = {64: 4, 128: 1}
FRESH_EVERY = 32
"""Steps between new renders: each picture is seen several times, rolled."""


def families(names: str) -> set[int]:
    return {FAMILY_NAMES.index(name) for name in names.split(",") if name}


def draw(n: int, rng: torch.Generator, without: set[int]) -> list[Attributes]:
    found: list[Attributes] = []
    while len(found) < n:
        found += [a for a in draw_attributes(n, rng, weathered=0.4, tinted=0.2) if a.family not in without]
    return found[:n]


def loss_of(guess: Tensor, depth: Tensor) -> Tensor:
    """Of heights and of slopes, each relative to the picture's own, so that flat materials count too."""
    spread = (depth.var((1, 2), keepdim=True) + 0.05).sqrt()
    total = F.l1_loss(guess / spread, depth / spread)
    for axis in (1, 2):
        slope = depth - depth.roll(1, axis)
        steep = (slope.var((1, 2), keepdim=True) + 0.002).sqrt()
        total = total + F.l1_loss((guess - guess.roll(1, axis)) / steep, slope / steep)
    return total


def train(steps: int, seed: int, without: set[int], rate: float = 4e-3) -> HeightNet:
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    net = HeightNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=rate, betas=(0.9, 0.99))
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    banks: dict[int, tuple[Tensor, Tensor]] = {}
    began, mean = time.monotonic(), 0.0
    for step in range(steps):
        if step % FRESH_EVERY == 0:
            size = SIZES[step // FRESH_EVERY % len(SIZES)]
            fresh = render_with_depth(draw(8 * BATCH[size], rng, without), size=size, rng=rng)
            old = banks.get(size)
            keep = 64 * BATCH[size]
            banks[size] = (
                fresh if old is None else tuple(torch.cat([n, o])[:keep] for n, o in zip(fresh, old, strict=True))
            )
        size = SIZES[step % len(SIZES)]
        if size not in banks:
            size = SIZES[0]
        pictures, depths = banks[size]
        pick = torch.randint(len(pictures), (BATCH[size],), generator=rng)
        shift = torch.randint(size, (2,), generator=rng).tolist()
        color, depth = pictures[pick].roll(shift, (2, 3)), depths[pick].roll(shift, (1, 2))
        guess = net(color, circular=True)
        loss = loss_of(guess - guess.mean((1, 2), keepdim=True), depth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plan.step()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}  loss {mean:.3f}  {time.monotonic() - began:.0f} s", flush=True)
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", default="", metavar="FAMILIES", help="families to hold out")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = train(args.steps, args.seed, families(args.without))
    save_file({name: t.half().contiguous() for name, t in net.state_dict().items()}, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
