"""Which generators a style fits: its own, relatives of the same shapes, and none else. Read from headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..adaptation.style import misfit

if TYPE_CHECKING:
    from .store import Store

OWN, RELATIVE, FOREIGN = "own", "relative", "foreign"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """relation  own = the generator that the style was made on, by hash; relative = another of the same shapes, on
              which a style usually does much the same (a fine-tuned child, say); foreign = the style cannot be used
    reason    a sentence for people; empty for `own`
    """

    relation: str
    reason: str = ""


def fit(store: Store, style: str, generator: str) -> Fit:
    """How the style (by reference) and the generator go together. Raises NotFound, BadRequest, BadCheckpoint."""
    name = style.partition("@")[0]
    info = store.library.info(name)
    why = misfit(store.library.shapes(name), store.generator_shapes(generator))
    if why:
        reason = (
            f"The style {style!r} was made on the generator {info.generator!r} and does not fit {generator!r} ({why}); "
            "train it again there."
        )
        return Fit(relation=FOREIGN, reason=reason)
    if info.generator_hash == store.generator_hash(generator):
        return Fit(relation=OWN)
    reason = (
        f"The style {style!r} was made on the generator {info.generator!r}; {generator!r} has the same shapes and "
        "other weights, so look at what it does there."
    )
    return Fit(relation=RELATIVE, reason=reason)


def warnings(store: Store, generator: str, styles: list[str]) -> list[str]:
    """A sentence for each style that is used on a relative of its generator."""
    found = (fit(store, style, generator) for style in dict.fromkeys(styles))
    return [each.reason for each in found if each.relation == RELATIVE]
