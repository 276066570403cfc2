"""Reports on styles, as a page and as numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BadRequest
from ...job import Job
from ..parameters import parse
from .context import Answer, Context, absolute

if TYPE_CHECKING:
    from ...models.store import Store


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """file  the page; its numbers are written beside it, under the same name with the ending .json"""

    name: str
    file: Path

    def __post_init__(self) -> None:
        absolute("file", self.file)
        if self.file.suffix not in (".html", ".htm"):
            raise BadRequest(f"A report is a page: give a file whose name ends in .html, not {self.file.name!r}.")


def report_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    (asked,) = parse("report_style", params, ReportRequest)
    began_s = time.monotonic()
    written = write_report(context.store, asked.name, asked.file, job)
    return Answer(value=written | {"seconds": time.monotonic() - began_s})


def write_report(
    store: Store, name: str, file: Path, job: Job, timings: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Make the report on a style and write it; {"file", "json"}, the paths."""
    from ...adaptation.page import render_page, to_json
    from ...adaptation.report import make_report
    from ...textures.files import open_folder, writing_atomic

    store.library.path(name)  # a misspelt name leaves no folder behind
    open_folder(file.parent)
    report = make_report(store, name, job=job, timings=timings)
    numbers = file.with_suffix(".json")
    # Both, or none where the disk is full.
    with writing_atomic(numbers) as data, writing_atomic(file) as page:
        data.write(to_json(report).encode())
        data.flush()
        page.write(render_page(report).encode())
    return {"file": str(file), "json": str(numbers)}
