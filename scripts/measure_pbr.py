"""How near the guessed heights of rendered materials are to the true ones, beside what luminance alone would give.

    python scripts/measure_pbr.py [--weights FILE] [--each 12] [--size 64] [--halvings N] [--seed 900] [--json]

For every family of `backend/models/procedural`, over pictures that no training saw (their seed is their own):

correlation   Pearson's, of the guessed with the true height; luminance is the height that many tools take
normals       mean angle between guessed and true normals, in degrees; luminance is given the true mean steepness of
              each family, which it cannot know, and `flat` is the angle of no relief at all
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from latent_loom.backend.models.procedural.captions import FAMILY_NAMES, NOTHING, Attributes
from latent_loom.backend.models.procedural.stream import render_with_depth
from latent_loom.backend.textures import height
from latent_loom.backend.textures.filters import gradient
from latent_loom.backend.textures.pbr import MATERIALS, halvings_for, material_height

WRAP = (True, True)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def steepness(depth: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(gradient(depth, WRAP)))))


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """Mean angle between the normals of two heights in pixels, degrees."""
    normals = []
    for depth in (a, b):
        dx, dy = gradient(depth, WRAP)
        normal = np.stack([-dx, -dy, np.ones_like(dx)])
        normals.append(normal / np.linalg.norm(normal, axis=0))
    cosine = np.clip((normals[0] * normals[1]).sum(0), -1, 1)
    return float(np.degrees(np.arccos(cosine)).mean())


def measure(family: int, *, each: int, size: int, seed: int, halvings: int) -> dict[str, float]:
    rng = torch.Generator().manual_seed(seed + family)
    asked = [Attributes(family, NOTHING, NOTHING)] * each
    pictures, depths = render_with_depth(asked, size=size, rng=rng)
    colors = (pictures.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    lights = [(color.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32)) / 255 for color in colors]
    trues = [depth.numpy() for depth in depths]
    gain = np.mean([steepness(t) for t in trues]) / np.mean([steepness(light) for light in lights])
    rows = []
    for color, light, true in zip(colors, lights, trues, strict=True):
        ours = material_height(color, MATERIALS["auto"], WRAP, halvings)
        flat = np.zeros_like(true)
        rows.append((
            correlation(ours, true), correlation(light, true),
            angle(ours, true), angle(light * gain, true), angle(flat, true),
        ))  # fmt: skip
    names = ("correlation", "luminance_correlation", "normals", "luminance_normals", "flat_normals")
    return dict(zip(names, np.mean(rows, axis=0).round(3).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="other weights than those that come with the program")
    parser.add_argument("--each", type=int, default=12, help="pictures of each family")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--halvings", type=int, help="of the pictures (default: as for a generator of this size)")
    parser.add_argument("--seed", type=int, default=900)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.weights:
        height.WEIGHTS = args.weights
    halvings = halvings_for(args.size) if args.halvings is None else args.halvings
    found = {
        name: measure(family, each=args.each, size=args.size, seed=args.seed, halvings=halvings)
        for family, name in enumerate(FAMILY_NAMES)
    }
    found["mean"] = {key: round(float(np.mean([row[key] for row in found.values()])), 3) for key in found["stone"]}
    if args.json:
        print(json.dumps(found))
        return
    print(f"{'':12} correlation            normals, degrees\n{'':12} ours   luminance      ours   luminance   flat")
    for name, row in found.items():
        print(
            f"{name:12} {row['correlation']:5.2f}  {row['luminance_correlation']:5.2f}         "
            f"{row['normals']:5.1f}  {row['luminance_normals']:5.1f}       {row['flat_normals']:5.1f}"
        )


if __name__ == "__main__":
    main()
