"""From a request's parameters to settings: the one place where types are checked and unknown names are refused.

Settings are frozen dataclasses that check their own ranges; this checks that every parameter exists and has the type
that its field is annotated with. What comes over the wire has no tuples, paths or floats like `1`, so lists become
tuples, strings become paths and whole numbers become floats where a field asks for them. A path is resolved here, and
refused where the client may not go (`roots.py`).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from ..roots import allowed


class _MismatchError(Exception):
    """The value has another type than the field; str() says which is wanted."""


def parse(request: str, params: Mapping[str, Any], *classes: type) -> list[Any]:
    """One settings object of each of `classes`, together made from all of `params`.

    A parameter goes to every class that has a field of that name. `request` is the request's name, for the sentences.
    Raises  BadRequest   a parameter is unknown, missing, of another type, or refused by the settings themselves
    """
    fields = {field.name: field for cls in classes for field in dataclasses.fields(cls) if field.init}
    for name in params:
        if name not in fields:
            raise BadRequest(_unknown(request, name, list(fields)))
    return [_make(request, params, cls) for cls in classes]


def _unknown(request: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(str(name), known, n=2, cutoff=0.5)
    if near:
        return f"{request} has no parameter {name!r}; did you mean {' or '.join(repr(n) for n in near)}?"
    return f"{request} has no parameter {name!r}; it has: {', '.join(known) or 'none'}."


def _make(request: str, params: Mapping[str, Any], cls: type) -> Any:
    hints = typing.get_type_hints(cls)
    values = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        if field.name in params:
            try:
                values[field.name] = _fit(params[field.name], hints[field.name])
            except _MismatchError as mismatch:
                raise BadRequest(
                    f"{request}: {field.name} must be {mismatch}, not {_short(params[field.name])}."
                ) from None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BadRequest(f"{request} needs the parameter {field.name!r}.")
    try:
        return cls(**values)
    except ValueError as error:
        raise BadRequest(f"{request}: {error}") from error


def _fit(value: Any, hint: Any) -> Any:
    """`value` as the annotated type `hint`, or _MismatchError."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _fit_union(value, args)
    if origin is typing.Literal:
        if value in args:
            return value
        raise _MismatchError("one of " + ", ".join(map(str, args)))
    if hint is Any:
        return value
    if hint is None or hint is type(None):
        if value is None:
            return None
        raise _MismatchError("nothing")
    if origin in (tuple, list) or (isinstance(origin, type) and issubclass(origin, typing.Sequence)):
        return _fit_sequence(value, origin, args)
    if (
        origin in (dict, Mapping)
        or hint in (dict, Mapping)
        or (isinstance(origin, type) and issubclass(origin, Mapping))
    ):
        if isinstance(value, Mapping):
            return dict(value)
        raise _MismatchError("a map of names and values")
    return _fit_plain(value, hint)


def _fit_union(value: Any, hints: tuple[Any, ...]) -> Any:
    wanted = []
    for hint in hints:
        try:
            return _fit(value, hint)
        except _MismatchError as mismatch:
            wanted.append(str(mismatch))
    raise _MismatchError(" or ".join(dict.fromkeys(wanted)))


def _fit_sequence(value: Any, origin: Any, args: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        raise _MismatchError("a list")
    if origin is tuple and args[-1:] != (Ellipsis,):
        if len(value) != len(args):
            raise _MismatchError(f"a list of {len(args)}")
        return tuple(_fit(item, hint) for item, hint in zip(value, args, strict=True))
    return (list if origin is list else tuple)(_fit(item, args[0]) for item in value)


def _fit_plain(value: Any, hint: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and number and isinstance(value, int):
        return value
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint is str and isinstance(value, str):
        return value
    if hint is Path and isinstance(value, str | Path) and str(value) and "\0" not in str(value):
        return allowed(Path(value))
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    raise _MismatchError(names.get(hint, f"a {getattr(hint, '__name__', hint)}"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
