# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture models and language models: what is here, what can be had, what they take."""

from .. import model_jobs
from .base import LoomPanel
from .parts import columns, draw_lines, draw_preview, draw_running, draw_trouble_with

MOST = 12
WAITS = "While it learns, other work of the backend waits."


class Models(LoomPanel):
    bl_label = "Models"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        if not session.connected:
            draw_lines(layout, "Start the backend to see its models.", "INFO", columns(context))
            return
        column = layout.column(align=True)
        column.label(text="Texture Models")
        for entry in session.generators[:MOST]:
            _draw_generator(column, entry, settings)
        layout.operator("loom.import_generator", icon="IMPORT")
        column = layout.column(align=True)
        column.label(text="Language Models")
        fetches = session.running("fetch_clip") is not None
        for clip in session.clips[:MOST]:
            if clip.get("name") != "judge":  # it only measures
                _draw_clip(column, clip, settings, not fetches)
        draw_running(layout, session, "fetch_clip")
        draw_trouble_with(layout, context, session, "import", "fetch_clip", "delete_clip", "delete_generator")
        lines = model_jobs.disk_lines(session.disk)
        for line in lines:
            layout.label(text=line)
        layout.operator("loom.disk", icon="DISK_DRIVE", text="Measure Again" if lines else "Disk Used")


class Train(LoomPanel):
    bl_label = "Train on Your Pictures"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Models

    def draw_here(self, layout, context, settings, session):
        draw_trouble_with(layout, context, session, "train_generator")
        trains = session.running("train_generator") is not None
        column = layout.column()
        column.enabled = not trains
        column.prop(settings, "train_folder")
        column.prop(settings, "train_name", placeholder="as the folder")
        column.prop(settings, "train_size")
        column.prop(settings, "train_total")
        column.prop(settings, "train_tileable")
        column.prop(settings, "train_start")
        if trains:
            draw_running(layout, session, "train_generator")
            draw_preview(layout)
            return
        row = layout.row(align=True)
        row.operator("loom.train_generator", icon="IMAGE_REFERENCE")
        row.operator("loom.train_generator", text="Go On").goes_on = True
        draw_lines(layout, WAITS, "INFO", columns(context))


def _draw_generator(column, entry, settings) -> None:
    name = str(entry.get("name", ""))
    row = column.row(align=True)
    broken = entry.get("broken")
    if broken:
        row.label(text=name, icon="ERROR")
    else:
        _draw_choice(row, "generator", name, name, settings.generator)
    size = f"{entry.get('resolution')} px · " if entry.get("resolution") else ""
    row.label(text="damaged" if broken else f"{size}{model_jobs.amount(entry.get('bytes') or 0)}")
    if not entry.get("builtin"):
        _draw_delete(row, "generator", name)


def _draw_choice(row, kind: str, name: str, text: str, chosen: str) -> None:
    icon = "RADIOBUT_ON" if name == chosen else "RADIOBUT_OFF"
    left = row.row()
    left.alignment = "LEFT"
    button = left.operator("loom.model_choose", text=text, icon=icon, emboss=False)
    button.kind, button.name = kind, name


def _draw_clip(column, clip, settings, may_fetch: bool) -> None:
    name = str(clip.get("name", ""))
    row = column.row(align=True)
    here = clip.get("builtin") or clip.get("there")
    shown = name.removesuffix(":openai")
    if here:
        _draw_choice(row, "clip", name, shown, settings.clip)
    else:
        row.label(text=shown, icon="BLANK1")
    row.label(text=model_jobs.clip_line(clip))
    if not here and may_fetch:
        row.operator("loom.clip_fetch", text="", icon="IMPORT").name = name
    elif here and not clip.get("builtin"):
        _draw_delete(row, "clip", name)


def _draw_delete(row, kind: str, name: str) -> None:
    button = row.operator("loom.model_delete", text="", icon="TRASH")
    button.kind, button.name = kind, name
