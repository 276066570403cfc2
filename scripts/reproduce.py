"""The paper's best-known edits with this program: docs/reproduce.md.

    .venv/bin/python scripts/reproduce.py --out DIR [--only NAME ...] [--ours] [--print] [--data DIR] [--threads N]
                                          [--clip NAME ...] [--iterations N] [--seeds 0-15] [--size WIDTHxHEIGHT]

Runs `latent-loom adapt` and `latent-loom generate` for every edit, as the paper trains it (Gal et al. 2021) or, with
--ours, with this program's default method; --print shows the commands and runs nothing. Before and after of the same
seeds lie in DIR/NAME/before and DIR/NAME/after. The generators must have been imported: docs/reproduce.md says how.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from latent_loom.backend.cli.main import main as latent_loom

CLIPS = ("ViT-B-32:openai", "ViT-B-16:openai")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """kind  in-domain, identity, style or shape: what the author's advice on iterations goes by"""

    name: str
    generator: str
    source: str
    target: str
    kind: str
    iterations: int


EDITS = (
    Edit(name="smile", generator="ffhq", source="Face", target="Smiling face", kind="in-domain", iterations=50),
    Edit(name="zombie", generator="ffhq", source="Human", target="Zombie", kind="identity", iterations=200),
    Edit(name="werewolf", generator="ffhq", source="Human", target="Werewolf", kind="shape", iterations=300),
    Edit(name="sketch", generator="ffhq", source="Photo", target="Sketch", kind="style", iterations=300),
    Edit(
        name="pixar", generator="ffhq", source="Photo", target="3D render in the style of Pixar", kind="style",
        iterations=300,
    ),
    Edit(name="ukiyo-e", generator="ffhq", source="Photo", target="Ukiyo-e painting", kind="style", iterations=300),
    Edit(name="joker", generator="afhq-dog", source="Dog", target="The Joker", kind="identity", iterations=200),
    Edit(name="dog-to-cat", generator="afhq-dog", source="Dog", target="Cat", kind="shape", iterations=1000),
    Edit(name="hut", generator="church", source="Church", target="Hut", kind="shape", iterations=600),
    Edit(
        name="cryengine", generator="church", source="Photo", target="Cryengine render", kind="style", iterations=300
    ),
)  # fmt: skip


def adapt_command(edit: Edit, options: argparse.Namespace) -> list[str]:
    """As the paper trains: all convolutions, the layers that matter and mixed latents where shapes change, batch 2,
    Adam at .002 with the 4/5 of its code, no other loss. Ours: the defaults."""
    command = ["adapt", "--generator", edit.generator, "--source", edit.source, "--target", edit.target]
    command += ["--name", style_name(edit, options), "--overwrite"]
    for clip in options.clip or CLIPS:
        command += ["--clip", clip]
    if not options.ours:
        shape = edit.kind == "shape"
        command += ["--method", "layers" if shape else "full", "--batch", "2", "--learning-rate", "0.0016"]
        command += ["--in-domain", "0", "--diversity", "0", "--contrast", "0"]
        command += ["--mixing", "0.9", "--select-every", "1"] if shape else []
    if options.iterations or not options.ours:
        command += ["--iterations", str(options.iterations or edit.iterations)]
    return command


def generate_command(edit: Edit, options: argparse.Namespace, *, after: bool) -> list[str]:
    command = ["generate", "--generator", edit.generator, "--seeds", options.seeds, "--psi", "0.7", "--tile", "none"]
    command += ["--size", options.size or ("256x256" if edit.generator == "church" else "512x512")]
    command += ["--style", style_name(edit, options)] if after else []
    return [*command, "--overwrite", "--out", str(options.out / edit.name / ("after" if after else "before"))]


def style_name(edit: Edit, options: argparse.Namespace) -> str:
    return f"{edit.name}-ours" if options.ours else edit.name


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=[edit.name for edit in EDITS])
    parser.add_argument("--ours", action="store_true", help="the default method instead of the paper's")
    parser.add_argument("--print", action="store_true", dest="print_only", help="show the commands and run nothing")
    parser.add_argument("--data", help="folder of generators and styles (default: the user's)")
    parser.add_argument("--threads")
    parser.add_argument("--clip", action="append", help=f"CLIP to train with, again for several (default: {CLIPS})")
    parser.add_argument("--iterations", type=int, help="of every edit, for a trial (default: the author's advice)")
    parser.add_argument("--seeds", default="0-15")
    parser.add_argument("--size", help="of the pictures (default: the generators' own)")
    options = parser.parse_args(argv)
    common = [part for name in ("data", "threads") if (v := getattr(options, name)) for part in (f"--{name}", v)]
    for edit in EDITS:
        if options.only and edit.name not in options.only:
            continue
        for command in (
            adapt_command(edit, options),
            generate_command(edit, options, after=False),
            generate_command(edit, options, after=True),
        ):
            print("latent-loom", shlex.join([*command, *common]), flush=True)
            if not options.print_only and (code := latent_loom([*command, *common])):
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
