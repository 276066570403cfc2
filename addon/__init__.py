# SPDX-License-Identifier: GPL-3.0-or-later
"""Latent Loom in Blender. Importing this touches no bpy, so that the plain modules can be used and tested without it."""


def register() -> None:
    from . import registration

    registration.register()


def unregister() -> None:
    from . import registration

    registration.unregister()
