"""What every handler is given, what it answers, and the settings that several share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....protocol import VERSION
from ...errors import BadRequest

if TYPE_CHECKING:
    from ...models.store import Store


@dataclass(frozen=True, kw_only=True)
class Answer:
    """value   goes into the header: small and plain
    arrays  go into frames of their own; pictures are [N, H, W, 3], top row first
    """

    value: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def idle_status() -> dict[str, Any]:
    """The status of a process that serves nobody."""
    idle = {"state": "idle", "device": "", "memory_mib": 0, "jobs": [], "queued": 0, "version": VERSION}
    return idle | {
        "uptime_s": 0.0, "resident_mib": 0.0, "device_mib": 0.0, "clients": [], "ended": {}, "refused": 0,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Context:
    """What handlers work with.

    status     the running service's, if there is one
    for_owner  False: the answer goes to another machine, where it is nobody's business how folders are called here
    """

    store: Store
    status: Callable[[], dict[str, Any]] = idle_status
    for_owner: bool = True


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """A request without parameters."""


@dataclass(frozen=True, kw_only=True)
class Named:
    name: str


@dataclass(frozen=True, kw_only=True)
class OptionalFolder:
    out: Path | None = None

    def __post_init__(self) -> None:
        absolute("out", self.out)


@dataclass(frozen=True, kw_only=True)
class Folder:
    out: Path

    def __post_init__(self) -> None:
        absolute("out", self.out)


def absolute(name: str, path: Path | None) -> None:
    """The backend's own folder means nothing to a client, so a relative path would land anywhere."""
    if path is not None and not path.is_absolute():
        raise BadRequest(f"{name} must be a whole path from the root, not {str(path)!r}.")
