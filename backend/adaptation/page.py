"""The report as one HTML file that needs nothing else: pictures, drawings and style are inside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from ..textures.files import encode
from .charts import bar_chart, line_chart
from .report import Report

MEASURES = {
    "direction": ("Direction", "how far pictures went the way that the words ask for; higher is better"),
    "quality": ("Quality", "how well they match the target; compare with the same CLIP only"),
    "retention": ("Diversity kept", "share of the source's variety that is left; 1 = all"),
    "structure": ("Structure", "how far edges stayed where they were; low where shapes were to change"),
    "pinned": ("Pinned", "1 = the change sits at the same place every time; 0.25 = independent places"),
    "seam x": ("Seam, x", "gradient across the edge by the gradient inside; 1 = seamless"),
    "seam y": ("Seam, y", "the same from bottom to top"),
}
SHOWN_BIAS = 16
SMOOTH = 15
"""Iterations over which the curves of the training's own numbers are averaged."""


def render_page(report: Report) -> str:
    """The whole page."""
    info = report.info
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    title = f"{info.source} → {info.target}"
    body = "".join(
        [
            _head(report, title),
            _section(
                "Before and after", _pairs(report), "The same seeds, before on the left. Drag the handle of a pair."
            ),
            _section("Measures", _measures(report), _judge_line(report)),
            _section(
                "Along the run", _strip(report), "The same seeds from the unchanged generator to the last snapshot."
            ),
            _section(
                "Curves", _curves(report), "Over iterations; the ring marks the style, the dashed line its floor."
            ),
            _section("What else moved", _bias(report), BIAS_TEXT),
            _section("Settings", _table(_flat(info.settings))),
            _section("Time", _table(report.timings)),
            _section("Where it comes from", _table(_origin(report))),
        ]
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(info.name)}: {escape(title)}'
        f'</title><meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


BIAS_TEXT = (
    "How far pictures moved along other words, in units of the source's own spread (1 = as much as two of its pictures "
    "differ by themselves). The thin mark is what the words asked for. To keep a property as it is, adapt again with "
    "<code>--keep-fixed WORD</code>."
)


def to_json(report: Report) -> str:
    return json.dumps(report.as_json(), indent=1, sort_keys=True, allow_nan=False) + "\n"


def _section(title: str, content: str, lead: str = "") -> str:
    """Nothing where there is nothing to show. `lead` is ours and may hold markup."""
    if not content:
        return ""
    return f"<section><h2>{title}</h2>{f'<p class=lead>{lead}</p>' if lead else ''}{content}</section>"


def _head(report: Report, title: str) -> str:
    info = report.info
    facts = [f"method {info.method}", f"{info.iterations:g} iterations", f"seed {info.seed}", f"on {info.generator}"]
    chips = "".join(f"<span>{escape(fact)}</span>" for fact in facts + [f"CLIP {clip}" for clip in info.clips])
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in report.notes)
    return (
        f"<header><p class=kind>Style</p><h1>{escape(info.name)}</h1><p class=words>{escape(title)}</p>"
        f"<p class=chips>{chips}</p>{notes}</header>"
    )


def _image(picture: np.ndarray, words: str, kind: str = "") -> str:
    small = picture.shape[0] <= 128
    data = base64.b64encode(encode(picture, "png" if small else "jpeg")).decode()
    mime = "png" if small else "jpeg"
    return f'<img class="{kind}" alt="{escape(words)}" src="data:image/{mime};base64,{data}">'


def _pairs(report: Report) -> str:
    """Before and after on top of each other; without scripts the page shows half of each."""
    shown = []
    for seed, (before, after) in zip(report.seeds, report.pairs, strict=True):
        shown.append(
            '<figure class="pair" style="--cut:50%"><div class="stack">'
            f"{_image(before, f'seed {seed} before', 'before')}{_image(after, f'seed {seed} after', 'after')}</div>"
            f'<input type="range" min="0" max="100" value="50" aria-label="seed {seed}: before or after"'
            " oninput=\"this.parentNode.style.setProperty('--cut',this.value+'%')\">"
            f"<figcaption>seed {seed}</figcaption></figure>"
        )
    return f"<div class=pairs>{''.join(shown)}</div>"


def _measures(report: Report) -> str:
    measures = report.info.measures
    order = [*(n for n in MEASURES if n in measures), *(n for n in measures if n not in MEASURES)]
    found: dict[str, tuple[float, float | None]] = {name: (measures[name], None) for name in order}
    if report.seam:
        for place, axis in enumerate("xy"):
            found[f"seam {axis}"] = (report.seam["adapted"][place], report.seam["source"][place])
    tiles = []
    for name, (value, before) in found.items():
        title, words = MEASURES.get(name, (name.replace("_", " ").capitalize(), ""))
        was = "" if before is None else f"<small>before {before:.2f}, {report.seam_pictures} pictures</small>"
        tiles.append(f"<div class=tile><h3>{escape(title)}</h3><b>{value:.2f}</b>{was}<p>{words}</p></div>")
    return f"<div class=tiles>{''.join(tiles)}</div>" if tiles else ""


def _judge_line(report: Report) -> str:
    judge = report.info.settings.get("judge")
    return f"On fixed latents, as the CLIP <code>{escape(str(judge))}</code> sees them." if judge else ""


def _strip(report: Report) -> str:
    if not report.strip:
        return ""
    heads = []
    rows: list[list[str]] = [[] for _ in next(iter(report.strip.values()))]
    for iterations, pictures in report.strip.items():
        here = " class=here" if iterations == report.info.iterations else ""
        heads.append(f"<th{here}>{iterations:g}</th>")
        for row, picture in zip(rows, pictures, strict=True):
            row.append(f"<td{here}>{_image(picture, f'{iterations:g} iterations')}</td>")
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<div class=scroll><table class=strip><tr>{''.join(heads)}</tr>{body}</table></div>"


def _curves(report: Report) -> str:
    index, info = report.index, report.info
    if index is None or len(index.points) < 2:
        return ""
    drawn = []
    for name in index.points[0].measures:
        values = [point.measures.get(name, 0.0) for point in index.points]
        floor = info.settings.get("diversity_floor") if name == "retention" else None
        floor = float(floor) if isinstance(floor, int | float) else None
        title = MEASURES.get(name, (name,))[0]
        drawn.append((title, line_chart(index.iterations, values, chosen=info.iterations, floor=floor, label=title)))
    for name, values in index.history.items():
        if len(values) > 1:
            steps = list(range(1, len(values) + 1))
            drawn.append((f"{name}, while training", line_chart(steps, values, smooth=SMOOTH, label=name)))
    figures = "".join(f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in drawn)
    return f"<div class=curves>{figures}</div>"


def _bias(report: Report) -> str:
    rows = [(shift.probe, shift.shift, shift.asked) for shift in report.bias[:SHOWN_BIAS]]
    return f"<div class=bars>{bar_chart(rows, label='what else moved')}</div>" if rows else ""


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: most settings of most runs are."""
    return {name: value for name, value in settings.items() if value not in (None, "", [], ())}


def _origin(report: Report) -> dict[str, Any]:
    info = report.info
    return {"generator": info.generator, "generator hash": info.generator_hash, "licence": info.licence}


def _table(values: Mapping[str, Any]) -> str:
    def shown(value: Any) -> str:
        text = f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
        return escape(text)

    rows = "".join(
        f"<tr><th>{escape(str(name).replace('_', ' '))}</th><td>{shown(value)}</td></tr>"
        for name, value in values.items()
    )
    return f"<table class=facts>{rows}</table>" if rows else ""
