# SPDX-License-Identifier: GPL-3.0-or-later
"""A style by words."""

from .. import icons
from ..job import Job
from .base import LoomPanel
from .parts import draw_job


class Adapt(LoomPanel):
    bl_label = "Style by Words"

    def draw_here(self, layout, context, settings, session):
        job = session.running("adapt")
        column = layout.column()
        column.enabled = job is None
        column.prop(settings, "source")
        column.prop(settings, "target")
        column.prop(settings, "style_name", placeholder="from the To prompt")
        if job is not None:
            draw_job(layout, job)
            _draw_numbers(layout, job)
        else:
            layout.operator("loom.adapt", icon="SHADERFX")


class AdaptMore(LoomPanel):
    bl_label = "Advanced"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Adapt

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "method")
        layout.prop(settings, "iterations")
        layout.prop(settings, "adapt_seed")


def _draw_numbers(layout, job: Job) -> None:
    if icons.preview_id():
        layout.template_icon(icon_value=icons.preview_id(), scale=9.0)
    if "direction" in job.numbers:
        layout.label(text=f"Match with the words: {max(0.0, job.numbers['direction']):.0%}")
