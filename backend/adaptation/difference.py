"""A style from two generators: what was changed in a child of a parent, as a fully adapted checkpoint has it.

With such styles, full adaptations of one parent are mixed, walked between and scaled like any others: strengths a and
1 - a of two of them are the linear interpolation of their weights.

Source  Gal et al. 2021, section 5 (interpolation between adapted generators is linear in their weights)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...stylegan2.checkpoints import generator_hash
from ...stylegan2.networks import Generator
from ..errors import BadRequest
from .style import Style, StyleInfo

METHOD = "difference"


@torch.no_grad()
def difference(parent: Generator, child: Generator, *, name: str, parent_name: str, child_name: str) -> Style:
    """The style that turns `parent` into `child`: every parameter that differs, whole.

    Raises  BadRequest where their shapes differ, or nothing does
    """
    theirs = dict(child.named_parameters())
    tensors: dict[str, Tensor] = {}
    for parameter, ours in parent.named_parameters():
        if parameter not in theirs or theirs[parameter].shape != ours.shape:
            raise BadRequest(
                f"The generators {child_name!r} and {parent_name!r} have different shapes (at {parameter}); only a "
                "generator that was trained on from the parent can become a style of it."
            )
        if not torch.equal(ours, theirs[parameter]):
            tensors[parameter] = theirs[parameter] - ours
    if len(theirs) != len(list(parent.parameters())) or not tensors:
        what = "are the same" if not tensors else "have different parts"
        raise BadRequest(f"The generators {child_name!r} and {parent_name!r} {what}; choose a parent and its child.")
    info = StyleInfo(
        name=name,
        generator=parent_name,
        generator_hash=generator_hash(parent),
        source=parent_name,
        target=child_name,
        method=METHOD,
        iterations=0,
        seed=0,
        clips=(),
        settings={"child_hash": generator_hash(child)},
        licence="as the two generators",
    )
    return Style(info=info, tensors=tensors)
