# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole sets of textures: what to make, and those that were begun."""

from .. import runtime
from ..batches import Batch as Begun
from ..operators.batch import said
from .base import LoomPanel
from .parts import columns, draw_kind, draw_lines, draw_running, draw_trouble_with

SHOWN = 5


class Batch(LoomPanel):
    bl_label = "Batch Export"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "batch_source")
        if settings.batch_source == "FILE":
            layout.prop(settings, "batch_file")
        else:
            _draw_what(layout, context, settings)
        layout.prop(settings, "batch_folder", placeholder="in the output folder")
        layout.prop(settings, "batch_detach")
        draw_trouble_with(layout, context, session, "batch")
        if draw_running(layout, session, "batch"):
            return
        row = layout.row(align=True)
        row.operator("loom.batch", icon="EXPORT")
        row.operator("loom.batch_estimate")
        if said():  # the head of the tab, where it stands too, is far up
            draw_lines(layout, said(), "CHECKMARK", columns(context))


class Batches(LoomPanel):
    bl_label = "Sets"
    parent = Batch

    def draw_here(self, layout, context, settings, session):
        known = runtime.batches().all
        if not known:
            draw_lines(layout, "Sets that run on without Blender are found again here.", "INFO", columns(context))
        draw_trouble_with(layout, context, session, "asset_library")
        may_make = not draw_running(layout, session, "asset_library")
        for batch in known[:SHOWN]:
            _draw_begun(layout.box(), batch, may_make)


def _draw_what(layout, context, settings) -> None:
    if settings.batch_source == "TEXT":
        layout.prop(settings, "batch_text")
        draw_lines(layout, "A line: a style's name, or FROM -> TO.", "INFO", columns(context))
    else:
        layout.prop(settings, "batch_each")
    draw_kind(layout, settings)
    layout.prop(settings, "batch_seeds")
    layout.prop(settings, "batch_sizes", placeholder=f"{settings.width}x{settings.height}")
    layout.column(align=True).prop(settings, "batch_maps")
    layout.prop(settings, "batch_format")
    layout.prop(settings, "batch_naming", placeholder="{name}-{seed}_{map}")


def _draw_begun(layout, batch: Begun, may_make: bool) -> None:
    row = layout.row(align=True)
    row.label(text=batch.name, icon="PACKAGE" if batch.finished else "SORTTIME")
    row.operator("loom.batch_open", text="", icon="FILE_FOLDER").folder = batch.out
    row.operator("loom.batch_forget", text="", icon="X").folder = batch.out
    row = layout.row(align=True)
    if batch.running:
        row.progress(factor=batch.fraction, text=batch.line())
        row.operator("loom.batch_cancel", text="", icon="CANCEL").folder = batch.out
        return
    row.label(text=batch.line())
    if batch.resumable:
        row.operator("loom.batch_resume").folder = batch.out
    if batch.finished and may_make:
        layout.operator("loom.batch_library", icon="ASSET_MANAGER").folder = batch.out
