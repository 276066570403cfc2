# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels hold, made into the `params` of requests (protocol/SPEC.md). Pure functions, no bpy.

What an artist typed is checked here already where a better sentence can be given than from afar; the backend checks
everything again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
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

    styles      (name, strength) in the order they are blended
    size        [width, height] in pixels
    tile        directions without a seam: none, x, y, xy
    psi         1 = as varied as the generator can, 0 = its average
    directions  (name, amount) of edit directions
    class_index  of a texture model that has classes; None: the first one
    material    family whose usual roughness and relief the maps have
    relief      factor of the height
    """

    generator: str = "builtin"
    styles: Sequence[tuple[str, float]] = ()
    size: tuple[int, int] = (512, 512)
    tile: str = "xy"
    psi: float = 0.8
    maps: Sequence[str] = field(default=("color",))
    directions: Sequence[tuple[str, float]] = ()
    class_index: int | None = None
    material: str = "auto"
    relief: float = 1.0

    def params(self) -> dict[str, Any]:
        made = {
            "generator": self.generator,
            "styles": pairs(self.styles),
            "size": list(self.size),
            "tile": self.tile,
            "psi": round(float(self.psi), 6),
        }
        if any(amount for _name, amount in self.directions):
            made["directions"] = pairs(self.directions)
        if self.class_index is not None:
            made["class_index"] = self.class_index
        if set(self.maps) != {"color"}:
            made |= {"material": self.material, "relief": round(float(self.relief), 6)}
        return made


@dataclass(frozen=True, kw_only=True)
class WalkKey:
    """One station of a walk.

    source  a seed or the name of a kept texture
    psi     None: that of the whole walk
    hold    frames that the walk stays here beside the one that arrives
    ease    of the way to the next key: linear, smooth, in, out
    """

    source: int | str
    styles: Sequence[tuple[str, float]] = ()
    directions: Sequence[tuple[str, float]] = ()
    psi: float | None = None
    hold: int = 0
    ease: str = "linear"


def pairs(named: Iterable[tuple[str, float]]) -> list[list[Any]]:
    """As they travel, without the noise that single precision adds to a slider's 0.8."""
    return [[name, round(float(amount), 6)] for name, amount in named]


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


def _taken(styles: Iterable[str]) -> set[str]:
    """Names of styles, and of those that were being trained when their run was interrupted."""
    return {name for style in styles for name in (style, style.removesuffix("-partial"))}


def adapt(
    *,
    generator: str,
    source: str,
    target: str,
    name: str,
    targets: Sequence[tuple[str, float]] = (),
    negatives: Sequence[tuple[str, float]] = (),
    images: Sequence[str] = (),
    image_weight: float = 1.0,
    keep: str = "",
    preset: str = "",
    taken: Iterable[str] = (),
    method: str = "auto",
    iterations: int = 0,
    seed: int = 0,
    class_index: int | None = None,
    preview_every: int = 10,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Params of `adapt`: of words, of pictures (`images`, paths), or of both. Raises BadInput.

    A name is made from the target prompt, or from the first picture's file, where none is given. Words of `keep`,
    separated by commas, stay as they are. class_index: None trains on every class of a texture model that has any.
    """
    source, target = " ".join(source.split()), " ".join(target.split())
    targets, negatives = _phrases(targets), _phrases(negatives)
    if target or not images:
        if not source:
            raise BadInput("Say what the textures are now in the From prompt, such as stone.")
        if not target:
            raise BadInput("Say what they shall become in the To prompt, such as mossy stone, or give pictures.")
        if source.casefold() in {words.casefold() for words in (target, *(one for one, _ in targets))}:
            raise BadInput("The two prompts are the same; say in the To prompt what shall be different.")
    elif targets:
        raise BadInput("The To prompt is empty; the first of several goes there.")
    wanted = name_from(name or target or PurePosixPath(images[0].replace("\\", "/")).stem)
    if not wanted:
        raise BadInput("Give the style a name of letters or digits.")
    made: dict[str, Any] = {
        "generator": generator,
        "source": source,
        "target": target,
        "name": wanted if overwrite or name else free_name(wanted, _taken(taken)),
        "seed": seed,
        "preview_every": preview_every,
        "overwrite": overwrite,
    }
    # With a preset only what was chosen against it travels: what is explicit goes before a preset's settings.
    if not preset or method != "auto":
        made["method"] = method
    if not preset or iterations > 0:
        made["iterations"] = iterations if iterations > 0 else "auto"
    kept = [" ".join(words.split()) for words in keep.split(",") if words.strip()]
    optional = {"preset": preset, "targets": pairs(targets), "negatives": pairs(negatives), "keep_fixed": kept}
    if images:
        optional |= {"images": list(images), "image_weight": round(float(image_weight), 6)}
    if class_index is not None:
        made["class_index"] = class_index
    return made | {name: value for name, value in optional.items() if value}


def _phrases(given: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Those that say something and count."""
    return [(" ".join(words.split()), weight) for words, weight in given if words.strip() and weight > 0]


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


def generate(look: Look, *, seeds: Sequence[int | str], name: str = "", out: Path | None) -> dict[str, Any]:
    """Params of `generate`: to files in `out`, or (None) as arrays. `seeds`: numbers, and names of kept textures."""
    params = look.params() | {"seeds": list(seeds), "maps": list(look.maps)}
    if out is not None:
        params |= {"name": name, "format": "png", "out": str(out)}
    return params


def walk(
    look: Look,
    *,
    keys: Sequence[WalkKey],
    frames: int,
    loop: bool,
    speed: str,
    out: Path,
) -> dict[str, Any]:
    """Params of `walk` through `keys`; what they have in common travels once, for the whole walk. Raises BadInput."""
    if len({(key.source, tuple(key.styles), tuple(key.directions), key.psi) for key in keys}) < 2:
        raise BadInput(
            "A walk needs at least two different textures to go between: two seeds such as 3, 7, or two keys."
        )
    if frames < 2:
        raise BadInput("A walk needs at least two frames.")
    held = sum(key.hold for key in keys) + len(keys)
    if held > len(keys) and frames < held:
        raise BadInput(
            f"{frames} frames are too few for {len(keys)} keys and the frames they stay: make at least {held}."
        )
    made: dict[str, Any] = {"seeds": [key.source for key in keys]}
    shared = {"styles": pairs(keys[0].styles), "directions": pairs(keys[0].directions)}
    for name, value in shared.items():
        own = [pairs(getattr(key, name)) for key in keys]
        if any(one != value for one in own):
            made |= {name: [], f"key_{name}": own}
        elif value:
            made[name] = value
    if any(key.psi is not None for key in keys):
        made["key_psi"] = [None if key.psi is None else round(float(key.psi), 6) for key in keys]
    if any(key.hold for key in keys):
        made["key_hold"] = [key.hold for key in keys]
    if any(key.ease != "linear" for key in keys):
        made["key_ease"] = [key.ease for key in keys]
    plain = {name: value for name, value in look.params().items() if name not in ("styles", "directions")}
    made = {"styles": []} | plain | made
    return made | {
        "maps": list(look.maps),
        "frames": frames,
        "loop": loop,
        "speed": speed,
        "format": "png",
        "out": str(out),
    }


def project(
    *,
    generator: str,
    name: str,
    tile: str,
    styles: Sequence[tuple[str, float]] = (),
    size: tuple[int, int] | None = None,
    steps: int = 600,
    seed: int = 0,
    class_index: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Params of `project`, but for the picture. Raises BadInput."""
    wanted = name_from(name)
    if not wanted:
        raise BadInput("Give the texture a name of letters or digits.")
    made = {} if class_index is None else {"class_index": class_index}
    return made | {
        "generator": generator,
        "name": wanted,
        "tile": tile,
        "styles": pairs(styles),
        "size": list(size) if size else None,
        "steps": steps,
        "seed": seed,
        "preview_every": 10,
        "overwrite": overwrite,
    }


def bake(frames: Sequence[Mapping[str, Any]], *, out: Path) -> dict[str, Any]:
    """Params of the `batch` that makes one texture for each of `frames`, the `params` of their `generate`."""
    items = []
    for number, frame in enumerate(frames, start=1):
        item = {key: value for key, value in frame.items() if key != "seeds"}
        (source,) = frame["seeds"]
        item |= {"textures": [source]} if isinstance(source, str) else {"seeds": [source]}
        items.append(item | {"name": f"frame-{number:04d}"})
    defaults = {"format": "png", "naming": "{map}/{name}"}
    return {"jobs": {"defaults": defaults, "items": items}, "out": str(out), "resume": True}
