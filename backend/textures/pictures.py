"""Pictures that come from outside, as uint8 [H, W, 3]: what a file or the wire holds, or one sentence that refuses it.

Transparent parts are filled with the mean colour of what can be seen, since black or white would be taken for part of
the texture. Colour profiles are ignored: numbers are taken for sRGB, as image editors and Blender write them.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import BadRequest, NotFound
from .look import LARGEST_PX, SMALLEST_PX

READ_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA", "GIF", "PPM")
"""Pillow's names. An allow-list, since Pillow would hand PostScript to a program of the system."""

SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
HIGH_RANGE = ("I", "F")
VISIBLE = 128
"""Alpha from which a pixel counts for the mean colour."""


def read_picture(path: Path | str) -> np.ndarray:
    """The picture in a file, uint8 [H, W, 3], turned as its camera says; of an animation the first frame.

    Raises  NotFound; BadRequest where the file is no picture, is damaged, too large or too small, has 32 bits a channel
            or is all transparent
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise NotFound(f"There is no picture {str(path)!r}; check the path.")
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # about the size, which is checked here, and about odd metadata
            with Image.open(file, formats=READ_FORMATS) as picture:
                _check_size(picture.height, picture.width, path.name)
                return as_picture(_pixels(picture, path.name), path.name)
    except BadRequest:
        raise
    except Image.DecompressionBombError as error:
        raise BadRequest(_too_large(path.name)) from error
    except PermissionError as error:
        raise BadRequest(f"{path.name} may not be read; change its permissions.") from error
    except Exception as error:  # the boundary to Pillow's decoders, which stumble over damaged files in many ways
        raise BadRequest(
            f"{path.name} cannot be read as a picture: it is damaged or of an unknown kind; save it as PNG or JPEG."
        ) from error


def as_picture(pixels: np.ndarray, name: str = "The picture") -> np.ndarray:
    """Pixels of any usual layout as uint8 [H, W, 3].

    pixels  uint8 or uint16; [H, W] or [H, W, C] with 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha; or
            [1, H, W, C], one picture as the wire has them
    Raises  BadRequest
    """
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4:
        raise BadRequest(
            f"{name} has the type {pixels.dtype} and the shape {list(pixels.shape)}; give uint8 or uint16 pixels "
            "[height, width, 3]."
        )
    _check_size(pixels.shape[0], pixels.shape[1], name)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 / 255 = 257, rounded
    channels = pixels.shape[2]
    color = np.repeat(pixels[..., :1], 3, axis=2) if channels < 3 else np.ascontiguousarray(pixels[..., :3])
    return _on_mean(color, pixels[..., -1], name) if channels in (2, 4) else color


def _pixels(picture: Image.Image, name: str) -> np.ndarray:
    """The decoded pixels, uint8 [H, W, 3 or 4] or uint16 [H, W]."""
    picture.load()
    if picture.mode in HIGH_RANGE:
        raise BadRequest(f"{name} has 32 bits a channel; save it with 8 or 16 bits a channel.")
    if picture.mode in SIXTEEN_BIT:
        return np.asarray(picture).astype(np.uint16)  # Pillow's own conversion to 8 bits would clip
    picture = ImageOps.exif_transpose(picture)
    return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))


def _on_mean(color: np.ndarray, alpha: np.ndarray, name: str) -> np.ndarray:
    """color uint8 [H, W, 3] over its own mean colour, where alpha uint8 [H, W] lets that through."""
    seen = alpha >= VISIBLE
    if not seen.any():
        raise BadRequest(f"{name} is transparent all over; give a picture that can be seen.")
    if alpha.min() == 255:
        return color
    mean = tuple(int(level) for level in np.rint(color[seen].mean(axis=0)))
    paper = Image.new("RGB", color.shape[1::-1], mean)
    paper.paste(Image.fromarray(color), mask=Image.fromarray(np.ascontiguousarray(alpha)))
    return np.array(paper)


def _check_size(height: int, width: int, name: str) -> None:
    if max(height, width) > LARGEST_PX:
        raise BadRequest(_too_large(name))
    if min(height, width) < SMALLEST_PX:
        raise BadRequest(
            f"{name} has only {width}x{height} px; give a picture of at least {SMALLEST_PX}x{SMALLEST_PX} px."
        )


def _too_large(name: str) -> str:
    return f"{name} is larger than {LARGEST_PX} px; make it smaller first."
