# SPDX-License-Identifier: GPL-3.0-or-later
"""What several panels draw: a job's progress, what is wrong, and sentences in lines that fit."""

from .. import icons
from ..job import Job
from ..operators import kinds
from ..session import Session
from ..troubles import Trouble


def draw_work(layout, context, session: Session, part: str, operator: str, **button) -> None:
    """The `button` of `operator`, which begins a job of this part (see Job); while one runs, how far it is and a Cancel
    instead."""
    if not draw_running(layout, session, part):
        layout.operator(operator, **button)
    draw_trouble_with(layout, context, session, part)


def draw_running(layout, session: Session, part: str) -> bool:
    """How far the running job of a part is; False where there is none."""
    job = session.running(part)
    if job is not None:
        draw_job(layout, job)
    return job is not None


def draw_kind(layout, settings) -> None:
    """The material that seeds are to show, where the texture model knows materials."""
    if kinds.known(settings.generator):
        row = layout.row(heading="Material")
        row.menu("LOOM_MT_kinds", text=settings.kind.capitalize() or "Any")


def draw_preview(layout) -> None:
    """The newest preview of what is being made."""
    if icons.preview_id():
        layout.template_icon(icon_value=icons.preview_id(), scale=9.0)


def draw_trouble_with(layout, context, session: Session, *parts: str) -> None:
    """What went wrong with a job of these parts, where it was asked for: the head of the tab may be far up."""
    if session.trouble is not None and session.trouble.about in parts:
        draw_trouble(layout, session.trouble, columns(context))


def draw_trouble(layout, trouble: Trouble, columns: int) -> None:
    """What is wrong, and the buttons that mend it."""
    box = layout.box()
    draw_lines(box, trouble.sentence, "ERROR", columns)
    row = box.row(align=True)
    if trouble.mend:
        row.operator(trouble.mend, text=trouble.label)
    if trouble.more[0]:
        row.operator(trouble.more[0], text=trouble.more[1])
    row.operator("loom.dismiss", text="", icon="X")


def draw_job(layout, job: Job) -> None:
    """A progress bar with a Cancel beside it."""
    row = layout.row(align=True)
    row.progress(factor=job.fraction, text=job.line())
    cancel = row.row(align=True)
    cancel.enabled = not job.cancelling
    cancel.operator("loom.cancel", text="", icon="CANCEL").job = job.id


def draw_lines(layout, sentence: str, icon: str, columns: int) -> None:
    column = layout.column(align=True)
    for number, line in enumerate(lines(sentence, columns)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


def columns(context) -> int:
    """About how many letters fit into a line of this sidebar, beside an icon."""
    region = context.region
    width = region.width if region is not None else 280
    scale = context.preferences.system.ui_scale or 1.0  # 0 where there is no window
    return max(18, int((width / scale - 70) / 6.6))


def lines(sentence: str, width: int) -> list[str]:
    """Labels do not wrap by themselves."""
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
