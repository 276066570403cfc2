# ruff: noqa: F821  (inside.py gives the names)
"""Blender is killed by run.py while a style trains and a set that outlives it is being made."""

from __future__ import annotations

from pathlib import Path

import bpy


def waiting_to_be_killed():
    bpy.ops.loom.backend_start()
    yield from until(lambda: session().connected and session().styles, 300)
    loom = bpy.context.scene.loom
    loom.batch_source, loom.batch_detach, loom.batch_seeds = "STYLES", True, "0-39"
    loom.batch_folder, loom.batch_sizes = str(Path(given.out) / "outlives"), "64"
    loom.mix_style(session().styles[0]["name"], 1.0)
    with given.in_view():
        bpy.ops.loom.batch()
    yield from until(lambda: (Path(given.out) / "outlives" / "batch.json").is_file(), 120)
    loom.style_name, loom.iterations = "cut", 400
    with given.in_view():
        bpy.ops.loom.adapt()
    job = session().running("adapt")
    yield from until(lambda: job.done >= 2, 240)
    given.note(backend=session().child.pid)
    given.finish("kill me")
    while True:
        yield 0.1
