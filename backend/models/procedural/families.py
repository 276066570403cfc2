"""The unweathered materials. Each function makes n surfaces of one family at one size, every one different."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .draws import Draw
from .fields import blur, coordinates, ridges, smoothstep, warp
from .surface import Surface, ramp


def _wobble(draw: Draw, amount: float, low: float = 2, high: float = 12) -> tuple[Tensor, Tensor]:
    return draw.noise(low=low, high=high) * amount, draw.noise(low=low, high=high) * amount


def _matt(height: Tensor, gloss: float = 0.0) -> Tensor:
    return torch.full_like(height, gloss)


def stone(draw: Draw) -> Surface:
    big, fine = draw.noise(beta=1.5, low=2), draw.noise(beta=0.7, low=8)
    facets, _, _ = draw.cells(count=draw.choice(4, 5, 6))
    facets = warp(facets, *_wobble(draw, 0.03))
    height = 0.5 + 0.16 * big + 0.05 * fine - 0.35 * facets
    base = draw.colour((0.52, 0.5, 0.47), (0.45, 0.45, 0.46), (0.58, 0.53, 0.45), (0.38, 0.38, 0.4))
    albedo = ramp(base * 0.72, base * 1.2, 0.5 + 0.22 * big + 0.16 * fine)
    return Surface(height, albedo, draw.uniform(0.07, 0.13), _matt(height))


def marble(draw: Draw) -> Surface:
    flow = draw.noise(beta=2.2, low=1.5, high=16, stretch=1.8, angle=draw.uniform(0, math.pi))
    flow = warp(flow, *_wobble(draw, 0.03))
    veins = ridges(flow, 0.2) ** 2 + 0.6 * ridges(warp(flow, *_wobble(draw, 0.04)) - 0.9, 0.12) ** 2
    cloud = draw.noise(beta=1.6)
    base = draw.colour((0.9, 0.89, 0.87), (0.87, 0.83, 0.77), (0.2, 0.21, 0.22), (0.5, 0.6, 0.54), spread=0.03)
    vein = torch.where(base.mean(1, keepdim=True) < 0.4, base + 0.6, base * 0.5)
    albedo = ramp(base * 0.9, base * 1.06, 0.5 + 0.3 * cloud)
    albedo = torch.lerp(albedo, vein.expand_as(albedo), (veins * draw.uniform(0.6, 1)).clamp(0, 1)[:, None])
    height = 0.5 + 0.02 * draw.noise(low=6)
    return Surface(height, albedo, draw.uniform(0.01, 0.03), _matt(height, 0.25))


def granite(draw: Draw) -> Surface:
    _, _, grain = draw.cells(count=draw.choice(18, 22, 28))
    speck = draw.noise(beta=0.3, low=10, high=30)
    base = draw.colour((0.62, 0.6, 0.59), (0.66, 0.5, 0.44), (0.45, 0.46, 0.48), (0.7, 0.66, 0.58))
    albedo = ramp(base * 0.7, base * 1.25, grain + 0.1 * speck)
    albedo = albedo * (1 - 0.75 * smoothstep(0.76, 0.84, grain)[:, None])
    height = 0.5 + 0.03 * speck
    return Surface(height, albedo, draw.uniform(0.02, 0.05), _matt(height, 0.12))


def wood(draw: Draw) -> Surface:
    along = torch.where(draw.uniform(0, 1) < 0.5, 0.0, math.pi / 2)
    rings = draw.noise(beta=1.1, low=3, high=30, stretch=9, angle=along)
    fibre = draw.noise(beta=0.3, low=16, stretch=14, angle=along)
    bands = torch.sin(rings * draw.uniform(2.0, 4.0))
    base = draw.colour((0.6, 0.42, 0.26), (0.72, 0.55, 0.36), (0.42, 0.27, 0.17), (0.66, 0.47, 0.3))
    albedo = ramp(base * 0.66, base * 1.15, 0.5 + 0.3 * bands + 0.16 * fibre)
    height = 0.5 + 0.12 * bands + 0.1 * fibre
    return Surface(height, albedo, draw.uniform(0.015, 0.04), _matt(height, 0.04))


def bark(draw: Draw) -> Surface:
    plates = draw.noise(beta=0.9, low=3, high=24, stretch=3.2, angle=math.pi / 2)
    plates = warp(plates, *_wobble(draw, 0.025))
    furrows = ridges(plates, 0.7)
    fine = draw.noise(beta=0.5, low=10, stretch=2.5, angle=math.pi / 2)
    height = 0.75 - 0.6 * furrows + 0.08 * fine + 0.06 * plates.abs()
    base = draw.colour((0.4, 0.31, 0.24), (0.46, 0.4, 0.34), (0.33, 0.26, 0.21))
    albedo = ramp(base * 0.45, base * 1.2, height + 0.08 * fine)
    return Surface(height, albedo, draw.uniform(0.08, 0.14), _matt(height))


def _courses(draw: Draw, rows: int, columns: int, offset: float) -> tuple[Tensor, Tensor]:
    """Running bond: (distance to the nearest joint, in picture widths; a random number per brick)."""
    y, x = coordinates(draw.size, draw.device)
    wy, wx = _wobble(draw, 0.004, 2, 20)
    y, x = (y + wy) % 1, x + wx
    row = (y * rows).floor()
    column_x = (x * columns + offset * (row % 2)) % columns
    fy, fx = y * rows - row, column_x - column_x.floor()
    joint = torch.minimum(torch.minimum(fy, 1 - fy) / rows, torch.minimum(fx, 1 - fx) / columns)
    index = (row % rows).long() * columns + column_x.floor().long() % columns
    return joint, draw.course_ids(rows, columns).gather(1, index.flatten(1)).view_as(joint)


def brick(draw: Draw) -> Surface:
    columns = draw.choice(2, 3, 4)
    joint, ids = _courses(draw, 2 * columns, columns, 0.5)
    fine = draw.noise(beta=0.6, low=5)
    body = smoothstep(0.008, 0.022, joint + 0.002 * fine)
    base = draw.colour((0.6, 0.29, 0.21), (0.54, 0.33, 0.26), (0.68, 0.42, 0.3), (0.5, 0.25, 0.2))
    mortar = draw.colour((0.66, 0.63, 0.58), (0.5, 0.48, 0.46))
    albedo = ramp(base * 0.7, base * 1.25, ids + 0.14 * fine)
    albedo = torch.lerp(mortar * (1 + 0.06 * fine[:, None]), albedo, body[:, None])
    height = 0.25 + body * (0.55 + 0.1 * ids) + 0.05 * fine
    return Surface(height, albedo, draw.uniform(0.04, 0.07), _matt(height))


def cobblestone(draw: Draw) -> Surface:
    near, second, ids = draw.cells(count=draw.choice(4, 5, 6, 7), jitter=0.65)
    dy, dx = _wobble(draw, 0.012)
    near, second = warp(near, dy, dx), warp(second, dy, dx)
    fine = draw.noise(beta=0.7, low=6)
    body = smoothstep(0.03, 0.3, second - near)
    base = draw.colour((0.5, 0.49, 0.48), (0.55, 0.5, 0.43), (0.42, 0.43, 0.46))
    gap = draw.colour((0.24, 0.21, 0.18), (0.35, 0.33, 0.3))
    albedo = torch.lerp(
        gap.expand(-1, -1, draw.size, draw.size), ramp(base * 0.7, base * 1.3, ids + 0.12 * fine), body[:, None]
    )
    height = body * (1 - 0.5 * near**2) + 0.05 * fine
    return Surface(height, albedo, draw.uniform(0.07, 0.12), _matt(height, 0.03))


def concrete(draw: Draw) -> Surface:
    stain, fine = draw.noise(beta=1.5), draw.noise(beta=0.2, low=12)
    near, _, ids = draw.cells(count=draw.choice(8, 10, 12))
    pits = smoothstep(0.3 * ids, 0.12 * ids, near) * (ids > 0.6)
    base = draw.colour((0.6, 0.6, 0.58), (0.68, 0.66, 0.62), (0.5, 0.5, 0.5), spread=0.04)
    albedo = ramp(base * 0.86, base * 1.1, 0.5 + 0.24 * stain + 0.1 * fine) * (1 - 0.35 * pits[:, None])
    height = 0.6 + 0.03 * stain + 0.03 * fine - 0.4 * pits
    return Surface(height, albedo, draw.uniform(0.02, 0.05), _matt(height))


def plaster(draw: Draw) -> Surface:
    strokes = draw.noise(beta=1.1, low=3, high=26, stretch=2.2, angle=draw.uniform(0, math.pi))
    strokes = warp(strokes, *_wobble(draw, 0.06))
    base = draw.colour((0.86, 0.82, 0.74), (0.88, 0.87, 0.84), (0.83, 0.72, 0.58), (0.8, 0.66, 0.55), spread=0.04)
    albedo = ramp(base * 0.94, base * 1.05, 0.5 + 0.25 * strokes)
    height = 0.5 + 0.2 * strokes + 0.03 * draw.noise(beta=0.3, low=14)
    return Surface(height, albedo, draw.uniform(0.025, 0.055), _matt(height))


def metal(draw: Draw) -> Surface:
    angle = torch.where(draw.uniform(0, 1) < 0.5, 0.0, math.pi / 2)
    brushed = draw.noise(beta=0.25, low=6, stretch=24, angle=angle)
    cloud = draw.noise(beta=1.6)
    base = draw.colour((0.62, 0.64, 0.66), (0.5, 0.52, 0.55), (0.7, 0.68, 0.64), (0.38, 0.4, 0.43), spread=0.04)
    albedo = ramp(base * 0.78, base * 1.22, 0.5 + 0.2 * brushed + 0.18 * cloud)
    height = 0.5 + 0.06 * brushed + 0.05 * cloud
    return Surface(height, albedo, draw.uniform(0.008, 0.02), _matt(height, 0.5))


def fabric(draw: Draw) -> Surface:
    threads = draw.choice(8, 10, 12, 16)
    y, x = coordinates(draw.size, draw.device)
    wy, wx = _wobble(draw, 0.003, 2, 10)
    u, v = (x + wx) * threads, (y + wy) * threads
    over = ((u.floor() + v.floor()) % 2).abs()
    warp_thread, weft_thread = torch.sin(math.pi * (u % 1)), torch.sin(math.pi * (v % 1))
    height = torch.where(over > 0.5, warp_thread * (0.6 + 0.4 * weft_thread), weft_thread * (0.6 + 0.4 * warp_thread))
    base = draw.colour((0.72, 0.65, 0.52), (0.3, 0.36, 0.52), (0.56, 0.24, 0.24), (0.4, 0.46, 0.4), (0.75, 0.73, 0.7))
    fibre = draw.noise(beta=0.3, low=14)
    albedo = ramp(base * 0.62, base * 1.15, 0.15 + 0.75 * height + 0.12 * fibre + 0.1 * (over - 0.5))
    return Surface(height + 0.05 * fibre, albedo, draw.uniform(0.012, 0.025), _matt(height))


def leather(draw: Draw) -> Surface:
    near, second, _ = draw.cells(count=draw.choice(12, 14, 18))
    dy, dx = _wobble(draw, 0.01, 3, 16)
    crease = warp(smoothstep(0.22, 0.0, second - near), dy, dx)
    folds = draw.noise(beta=1.5, low=1.5, high=8)
    base = draw.colour((0.42, 0.24, 0.15), (0.3, 0.18, 0.13), (0.55, 0.34, 0.2), (0.16, 0.14, 0.14))
    albedo = ramp(base * 1.1, base * 0.45, 0.8 * crease + 0.1 * folds)
    height = 0.6 - 0.45 * crease + 0.12 * folds
    return Surface(height, albedo, draw.uniform(0.015, 0.035), _matt(height, 0.3))


def sand(draw: Draw) -> Surface:
    dunes = draw.noise(beta=0.8, low=5, high=14, stretch=3.0, angle=draw.uniform(-0.6, 0.6))
    fine = draw.noise(beta=0.0, low=20)
    base = draw.colour((0.82, 0.7, 0.5), (0.76, 0.64, 0.46), (0.87, 0.79, 0.63))
    albedo = ramp(base * 0.85, base * 1.1, 0.5 + 0.12 * dunes + 0.16 * fine)
    height = 0.5 + 0.22 * dunes * draw.uniform(0.3, 1) + 0.04 * fine
    return Surface(height, albedo, draw.uniform(0.03, 0.06), _matt(height))


def soil(draw: Draw) -> Surface:
    near, _, ids = draw.cells(count=draw.choice(10, 13, 16))
    clods = (0.7 - near) * (0.4 + ids)
    rough = draw.noise(beta=0.8, low=3)
    base = draw.colour((0.34, 0.24, 0.16), (0.28, 0.2, 0.15), (0.42, 0.3, 0.2))
    height = 0.4 + 0.6 * clods + 0.12 * rough
    albedo = ramp(base * 0.5, base * 1.4, 0.1 + 0.9 * clods + 0.16 * rough)
    return Surface(height, albedo, draw.uniform(0.06, 0.1), _matt(height))


def grass(draw: Draw) -> Surface:
    lean = draw.uniform(1.1, 2.0)
    blades = torch.stack([draw.noise(beta=0.2, low=7, high=60, stretch=7, angle=lean + d) for d in (-0.5, 0, 0.5)])
    blades, which = blades.max(dim=0)
    clumps = draw.noise(beta=1.2, low=2)
    base = draw.colour((0.32, 0.46, 0.16), (0.26, 0.4, 0.17), (0.42, 0.5, 0.2))
    height = 0.3 + 0.22 * blades + 0.08 * clumps
    albedo = ramp(base * 0.35, base * 1.5, 0.2 + 0.28 * blades + 0.1 * clumps + 0.06 * which)
    return Surface(height, albedo, draw.uniform(0.05, 0.09), _matt(height))


def ice(draw: Draw) -> Surface:
    cloud = draw.noise(beta=1.5)
    near, second, _ = draw.cells(count=draw.choice(3, 4, 5))
    dy, dx = _wobble(draw, 0.03)
    fracture = warp(smoothstep(0.06, 0.0, second - near), dy, dx) * smoothstep(-0.6, 0.8, draw.noise(low=1, high=5))
    base = draw.colour((0.62, 0.77, 0.86), (0.52, 0.7, 0.82), (0.72, 0.83, 0.88), spread=0.03)
    albedo = torch.lerp(
        ramp(base * 0.8, base * 1.12, 0.5 + 0.3 * cloud), torch.full_like(base, 0.95), 0.8 * fracture[:, None]
    )
    height = 0.5 + 0.05 * cloud + 0.15 * fracture
    return Surface(height, albedo, draw.uniform(0.02, 0.05), _matt(height, 0.6))


def tiles(draw: Draw) -> Surface:
    columns = draw.choice(2, 3, 4)
    joint, ids = _courses(draw, columns, columns, 0.0)
    body = smoothstep(0.006, 0.016, joint)
    cloud = draw.noise(beta=1.3, low=2)
    base = draw.colour((0.8, 0.79, 0.75), (0.42, 0.58, 0.6), (0.7, 0.5, 0.38), (0.3, 0.42, 0.55), (0.86, 0.84, 0.8))
    grout = draw.colour((0.45, 0.44, 0.42), (0.72, 0.71, 0.68))
    albedo = torch.lerp(
        grout.expand(-1, -1, draw.size, draw.size), ramp(base * 0.88, base * 1.1, ids + 0.14 * cloud), body[:, None]
    )
    height = 0.3 + 0.6 * blur(body, 0.006) + 0.015 * cloud
    return Surface(height, albedo, draw.uniform(0.03, 0.05), body * 0.45)


FAMILIES: dict[str, Callable[[Draw], Surface]] = {
    "stone": stone,
    "marble": marble,
    "granite": granite,
    "wood": wood,
    "bark": bark,
    "brick": brick,
    "cobblestone": cobblestone,
    "concrete": concrete,
    "plaster": plaster,
    "metal": metal,
    "fabric": fabric,
    "leather": leather,
    "sand": sand,
    "soil": soil,
    "grass": grass,
    "ice": ice,
    "tiles": tiles,
}
