"""Ends with the process that started us: the parent holds the other end of our stdin and never writes.

When the parent dies, however it dies, the system closes that end. A thread reads stdin and notices.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

GRACE_S = 0.7  # for the running job to keep what it has; the whole process is gone within a second


def watch_parent(on_end: Callable[[], None], *, grace_s: float = GRACE_S) -> threading.Event:
    """Start the watch. At stdin's end call `on_end`, and end the process if it has not ended by itself in `grace_s`.

    Returns an event that is set once the parent is gone.
    """
    orphaned = threading.Event()

    def watch() -> None:
        fd = sys.stdin.fileno() if sys.stdin is not None else -1
        try:
            while fd >= 0 and os.read(fd, 4096):
                pass
        except OSError:
            pass  # a broken pipe is the parent's end, too
        orphaned.set()
        on_end()
        # Files are written to a temporary name and renamed, so a hard end leaves nothing half.
        time.sleep(grace_s)
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    return orphaned
