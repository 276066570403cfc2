"""The store's entries as they travel: plain values for msgpack and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...models.kept_library import KeptEntry
    from ...models.store import GeneratorEntry
    from ...models.style_list import StyleEntry
    from ...textures.generate import GenerateSettings
    from ...textures.grid import GridSettings
    from ...textures.walk import WalkSettings
    from .context import Context


def generator_value(entry: GeneratorEntry) -> dict[str, Any]:
    """The entry without its path and without what is not there."""
    return {name: plain(value) for name, value in asdict(entry).items() if name != "path" and value is not None}


def style_value(entry: StyleEntry) -> dict[str, Any]:
    """The entry as lists show it: without its path and its settings."""
    shown = {"name": entry.name, "bytes": entry.bytes}
    if entry.info is None:
        return shown | {"broken": entry.broken or "The file cannot be read."}
    info = {name: plain(value) for name, value in asdict(entry.info).items() if name not in ("name", "settings")}
    return shown | info | {"snapshots": list(entry.snapshots)} | ({"builtin": True} if entry.builtin else {})


def style_warnings(context: Context, generator: str, styles: Iterable[tuple[str, float]]) -> list[str]:
    """A sentence for each style that is used on a relative of its own generator."""
    from ...models.relatives import warnings

    return warnings(context.store, generator, [name for name, strength in styles if strength])


def look_warnings(
    context: Context, look: GenerateSettings | GridSettings | WalkSettings, more: Iterable[tuple[str, float]] = ()
) -> list[str]:
    """What pictures are warned of; more: styles beside the look's own. Kept textures have their class."""
    told = style_warnings(context, look.generator, (*look.styles, *more))
    drawn = any(isinstance(seed, int) for seed in look.seeds)
    return told + (class_warnings(context, look.generator, look.class_index) if drawn else [])


def class_warnings(
    context: Context, generator: str, class_index: int | None, taken: str = "the first, 0, is used"
) -> list[str]:
    """A sentence where a generator has several classes and none was chosen. taken: what is done then."""
    classes = context.store.generator_header(generator).config.c_dim
    if class_index is not None or classes < 2:
        return []
    return [f"The generator {generator!r} has the classes 0 to {classes - 1}, and none was chosen: {taken}."]


def texture_value(entry: KeptEntry) -> dict[str, Any]:
    """The entry as lists show it: without its path and its settings."""
    shown = {"name": entry.name, "bytes": entry.bytes}
    if entry.info is None:
        return shown | {"broken": entry.broken or "The file cannot be read."}
    return shown | {n: plain(value) for n, value in asdict(entry.info).items() if n not in ("name", "settings")}


def plain(value: Any) -> Any:
    """`value` in types that msgpack and JSON know."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def method_values(generators: Sequence[GeneratorEntry]) -> list[dict[str, Any]]:
    """Every method of adaptation; `bytes` says how large its result is, by the generator's name."""
    from ....stylegan2.checkpoints.native import read_header
    from ...adaptation.methods import METHODS
    from ...adaptation.stylegan2 import result_bytes

    sizes = {entry.name: result_bytes(read_header(entry.path).config) for entry in generators if entry.broken is None}
    return [
        {
            "name": name,
            "trains": method.trains,
            "suits": method.suits,
            "learning_rate": method.learning_rate,
            "max_iterations": method.max_iterations,
            "bytes": {generator: size[name] for generator, size in sizes.items()},
        }
        for name, method in METHODS.items()
    ]


def preset_values() -> list[dict[str, Any]]:
    """Every preset with what it sets."""
    from ...adaptation.presets import PRESETS

    return [{"name": n, "summary": p.summary, "settings": plain(p.settings)} for n, p in PRESETS.items()]


def material_values() -> list[dict[str, Any]]:
    """Every family of materials, with what it takes the surface for."""
    from ...textures.pbr import MATERIALS

    return [{"name": n, "roughness": m.roughness, "metallic": m.metallic} for n, m in MATERIALS.items()]
