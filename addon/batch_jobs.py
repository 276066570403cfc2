# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Batch panel holds, made into the `params` of `batch` (protocol/SPEC.md). Pure functions, no bpy.

A list of prompts is text with one entry in each line:

    # a line that begins so is passed over
    mossy                      a style that the backend has, by its name ...
    mossy:0.8 + snowy:0.3      ... with strengths, and blended
    stone -> cracked stone     a style that is trained first, from and to
    rusty metal                the same; what it is from stands in the panel
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .params import NAME_LENGTH, BadInput, Look, free_name, name_from, parse_seeds

FILES = (".csv", ".jsonl", ".toml")
SEVERAL_SIZES = "{name}-{size}-{seed}_{map}"
ARROW = re.compile(r"\s*(?:->|→|=>)\s*")
STYLE = re.compile(r"([\w.@-]+)(?::(-?\d*\.?\d+))?")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a batch makes, beside its styles.

    look    generator, styles, tiling and variety of the panels
    seeds   as typed
    kind    of picture that the seeds count, where the generator knows kinds; empty: any
    sizes   as typed: "512, 1024x512"; empty: the look's
    maps    names of maps
    format  of the colour
    naming  template of the files' paths; empty: the backend's own
    """

    look: Look
    seeds: str
    kind: str = ""
    sizes: str = ""
    maps: Sequence[str] = ("color",)
    format: str = "png"
    naming: str = ""

    def defaults(self) -> dict[str, Any]:
        """Raises BadInput."""
        known = self.look.params()
        del known["styles"]
        if not self.maps:
            raise BadInput("Choose at least one map to export, such as Colour.")
        known |= {"maps": list(self.maps), "format": self.format, "seeds": parse_seeds(self.seeds)}
        sizes = parse_sizes(self.sizes) if self.sizes.strip() else [self.look.size]
        if len(sizes) == 1:
            known["size"] = list(sizes[0])
        else:
            del known["size"]
            known["sizes"] = [f"{width}x{height}" for width, height in sizes]
        if self.kind:
            known["kind"] = self.kind
        naming = self.naming.strip() or (SEVERAL_SIZES if len(sizes) > 1 else "")
        return known | ({"naming": naming} if naming else {})


def of_styles(wanted: Wanted, *, each_style: bool) -> dict[str, Any]:
    """`jobs` with one item for every style of the look, or one with all of them blended. Raises BadInput."""
    styles = wanted.look.params()["styles"]
    sets = [[style] for style in styles] if each_style and styles else [styles]
    items = []
    for chosen in sets:
        name = name_from("-".join(style for style, _strength in chosen)) or name_from(wanted.look.generator)
        items.append({"name": name or "texture", "styles": chosen})
    return {"defaults": wanted.defaults(), "items": items}


def of_lines(
    wanted: Wanted, text: str, *, source: str, styles: Iterable[str], adapt: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`jobs` of a list of prompts and styles (above).

    source  what a prompt without an arrow starts from
    styles  names that the backend has
    adapt   more parameters for the styles that are trained
    Raises  BadInput, with the line's number
    """
    known = set(styles)
    taken, trained, items = set(known), [], []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        blend = _blend(line, known)
        if blend is None:
            before, after = _prompts(line, source, number)
            name = free_name(name_from(after), taken)
            if not name:
                raise BadInput(f"Line {number} of the list, {line!r}, has no letters to make a name of.")
            taken.add(name)
            about = {key: value for key, value in (adapt or {}).items() if key not in ("source", "target", "name")}
            trained.append({"name": name, "source": before, "target": after} | about)
            blend = [[name, 1.0]]
        base = name_from("-".join(style for style, _strength in blend))
        items.append({"name": free_name(base, [item["name"] for item in items])[:NAME_LENGTH], "styles": blend})
    if not items:
        raise BadInput("The list is empty; write one prompt or style in each line, such as stone -> mossy stone.")
    return {"defaults": wanted.defaults(), "items": items} | ({"adapt": trained} if trained else {})


def file_of(path: str) -> Path:
    """The batch file at `path`, which says everything itself. Raises BadInput."""
    file = Path(path) if path else None
    if file is None or file.suffix.lower() not in FILES:
        raise BadInput("Choose a batch file that ends in .csv, .jsonl or .toml.")
    if not file.is_file():
        raise BadInput(f"There is no file {file}; choose it again.")
    return file.absolute()


def is_csv(text: str) -> bool:
    """Whether a text is a CSV batch file: its first line holds the keys."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    keys = {cell.strip() for cell in first.split(",")}
    return "," in first and bool(keys & {"style", "styles", "seeds", "seed", "name", "each", "size"})


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """`512, 1024x512` -> [(512, 512), (1024, 512)]. Raises BadInput."""
    sizes = []
    for part in re.split(r"[,;\s]+", text.strip()):
        match = re.fullmatch(r"(\d{1,5})(?:[xX×](\d{1,5}))?", part)
        if not match:
            raise BadInput(f"Sizes are written like 512, 1024x512; {part or text!r} is none.")
        size = int(match[1]), int(match[2] or match[1])
        if size not in sizes:
            sizes.append(size)
    return sizes


def request(jobs: Mapping[str, Any] | None, file: Path | None, out: Path, **more: Any) -> dict[str, Any]:
    """The params: of `jobs`, or of a `file`; `more` as detach, dry_run."""
    what = {"jobs": dict(jobs)} if jobs is not None else {"file": str(file)}
    return what | {"out": str(out), "resume": True} | more


def _blend(line: str, known: set[str]) -> list[list[Any]] | None:
    """`mossy:0.8 + snowy` as styles, if the backend has all of them."""
    found = []
    for part in line.split("+"):
        match = STYLE.fullmatch(part.strip())
        if not match or match[1].partition("@")[0] not in known:
            return None
        found.append([match[1], float(match[2]) if match[2] else 1.0])
    return found


def _prompts(line: str, source: str, number: int) -> tuple[str, str]:
    parts = ARROW.split(line)
    if len(parts) > 2:
        raise BadInput(f"Line {number} of the list has more than one arrow; write FROM -> TO.")
    before, after = parts if len(parts) == 2 else (source, line)
    before, after = " ".join(before.split()), " ".join(after.split())
    if not before or not after:
        raise BadInput(f"Line {number} of the list lacks a prompt; write FROM -> TO, such as stone -> mossy stone.")
    if before.casefold() == after.casefold():
        raise BadInput(f"Line {number} of the list goes from {before!r} to itself.")
    return before, after
