"""What else moved: which other properties a style changes as CLIP sees them, and how to keep chosen ones fixed.

A probe is a word ("dark", "wood"). Its direction p is where the source goes with that word, in every template of the
CLIP: normalise(mean(E("dark stone") - E("stone"))); a material's is E("wood") - E("stone"). A style's shift along it

    shift = mean over pictures of (E(adapted) - E(source)) . p / std over the source's pictures of E(source) . p

counts in the source's own spread: 1 = as much as two of its pictures differ by themselves. Much of it may have been
asked for; `asked` = dT . p says how much. To keep a property fixed, its direction is taken out of the target's:
dT <- normalise(dT - sum over an orthonormal basis q of the probes of (dT . q) q).

Source  Gal et al. 2021 name the biases of CLIP as an open problem of the method; the projection is plain linear algebra
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import PromptError
from ..models.procedural.captions import CONDITION_NAMES, FAMILY_NAMES, TINT_NAMES
from .clip import Clip, check_prompt, unit

GENERAL = (
    *("dark", "bright", "colourful", "black and white", "blurry", "old", "new", "painted", "cartoon", "photograph of"),
    *("young", "elderly", "male", "female", "smiling", "blonde", "tanned", "pale"),
)
"""For CLIPs that read any text: light, style, and the attributes of people that CLIP is known to mix in."""
SMALLEST = 1e-4
LEAST_LEFT = 0.1
"""Less of the direction than this, and nothing is left of what was asked for."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """See the module's formulas."""

    probe: str
    shift: float
    asked: float


def probes_for(clip: Clip) -> tuple[str, ...]:
    """The probe words that this CLIP understands."""
    words = dict.fromkeys((*CONDITION_NAMES, *TINT_NAMES, *FAMILY_NAMES, *GENERAL))
    return tuple(word for word in words if not clip.unknown_words(word))


def probe_direction(clip: Clip, source: str, probe: str) -> Tensor | None:
    """p [D], unit, as above; None where the probe says nothing new of the source ("grey" of "grey")."""
    if "{}" in probe:
        text = probe.replace("{}", source)
    else:
        text = probe if probe in FAMILY_NAMES or not source else f"{probe} {source}"
    difference = (clip.embed_prompt(text) - clip.embed_prompt(source)).mean(0)
    return None if difference.norm() < SMALLEST else unit(difference)


def project_out(direction: Tensor, clip: Clip, source: str, probes: Sequence[str]) -> Tensor:
    """`direction` [D] without what lies along the probes, unit again.

    Raises  PromptError for a probe that the CLIP does not know or that says nothing, and where too little is left
    """
    found = []
    for probe in probes:
        check_prompt(clip, probe.replace("{}", ""))
        p = probe_direction(clip, source, probe)
        if p is None:
            raise PromptError(
                f"To the CLIP {clip.name!r} {probe!r} says nothing of {source!r}; keep another word fixed."
            )
        found.append(p)
    if not found:
        return direction
    basis = torch.linalg.qr(torch.stack(found, dim=1).double()).Q.to(direction)
    left = direction - basis @ (basis.T @ direction)
    if left.norm() < LEAST_LEFT:
        words = " and ".join(repr(probe) for probe in probes)
        raise PromptError(f"Nothing of the target is left when {words} must stay as it is; keep fewer things fixed.")
    return unit(left)


@torch.no_grad()
def shifts(
    clip: Clip, before: Tensor, after: Tensor, *, source: str, direction: Tensor | None, probes: Sequence[str]
) -> list[Shift]:
    """The shift along each probe, the largest first; before, after [N, D] unit embeddings of pairs of pictures.

    direction  [D], what was asked for; None = `asked` is 0
    """
    found = []
    for probe in probes:
        p = probe_direction(clip, source, probe)
        if p is None:
            continue
        spread = (before @ p).std().clamp_min(1e-3)
        moved = ((after - before) @ p).mean() / spread
        asked = 0.0 if direction is None else (direction @ p).item()
        found.append(Shift(probe=probe, shift=round(moved.item(), 3), asked=round(asked, 3)))
    return sorted(found, key=lambda s: -abs(s.shift))
