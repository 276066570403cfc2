# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole sets of textures."""

from .base import LoomPanel
from .parts import draw_job


class Batch(LoomPanel):
    bl_label = "Batch Export"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "batch_seeds")
        layout.prop(settings, "batch_each")
        layout.prop(settings, "batch_folder")
        job = session.running("batch")
        if job is not None:
            draw_job(layout, job)
        else:
            layout.operator("loom.batch", icon="EXPORT")
