"""Pictures on disk: names, encoding, and writing so that no half file ever stands under its real name.

A file holds the picture and, where the format has room, one JSON object with the settings that made it. It holds no
clock time and no path, so the same settings give the same bytes on another day and in another folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from ..errors import BadRequest, CannotWrite
from .deep import encode_exr, encode_png16, read_exr

FORMATS = {"png": "png", "png16": "png", "exr": "exr", "jpeg": "jpg", "webp": "webp"}
"""Format name -> file suffix, for colour. Every other map is data and always PNG: lossless, and 16-bit for heights."""

DEEP = ("png16", "exr")
"""Formats of more than 8 bits: their colour is float32 (see `deep`)."""

MAPS = ("color", "height", "normal", "roughness", "ao", "orm")

SETTINGS_KEY = "latent-loom"
"""Keyword of the PNG text chunk that holds a picture's own settings."""

_FILE_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_PART = ".part"


def check_stem(name: str) -> str:
    """`name` if it is safe as the start of a file name on every platform, else BadRequest with the rule."""
    if _FILE_STEM.fullmatch(name) and ".." not in name and name.split(".")[0].lower() not in _RESERVED:
        return name
    raise BadRequest(
        f"{name!r} cannot start a file name; use up to 100 letters, digits, '-', '_' and '.', beginning with a letter "
        "or digit and naming no folder."
    )


def picture_name(name: str, seed: int | str, which: str, fmt: str, strength: float | None = None) -> str:
    """File name of one map of one texture, e.g. `mossy-7_normal.png`; at a strength of its own `mossy-7-at0.5_...`."""
    at = "" if strength is None else f"-at{strength:g}"
    return f"{check_stem(name)}-{seed}{at}_{which}.{suffix(which, fmt)}"


def frame_name(number: int, which: str = "color", fmt: str = "png") -> str:
    """File name of frame `number` (from 1): `frame-0001.png`; other maps: `frame-0001_normal.png`."""
    extra = "" if which == "color" else f"_{which}"
    return f"frame-{number:04d}{extra}.{suffix(which, fmt)}"


def suffix(which: str, fmt: str) -> str:
    return FORMATS[fmt] if which == "color" else "png"


def open_folder(out: Path | str) -> Path:
    """`out`, made if need be and proved writable; CannotWrite otherwise.

    It is proved by writing and removing a hidden file: permission bits do not tell of read-only mounts or full disks.
    """
    folder = Path(out).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = part_beside(folder / "probe")
        try:
            probe.write_bytes(b"?")
        finally:
            probe.unlink(missing_ok=True)  # of a full disk an empty one stays
    except FileExistsError as error:
        raise CannotWrite(f"{str(out)!r} is a file, not a folder; choose another output folder.") from error
    except OSError as error:
        raise CannotWrite(
            f"Cannot write to the folder {str(out)!r} ({error.strerror or error}); choose another output folder."
        ) from error
    return folder


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all."""
    with writing_atomic(path) as file:
        file.write(data)


@contextlib.contextmanager
def writing_atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that becomes `path` whole or not at all: a hidden neighbour first, then a rename. Raises CannotWrite.

    An exception (Ctrl-C included) removes the neighbour; a kill leaves it, hidden, and `path` untouched.
    """
    part = part_beside(path)
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise CannotWrite(
            f"Cannot write {path.name!r} in {str(path.parent)!r} ({error.strerror or error}); free some space or "
            "choose another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def sweep_parts(folder: Path, stem: str = "", names: Container[str] | None = None) -> None:
    """Remove what killed processes left of files whose names begin with `stem` (and are of `names`, where those are
    given). Only where nobody else writes those.
    """
    for part in folder.glob(f".{stem}*{_PART}"):
        if names is None or part.name[1:].rsplit(".", 2)[0] in names:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def no_empty_folder(out: Path | None) -> Iterator[None]:
    """Folders that are made inside, on the way to `out` and in it, go again where it fails with nothing in them."""
    missing = [] if out is None else [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in [*(folder for within in missing[:1] for folder in within.glob("*/")), *missing]:
            with contextlib.suppress(OSError):  # something is in it, or it was never made
                folder.rmdir()
        raise


def part_beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}{_PART}")


def encode(image: np.ndarray, fmt: str = "png", *, about: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a picture file.

    image  uint8 [H, W, 3], uint8 [H, W] or uint16 [H, W] (PNG only); float32 [H, W, 3] for the deep formats
    about  JSON-able settings, kept in PNG and EXR; other formats drop them
    """
    if image.dtype == np.float32:
        write = {"png16": encode_png16, "exr": encode_exr}[fmt]
        return write(image, None if about is None else canonical_json(about))
    if image.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"pictures are uint8 or uint16, not {image.dtype}")
    if image.dtype == np.uint16 and fmt != "png":
        raise ValueError("16-bit pictures are written as PNG only")
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    if fmt == "png":
        # Of a set of maps at 512 px, level 4 takes 0.6 of the time of Pillow's default 6, for 0.4 % more bytes.
        picture.save(buffer, "png", compress_level=4, pnginfo=_text_chunk(about))
    elif fmt == "jpeg":
        picture.save(buffer, "jpeg", quality=95, subsampling=0)
    elif fmt == "webp":
        picture.save(buffer, "webp", lossless=True, quality=50)
    else:
        raise ValueError(f"unknown format {fmt!r}")
    return buffer.getvalue()


def encode_picture(path: Path | str, image: np.ndarray, *, about: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a picture file whose format `path`'s suffix and the pixels' type tell."""
    fmt = next(name for name, end in FORMATS.items() if str(path).endswith(f".{end}"))
    if fmt == "png" and image.dtype == np.float32:
        fmt = "png16"
    return encode(image, fmt, about=about)


def write_picture(path: Path, image: np.ndarray, *, about: Mapping[str, Any] | None = None) -> bytes:
    """Encode by `path`'s suffix and the pixels' type, write atomically, and return the bytes written."""
    data = encode_picture(path, image, about=about)
    write_atomic(path, data)
    return data


def is_picture(path: Path, size: tuple[int, int]) -> bool:
    """Whether `path` holds a whole picture of `size` (width, height): every pixel is decoded."""
    try:
        if path.suffix == ".exr":
            return path.is_file() and read_exr(path).shape[1::-1] == tuple(size)
        with Image.open(path) as picture:
            picture.load()
            return picture.size == tuple(size)
    except (OSError, ValueError, SyntaxError):  # Pillow reports broken PNG chunks as SyntaxError
        return False


def canonical_json(value: Any) -> str:
    """JSON with one spelling per value, so that equal settings are equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _text_chunk(about: Mapping[str, Any] | None) -> PngImagePlugin.PngInfo | None:
    if about is None:
        return None
    info = PngImagePlugin.PngInfo()
    text = canonical_json(about)
    if text.isascii():
        info.add_text(SETTINGS_KEY, text)
    else:
        info.add_itxt(SETTINGS_KEY, text)
    return info
