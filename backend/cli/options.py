"""The parser every command uses, and the options that several commands share."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from . import values


class UsageError(Exception):
    """The command line cannot be understood; `str()` is one sentence, `.prog` the command it was written for."""

    def __init__(self, message: str, prog: str) -> None:
        super().__init__(message)
        self.prog = prog


class Parser(argparse.ArgumentParser):
    """argparse with exact option names, and with `UsageError` instead of a printed usage and an exit."""

    def __init__(self, **settings) -> None:
        settings.setdefault("allow_abbrev", False)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self.prog)


def add_common(parser: argparse.ArgumentParser, *, repeated: bool = False) -> None:
    """What every command understands.

    repeated   for an action below a command (`styles show`) that has these options already: what is not given here
               then keeps what was given there
    """
    kept: dict[str, Any] = {"default": argparse.SUPPRESS} if repeated else {}
    parser.add_argument(
        "--json", action="store_true", help="end standard output with one JSON object, and print no prose", **kept
    )
    parser.add_argument(
        "--data", type=values.path, metavar="DIR", help="folder of generators and styles (default: the user's)", **kept
    )
    parser.add_argument(
        "--threads", type=values.count, metavar="N", help="processor threads (default: all cores)", **kept
    )


def add_generator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generator", default="builtin", metavar="NAME", help="generator to use (default: builtin)")


def add_class(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--class", type=values.whole, metavar="N", dest="class_index",
        help="which class, of a generator that has classes (default: 0, the first)",
    )  # fmt: skip


def add_look(parser: argparse.ArgumentParser, *, walk: bool = False) -> None:
    """What a texture looks like: generator, styles, size, edges, truncation, maps. walk: its noise may move."""
    add_generator(parser)
    parser.add_argument(
        "--style", type=values.style, action="append", default=[], metavar="NAME[:STRENGTH]", dest="styles",
        help="style to apply; give it again to blend several",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=values.size, default=(512, 512), metavar="WIDTHxHEIGHT", help="pixels (default: 512x512)"
    )
    parser.add_argument(
        "--tile", choices=("none", "x", "y", "xy"), default="xy", help="directions in which edges meet (default: xy)"
    )
    parser.add_argument(
        "--psi",
        type=values.number,
        metavar="P",
        help="truncation: 0 the mean picture, 1 full variety (default: 0.8)",
    )
    _add_variation(parser, walk)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--pbr", action="store_const", const=list(values.MAPS), dest="maps", help="write every PBR map")
    shown.add_argument(
        "--maps", type=values.maps, metavar="LIST", help=f"maps to write, of {','.join(values.MAPS)} (default: color)"
    )
    parser.add_argument(
        "--mine", type=values.number, metavar="AMOUNT",
        help="pull samples to what fits the styles best, 0 to 2 (default: 0; see `styles mine`)",
    )  # fmt: skip
    parser.add_argument(
        "--material", choices=values.MATERIALS, help="family that relief and roughness suit (default: auto)"
    )
    parser.add_argument(
        "--relief", type=values.number, metavar="R", help="how deep height and normals are (default: 1)"
    )
    parser.add_argument("--normal", choices=("opengl", "directx"), help="which way green points (default: opengl)")
    parser.add_argument("--roughness", type=values.number, metavar="R", help="mean, 0 to 1 (default: the material's)")
    parser.add_argument(
        "--format", choices=("png", "png16", "exr", "jpeg", "webp"), help="of the colour map (default: png)"
    )


def _add_variation(parser: argparse.ArgumentParser, walk: bool) -> None:
    """What may be varied of a seed's picture beside its truncation."""
    parser.add_argument(
        "--cutoff", type=values.whole, metavar="N", help="truncate the N coarsest layers alone (default: all)"
    )
    parser.add_argument(
        "--mix", type=values.mix, action="append", metavar="SEED@LAYER",
        help="take another seed's latents from a layer on, like 7@4; give it again to mix in several",
    )  # fmt: skip
    parser.add_argument(
        "--direction", type=values.direction, action="append", dest="directions", metavar="NAME:AMOUNT",
        help="move along an edit direction, like d0:2 or d3-fine:-1 (see `latent-loom directions`); may be repeated",
    )  # fmt: skip
    add_class(parser)
    parser.add_argument(
        "--noise",
        choices=("fixed", "none", "animated") if walk else ("fixed", "none"),
        help="fine detail (default: fixed)" + ("; animated flows round once in the walk" if walk else ""),
    )
    parser.add_argument(
        "--noise-seed", type=values.seed, metavar="SEED",
        help="seed of detail and layout, shared by all pictures (default: each picture's own)",
    )  # fmt: skip
    parser.add_argument(
        "--noise-strength", type=values.numbers, metavar="LIST",
        help="factor of the noise, or one for each layer from coarse to fine, like 1,1,0.5 (default: 1)",
    )  # fmt: skip


def look_params(args: argparse.Namespace) -> dict:
    """The request parameters that `add_look` filled; what was left out is the handler's own default."""
    params = {
        "generator": args.generator,
        "styles": [list(style) for style in args.styles],
        "size": list(args.size),
        "tile": args.tile,
        "psi": args.psi,
        "cutoff": args.cutoff,
        "mix": args.mix,
        "directions": args.directions,
        "class_index": args.class_index,
        "noise": args.noise,
        "noise_seed": args.noise_seed,
        "noise_strength": args.noise_strength,
        "maps": args.maps,
        "mine": args.mine,
        "material": args.material,
        "relief": args.relief,
        "normal": args.normal,
        "roughness": args.roughness,
        "format": args.format,
    }
    return {name: value for name, value in params.items() if value is not None}
