# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that take the scene's settings as properties, for scripts: `bpy.ops.loom.generate(seed=7, width=1024)`.

What is given is set on the scene first, so the panels show afterwards what was asked for; what is not, is as it was.
"""

import inspect
from collections.abc import Callable


def takes(group: type, *names: str) -> Callable[[type], type]:
    """A class decorator: gives the operator properties like those called `names` of a class of settings."""

    def add(operator: type) -> type:
        declared = inspect.get_annotations(group)
        own = dict(inspect.get_annotations(operator))
        for name in names:
            deferred = declared[name]
            keywords = {key: value for key, value in deferred.keywords.items() if key not in ("update", "options")}
            own[name] = deferred.function(**keywords, options={"HIDDEN", "SKIP_SAVE"})
        operator.__annotations__ = own
        operator.taken = (*getattr(operator, "taken", ()), *names)
        return operator

    return add


def take(operator, settings) -> None:
    """Set on `settings` what the operator was called with."""
    for name in operator.taken:
        if operator.properties.is_property_set(name):
            setattr(settings, name, getattr(operator, name))
