# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new style aims at beside the two prompts: more words, words to avoid, pictures, the kind of change."""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from .. import runtime

LISTS = (
    ("targets", "To", "What the textures shall become too"),
    ("negatives", "Not", "What they shall move away from"),
)


class OfPhrases:
    """Works on one of the two lists of words."""

    bl_options = {"REGISTER", "UNDO"}

    kind: EnumProperty(name="Kind", items=LISTS, description="Whether to become like these words or not")


class LOOM_OT_phrase_add(OfPhrases, bpy.types.Operator):
    """Add words with a weight of their own"""

    bl_idname = "loom.phrase_add"
    bl_label = "Add Words"

    words: StringProperty(name="Words", description="A few words, such as wet stone")
    weight: FloatProperty(name="Weight", default=0.5, min=0.0, max=10.0, description="How much they count")

    def execute(self, context):
        phrase = getattr(context.scene.loom, self.kind).add()
        phrase.words, phrase.weight = self.words, self.weight
        return {"FINISHED"}


class LOOM_OT_phrase_remove(OfPhrases, bpy.types.Operator):
    """Take these words away"""

    bl_idname = "loom.phrase_remove"
    bl_label = "Remove Words"

    index: IntProperty(name="Number", min=0, description="Which of them, from 0 on")

    def execute(self, context):
        getattr(context.scene.loom, self.kind).remove(self.index)
        return {"FINISHED"}


class LOOM_OT_pictures_add(bpy.types.Operator):
    """Choose pictures on disk that the textures shall become like; one to a few are enough"""

    bl_idname = "loom.pictures_add"
    bl_label = "Add Pictures"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"}, description="A picture")
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"}, description="Folder of the pictures")
    files: CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE"}, description="Names of the pictures there"
    )
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"}, description="Show pictures")
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"}, description="Show folders")

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        chosen = [str(Path(self.directory, file.name)) for file in self.files if file.name] or [self.filepath]
        missing = next((path for path in chosen if not Path(bpy.path.abspath(path)).is_file()), None)
        if missing is not None:
            self.report({"ERROR"}, f"There is no picture {missing!r}; choose one or more files.")
            return {"CANCELLED"}
        for path in chosen:
            context.scene.loom.pictures.add().path = path
        return {"FINISHED"}


class LOOM_OT_picture_add_image(bpy.types.Operator):
    """Take a picture that is open in Blender: the textures shall become like it"""

    bl_idname = "loom.picture_add_image"
    bl_label = "Add Image of This File"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Image", options={"SKIP_SAVE"}, description="Name of the image")

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context):
        self.layout.prop_search(self, "name", bpy.data, "images")

    def execute(self, context):
        image = bpy.data.images.get(self.name)
        if image is None:
            self.report({"ERROR"}, f"There is no image {self.name!r} in this file; choose one that is open in Blender.")
            return {"CANCELLED"}
        context.scene.loom.pictures.add().image = image
        return {"FINISHED"}


class LOOM_OT_picture_remove(bpy.types.Operator):
    """Take this picture away; its file stays"""

    bl_idname = "loom.picture_remove"
    bl_label = "Remove Picture"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(name="Number", min=0, description="Which of them, from 0 on")

    def execute(self, context):
        context.scene.loom.pictures.remove(self.index)
        return {"FINISHED"}


class LOOM_OT_change_kind(bpy.types.Operator):
    """Choose what sort of change it is"""

    bl_idname = "loom.change_kind"
    bl_label = "Kind of Change"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Kind", options={"SKIP_SAVE"}, description="One that the backend knows; empty: none")

    @classmethod
    def description(cls, context, properties):
        known = context.window_manager.loom.presets
        if properties.name in known:
            return f"Good for {known[properties.name].label}"
        return "No particular kind: the usual settings"

    def execute(self, context):
        known = [str(one.get("name")) for one in runtime.session().presets]
        if self.name and known and self.name not in known:
            self.report({"ERROR"}, f"There is no kind of change {self.name!r}; choose from {', '.join(known)}.")
            return {"CANCELLED"}
        context.scene.loom.preset = self.name
        return {"FINISHED"}


class LOOM_MT_change_kinds(bpy.types.Menu):
    """The kinds of change that the backend knows, each with what it is good for."""

    bl_idname = "LOOM_MT_change_kinds"
    bl_label = "Kind of Change"

    def draw(self, context):
        layout = self.layout
        layout.operator("loom.change_kind", text="Any").name = ""
        for one in context.window_manager.loom.presets:
            layout.operator("loom.change_kind", text=f"{kind_name(one.name)}:  {one.label}").name = one.name


def kind_name(name: str) -> str:
    """`material-swap` as people write it."""
    return name.replace("-", " ").capitalize() if name else "Any"


CLASSES = (
    LOOM_OT_phrase_add,
    LOOM_OT_phrase_remove,
    LOOM_OT_pictures_add,
    LOOM_OT_picture_add_image,
    LOOM_OT_picture_remove,
    LOOM_OT_change_kind,
    LOOM_MT_change_kinds,
)
