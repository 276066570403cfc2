"""Settings by intent. A preset is data: what is given explicitly goes before it, the rest are the ordinary defaults.

Iterations follow the advice of StyleGAN-NADA's author (in-domain about 50, style 200-400, pictures as target 400-600,
far shape changes up to 1000, all at the rate of `full`), shortened where a faster method does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import not_found


@dataclass(frozen=True, kw_only=True)
class Preset:
    """summary  for whom, in half a sentence
    settings   fields of AdaptSettings
    """

    summary: str
    settings: Mapping[str, Any]


PRESETS: dict[str, Preset] = {
    "weathering": Preset(
        summary="moss, rust, snow, dust: patches on the same surface",
        settings={"method": "lowrank", "diversity_floor": 0.75},
    ),
    "material-swap": Preset(
        summary="another material in the same layout: stone becomes wood",
        settings={"method": "lowrank", "learning_rate": 0.008, "in_domain": 0.5, "diversity_floor": 0.6},
    ),
    "painterly": Preset(
        summary="the look of a painting: strokes and palette, layout kept",
        settings={"method": "lowrank", "coarse": False, "patch": 0.5, "patch_size": 0.5},
    ),
    "drawing": Preset(
        summary="sketch, ink, engraving: few colours, drawn edges",
        settings={"method": "lowrank", "learning_rate": 0.008, "patch": 0.5, "patch_size": 0.35, "in_domain": 0.5},
    ),
    "shape-change": Preset(
        summary="other shapes, far from the source: weights of the layers that matter",
        settings={"method": "layers", "select_every": 50, "iterations": 600, "in_domain": 0.0},
    ),
    "few-images": Preset(
        summary="like one to a few given pictures",
        settings={"method": "lowrank", "iterations": 400, "learning_rate": 0.004, "in_domain": 1.0, "decay": 1.0},
    ),
    "subtle": Preset(
        summary="a hint of it: everything stays recognisable",
        settings={"method": "style", "learning_rate": 0.02, "diversity_floor": 0.9, "decay": 1.0},
    ),
}


def with_preset(name: str | None, explicit: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's settings under the explicit ones. NotFound, with near names, for a preset that is not there.

    A setting that only the preset's method knows goes with that method, the size of patches with their loss, and losses
    on pairs of pictures with a batch that has any: they do not trip an explicit other one.
    """
    if name is None:
        return dict(explicit)
    if name not in PRESETS:
        raise not_found("preset", name, PRESETS, "latent-loom adapt --list-presets shows what each sets.")
    settings = dict(PRESETS[name].settings)
    if explicit.get("method", settings.get("method")) != settings.get("method"):
        settings = {key: value for key, value in settings.items() if key not in METHODS_OWN}
    if explicit.get("patch") == 0:
        settings.pop("patch_size", None)
    if explicit.get("batch") == 1:
        settings = {key: value for key, value in settings.items() if key not in ("in_domain", "diversity")}
    return settings | dict(explicit)


METHODS_OWN = frozenset({"rank", "coarse", "keep_share", "top_layers", "select_every", "learning_rate"})
