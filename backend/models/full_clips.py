"""Full CLIPs, which know all words: fetched once, with the user's consent, into the data folder.

    DATA/clips/ViT-B-32--openai/open_clip_config.json, open_clip_model.safetensors

That is a folder in open_clip's own format, so it is loaded like a CLIP that was trained here, and needs no network any
more. Any other of open_clip's is had by name too (`adapt --clip NAME:TAG`); open_clip fetches that by itself.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadCheckpoint, BadRequest, CannotWrite, NotFound, not_found
from ..job import Job
from .download import download

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
HUB = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True)
class FullClip:
    """name     open_clip's NAME:TAG
    url      of the weights, safetensors
    mb       about
    licence  of the weights, as their publisher names it
    about    for people
    """

    name: str
    url: str
    mb: int
    licence: str
    about: str

    @property
    def architecture(self) -> str:
        return self.name.partition(":")[0]

    @property
    def tag(self) -> str:
        return self.name.partition(":")[2]

    @property
    def folder_name(self) -> str:
        """No colon: Windows allows none in names."""
        return self.name.replace(":", "--")


def _openai(name: str, repository: str, mb: int, about: str) -> FullClip:
    url = f"{HUB}/timm/{repository}/resolve/main/{WEIGHTS}"
    return FullClip(name=f"{name}:openai", url=url, mb=mb, licence="MIT (OpenAI)", about=about)


FULL_CLIPS: dict[str, FullClip] = {
    clip.name: clip
    for clip in (
        _openai("ViT-B-32", "vit_base_patch32_clip_224.openai", 605, "The usual one: knows all words, quick"),
        _openai("ViT-B-16", "vit_base_patch16_clip_224.openai", 599, "Sees finer detail, three times as slow"),
        _openai("ViT-L-14", "vit_large_patch14_clip_224.openai", 1711, "Knows most; for graphics cards"),
    )
}


def full_clip_folder(root: Path, name: str) -> Path | None:
    """Where the full CLIP `name` lies, if it was fetched."""
    clip = FULL_CLIPS.get(name)
    folder = root / "clips" / clip.folder_name if clip else None
    return folder if folder is not None and (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file() else None


def fetch_full_clip(root: Path, name: str, job: Job) -> Path:
    """Fetch the weights of `name` (going on with what came before) and make a folder of them that open_clip loads.

    Raises  NotFound, DownloadFailed, BadCheckpoint, CannotWrite, Cancelled
    """
    if name not in FULL_CLIPS:
        raise not_found("full CLIP", name, list(FULL_CLIPS), "Others of open_clip are fetched by `adapt --clip`.")
    there = full_clip_folder(root, name)
    if there is not None:
        return there
    clip = FULL_CLIPS[name]
    fetched = download(clip.url, root / "downloads", job=job)
    _check(fetched, clip)
    folder = root / "clips" / clip.folder_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        shutil.move(fetched, folder / WEIGHTS)
        temporary = folder / f".{CONFIG}.part"
        temporary.write_text(json.dumps(_config(clip)), encoding="utf-8")
        temporary.replace(folder / CONFIG)  # last: a folder without it is none
    except OSError as error:
        raise CannotWrite(f"Cannot write to {str(folder)!r} ({error.strerror}); free some space.") from error
    shutil.rmtree(fetched.parent, ignore_errors=True)
    return folder


def delete_clip(root: Path, name: str) -> None:
    """Delete a CLIP that was fetched or trained. Raises NotFound, BadRequest, CannotWrite."""
    from ..adaptation.clip import BUILTIN_CLIPS
    from .clips import clip_folder, own_clips

    if name in BUILTIN_CLIPS:
        raise BadRequest("The built-in CLIPs cannot be deleted; they are part of the program.")
    folder = full_clip_folder(root, name) or (clip_folder(root, name) if name in own_clips(root) else None)
    if folder is None:
        raise NotFound(f"There is no CLIP {name!r} in the data folder; nothing was deleted.")
    try:
        (folder / CONFIG).unlink(missing_ok=True)  # first: what is left of a broken deletion is no CLIP
        shutil.rmtree(folder)
    except OSError as error:
        raise CannotWrite(f"Cannot delete {str(folder)!r} ({error.strerror}); is it in use?") from error


def _config(clip: FullClip) -> dict:
    """What open_clip reads beside the weights: its own settings of that name and tag."""
    import open_clip

    model, trained = open_clip.get_model_config(clip.architecture), _trained(clip)
    if model is None:
        raise NotFound(f"This open_clip knows no model {clip.architecture!r}; update it.")
    if trained.get("quick_gelu"):
        model = {**model, "quick_gelu": True}
    seen = {key: trained[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in trained}
    return {"model_cfg": model, "preprocess_cfg": seen}


def _trained(clip: FullClip) -> dict:
    import open_clip

    return open_clip.get_pretrained_cfg(clip.architecture, clip.tag) or {}


def _check(file: Path, clip: FullClip) -> None:
    """Whether the file is safetensors with the tensors of a CLIP; another one goes. Raises BadCheckpoint."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as tensors:
            names = set(tensors.keys())
    except (SafetensorError, OSError):
        names = set()
    if not any(name.startswith("visual.") for name in names):
        shutil.rmtree(file.parent, ignore_errors=True)
        raise BadCheckpoint(f"What came is not the weights of {clip.name}; nothing was kept, try again later.")
