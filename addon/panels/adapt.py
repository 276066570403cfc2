# SPDX-License-Identifier: GPL-3.0-or-later
"""A style by words and pictures."""

from .. import icons
from ..job import Job
from ..operators import kinds
from ..operators.aims import kind_name
from .base import LoomPanel
from .parts import draw_job, draw_preview, draw_trouble_with


class Adapt(LoomPanel):
    bl_label = "New Style"

    def draw_here(self, layout, context, settings, session):
        job = session.running("adapt")
        column = layout.column()
        column.enabled = job is None
        column.prop(settings, "source")
        column.prop(settings, "target")
        row = column.row(heading="Kind of Change")
        row.menu("LOOM_MT_change_kinds", text=kind_name(settings.preset))
        column.prop(settings, "style_name", placeholder="from the To prompt")
        if job is not None:
            draw_job(layout, job)
            _draw_numbers(layout, job)
        else:
            layout.operator("loom.adapt", icon="SHADERFX")
        draw_trouble_with(layout, context, session, "adapt")


class AdaptWords(LoomPanel):
    bl_label = "More Words"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Adapt

    def draw_here(self, layout, context, settings, session):
        layout.use_property_split = False
        for kind, title in (("targets", "Become this too"), ("negatives", "Move away from")):
            row = layout.row(align=True)
            row.label(text=title)
            row.operator("loom.phrase_add", text="", icon="ADD").kind = kind
            for index, phrase in enumerate(getattr(settings, kind)):
                row = layout.row(align=True)
                split = row.split(factor=0.7, align=True)
                split.prop(phrase, "words", text="")
                split.prop(phrase, "weight", text="")
                remove = row.operator("loom.phrase_remove", text="", icon="X")
                remove.kind, remove.index = kind, index
        layout.use_property_split = True
        layout.prop(settings, "keep_fixed", placeholder="green, cracked")


class AdaptPictures(LoomPanel):
    bl_label = "Pictures"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Adapt

    def draw_here(self, layout, context, settings, session):
        for index, picture in enumerate(settings.pictures):
            row = layout.row(align=True)
            row.label(text=picture.shown_name(), icon="IMAGE_DATA" if picture.image is not None else "FILE_IMAGE")
            row.operator("loom.picture_remove", text="", icon="X").index = index
        row = layout.row(align=True)
        row.operator("loom.pictures_add", text="From Disk", icon="FILE_FOLDER")
        row.operator("loom.picture_add_image", text="From This File", icon="IMAGE_DATA")
        if settings.pictures:
            layout.prop(settings, "image_weight")


class AdaptMore(LoomPanel):
    bl_label = "Advanced"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Adapt

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "method")
        layout.prop(settings, "iterations")
        layout.prop(settings, "adapt_seed")
        if kinds.classes(settings.generator) > 1 or settings.one_class:
            layout.prop(settings, "one_class", text=f"Only Class {settings.class_index}")


def _draw_numbers(layout, job: Job) -> None:
    if icons.preview_id():
        draw_preview(layout)
        layout.label(text="Above: before. Below: so far.")
    if "direction" in job.numbers:
        layout.label(text=f"Match with the words: {max(0.0, job.numbers['direction']):.0%}")
