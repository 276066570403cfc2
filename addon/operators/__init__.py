# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything the artist can do, one subject a file."""

from . import (
    adapt,
    aims,
    apply,
    asset,
    backend,
    bake,
    batch,
    checkpoint,
    directions,
    generate,
    history,
    keep,
    kinds,
    library,
    live,
    models,
    presets,
    restyle,
    setup,
    styles,
    variations,
    walk,
    walk_keys,
)

MODULES = (
    *(backend, setup, checkpoint, adapt, aims, styles, directions, generate, kinds, variations, live, bake, keep),
    *(restyle, apply, asset, walk, walk_keys, batch),
    *(library, models, history, presets),
)
CLASSES = tuple(kind for module in MODULES for kind in module.CLASSES)
