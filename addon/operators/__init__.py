# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything the artist can do, one subject a file."""

from . import adapt, apply, backend, batch, checkpoint, generate, setup, styles, walk

CLASSES = (
    *backend.CLASSES,
    *setup.CLASSES,
    *checkpoint.CLASSES,
    *adapt.CLASSES,
    *styles.CLASSES,
    *generate.CLASSES,
    *apply.CLASSES,
    *walk.CLASSES,
    *batch.CLASSES,
)
