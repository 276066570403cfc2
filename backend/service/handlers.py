"""What each request does: one function per type, no sockets. The service and the command line call the same ones.

    HANDLERS[type](context, params, arrays, job) -> Answer         raises LoomError and what `as_loom_error` knows

Everything that needs PyTorch is imported inside the functions, so that a table of names costs nothing and the service
can bind, and refuse a taken address, before it spends seconds on that import.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...protocol import VERSION
from ..errors import AlreadyExists, BadRequest, Cancelled, CannotWrite, NotFound
from ..job import Job
from .parameters import parse

if TYPE_CHECKING:
    from ..adaptation.style import Style
    from ..models.store import GeneratorEntry, Store, StyleEntry

PARTIAL = "-partial"
"""Ending of the name under which a style is kept while it is being trained."""

KNOWN_CLIPS = ("ViT-B-32:openai", "ViT-B-16:openai")
"""Full CLIPs that `models` names beside the built-in ones; any other of open_clip's works by name as well."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """value   goes into the header: small and plain
    arrays  go into frames of their own; pictures are [N, H, W, 3], top row first
    """

    value: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def idle_status() -> dict[str, Any]:
    """The status of a process that serves nobody."""
    return {"state": "idle", "device": "", "memory_mib": 0, "jobs": [], "queued": 0, "version": VERSION}


@dataclass(frozen=True, kw_only=True)
class Context:
    """What handlers work with. `status` is the running service's, if there is one."""

    store: Store
    status: Callable[[], dict[str, Any]] = idle_status


Handler = Callable[[Context, Mapping[str, Any], Mapping[str, np.ndarray], Job], Answer]


# Requests whose settings belong to no other module


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """A request without parameters."""


@dataclass(frozen=True, kw_only=True)
class AdaptRequest:
    name: str
    generator: str = "builtin"
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class OptionalFolder:
    out: Path | None = None

    def __post_init__(self) -> None:
        _absolute("out", self.out)


@dataclass(frozen=True, kw_only=True)
class Folder:
    out: Path

    def __post_init__(self) -> None:
        _absolute("out", self.out)


@dataclass(frozen=True, kw_only=True)
class BatchRequest(Folder):
    jobs: dict | None = None
    file: Path | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _absolute("file", self.file)
        if (self.jobs is None) == (self.file is None):
            raise BadRequest("batch needs either `jobs` (a map with defaults and items) or `file` (a TOML file).")


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    file: Path
    name: str
    overwrite: bool = False

    def __post_init__(self) -> None:
        _absolute("file", self.file)


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    file: Path
    generator: str | None = None
    style: str | None = None
    strength: float = 1.0
    format: str = "safetensors"

    def __post_init__(self) -> None:
        _absolute("file", self.file)
        if self.format not in ("safetensors", "rosinality"):
            raise BadRequest(f"There is no export format {self.format!r}; choose safetensors or rosinality.")


@dataclass(frozen=True, kw_only=True)
class StyleName:
    name: str


def _absolute(name: str, path: Path | None) -> None:
    """The backend's own folder means nothing to a client, so a relative path would land anywhere."""
    if path is not None and not path.is_absolute():
        raise BadRequest(f"{name} must be a whole path from the root, not {str(path)!r}.")


# The requests


def status(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    parse("status", params, Nothing)
    return Answer(value=context.status())


def models(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    parse("models", params, Nothing)
    from ..adaptation.clip import BUILTIN_CLIPS

    clips = [{"name": name, "builtin": True} for name, folder in BUILTIN_CLIPS.items() if folder.is_dir()]
    clips += [{"name": name, "builtin": False} for name in KNOWN_CLIPS]
    return Answer(value={"generators": [_generator(e) for e in context.store.generators()], "clips": clips})


def styles(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    parse("styles", params, Nothing)
    return Answer(value={"styles": [_style(entry) for entry in context.store.styles()]})


def adapt(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Train a style. Every snapshot is kept as NAME-partial, so a cancel or a kill loses little."""
    from ..adaptation.adapt import adapt as train
    from ..adaptation.settings import AdaptSettings
    from ..models.store import check_name

    asked, settings = parse("adapt", params, AdaptRequest, AdaptSettings)
    store, began_s = context.store, time.monotonic()
    check_name(asked.name)
    if not asked.overwrite and any(entry.name == asked.name for entry in store.styles()):
        raise AlreadyExists(
            f"There is a style called {asked.name!r} already; choose another name or ask to overwrite it."
        )
    partial = asked.name[: 64 - len(PARTIAL)] + PARTIAL
    kept: list[int] = []

    def keep(style: Style) -> None:
        store.add_style(style.renamed(partial), overwrite=True)
        kept.append(style.info.iterations)

    generator = store.generator(asked.generator)
    try:
        style = train(generator, settings, name=asked.name, generator_name=asked.generator, job=job, keep=keep)
    except Cancelled:
        if not kept:
            raise Cancelled("Cancelled before the first snapshot; no style was made.") from None
        raise Cancelled(f"Cancelled; the state after {kept[-1]} iterations is kept as the style {partial!r}.") from None
    store.add_style(style, overwrite=asked.overwrite)
    if kept:
        store.delete_style(partial)
    entry = next(entry for entry in store.styles() if entry.name == asked.name)
    return Answer(value={"style": _style(entry), "seconds": time.monotonic() - began_s})


def generate(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ..textures import generate as textures

    settings, where = parse("generate", params, textures.GenerateSettings, OptionalFolder)
    began_s = time.monotonic()
    made = textures.generate(context.store, settings, where.out, job)
    return Answer(value={"files": made.files, "seconds": time.monotonic() - began_s}, arrays=made.images)


def walk(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ..textures import walk as walks

    settings, where = parse("walk", params, walks.WalkSettings, Folder)
    began_s = time.monotonic()
    made = walks.walk(context.store, settings, where.out, job)
    value = {"files": made.files, "frames": settings.frames, "out": str(where.out)}
    return Answer(value=value | {"seconds": time.monotonic() - began_s})


def batch(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ..textures.batch import BatchSettings, run_batch

    (asked,) = parse("batch", params, BatchRequest)
    began_s = time.monotonic()
    settings = BatchSettings.from_toml(asked.file) if asked.file else BatchSettings.from_mapping(asked.jobs)
    made = run_batch(context.store, settings, asked.out, job, resume=asked.resume)
    value = {name: _plain(getattr(made, name)) for name in ("out", "manifest", "written", "skipped", "failed")}
    return Answer(value=value | {"seconds": time.monotonic() - began_s})


def import_(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...stylegan2.checkpoints import import_checkpoint

    (asked,) = parse("import", params, ImportRequest)
    if not asked.file.exists():
        raise NotFound(f"There is no file {str(asked.file)!r}; check the path.")
    generator = import_checkpoint(asked.file)
    entry = context.store.add_generator(generator, asked.name, overwrite=asked.overwrite)
    return Answer(value={"generator": _generator(entry)})


def export(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...stylegan2.checkpoints import export_rosinality, save_generator
    from ..textures.files import open_folder

    (asked,) = parse("export", params, ExportRequest)
    if asked.file.is_dir():
        raise CannotWrite(f"{str(asked.file)!r} is a folder; give the name of a file to write.")
    open_folder(asked.file.parent)  # refused before the work, in a sentence that names no temporary file
    store = context.store
    chosen = [(asked.style, asked.strength)] if asked.style is not None else []
    name = asked.generator or (store.style(asked.style).info.generator if asked.style is not None else "builtin")
    write = export_rosinality if asked.format == "rosinality" else save_generator
    write(store.styled(name, chosen), asked.file)
    return Answer(value={"file": str(asked.file), "bytes": asked.file.stat().st_size})


def delete_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    (asked,) = parse("delete_style", params, StyleName)
    context.store.delete_style(asked.name)
    return Answer()


HANDLERS: dict[str, Handler] = {
    "status": status,
    "models": models,
    "styles": styles,
    "adapt": adapt,
    "generate": generate,
    "walk": walk,
    "batch": batch,
    "import": import_,
    "export": export,
    "delete_style": delete_style,
}

AT_THE_DESK = frozenset({"models", "styles", "delete_style"})
"""Requests that compute nothing: they need not wait for the device's worker."""

AT_ONCE = frozenset({"status"})
"""Requests that only read what the I/O thread knows."""


# Entries as they travel


def _generator(entry: GeneratorEntry) -> dict[str, Any]:
    """The entry without its path and without what is not there."""
    return {name: _plain(value) for name, value in asdict(entry).items() if name != "path" and value is not None}


def _style(entry: StyleEntry) -> dict[str, Any]:
    shown = {"name": entry.name, "bytes": entry.bytes}
    if entry.info is None:
        return shown | {"broken": entry.broken or "The file cannot be read."}
    info = asdict(entry.info)
    names = ("generator", "source", "target", "method", "iterations", "seed", "clips", "measures", "licence")
    return shown | {name: _plain(info[name]) for name in names}


def _plain(value: Any) -> Any:
    """`value` in types that msgpack and JSON know."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
