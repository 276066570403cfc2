# SPDX-License-Identifier: GPL-3.0-or-later
"""The Loom tab: the same panels in the sidebars of the 3D View, the Image Editor and the Shader Editor.

Drawing reads what is cached and does nothing else. One group of panels a file; a new one is a row in PANELS.
"""

from .adapt import Adapt, AdaptMore
from .base import EDITORS, for_editor
from .batch import Batch
from .main import Main
from .material import Material
from .styles import LOOM_UL_styles, Styles
from .texture import Texture
from .walk import Walk

PANELS = (Main, Adapt, AdaptMore, Styles, Texture, Material, Walk, Batch)
CLASSES = (LOOM_UL_styles, *(for_editor(base, editor, Main) for editor in EDITORS for base in PANELS))
