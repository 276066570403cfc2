# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in a Blender without a window: the demo and the stage on which it shows a material."""
