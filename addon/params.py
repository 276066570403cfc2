# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels hold, made into the `params` of requests (protocol/SPEC.md). Pure functions, no bpy.

What an artist typed is checked here already where a better sentence can be given than from afar; the backend checks
everything again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

PBR_MAPS = ("normal", "height", "roughness", "ao")
MAX_SEEDS = 10_000
NAME_LENGTH = 64


class BadInput(ValueError):
    """What was typed cannot be sent; the text is one sentence that says what to do."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What every kind of texture has in common.

    styles   (name, strength) in the order they are blended
    size     [width, height] in pixels
    tile     directions without a seam: none, x, y, xy
    psi      1 = as varied as the generator can, 0 = its average
    """

    generator: str = "builtin"
    styles: Sequence[tuple[str, float]] = ()
    size: tuple[int, int] = (512, 512)
    tile: str = "xy"
    psi: float = 0.8
    maps: Sequence[str] = field(default=("color",))

    def params(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "styles": [[name, round(float(strength), 6)] for name, strength in self.styles],
            "size": list(self.size),
            "tile": self.tile,
            "psi": round(float(self.psi), 6),
        }


def tile_name(x: bool, y: bool) -> str:
    return {(True, True): "xy", (True, False): "x", (False, True): "y", (False, False): "none"}[x, y]


def parse_seeds(text: str) -> list[int]:
    """`3, 7, 12-15` -> [3, 7, 12, 13, 14, 15]. Raises BadInput."""
    seeds: list[int] = []
    for part in re.split(r"[,;\s]+", text.strip()):
        match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part)
        if not match:
            raise BadInput(f"Seeds are whole numbers and ranges such as 3, 7, 12-15; {part or text!r} is neither.")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise BadInput(f"The range {part} runs backwards; write {last}-{first}.")
        if len(seeds) + last - first >= MAX_SEEDS:
            raise BadInput(f"{text!r} names more than {MAX_SEEDS} seeds; make several smaller sets.")
        seeds.extend(range(first, last + 1))
    return seeds


def name_from(words: str) -> str:
    """A style's or file's name made of any words: `Mossy Stone!` -> `mossy-stone`; "" where nothing is left."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:NAME_LENGTH].strip("-")


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """`wanted`, or `wanted-2`, `wanted-3`, ... where that is taken."""
    taken = set(taken)
    if wanted not in taken:
        return wanted
    number = 2
    while (name := f"{wanted[: NAME_LENGTH - 6]}-{number}") in taken:
        number += 1
    return name


def adapt(
    *,
    generator: str,
    source: str,
    target: str,
    name: str,
    taken: Iterable[str] = (),
    method: str = "auto",
    iterations: int = 0,
    seed: int = 0,
    preview_every: int = 10,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Params of `adapt`; a name is made from the target prompt where none is given. Raises BadInput."""
    source, target = " ".join(source.split()), " ".join(target.split())
    if not source:
        raise BadInput("Say what the textures are now in the From prompt, such as stone.")
    if not target:
        raise BadInput("Say what they shall become in the To prompt, such as mossy stone.")
    if source.casefold() == target.casefold():
        raise BadInput("The two prompts are the same; say in the To prompt what shall be different.")
    wanted = name_from(name or target)
    if not wanted:
        raise BadInput("Give the style a name of letters or digits.")
    return {
        "generator": generator,
        "source": source,
        "target": target,
        "name": wanted if overwrite or name else free_name(wanted, taken),
        "method": method,
        "iterations": iterations if iterations > 0 else "auto",
        "seed": seed,
        "preview_every": preview_every,
        "overwrite": overwrite,
    }


def import_generator(*, file: str, url: str, sha256: str, name: str, overwrite: bool) -> dict[str, Any]:
    """Params of `import`: of a file or, where that is empty, of an address. Raises BadInput."""
    url = url.strip()
    if not file and not url:
        raise BadInput("Choose the checkpoint: a .pkl, .pt or .safetensors on disk, or the address of one.")
    if not file and not url.startswith(("https://", "http://")):
        raise BadInput(f"{url!r} is no address of a file; it begins with https:// or http://.")
    last = file.replace("\\", "/") if file else unquote(urlsplit(url).path)
    wanted = name_from(name or PurePosixPath(last).stem)
    if not wanted:
        raise BadInput("Give the generator a name of letters or digits.")
    params = {"name": wanted, "overwrite": overwrite} | ({"file": file} if file else {"url": url})
    return params | ({"sha256": sha256.strip()} if sha256.strip() else {})


def generate(look: Look, *, seeds: Sequence[int], name: str, out: Path | None) -> dict[str, Any]:
    """Params of `generate`: to files in `out`, or (None) as arrays."""
    params = look.params() | {"seeds": list(seeds), "maps": list(look.maps)}
    if out is not None:
        params |= {"name": name, "format": "png", "out": str(out)}
    return params


def walk(look: Look, *, seeds: Sequence[int], frames: int, loop: bool, speed: str, out: Path) -> dict[str, Any]:
    """Params of `walk`. Raises BadInput."""
    if len(seeds) < 2:
        raise BadInput("A walk needs at least two seeds to walk between, such as 3, 7, 12.")
    if frames < 2:
        raise BadInput("A walk needs at least two frames.")
    return look.params() | {
        "seeds": list(seeds),
        "frames": frames,
        "loop": loop,
        "speed": speed,
        "format": "png",
        "out": str(out),
    }


def batch(look: Look, *, seeds: Sequence[int], each_style: bool, file_format: str, out: Path) -> dict[str, Any]:
    """Params of `batch`: one item for every style of `look`, or one with all of them blended."""
    defaults = look.params() | {"maps": list(look.maps), "format": file_format}
    styles = defaults.pop("styles")
    sets = [[style] for style in styles] if each_style and styles else [styles]
    items = []
    for chosen in sets:
        name = name_from("-".join(style for style, _strength in chosen)) or name_from(look.generator) or "texture"
        items.append({"name": name, "styles": chosen, "seeds": list(seeds)})
    return {"jobs": {"defaults": defaults, "items": items}, "out": str(out), "resume": True}
