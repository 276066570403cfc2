"""What there is: status, generators and CLIPs, and which seeds show what. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ...job import Job
from ..parameters import parse
from .context import Answer, Context, Nothing
from .entries import generator_value, material_values, method_values, preset_values


def status(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    parse("status", params, Nothing)
    return Answer(value=context.status())


def free(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Let go of all loaded models, so that another program can have the memory; they are loaded again when needed."""
    parse("free", params, Nothing)
    from ...models.memory import MIB, MODELS, held_mib

    freed = MODELS.free()
    return Answer(value={"freed_mib": round(freed / MIB), "kept_mib": held_mib(context.store.device)})


def models(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    parse("models", params, Nothing)
    from ...adaptation.clip import BUILTIN_CLIPS
    from ...models.clips import own_clips
    from ...models.full_clips import FULL_CLIPS, full_clip_folder

    clips = [{"name": name, "builtin": True} for name, folder in BUILTIN_CLIPS.items() if folder.is_dir()]
    clips += [{"name": name, "builtin": False, "there": True} for name in own_clips(context.store.root)]
    clips += [
        {"name": clip.name, "builtin": False, "there": full_clip_folder(context.store.root, clip.name) is not None}
        | {"mb": clip.mb, "licence": clip.licence, "about": clip.about, "source": urlsplit(clip.url).hostname}
        for clip in FULL_CLIPS.values()
    ]
    generators = context.store.generators()
    value = {"generators": [generator_value(e) for e in generators], "clips": clips}
    value |= {"methods": method_values(generators), "presets": preset_values(), "materials": material_values()}
    return Answer(value=value)


def seeds(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...models.kinds import SeedsWanted, seeds_wanted

    (wanted,) = parse("seeds", params, SeedsWanted)
    return Answer(value={"seeds": seeds_wanted(context.store.generator_header(wanted.generator), wanted)})
