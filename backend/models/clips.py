"""CLIPs by name: the user's own in the data folder (`train clip --name`), else what `load_clip` knows."""

from __future__ import annotations

import copy
from pathlib import Path

from ..adaptation.clip import BUILTIN_CLIPS, FOLDER, Clip, load_clip, load_known_clip

CONFIG = "open_clip_config.json"


def clip_folder(root: Path, name: str) -> Path:
    return root / "clips" / name


def own_clips(root: Path) -> list[str]:
    """Names of the CLIPs in the data folder `root`, sorted; those that hide a built-in one are not counted."""
    return sorted(p.parent.name for p in root.glob(f"clips/*/{CONFIG}") if p.parent.name not in BUILTIN_CLIPS)


def find_clip(root: Path, name: str, device: str = "cpu") -> Clip:
    """The CLIP called `name`: one of the data folder `root`, or any that `load_clip` knows. Raises as that does."""
    if name not in own_clips(root):
        return load_clip(name, device)
    clip = copy.copy(load_known_clip(f"{FOLDER}{clip_folder(root, name)}", device))
    clip.name = name
    return clip
