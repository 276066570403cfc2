"""The doctor's findings as a text for an issue tracker, without what is nobody's business."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...protocol.data_folder import data_folder

TOKEN = re.compile(r"\b[0-9a-fA-F]{32,}\b")
KEY = re.compile(r"(?<![^\s'\"])[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}(?![^\s'\",;])")
"""Z85, CURVE's way of writing a key."""
ADDRESS = re.compile(r"tcp://\S+?:(\d+)")
UNIX_PATH = re.compile(r"(?<![\w~\]])/(?:[^\s/'\",;:()]+/)+([^\s/'\",;:()]*)")
WINDOWS_PATH = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\'\",;:()]+\\)*([^\s\\'\",;:()]*)")
HOME_PATH = re.compile(r"~/(?:[^\s/'\",;:()]+/)+([^\s/'\",;:()]*)")
SHORTEST_NAME = 3
"""Shorter user names ("me") stand in too many words."""


def report(checks: Sequence[Mapping[str, str]], data: Path | None) -> str:
    """Markdown: one fenced block with a line for each check, in which `redacted` left nothing private."""
    lines = [f"{check['state']:<5} {check['name']:<16} {check['said']}" for check in checks]
    text = redacted("\n".join(lines), data or data_folder())
    return f"### latent-loom doctor\n\n```\n{text}\n```"


def redacted(text: str, data: Path) -> str:
    """`text` without secrets, addresses, folders, and the names of the user and of the machine."""
    text = ADDRESS.sub("tcp://[address]", text)
    text = KEY.sub("[key]", TOKEN.sub("[token]", text))
    for folder, called in ((data, "[data]"), (Path.home(), "~")):
        for spelled in {str(folder), str(folder.absolute()), str(folder.resolve())} - {"/", "."}:
            text = text.replace(spelled, called)
    text = HOME_PATH.sub(r"~/[path]/\1", text)
    text = WINDOWS_PATH.sub(r"[path]\\\1", UNIX_PATH.sub(r"[path]/\1", text))
    for name, called in ((_user(), "[user]"), (socket.gethostname(), "[machine]")):
        if len(name) >= SHORTEST_NAME:
            text = re.sub(rf"\b{re.escape(name)}\b", called, text, flags=re.IGNORECASE)
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without an entry, as in some containers
        return Path.home().name
