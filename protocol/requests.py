"""The table of requests: what a client may ask, with which parameters, and what may be asked twice.

The wire checks only that `params` is a map; the backend checks each parameter and answers `bad_request`. SPEC.md
describes every parameter; a test holds this table against it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RequestType:
    """One kind of request.

    required    parameters that must be there
    optional    parameters that have a default in the backend
    value       fields of the answer
    idempotent  asking twice does what asking once does: the client asks again by itself when the backend was lost
    since       the minor version of the protocol that brought it
    """

    name: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    idempotent: bool = False
    since: int = 0


_LOOK = (
    *(
        "generator",
        "styles",
        "size",
        "tile",
        "psi",
        "mine",
        "maps",
        "format",
        "material",
        "relief",
        "normal",
        "roughness",
    ),
    *("cutoff", "mix", "directions", "class_index", "noise", "noise_seed", "noise_strength"),
)

REQUESTS: dict[str, RequestType] = {
    request.name: request
    for request in (
        RequestType(
            name="status",
            value=(
                *("state", "device", "memory_mib", "jobs", "queued", "version"),
                *("uptime_s", "resident_mib", "device_mib", "clients", "ended", "refused"),
            ),
            idempotent=True,
        ),
        RequestType(name="models", value=("generators", "clips", "methods", "presets", "materials"), idempotent=True),
        RequestType(name="styles", optional=("generator",), value=("styles",), idempotent=True),
        RequestType(
            name="adapt",
            required=("name",),
            optional=(
                *("source", "target", "targets", "negatives", "images", "source_images", "image_weight"),
                *("generator", "method", "preset", "iterations", "seed", "batch", "learning_rate", "rank", "coarse"),
                *("keep_share", "top_layers", "select_every", "clips", "directional", "contrast"),
                *(
                    "global_loss",
                    "patch",
                    "patch_size",
                    "in_domain",
                    "diversity",
                    "decay",
                    "gamut",
                    "psi",
                    "mixing",
                    "diversity_floor",
                    "preview_every",
                ),
                *("tile", "train_size", "precision", "checkpointing", "deterministic", "overwrite", "resume"),
                *("keep_fixed", "class_index", "report", "detach"),
            ),
            value=("style", "warnings", "seconds"),
        ),
        RequestType(
            name="adapt_status",
            required=("name",),
            value=("name", "state", "done", "total"),
            idempotent=True,
            since=1,
        ),
        RequestType(
            name="adapt_cancel",
            required=("name",),
            value=("name", "state", "done", "total"),
            idempotent=True,
            since=1,
        ),
        RequestType(
            name="generate",
            optional=("seeds", "strengths", *_LOOK, "name", "out"),
            value=("files", "memory_mib", "warnings", "seconds"),
            idempotent=True,
        ),
        RequestType(
            name="seeds",
            required=("kind",),
            optional=("generator", "count", "start"),
            value=("seeds",),
            idempotent=True,
            since=1,
        ),
        RequestType(
            name="directions",
            optional=(
                *("generator", "styles", "psi", "class_index", "count", "layers", "amounts", "seed", "size_px", "out"),
            ),
            value=("directions", "file", "warnings", "seconds"),
            idempotent=True,
        ),
        RequestType(
            name="walk",
            required=("out",),
            optional=(
                *("seeds", "key_styles", "key_directions", "key_psi", "key_hold", "key_ease", *_LOOK),
                *("frames", "loop", "interpolation", "speed", "overwrite", "preview", "movie", "fps"),
            ),
            value=("files", "frames", "out", "animations", "warnings", "seconds"),
            idempotent=True,
        ),
        RequestType(
            name="grid",
            required=("styles", "out"),
            optional=("generator", "seeds", "psi", "directions", "class_index", "frames", "fps", "size_px"),
            value=("file", "frames", "animation", "warnings", "seconds"),
            idempotent=True,
        ),
        RequestType(
            name="batch",
            required=("out",),
            optional=("jobs", "file", "resume", "verify", "dry_run", "detach", "cluster"),
            value=("out", "manifest", "written", "skipped", "lost", "failed", "warnings", "seconds"),
        ),
        RequestType(name="batch_status", required=("out",), value=("state", "done", "total"), idempotent=True),
        RequestType(
            name="asset_library",
            required=("folder",),
            optional=("blender", "addon", "pack"),
            value=("blend", "materials", "catalogues", "blender", "seconds"),
        ),
        RequestType(name="batch_cancel", required=("out",), value=("state", "done", "total"), idempotent=True),
        RequestType(
            name="import",
            required=("name",),
            optional=("file", "url", "sha256", "overwrite"),
            value=("generator",),
        ),
        RequestType(
            name="export",
            required=("file",),
            optional=("generator", "styles", "format"),
            value=("file", "bytes", "warnings"),
            idempotent=True,
        ),
        RequestType(
            name="mine_style",
            required=("name",),
            optional=(
                *("generator", "iterations", "seed", "batch", "learning_rate", "target"),
                *("decay", "in_domain", "diversity_floor", "psi"),
            ),
            value=("style", "warnings", "seconds"),
        ),
        RequestType(name="show_style", required=("name",), value=("style",), idempotent=True),
        RequestType(name="rename_style", required=("name", "new_name"), value=("style",)),
        RequestType(name="delete_style", required=("name",)),
        RequestType(name="choose_snapshot", required=("name", "iterations"), value=("style",), idempotent=True),
        RequestType(name="import_style", required=("file",), optional=("name", "overwrite"), value=("style",)),
        RequestType(name="export_style", required=("name", "file"), value=("file", "bytes"), idempotent=True),
        RequestType(
            name="derive_style", required=("generator", "parent", "name"), optional=("overwrite",), value=("style",)
        ),
        RequestType(
            name="project",
            required=("name",),
            optional=(
                *("file", "generator", "space", "steps", "seed", "class_index", "size", "tile", "clip", "styles"),
                *("preview_every", "overwrite", "out"),
            ),
            value=("texture", "size", "files", "warnings", "seconds"),
        ),
        RequestType(
            name="keep",
            required=("seed", "name"),
            optional=("generator", "psi", "cutoff", "mix", "directions", "class_index", "noise_seed", "overwrite"),
            value=("texture",),
        ),
        RequestType(name="textures", value=("textures",), idempotent=True),
        RequestType(name="delete_texture", required=("name",)),
        RequestType(name="report_style", required=("name", "file"), value=("file", "json", "seconds"), idempotent=True),
        RequestType(name="fetch_clip", required=("name",), value=("clip", "bytes"), idempotent=True, since=1),
        RequestType(name="delete_clip", required=("name",), since=1),
        RequestType(
            name="train_generator",
            required=("name", "images"),
            optional=("size", "total", "tileable", "flips", "start", "seed", "save_every", "overwrite"),
            value=("generator", "folder", "warnings", "seconds"),
            since=1,
        ),
        RequestType(name="delete_generator", required=("name",), since=1),
        RequestType(name="disk", value=("root", "parts", "free_bytes"), idempotent=True, since=1),
        RequestType(name="free", value=("freed_mib", "kept_mib"), idempotent=True, since=1),
        RequestType(name="shutdown"),
    )
}
"""Every request by its type. `shutdown` is answered by the connection itself, all others by a handler."""
