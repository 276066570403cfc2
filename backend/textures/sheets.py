"""Sheets of pictures with captions: labelled rows, contact sheets, a picture repeated. All return uint8 [H, W, 3].

Type is set in the scalable font that Pillow carries, so that a sheet looks the same on every machine.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Pictures = Sequence[np.ndarray]

PAPER, INK, FADED, RULE = (246, 245, 242), (32, 32, 34), (118, 116, 112), (206, 204, 199)
MARGIN, GAP, LINE = 36, 10, 1.35
TITLE_PX, NOTE_PX, LABEL_PX, CAPTION_PX = 30, 17, 19, 15


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a sheet: its label at the left and its pictures, uint8 [H, W, 3] or [H, W]."""

    label: str
    pictures: Pictures
    note: str = ""


def grid_sheet(
    rows: Sequence[Row], *, captions: Sequence[str] = (), title: str = "", note: str = "", cell_px: int = 224
) -> np.ndarray:
    """Labelled rows of pictures, one column for each caption (a seed, say)."""
    label_px = 0
    if any(row.label for row in rows):
        label_px = min(260, max(110, *(_width(_plain(row.label), LABEL_PX) for row in rows))) + 2 * GAP
    columns = max(len(row.pictures) for row in rows)
    caption_px = round(CAPTION_PX * LINE) + 4 if captions else 0
    width = 2 * MARGIN + label_px + columns * (cell_px + GAP) - GAP
    top = MARGIN + _heading_height(title, note, width)
    height = top + caption_px + len(rows) * (cell_px + GAP) - GAP + MARGIN
    sheet, draw = _sheet(width, height, title, note)
    for column, caption in enumerate(captions[:columns]):
        x = MARGIN + label_px + column * (cell_px + GAP) + cell_px // 2
        _text(draw, (x, top), caption, CAPTION_PX, FADED, anchor="ma", room=cell_px)
    for number, row in enumerate(rows):
        y = top + caption_px + number * (cell_px + GAP)
        _label(draw, row, y, label_px, cell_px)
        for column, picture in enumerate(row.pictures):
            sheet.paste(_fit(picture, cell_px), (MARGIN + label_px + column * (cell_px + GAP), y))
    return np.asarray(sheet)


def contact_sheet(
    pictures: Pictures,
    captions: Sequence[str] = (),
    *,
    columns: int = 0,
    title: str = "",
    note: str = "",
    cell_px: int = 224,
) -> np.ndarray:
    """Pictures in a grid, a caption below each; as near to square as it goes unless `columns` is given."""
    columns = columns or max(1, round(len(pictures) ** 0.5 + 0.4))
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    below = round(CAPTION_PX * LINE) + 8 if captions else 0
    width = 2 * MARGIN + columns * (cell_px + GAP) - GAP
    top = MARGIN + _heading_height(title, note, width)
    sheet, draw = _sheet(width, top + rows * (cell_px + below + GAP) - GAP + MARGIN, title, note)
    for number, picture in enumerate(pictures):
        x = MARGIN + number % columns * (cell_px + GAP)
        y = top + number // columns * (cell_px + below + GAP)
        sheet.paste(_fit(picture, cell_px), (x, y))
        if number < len(captions):
            _text(draw, (x, y + cell_px + 5), captions[number], CAPTION_PX, FADED, room=cell_px)
    return np.asarray(sheet)


def tiled(picture: np.ndarray, rows: int = 2, columns: int = 2) -> np.ndarray:
    """The picture repeated, to show that it has no seam."""
    return np.tile(picture, (rows, columns) + (1,) * (picture.ndim - 2))


def _fit(picture: np.ndarray, cell_px: int) -> Image.Image:
    """The picture as RGB in a square cell: whole, centred on paper where it is not square."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
    scale = cell_px / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    image = image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
    if size == (cell_px, cell_px):
        return image
    cell = Image.new("RGB", (cell_px, cell_px), PAPER)
    cell.paste(image, ((cell_px - size[0]) // 2, (cell_px - size[1]) // 2))
    return cell


def _sheet(width: int, height: int, title: str, note: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = MARGIN - 6
    for lines, px, ink in (
        (_wrap(title, TITLE_PX, width), TITLE_PX, INK),
        (_wrap(note, NOTE_PX, width), NOTE_PX, FADED),
    ):
        for line in lines:
            draw.text((MARGIN, y), line, font=_font(px), fill=ink)
            y += round(px * LINE)
    if title or note:
        draw.line([(MARGIN, y + 8), (width - MARGIN, y + 8)], fill=RULE)
    return sheet, draw


def _heading_height(title: str, note: str, width: int) -> int:
    lines = len(_wrap(title, TITLE_PX, width)) * round(TITLE_PX * LINE) + len(_wrap(note, NOTE_PX, width)) * round(
        NOTE_PX * LINE
    )
    return lines + 20 if lines else 0


def _label(draw: ImageDraw.ImageDraw, row: Row, y: int, label_px: int, cell_px: int) -> None:
    """A row's label, broken into lines and centred beside its pictures, with its note above."""
    lines = _wrap(row.label, LABEL_PX, label_px - GAP + 2 * MARGIN)
    step = round(LABEL_PX * LINE)
    top = y + (cell_px - step * len(lines)) // 2
    if row.note and row.label:
        draw.text((MARGIN, top - round(CAPTION_PX * LINE)), _plain(row.note), font=_font(CAPTION_PX), fill=FADED)
    for number, line in enumerate(lines):
        draw.text((MARGIN, top + number * step), line, font=_font(LABEL_PX), fill=INK)


def _wrap(text: str, px: int, width: int) -> list[str]:
    """The text in lines that fit between the margins of `width`."""
    lines: list[str] = []
    for word in _plain(text).split():
        if lines and _width(f"{lines[-1]} {word}", px) <= width - 2 * MARGIN:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _text(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    px: int,
    ink: tuple[int, int, int],
    *,
    anchor: str = "la",
    room: int,
) -> None:
    """One line of text, cut with an ellipsis where it is wider than `room`."""
    text = _plain(text)
    if _width(text, px) > room:
        while text and _width(text + "…", px) > room:
            text = text[:-1]
        text += "…"
    draw.text(at, text, font=_font(px), fill=ink, anchor=anchor)


def _plain(text: str) -> str:
    """`text` in letters that the font has: accents are dropped, arrows and dashes spelled, the rest becomes '?'."""
    for sign, spelled in {"→": "to", "×": "x", "–": "-", "—": "-", "ß": "ss", "æ": "ae", "ø": "o"}.items():
        text = text.replace(sign, spelled)
    kept = []
    for letter in unicodedata.normalize("NFKD", text.replace("…", "\0")):
        if letter == "\0" or letter in "“”·" or " " <= letter <= "~":
            kept.append("…" if letter == "\0" else letter)
        elif not unicodedata.combining(letter):
            kept.append("?")
    return "".join(kept)


def _font(px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(px)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def _width(text: str, px: int) -> int:
    return int(np.ceil(_font(px).getlength(text)))
