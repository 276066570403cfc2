# SPDX-License-Identifier: GPL-3.0-or-later
"""The Loom tab: the same panels in the sidebars of the 3D View, the Image Editor and the Shader Editor.

Drawing reads what is cached and does nothing else.
"""

import bpy

from . import icons, root, runtime
from .job import Job
from .session import CONNECTING, LOST, OFF, READY, STARTING, Session

TAB = "Loom"
EDITORS = ("VIEW_3D", "IMAGE_EDITOR", "NODE_EDITOR")
STATES = {
    OFF: "Off",
    STARTING: "Starting: loading its libraries…",
    CONNECTING: "Connecting…",
    READY: "Ready",
    LOST: "Lost; trying again…",
}
LISTS = ("models", "styles")


class LoomPanel:
    """What all panels share. `draw_here` draws; it is never given another's context."""

    bl_region_type = "UI"
    bl_category = TAB

    @classmethod
    def poll(cls, context):
        return context.area.type != "NODE_EDITOR" or context.space_data.tree_type == "ShaderNodeTree"

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        self.draw_here(layout, context, context.scene.loom, runtime.session())


class Main(LoomPanel):
    bl_label = "Latent Loom"

    def draw_here(self, layout, context, settings, session):
        split = layout.split(factor=0.55)
        split.label(text=_state_line(session), icon=icons.dot(session))
        if session.state in (OFF, LOST):
            split.operator("loom.backend_start", text="Start" if _starts_own() else "Connect")
        else:
            split.operator("loom.backend_stop", text="Stop" if session.owns_backend else "Disconnect")
        _draw_trouble(layout, session, _columns(context))
        installation = runtime.installation()
        if installation is not None:
            row = layout.row(align=True)
            row.progress(factor=installation.fraction, text=installation.line())
            row.operator("loom.setup_cancel", text="", icon="CANCEL")
        if session.notice:
            _draw_lines(layout, session.notice, "CHECKMARK", _columns(context))
        if session.connected:
            row = layout.row(align=True)
            row.prop_search(settings, "generator", context.window_manager.loom, "generators", icon="TEXTURE")
            job = session.running("import")
            if job is None:
                row.operator("loom.import_generator", text="", icon="IMPORT")
            else:
                _draw_job(layout, job)


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
            _draw_job(layout, job)
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


class Styles(LoomPanel):
    bl_label = "Styles"

    def draw_here(self, layout, context, settings, session):
        row = layout.row()
        row.template_list("LOOM_UL_styles", "", settings, "styles", settings, "style_index", rows=3)
        column = row.column(align=True)
        column.menu("LOOM_MT_styles", text="", icon="ADD")
        column.operator("loom.style_remove", text="", icon="REMOVE")
        column.separator()
        column.operator("loom.style_delete", text="", icon="TRASH")


class Texture(LoomPanel):
    bl_label = "Texture"

    def draw_here(self, layout, context, settings, session):
        row = layout.row(align=True)
        row.prop(settings, "seed")
        row.operator("loom.dice", text="", icon="FILE_REFRESH")
        layout.prop(settings, "count")
        column = layout.column(align=True)
        column.prop(settings, "width")
        column.prop(settings, "height")
        row = layout.row(heading="Seamless")
        row.prop(settings, "tile_x", toggle=True)
        row.prop(settings, "tile_y", toggle=True)
        layout.prop(settings, "variety")
        layout.prop(settings, "pbr")
        layout.prop(settings, "apply_to")
        job = session.running("generate")
        if job is not None:
            _draw_job(layout, job)
        else:
            layout.operator("loom.generate", icon="TEXTURE")


class Material(LoomPanel):
    bl_label = "Material"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "texture")
        layout.prop(settings, "mapping")
        layout.prop(settings, "scale")
        layout.operator("loom.apply", icon="MATERIAL")


class Walk(LoomPanel):
    bl_label = "Walk"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "walk_seeds")
        layout.prop(settings, "walk_frames")
        layout.prop(settings, "walk_loop")
        layout.prop(settings, "walk_speed")
        job = session.running("walk")
        if job is not None:
            _draw_job(layout, job)
        else:
            layout.operator("loom.walk", icon="RENDER_ANIMATION")


class Batch(LoomPanel):
    bl_label = "Batch Export"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "batch_seeds")
        layout.prop(settings, "batch_each")
        layout.prop(settings, "batch_folder")
        job = session.running("batch")
        if job is not None:
            _draw_job(layout, job)
        else:
            layout.operator("loom.batch", icon="EXPORT")


class LOOM_UL_styles(bpy.types.UIList):
    """One row for each style of the mix: on or off, name, strength."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        layout.use_property_split = False
        layout.use_property_decorate = False
        row = layout.row(align=True)
        row.prop(item, "use", text="")
        split = row.split(factor=0.55)
        split.label(text=item.name)
        strength = split.row(align=True)
        strength.active = item.use
        strength.prop(item, "strength", text="", slider=True)


def _starts_own() -> bool:
    return root.preferences().mode == "OWN"


def _state_line(session: Session) -> str:
    """`Ready · cpu`, or what is being waited for."""
    if session.state != READY:
        return STATES[session.state]
    busy = any(job.type not in LISTS for job in session.jobs.values())
    device = session.welcome.device.partition(",")[0] if session.welcome else ""
    return ("Busy" if busy else STATES[READY]) + (f" · {device}" if device else "")


def _draw_trouble(layout, session: Session, columns: int) -> None:
    """What is wrong, and the button that mends it."""
    trouble = session.trouble
    if trouble is None:
        return
    box = layout.box()
    _draw_lines(box, trouble.sentence, "ERROR", columns)
    row = box.row(align=True)
    if trouble.mend:
        row.operator(trouble.mend, text=trouble.label)
    row.operator("loom.dismiss", text="", icon="X")


def _draw_job(layout, job: Job) -> None:
    """A progress bar with a Cancel beside it."""
    row = layout.row(align=True)
    row.progress(factor=job.fraction, text=job.line())
    cancel = row.row(align=True)
    cancel.enabled = not job.cancelling
    cancel.operator("loom.cancel", text="", icon="CANCEL").job = job.id


def _draw_numbers(layout, job: Job) -> None:
    if icons.preview_id():
        layout.template_icon(icon_value=icons.preview_id(), scale=9.0)
    if "direction" in job.numbers:
        layout.label(text=f"Match with the words: {max(0.0, job.numbers['direction']):.0%}")


def _draw_lines(layout, sentence: str, icon: str, columns: int) -> None:
    column = layout.column(align=True)
    for number, line in enumerate(_lines(sentence, columns)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


def _columns(context) -> int:
    """About how many letters fit into a line of this sidebar, beside an icon."""
    region = context.region
    width = region.width if region is not None else 280
    scale = context.preferences.system.ui_scale or 1.0  # 0 where there is no window
    return max(18, int((width / scale - 70) / 6.6))


def _lines(sentence: str, width: int) -> list[str]:
    """Labels do not wrap by themselves."""
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _make(base: type, editor: str) -> type:
    """The panel class of `base` for one editor; Blender wants a class of its own for each."""
    members = {"bl_idname": _idname(base, editor), "bl_space_type": editor, "bl_label": base.bl_label}
    parent = getattr(base, "parent", Main if base is not Main else None)
    if parent is not None:
        members["bl_parent_id"] = _idname(parent, editor)
    return type(members["bl_idname"], (base, bpy.types.Panel), members)


def _idname(base: type, editor: str) -> str:
    return f"LOOM_PT_{base.__name__.lower()}_{editor.lower()}"


PANELS = (Main, Adapt, AdaptMore, Styles, Texture, Material, Walk, Batch)
CLASSES = (LOOM_UL_styles, *(_make(base, editor) for editor in EDITORS for base in PANELS))
