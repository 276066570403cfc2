# SPDX-License-Identifier: GPL-3.0-or-later
"""The Loom tab: the same panels in the sidebars of the 3D View, the Image Editor and the Shader Editor.

Drawing reads what is cached and does nothing else. One group of panels a file; a new one is a row in PANELS.
"""

from .adapt import Adapt, AdaptMore, AdaptPictures, AdaptWords
from .base import EDITORS, for_editor
from .batch import Batch, Batches
from .history import History, LOOM_UL_history
from .main import Main
from .material import Material
from .models import Models, Train
from .styles import Directions, Live, LOOM_UL_styles, Styles, Variations
from .texture import Restyle, Texture
from .walk import LOOM_UL_walk_keys, Walk

PANELS = (
    *(Main, Adapt, AdaptWords, AdaptPictures, AdaptMore),
    *(Styles, Directions, Variations, Live),
    *(Texture, Restyle, Material, Walk),
    *(Batch, Batches, History, Models, Train),
)
LISTS = (LOOM_UL_styles, LOOM_UL_walk_keys, LOOM_UL_history)
CLASSES = (*LISTS, *(for_editor(base, editor, Main) for editor in EDITORS for base in PANELS))
