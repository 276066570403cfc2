"""Procedural, captioned materials: the only data that the built-in models ever saw.

Nothing is downloaded. Everything is periodic (tileable), seeded, and runs where its tensors are.
"""
