# ruff: noqa: F821  (inside.py gives the names)
"""Trials inside a Blender with a window: what an artist may do to it, with the real backend. run.py starts it.

Each public function is one trial, a generator: every `yield` gives Blender's own loop a turn. `given` and the helpers
come from inside.py.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import bpy
import numpy as np

SUSPENDED_S = 30.0
BLOCKED_S = 75.0


def starting():
    """The button of the tab starts a backend of its own."""
    bpy.ops.loom.backend_start()
    yield from until(lambda: session().connected and session().styles, 300)
    given.note(backend=session().child.pid, device=session().device)


def the_tab_in_three_editors():
    """Every panel of it is drawn in each."""
    base, panels = part("panels.base").LoomPanel, part("panels")
    draw, drawn = base.draw, set()

    def noted(self, context):
        draw(self, context)
        drawn.add((context.area.type, type(self).__name__))

    base.draw = noted
    area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
    for editor in ("IMAGE_EDITOR", "NODE_EDITOR", "VIEW_3D"):
        area.type = editor
        if editor == "NODE_EDITOR":
            area.ui_type = "ShaderNodeTree"
        yield from until(lambda editor=editor: open_tab(editor), 60)
        wanted = {kind.__name__ for kind in panels.CLASSES if getattr(kind, "bl_space_type", "") == editor}
        yield from until(lambda e=editor, w=wanted: w <= {name for where, name in drawn if where == e}, 60)
        given.note(**{editor: len(wanted)})
    base.draw = draw


def keys_of_a_walk_have_pictures():
    """Also after a style of theirs was trained anew, under the same name."""
    loom, thumbnails, icons = bpy.context.scene.loom, part("thumbnails"), part("icons")
    loom.width = loom.height = 64
    job = _train("key", 2)
    yield from until(lambda: not session().jobs and not job.running, 120)
    for loom.seed in (3, 7):
        bpy.ops.loom.walk_key_add()
    yield from until(lambda: all(thumbnails.icon_of_key(loom, key) for key in loom.walk_keys), 60)
    keep, kept = icons.keep, []

    def noted(name, picture):
        keep(name, picture)
        kept.append(name)

    icons.keep, loom.iterations = noted, 3
    with given.in_view():
        bpy.ops.loom.adapt_again()
    yield from until(lambda: len([name for name in kept if name.startswith("{")]) == 2, 120)
    icons.keep = keep
    loom.walk_keys.clear()


def sliders_dragged():
    """A hundred moves in three seconds: the last one is what is shown, and the timer never holds the window up."""
    loom = bpy.context.scene.loom
    loom.width = loom.height = 128
    loom.mix_style(session().styles[0]["name"], 0.0)
    with given.in_view():
        bpy.ops.loom.live_start(apply_to="NEW")
    live = part("live")
    yield from until(_shows_what_is_asked, 120)
    steps = given.time_steps()
    shown = given.count(live, "_show")
    for move in range(100):
        loom.styles[0].strength = (move + 1) / 100
        given.tag()
        yield 0.03
    yield from until(lambda: _shows_what_is_asked() and not session().hurried, 60)  # an older answer may still come
    assert session().trouble is None, session().trouble
    steps_ms = 1000 * np.asarray(steps())
    pictures = shown()
    assert pictures > 20, f"{pictures} pictures for 100 moves"
    given.note(moves=100, pictures=pictures, step_ms_p99=round(float(np.percentile(steps_ms, 99)), 1))
    bpy.ops.loom.live_stop()


def a_slider_dragged_by_the_mouse():
    """What a hand does: press on the slider, move, let go. The texture follows; one undo takes the drag back."""
    loom, live = bpy.context.scene.loom, part("live")
    loom.styles.clear()
    loom.mix_style(session().styles[0]["name"], 0.0)
    with given.in_view():
        bpy.ops.loom.live_start(apply_to="NEW")
    yield from until(_shows_what_is_asked, 120)
    given.show(("Styles",))
    yield 0.5
    x, y = yield from given.find(".styles[0].strength")
    bpy.ops.ed.undo_push(message="before the drag")
    shown, steps = given.count(live, "_show"), given.time_steps()
    moves = [word for _ in range(40) for word in ("mousemove_relative", 1, 0, "sleep", 0.05)]
    yield from given.hand("mousemove", "--window", "%1", x, y, "mousedown", 1, *moves, "mouseup", 1)
    yield from until(_shows_what_is_asked, 60)
    strength, pictures, steps_ms = loom.styles[0].strength, shown(), 1000 * np.asarray(steps())
    given.note(strength=round(strength, 2), pictures=pictures)
    given.note(step_ms_p99=round(float(np.percentile(steps_ms, 99)), 1))
    assert strength > 0.1 and pictures > 5, (strength, pictures)
    with given.in_view():
        bpy.ops.ed.undo()
    yield 0.1
    assert bpy.context.scene.loom.styles[0].strength == 0.0
    yield from until(_shows_what_is_asked, 60)
    given.show(())
    bpy.ops.loom.live_stop()


def _shows_what_is_asked() -> bool:
    live, scene = part("live"), bpy.context.scene
    return live._shown.get(scene.session_uid) == live.key_of(live.asked_params(scene.loom, full=False))


def cancel_pressed_fifty_times():
    job = _train("fifty")
    yield from until(lambda: job.done >= 2, 120)
    for _press in range(50):
        with given.in_view():
            if bpy.ops.loom.cancel.poll():
                bpy.ops.loom.cancel(job=job.id)
        yield 0.02
    yield from until(lambda: not job.running, 60)
    assert job.state == "CANCELLED" and session().trouble is None, (job.state, session().trouble)
    yield from _generates("after-fifty")


def backend_suspended_for_half_a_minute():
    job = _train("suspended", 8)
    yield from until(lambda: job.done >= 2, 120)
    child, turns, began = session().child.pid, 0, time.monotonic()
    os.kill(child, signal.SIGSTOP)
    try:
        while time.monotonic() - began < SUSPENDED_S:
            turns += 1
            yield 0.1
    finally:
        os.kill(child, signal.SIGCONT)
    given.note(turns_of_the_window=turns, state_then=session().state)
    assert job.running, job.trouble
    yield from until(lambda: not job.running, 180)
    assert job.state == "FINISHED", job.trouble


def window_blocked_for_over_a_minute():
    """As by a bake or a large file: nothing of the add-on runs, and the backend goes on."""
    job = _train("blocked", 250)
    yield from until(lambda: job.done >= 10, 120)
    done = job.done
    time.sleep(BLOCKED_S)
    yield 1.0
    given.note(steps_meanwhile=job.done - done, trouble=job.trouble)
    yield from until(lambda: not job.running, 180)
    assert job.state == "FINISHED" and session().connected, job.trouble
    assert session().trouble is None, session().trouble


def another_file_loaded_mid_job():
    folder = Path(given.out) / "loaded"
    given.preferences().output_folder = str(folder)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(given.out) / "other.blend"))
    job = yield from _begin("generate", count=6, width=128, height=128, pbr=True)
    assert job.running
    bpy.ops.wm.open_mainfile(filepath=str(Path(given.out) / "other.blend"))
    yield from until(lambda: not job.running, 120)
    assert job.state == "FINISHED" and session().connected and session().trouble is None
    made = [path.name for path in folder.glob("*_color.png") if not path.name.startswith("live-")]
    assert len(made) == 6, "what was begun is written"
    assert not [image for image in bpy.data.images if Path(image.filepath).name in made], "and goes into no other file"
    yield from _generates("after-loading")


def backend_killed():
    job = _train("killed")
    yield from until(lambda: job.done >= 2, 120)
    os.kill(session().child.pid, signal.SIGKILL)
    yield from until(lambda: not job.running, 30)
    trouble = session().trouble
    assert job.state == "FAILED" and session().state == "OFF"
    assert trouble.mend == "loom.backend_start" and trouble.more[0] == "loom.backend_log", trouble
    given.note(said=trouble.sentence)
    bpy.ops.loom.backend_start()
    yield from until(lambda: session().connected and session().styles, 300)
    yield from _generates("after-killing")


def an_animation_shows_the_frames_of_the_walk_in_order():
    scene = bpy.context.scene
    loom = scene.loom
    count = 6
    given.flat_scene(scene)
    loom.width = loom.height = 64
    job = yield from _begin("walk", walk_frames=count, walk_loop=False, walk_seeds="3, 11, 40", apply_to="NEW")
    yield from until(lambda: not job.running, 120)
    assert job.state == "FINISHED", job.trouble
    yield 0.5
    frames = [np.asarray(_pixels(file["path"])) for file in job.value["files"]]
    scene.frame_start, scene.frame_end = 1, count
    scene.render.filepath = str(Path(given.out) / "film" / "####")
    ended = []
    handlers = bpy.app.handlers
    handlers.render_complete.append(lambda *_: ended.append("complete"))
    handlers.render_cancel.append(lambda *_: ended.append("cancelled"))
    with given.in_view():
        bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    yield from until(lambda: ended, 300)
    yield 0.5
    assert ended == ["complete"], ended
    nearest = []
    for number in range(1, count + 1):
        seen = np.asarray(_pixels(str(Path(given.out) / "film" / f"{number:04d}.png")))
        nearest.append(int(np.argmin([np.abs(seen - frame).mean() for frame in frames])) + 1)
    given.note(order=nearest)
    assert nearest == list(range(1, count + 1)), nearest
    assert loom.texture.source == "SEQUENCE"


def quit_with_a_job_running():
    """The last one: run.py looks whether the process and its backend are gone."""
    job = _train("quit")
    yield from until(lambda: job.done >= 2, 120)
    given.note(backend=session().child.pid)
    given.finish()
    bpy.ops.wm.quit_blender()


def _train(name: str, steps: int = 400):
    loom = bpy.context.scene.loom
    loom.source, loom.target, loom.style_name, loom.iterations = "stone", "mossy stone", name, steps
    with given.in_view():
        bpy.ops.loom.adapt()
    return session().running("adapt")


def _begin(type: str, **settings):
    yield 0.05
    with given.in_view():
        getattr(bpy.ops.loom, type)(**settings)
    return session().running(type)


def _generates(name: str):
    """Afterwards everything works."""
    given.preferences().output_folder = str(Path(given.out) / name)
    job = yield from _begin("generate", seed=5, count=1, width=64, height=64, pbr=False, apply_to="IMAGE")
    yield from until(lambda: not job.running, 120)
    assert job.state == "FINISHED" and session().trouble is None, job.trouble
    assert json.loads(bpy.context.scene.loom.texture["latent_loom"])["params"]["seeds"] == [5]


def _pixels(path: str) -> np.ndarray:
    image = bpy.data.images.load(path)
    image.scale(16, 16)
    values = np.empty(16 * 16 * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values.reshape(-1, 4)[:, :3]
