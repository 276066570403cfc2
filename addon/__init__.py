# SPDX-License-Identifier: GPL-3.0-or-later
"""Latent Loom in Blender. Importing this touches no bpy: the plain modules are tested without it."""


def register() -> None:
    from . import registration

    registration.register()


def unregister() -> None:
    from . import registration

    registration.unregister()
