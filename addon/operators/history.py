# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made before: shown again, its settings recalled, its folder opened, taken out of the list."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty

from .. import history_list, images, recall
from ..params import BadInput


class OfSelected:
    """Something done with the selected entry of the history."""

    @classmethod
    def poll(cls, context):
        if not context.scene.loom.history:
            cls.poll_message_set("Nothing was made in this scene yet")
            return False
        return True


class LOOM_OT_history_recall(OfSelected, bpy.types.Operator):
    """Set everything in the Loom tab as it was when this was made; generating again then makes the same"""

    bl_idname = "loom.history_recall"
    bl_label = "Recall Settings"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        entry = history_list.selected(context.scene)
        if entry is None or not entry.settings:
            self.report({"ERROR"}, "This entry holds no settings; it may come from another version.")
            return {"CANCELLED"}
        odd = recall.restore(context.scene.loom, entry.settings)
        if odd:
            self.report({"WARNING"}, f"These settings are not known any more: {', '.join(odd[:5])}.")
        return {"FINISHED"}


class LOOM_OT_history_show(OfSelected, bpy.types.Operator):
    """Take this result up again: choose it as the texture, and show it in an open Image Editor"""

    bl_idname = "loom.history_show"
    bl_label = "Use Again"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        entry = history_list.selected(context.scene)
        try:
            if entry is None:
                raise BadInput("This entry cannot be read; it may come from another version.")
            image = history_list.image_of(entry)
        except (BadInput, RuntimeError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.scene.loom.texture = image
        images.show_in_editors(image)
        return {"FINISHED"}


class LOOM_OT_history_reveal(OfSelected, bpy.types.Operator):
    """Open the folder with this result's files"""

    bl_idname = "loom.history_reveal"
    bl_label = "Open Folder"
    bl_options = {"REGISTER"}

    def execute(self, context):
        entry = history_list.selected(context.scene)
        folder = Path(entry.color_file()).parent if entry is not None and entry.color_file() else None
        if folder is None or not folder.is_dir():
            self.report({"ERROR"}, f"The folder {folder or ''} is gone.")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(folder))
        return {"FINISHED"}


class LOOM_OT_history_delete(OfSelected, bpy.types.Operator):
    """Take this result out of the list; its files only if you say so"""

    bl_idname = "loom.history_delete"
    bl_label = "Remove from History"
    bl_options = {"REGISTER"}

    files: BoolProperty(
        name="Delete Its Files Too",
        description="Also delete the pictures from the disk; that cannot be undone",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, confirm_text="Remove")

    def execute(self, context):
        settings = context.scene.loom
        entry = history_list.forget(context.scene, settings.history_index)
        if entry is None or not self.files:
            return {"FINISHED"}
        gone, kept = 0, []
        for file in entry.files:
            path = Path(str(file.get("path", "")))
            try:
                path.unlink()
                gone += 1
            except FileNotFoundError:
                continue
            except OSError as error:
                kept.append(f"{path.name} ({error.strerror})")
        if kept:
            self.report({"WARNING"}, f"Could not delete {', '.join(kept)}.")
        else:
            self.report({"INFO"}, f"Deleted {gone} file{'s' if gone != 1 else ''}.")
        return {"FINISHED"}


class LOOM_OT_history_clear(OfSelected, bpy.types.Operator):
    """Empty the list of this scene; the files stay"""

    bl_idname = "loom.history_clear"
    bl_label = "Clear History"
    bl_options = {"REGISTER"}

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event, message="The files stay on the disk.")

    def execute(self, context):
        for index in range(len(context.scene.loom.history) - 1, -1, -1):
            history_list.forget(context.scene, index)
        return {"FINISHED"}


CLASSES = (
    LOOM_OT_history_recall,
    LOOM_OT_history_show,
    LOOM_OT_history_reveal,
    LOOM_OT_history_delete,
    LOOM_OT_history_clear,
)
