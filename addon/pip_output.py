# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip writes while it works, read as progress, and as a reason when it fails. No bpy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MB = 1000**2


@dataclass
class Heard:
    """What was made of the output so far.

    doing     the file that is fetched or what else is done, for people
    at, size  bytes of that file
    fetched   bytes of all files before it; unpacking: nothing more is fetched
    """

    doing: str = ""
    at: int = 0
    size: int = 0
    fetched: int = 0
    unpacking: bool = False

    def take(self, line: str) -> None:
        """Note one line. `Progress 5 of 10` is what pip's raw progress bar writes."""
        if match := re.match(r"Progress (\d+) of (\d+)", line):
            self.at, self.size = int(match[1]), int(match[2])
        elif match := re.match(r"\s*(?:Downloading|Resuming download) (\S+)", line):
            self.fetched += self.size
            self.at = self.size = 0
            self.doing = f"fetching {_package(match[1])}"
        elif re.match(r"\s*(Collecting|Processing) ", line):
            self.doing = "looking for what belongs to it"
        elif line.startswith("Installing collected packages"):
            self.fetched, self.at, self.size = self.fetched + self.size, 0, 0
            self.unpacking = True
            self.doing = "unpacking; this takes a minute or more"

    @property
    def bytes(self) -> int:
        return self.fetched + self.at

    def line(self) -> str:
        """`fetching torch 2.9.1, 340 of 900 MB`."""
        if self.size > MB and self.at:
            return f"{self.doing}, {self.at // MB} of {self.size // MB} MB"
        return self.doing


def _package(address: str) -> str:
    """`https://.../torch-2.9.1-cp311-linux.whl` -> `torch 2.9.1`."""
    name = address.rsplit("/", 1)[-1].partition("#")[0]
    if name.endswith(".metadata"):
        return "what belongs to it"
    return " ".join(name.split("-")[:2]) or "a file"


GO_ON = "press Set Up again: it goes on from what has come so far"
# The first that fits is told, so the more particular ones stand first.
REASONS = (
    (r"No space left|not enough space|Errno 28", "the disk is full; make some room, or choose another folder"),
    (r"ensurepip is not available|No module named '?(venv|ensurepip)", "this Python cannot make environments; install "
     "its venv package (python3-venv), or choose another Python in the preferences"),
    (r"NewConnectionError|name resolution|getaddrinfo|Network is unreachable|Connection refused|ProxyError|"
     r"Failed to establish|No route to host", f"the network cannot be reached; when it is back, {GO_ON}"),
    (r"ReadTimeout|timed out|IncompleteRead|Connection (broken|reset|aborted)|RemoteDisconnected|ProtocolError|"
     r"ConnectionResetError|IncompleteDownload|incomplete-download", f"the download broke off; {GO_ON}"),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError", "a secure connection could not be made; is the clock right, or does a "
     "proxy stand between?"),
    (r"THESE PACKAGES DO NOT MATCH THE HASHES|BadZipFile", "a file came damaged; press Repair, which begins anew"),
    (r"No matching distribution found for torch|Could not find a version .* torch", "there is no PyTorch for this "
     "Python or computer; choose a Python of 3.11 to 3.13 in the preferences"),
    (r"Permission denied|Access is denied|WinError 5|WinError 32", "a file could not be written; stop what uses the "
     "backend, or choose another folder"),
    (r"filename or extension is too long|WinError 206|File name too long", "the folder is too deep for Windows; "
     "choose a shorter one in the preferences"),
)  # fmt: skip


def reason(lines: Sequence[str]) -> str:
    """Why it failed, as the rest of a sentence: a known reason with what to do, else pip's own last complaint."""
    text = "\n".join(lines)
    for pattern, words in REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return words
    complaint = next((line for line in reversed(lines) if re.match(r"(error|fatal)\b", line, re.IGNORECASE)), "")
    last = complaint or (lines[-1] if lines else "")
    return re.sub(r"^(ERROR|error|fatal):\s*", "", last).strip() or "the log says more"
