"""Runs a file of steps inside a Blender with a window: `blender --python inside.py -- STEPS.py GIVEN.json`.

Installs the add-on, opens its tab in the 3D View, and calls every public generator of STEPS.py in order, each `yield`
(seconds, or nothing) being a turn of Blender's own loop. What came of each stands in `out`/told.json. run.py, outside,
takes the pictures that are asked for: a script inside Blender gets black ones.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import runpy
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import bpy

PACKAGE = "bl_ext.user_default.latent_loom"
TAB = "Loom"
VIEW_PX = 520


def part(name: str):
    return importlib.import_module(f"{PACKAGE}.addon.{name}")


def session():
    return part("runtime").session()


def preferences():
    return bpy.context.preferences.addons[PACKAGE].preferences


def until(true, limit_s: float):
    """Turns of Blender's loop until `true()`."""
    limit = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > limit:
            raise AssertionError(f"it did not come true within {limit_s:.0f} s; trouble: {session().trouble}")
        yield


class Given(SimpleNamespace):
    """What run.py gave (out, zip, command, data), and what steps may do."""

    told: dict
    current: str = ""
    shown: tuple = ()

    preferences = staticmethod(preferences)

    def note(self, **facts) -> None:
        self.told.setdefault(self.current, {}).update(facts)
        self.write()

    def write(self) -> None:
        (Path(self.out) / "told.json").write_text(json.dumps(self.told, indent=1))

    def finish(self, result: str = "passed") -> None:
        """Before a step that ends Blender."""
        self.note(result=result)

    @contextlib.contextmanager
    def in_view(self, kind: str = "VIEW_3D"):
        """What an operator needs of its context when a button is pressed there."""
        window = bpy.context.window_manager.windows[0]
        area = next(area for area in window.screen.areas if area.type == kind)
        region = next(region for region in area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=window, area=area, region=region):
            yield

    def tag(self) -> None:
        part("screen").redraw(whole=("VIEW_3D",))

    def time_steps(self):
        """Seconds of each step of the timer from now on: call what comes back for the list."""
        pump, seconds = part("pump"), []
        step = pump.step

        def timed(*arguments):
            began = time.perf_counter()
            step(*arguments)
            seconds.append(time.perf_counter() - began)

        pump.step = timed

        def done() -> list[float]:
            pump.step = step
            return seconds

        return done

    def count(self, module, name: str):
        """How often a function is called from now on: call what comes back for the number."""
        call, times = getattr(module, name), []

        def counted(*arguments):
            times.append(1)
            return call(*arguments)

        setattr(module, name, counted)

        def done() -> int:
            setattr(module, name, call)
            return len(times)

        return done

    def show(self, panels: tuple[str, ...]) -> None:
        """Have the tab show these panels alone, so that none is out of sight."""
        self.shown = panels
        self.tag()

    def picture(self, name: str, *, panels: tuple[str, ...] = (), what: str = "", limit_s: float = 60.0):
        """A picture of the sidebar with `panels`; VIEW: and of the view to its left, BESIDE: and of the editors to its
        right."""
        if panels:
            self.show(panels)
        open_tab()
        yield 0.3
        self.tag()
        bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
        yield 0.7
        yield from self._ask({"name": name, "box": box(what), "jpeg": what == "VIEW"}, limit_s)

    def hand(self, *words: object, limit_s: float = 60.0):
        """What a hand does with the mouse and the keys, in the words of xdotool."""
        yield from self._ask({"hand": [str(word) for word in words]}, limit_s)

    def _ask(self, what: dict, limit_s: float):
        """Something that only run.py can do, from outside; until it is done."""
        ask = Path(self.out) / "ask.json"
        ask.with_suffix(".part").write_text(json.dumps(what))
        ask.with_suffix(".part").rename(ask)
        yield from until(lambda: not ask.exists(), limit_s)

    def find(self, data_path: str):
        """The pointer onto the button of this property in our sidebar; gives its place on the screen.

        Blender tells no script where a button stands. So it goes down the sidebar, and asks what is under it.
        """
        left, top, right, bottom = box("")
        x, seen = round(left + 0.7 * (right - left)), set()
        for y in range(top + 8, bottom - 8, 8):
            yield from self.hand("mousemove", "--window", "%1", x, y)
            yield 0.05
            seen.add(under := self._under_pointer())
            if under.endswith(data_path):
                return x, y
        yield from self.picture("lost")
        raise AssertionError(f"no button of {data_path} in sight; there were {sorted(seen)}")

    @staticmethod
    def _under_pointer() -> str:
        window = bpy.context.window_manager.windows[0]
        area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
        region = next(region for region in area.regions if region.type == "UI")
        bpy.context.window_manager.clipboard = ""
        with bpy.context.temp_override(window=window, area=area, region=region):
            if bpy.ops.ui.copy_data_path_button.poll():
                bpy.ops.ui.copy_data_path_button(full_path=True)
        return bpy.context.window_manager.clipboard

    def flat_scene(self, scene) -> None:
        """A plane that fills the camera, drawn as its texture alone."""
        bpy.ops.mesh.primitive_plane_add(size=2)
        bpy.ops.object.camera_add(location=(0, 0, 3))
        scene.camera = bpy.context.object
        scene.camera.data.type, scene.camera.data.ortho_scale = "ORTHO", 2.0
        for thing in list(scene.objects):
            if thing.type == "MESH" and thing.name != "Plane":
                bpy.data.objects.remove(thing)
        plane = next(thing for thing in scene.objects if thing.type == "MESH")
        bpy.context.view_layer.objects.active = plane
        scene.render.engine = "BLENDER_WORKBENCH"
        scene.display.shading.light, scene.display.shading.color_type = "FLAT", "TEXTURE"
        scene.view_settings.view_transform = "Standard"
        scene.render.resolution_x = scene.render.resolution_y = 64
        scene.render.image_settings.file_format = "PNG"


def box(what: str) -> list[int]:
    """Left, top, right and bottom on the screen: of our sidebar, or as `picture` says."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    at = next(region for region in area.regions if region.type == "UI")
    left = at.x - VIEW_PX if what == "VIEW" else at.x
    right = window.width if what == "BESIDE" else at.x + at.width
    return [left, window.height - at.y - at.height, right, window.height - at.y]


def open_tab(editor: str = "VIEW_3D") -> bool:
    """Show the Loom tab in the sidebar of an editor; False until that was drawn once and has tabs."""
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == editor:
            area.spaces.active.show_region_ui = True
            bar = next(region for region in area.regions if region.type == "UI")
            if bar.active_panel_category not in ("UNSUPPORTED", TAB):
                bar.active_panel_category = TAB
            return bar.active_panel_category == TAB
    return False


def prepare(given: Given) -> None:
    """Install the add-on; have all its panels open, and shown where `given.shown` names them."""
    bpy.ops.extensions.package_install_files(filepath=given.zip, repo="user_default", enable_on_install=True)
    registration, panels = part("registration"), part("panels")
    registration.unregister()
    names = {base: base.__name__ for base in panels.PANELS}
    for kind in panels.CLASSES:
        kind.bl_options = set(getattr(kind, "bl_options", ())) - {"DEFAULT_CLOSED"}
        base = next((base for base in names if issubclass(kind, base)), None)
        if base is not None:
            kind.poll = _poll(given, names[base])
    _quiet_head(given, panels.Main)
    registration.register()
    chosen = preferences()
    chosen.mode, chosen.command, chosen.data_folder = "OWN", given.command, given.data
    chosen.output_folder = str(Path(given.out) / "textures")
    bpy.context.preferences.system.use_region_overlap = False  # the sidebar beside the view, not over it
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "PROPERTIES":
            area.type = "IMAGE_EDITOR"


def _poll(given: Given, name: str):
    def poll(cls, context):
        return not given.shown or name in (*given.shown, "Main")  # all others lie under that one

    return classmethod(poll)


def _quiet_head(given: Given, main: type) -> None:
    draw = main.draw_here

    def drawn(*arguments) -> None:
        if not given.shown or "Main" in given.shown:
            draw(*arguments)

    main.draw_here = drawn


def run(given: Given, steps: dict):
    prepare(given)
    yield 0.5
    yield from until(open_tab, 60)
    for name, step in steps.items():
        given.current, began = name, time.monotonic()
        try:
            yield from step()
            given.note(result="passed")
        except Exception:  # the report is the purpose
            given.note(result=traceback.format_exc())
        given.note(seconds=round(time.monotonic() - began, 1))
    given.current = "end"
    given.finish()
    bpy.ops.wm.quit_blender()


def main() -> None:
    bpy.context.preferences.view.show_splash = False
    steps_file, given_file = sys.argv[sys.argv.index("--") + 1 :]
    given = Given(**json.loads(Path(given_file).read_text()), told={})
    helpers = {"part": part, "session": session, "until": until, "given": given, "open_tab": open_tab}
    found = runpy.run_path(steps_file, init_globals=helpers)
    steps = {
        name: step
        for name, step in found.items()
        if name not in helpers and not name.startswith("_") and getattr(step, "__module__", "") == "<run_path>"
    }
    if given.only:
        steps = {name: steps[name] for name in given.only}
    turns = run(given, steps)

    def advance() -> float | None:
        try:
            return next(turns) or 0.02
        except StopIteration:
            return None
        except Exception:
            given.note(result=traceback.format_exc())
            bpy.ops.wm.quit_blender()
            return None

    bpy.app.timers.register(advance, first_interval=2.0, persistent=True)


if __name__ == "__main__":
    main()
