"""CLIPs by name: those in the data folder (trained by `train clip --name`, or fetched), else what `load_clip` knows."""

from __future__ import annotations

import copy
from pathlib import Path

from ..adaptation.clip import BUILTIN_CLIPS, FOLDER, Clip, load_clip, load_known_clip
from .full_clips import CONFIG, FULL_CLIPS, full_clip_folder


def clip_folder(root: Path, name: str) -> Path:
    return root / "clips" / name


def own_clips(root: Path) -> list[str]:
    """Names of the CLIPs in the data folder `root`, sorted; without full ones and those that hide a built-in one."""
    hidden = {*BUILTIN_CLIPS, *(clip.folder_name for clip in FULL_CLIPS.values())}
    return sorted(p.parent.name for p in root.glob(f"clips/*/{CONFIG}") if p.parent.name not in hidden)


def find_clip(root: Path, name: str, device: str = "cpu") -> Clip:
    """The CLIP called `name`: one of the data folder `root`, or any that `load_clip` knows. Raises as that does."""
    folder = full_clip_folder(root, name) or (clip_folder(root, name) if name in own_clips(root) else None)
    if folder is None:
        return load_clip(name, device)
    clip = copy.copy(load_known_clip(f"{FOLDER}{folder}", device))
    clip.name = name
    return clip
