"""What the files of a batch are called: `{name}-{seed}_{map}`, or another template; folders may stand before the name.

A template is checked before anything is made: every part of every path must be a safe file name on any platform, so no
name escapes the output folder.
"""

from __future__ import annotations

import string

from ..errors import BadRequest
from .files import check_stem, picture_name, suffix
from .generate import GenerateSettings
from .variation import Source

FIELDS = ("name", "seed", "map", "style", "generator", "size", "width", "height", "strength", "psi", "tile", "format")
LONGEST = 240


def check_template(template: str) -> None:
    """BadRequest unless the template consists of text and known fields."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise BadRequest(
            f"The naming {template!r} cannot be read ({error}); write it like {{name}}-{{seed}}_{{map}}."
        ) from error
    for _, field, form, conversion in parts:
        if field is None:
            continue
        if field not in FIELDS or conversion or (form and not (field == "seed" and form.isdecimal())):
            raise BadRequest(
                f"The naming {template!r} has an unknown field {{{field}{':' + form if form else ''}}}; fields are "
                + ", ".join(f"{{{name}}}" for name in FIELDS)
                + ", and {seed:04} for a seed with leading zeros."
            )


def file_name(template: str | None, item: GenerateSettings, seed: Source, strength: float | None, which: str) -> str:
    """The path of one map of one texture below the output folder, with '/' between folders. Raises BadRequest."""
    if template is None:
        return picture_name(item.stem, seed, which, item.format, strength)
    values = {
        "name": item.stem, "seed": seed, "map": which, "generator": item.generator, "tile": item.tile,
        "style": "-".join(name.replace("@", "-") for name, _ in item.styles) or "plain",
        "size": f"{item.size[0]}x{item.size[1]}", "width": item.size[0], "height": item.size[1],
        "strength": f"{1.0 if strength is None else strength:g}", "psi": f"{item.psi:g}", "format": item.format,
    }  # fmt: skip
    try:
        path = template.format(**values)
    except ValueError as error:  # {seed:04} of a kept texture's name
        raise BadRequest(f"The naming {template!r} does not fit the texture {seed!r} ({error}).") from error
    for part in path.split("/"):
        check_stem(part)
    if len(path) > LONGEST:
        raise BadRequest(f"The naming {template!r} gives names of over {LONGEST} letters; make it shorter.")
    return f"{path}.{suffix(which, item.format)}"
