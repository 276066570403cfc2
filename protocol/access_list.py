"""Files that their owner alone may read: mode 0600 on POSIX, an access list of one entry on Windows.

Windows ignores modes. A file in the user's own profile is closed to other users already, unless somebody opened the
folder; `icacls` takes what is inherited away and grants this user alone. Never run on Windows (docs/untested.md).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LIMIT_S = 10.0
Run = Callable[..., Any]


def close_to_others(
    path: Path,
    *,
    platform: str = sys.platform,
    environ: Mapping[str, str] = os.environ,
    run: Run = subprocess.run,
) -> None:
    """Close `path` to everybody but this user. Raises OSError where that cannot be done."""
    if platform != "win32":
        path.chmod(0o600)
        return
    done = run(
        access_command(path, environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0x08000000),
        check=False,
    )
    if done.returncode:
        raise OSError(f"icacls could not close {path} to other users (exit code {done.returncode}).")


def access_command(path: Path, environ: Mapping[str, str]) -> Sequence[str]:
    """What takes the inherited entries away and grants this user all. By its whole path: a program of that name in the
    current folder must not be run in its place."""
    program = f"{environ.get('SYSTEMROOT', r'C:' + chr(92) + 'Windows')}\\System32\\icacls.exe"
    user = environ.get("USERNAME", "")
    domain = environ.get("USERDOMAIN", "")
    who = f"{domain}\\{user}" if domain and user else user
    if not who:
        raise OSError("Windows does not say who this user is (USERNAME).")
    return [program, str(path), "/inheritance:r", "/grant:r", f"{who}:F"]
