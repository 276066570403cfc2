"""The add-on's numbers, inside a Blender, with the real backend.

    PYTHON scripts/measure_addon.py -- ZIP --command COMMAND          PYTHON has bpy: no window, so no drawing
    blender --python scripts/measure_addon.py -- ZIP --command COMMAND    in a window; it closes Blender at the end

ZIP is the built add-on, COMMAND what starts the backend (a Python that has latent_loom does). The last line of standard
output is one JSON object, also written to --out FILE:

    tick_ms, draw_ms     of each timer tick, and of each panel drawn, while a style trains with a preview at every
                         second step: median, 99th percentile, most, count; by the wall's clock, and what of it the
                         thread had the processor (on a machine with other work only that means something)
    slider               from a slider's move to the pixels set, beside the backend's own time for the picture;
                         turn_ms: of Blender's own loop meanwhile, most of it redrawing; ours_ms: what of the wait is
                         the add-on's, from the move to the request sent and from the timer's tick to the pixels set
    pixels_ms            a 1024 px picture from received to pixels set and redraw tagged
    register_ms          of registering; enable_ms: of importing the add-on and registering it
    zip_mib

Use BLENDER_USER_RESOURCES, so that it installs nothing into your own Blender.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

PACKAGE = "bl_ext.user_default.latent_loom"
LIMIT_S, TAB_S = 900.0, 30.0


def part(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.addon.{name}")


def summary(seconds: list[float]) -> dict[str, float] | None:
    """Median, 99th percentile and most, in milliseconds."""
    if not seconds:
        return None
    ms = np.asarray(seconds) * 1000
    return {
        "median": round(float(np.median(ms)), 2),
        "p99": round(float(np.percentile(ms, 99)), 2),
        "most": round(float(ms.max()), 2),
        "count": len(ms),
    }


class Watch:
    """Notes how long each call of a function takes; those of the main thread's timer or of drawing."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.processor_s: list[float] = []
        self.calls = 0
        self.began = 0.0
        self.on = False

    def around(self, call: Any) -> Any:
        def timed(*arguments: Any, **named: Any) -> Any:
            self.began = began = time.perf_counter()
            own = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self.calls += 1
                if self.on:
                    self.seconds.append(time.perf_counter() - began)
                    self.processor_s.append(time.thread_time() - own)

        return timed

    def told(self) -> dict[str, Any]:
        return {"wall": summary(self.seconds), "processor": summary(self.processor_s)}


def install(options: argparse.Namespace) -> dict[str, Any]:
    import addon_utils

    bpy.ops.extensions.package_install_files(filepath=str(options.zip), repo="user_default", enable_on_install=True)
    addon_utils.disable(PACKAGE)
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    began = time.perf_counter()
    addon_utils.enable(PACKAGE, default_set=True)
    enabled = time.perf_counter() - began
    registration, watch = part("registration"), Watch()
    watch.on, register = True, watch.around(registration.register)
    for _ in range(5):
        registration.unregister()
        register()
    return {"enable_ms": round(enabled * 1000, 1), "register_ms": watch.told()}


def prepare(options: argparse.Namespace) -> None:
    chosen = bpy.context.preferences.addons[PACKAGE].preferences
    # the backend runs in a folder of its own
    command = str(Path(options.command).absolute()) if Path(options.command).is_file() else options.command
    chosen.mode, chosen.command, chosen.output_folder = "OWN", command, str(options.work)
    if options.connect:
        chosen.mode, chosen.connection_file = "CONNECT", str(options.connect)
    chosen.data_folder = str(options.work / "data")
    bpy.ops.mesh.primitive_plane_add()


def show_tab() -> None:
    """In a window: the sidebar of the 3D View on our tab, and an Image Editor for the preview below it."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.show_region_ui = True
                bar = next(region for region in area.regions if region.type == "UI")
                if bar.active_panel_category not in ("UNSUPPORTED", "Loom"):  # it has tabs once it was drawn
                    bar.active_panel_category = "Loom"
                area.tag_redraw()
            elif area.type == "DOPESHEET_EDITOR":
                area.type = "IMAGE_EDITOR"


def pixels() -> dict[str, Any]:
    """A picture of 1024 px, as it comes off the wire, into an image."""
    put, screen = part("live_images").put, part("screen")
    image = bpy.data.images.new("Measured", 1024, 1024, alpha=False)
    watch = Watch()

    def arrives(picture: np.ndarray) -> None:
        put(image, picture)
        screen.redraw(whole=("VIEW_3D",))

    timed = watch.around(arrives)
    for seed in range(22):
        watch.on = seed > 1
        timed(np.random.default_rng(seed).integers(0, 256, (1024, 1024, 3), dtype=np.uint8))
    bpy.data.images.remove(image)
    return watch.told()


def work(options: argparse.Namespace, ticks: Watch, draws: Watch, told: dict[str, Any]) -> Iterator[None]:
    """All that needs the backend; each `yield` lets the timer run."""
    session = part("runtime").session()
    part("pump").open_backend()
    while not (session.connected and session.generators):
        if session.trouble is not None:
            raise RuntimeError(session.trouble.sentence)
        yield
    waits = time.monotonic()
    while not bpy.app.background and not draws.calls:
        if time.monotonic() - waits > TAB_S:
            raise RuntimeError("The Loom tab did not open.")
        show_tab()
        yield
    told["device"], told["backend"] = session.device, session.backend_version
    settings = bpy.context.scene.loom
    settings.source, settings.target, settings.style_name = "stone", "mossy stone", "measured"
    settings.iterations = options.steps
    params = {"source": "stone", "target": "mossy stone", "name": "measured", "iterations": options.steps,
              "overwrite": True, "preview_every": 2}  # fmt: skip
    job = session.submit("adapt", params, title="Training")
    part("pump").start_timer()
    while job.done < 2 and job.running:
        yield
    ticks.on = draws.on = True
    while job.running:
        yield
    ticks.on = draws.on = False
    told["previews"], told["trained"] = job.preview_count, job.state
    told["tick_ms"], told["draw_ms"] = ticks.told(), draws.told()
    settings.add_style("measured")
    told["slider"] = yield from slider(options, settings, ticks)


def slider(options: argparse.Namespace, settings: Any, ticks: Watch) -> Iterator[None]:
    """Move a style's strength and wait for the picture, again and again."""
    live = part("live")
    own: dict[str, float] = {}
    shown: dict[str, tuple[float, float]] = {}
    turns: list[float] = []
    arrived, show = live._arrived, live._show

    def note(job: Any, where: Any, key: str) -> None:
        own[key] = float(job.value.get("seconds") or 0.0)
        arrived(job, where, key)

    def showing(scene: Any, key: str, *rest: Any) -> None:
        show(scene, key, *rest)
        shown[key] = (time.perf_counter(), ticks.began)

    live._arrived, live._show = note, showing
    settings.width = settings.height = options.size
    settings.live = True
    waits, backend, extra, ours = [], [], [], []
    for number in range(options.moves + 1):
        began = time.perf_counter()
        settings.styles[0].strength = 0.2 + 0.6 * (number % 7) / 7 + 0.001 * number
        sent = time.perf_counter() - began  # the property's update has sent the request
        key = live.key_of(live.asked_params(settings, full=False))
        while key not in shown:
            turned = time.perf_counter()
            yield
            turns.append(time.perf_counter() - turned)
        if number:  # the first folds the style in
            there, looked = shown[key]
            waits.append(there - began)
            backend.append(own[key])
            ours.append(sent + there - looked)
            extra.append(waits[-1] - 1.5 * own[key])
    live._arrived, live._show = arrived, show
    settings.live = False
    return {
        "size": options.size,
        "wait_ms": summary(waits),
        "backend_ms": summary(backend),
        "over_1.5x_ms": summary(extra),
        "turn_ms": summary(turns),
        "ours_ms": summary(ours),
        "ratio_median": round(float(np.median(np.divide(waits, backend))), 2),
    }


def options_of(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--command", default="", help="what starts the backend (default: the one set up)")
    parser.add_argument("--connect", type=Path, metavar="FILE", help="connection file of a backend that runs already")
    parser.add_argument("--steps", type=int, default=60, help="of the style that is trained")
    parser.add_argument("--moves", type=int, default=20, help="of the slider")
    parser.add_argument("--size", type=int, default=256, help="of the live texture, in pixels")
    parser.add_argument("--work", type=Path, help="folder for what it makes (default: a new temporary one)")
    parser.add_argument("--out", type=Path, help="file for the JSON object")
    chosen = parser.parse_args(words)
    chosen.zip = chosen.zip.absolute()
    chosen.work = (chosen.work or Path(tempfile.mkdtemp(prefix="loom-measured-"))).absolute()
    chosen.work.mkdir(parents=True, exist_ok=True)
    return chosen


def main() -> None:
    options = options_of(sys.argv[sys.argv.index("--") + 1 :])
    window = not bpy.app.background
    told: dict[str, Any] = {"blender": bpy.app.version_string, "window": window}
    told |= {"zip_mib": round(options.zip.stat().st_size / 2**20, 1)} | install(options)
    told["pixels_ms"] = pixels()
    prepare(options)
    pump, ticks, draws = part("pump"), Watch(), Watch()
    tick = ticks.around(pump.tick)
    base = part("panels.base").LoomPanel
    timed_draw = draws.around(base.draw)

    def draw(self: Any, context: Any) -> None:  # Blender counts the arguments
        timed_draw(self, context)

    base.draw = draw
    pump.must_wait = lambda: False
    steps, began = work(options, ticks, draws, told), time.monotonic()

    def end() -> None:
        part("runtime").close()
        if options.out:
            options.out.write_text(json.dumps(told, indent=1), "utf-8")
        print(json.dumps(told), flush=True)

    def advance() -> bool:
        """One look at how far it is; False at the end."""
        try:
            next(steps)
        except StopIteration:
            return False
        except Exception:
            told["failed"] = traceback.format_exc()
            return False
        if time.monotonic() - began > LIMIT_S:
            told["failed"] = f"It took more than {LIMIT_S:.0f} s."
            return False
        return True

    if not window:
        while advance():
            time.sleep(min(tick(), 0.04))
        end()
        return
    kept, pump.tick = pump.tick, tick  # the timer calls it by this name from its next start on
    bpy.app.timers.unregister(kept) if bpy.app.timers.is_registered(kept) else None

    def look() -> float | None:
        if advance():
            return 0.005
        end()
        bpy.ops.wm.quit_blender()
        return None

    pump.start_timer()
    bpy.app.timers.register(look, first_interval=1.0, persistent=True)


if __name__ == "__main__":
    main()
