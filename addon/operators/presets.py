# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of all settings of the tab, through Blender's own preset menu: they lie where Blender keeps its presets."""

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

SUBFOLDER = "latent_loom"
LEFT_OUT = frozenset({"rna_type", "name", "history", "history_index", "texture", "style_index"})


class LOOM_MT_presets(bpy.types.Menu):
    """Blender's own class of menus lists the files."""

    bl_label = "Loom Presets"
    preset_subdir = SUBFOLDER
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset


class LOOM_OT_preset_add(AddPresetBase, bpy.types.Operator):
    """Keep all settings of the Loom tab under a name, or remove the chosen preset"""

    bl_idname = "loom.preset_add"
    bl_label = "Add Loom Preset"
    preset_menu = "LOOM_MT_presets"
    preset_subdir = SUBFOLDER
    preset_defines = ("settings = bpy.context.scene.loom",)

    @property
    def preset_values(self):
        properties = bpy.context.scene.loom.bl_rna.properties
        return [
            f"settings.{prop.identifier}"
            for prop in properties
            if prop.identifier not in LEFT_OUT
            and prop.type != "POINTER"
            and (prop.type == "COLLECTION" or not prop.is_readonly)
        ]


class LOOM_PT_presets(PresetPanel, bpy.types.Panel):
    """The popover behind the icon in the head of the tab."""

    bl_label = "Loom Presets"
    preset_subdir = SUBFOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "loom.preset_add"


CLASSES = (LOOM_MT_presets, LOOM_OT_preset_add, LOOM_PT_presets)
