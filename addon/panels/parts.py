# SPDX-License-Identifier: GPL-3.0-or-later
"""What several panels draw: a job's progress, and sentences in lines that fit."""

from ..job import Job


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
