"""Pictures of more than 8 bits: 16-bit PNG through OpenCV, OpenEXR through the Academy's own library.

Pillow writes neither. Both libraries come with the extra `formats`; without them the sentence says so before any work.
A deep picture is float32 [H, W, 3], sRGB-encoded, 0..1 (not clipped): what synthesis made, before it is rounded. EXR
holds it in linear light (Rec. 709 primaries) as half floats, as renderers expect; PNG as it is, in 65536 levels.
"""

from __future__ import annotations

import importlib
import struct
import tempfile
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np

from ..errors import BadRequest

LIBRARIES = {"png16": ("cv2", "opencv-python-headless"), "exr": ("OpenEXR", "OpenEXR")}
"""Format -> the module that writes it, and the package that has the module."""

_PNG_HEAD = 33
"""Bytes of a PNG's signature and header chunk, after which text may stand."""


def library(fmt: str) -> ModuleType:
    """The module that writes `fmt`. Raises BadRequest naming the extra where it is missing."""
    module, package = LIBRARIES[fmt]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadRequest(
            f"Writing {fmt} needs the package {package}, which is not installed; "
            "run pip install 'latent-loom[formats]', or choose another format."
        ) from error


def check_library(fmt: str) -> None:
    if fmt in LIBRARIES:
        library(fmt)


def eight_bit(color: np.ndarray) -> np.ndarray:
    """A colour picture as uint8: as it is, or a deep one rounded just as an 8-bit render is."""
    return color if color.dtype == np.uint8 else np.rint(np.clip(color * 255, 0, 255)).astype(np.uint8)


def encode_png16(color: np.ndarray, text: str | None) -> bytes:
    """uint16 PNG of float32 [H, W, 3]; `text` (ASCII or not) goes into an iTXt chunk under the project's keyword."""
    cv2 = library("png16")
    levels = np.rint(np.clip(color, 0, 1) * 65535).astype(np.uint16)
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(levels[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    data = encoded.tobytes()
    if text is None:
        return data
    body = b"iTXt" + b"latent-loom\0\0\0\0\0" + text.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]


def encode_exr(color: np.ndarray, text: str | None) -> bytes:
    """OpenEXR of float32 [H, W, 3]: linear light, half floats, ZIP. The library writes to a file only."""
    openexr = library("exr")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    if text is not None:
        header["latent-loom"] = text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.exr"
        pixels = np.ascontiguousarray(linear(color).astype(np.float16))
        openexr.File(header, {"RGB": pixels}).write(str(path))
        return path.read_bytes()


def read_exr(path: Path) -> np.ndarray:
    """A picture that `encode_exr` wrote, float32 [H, W, 3], sRGB-encoded. Raises OSError for any other file."""
    openexr = library("exr")
    try:
        with openexr.File(str(path)) as file:
            return encoded(file.channels()["RGB"].pixels.astype(np.float32))
    except (RuntimeError, ValueError, KeyError) as error:  # what the library raises for damaged files
        raise OSError(f"{path.name} is no EXR picture") from error


def linear(encoded: np.ndarray) -> np.ndarray:
    """sRGB-encoded -> linear light. Source: IEC 61966-2-1; below 0 the straight part goes on."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    """Linear light -> sRGB-encoded: `linear` undone."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)
