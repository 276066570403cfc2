"""What the service writes about itself: lines for people on a terminal, one JSON object a line in a file.

    {"time": "2026-11-26T09:12:33.120Z", "level": "info", "thread": "device", "message": "...", "event": "job_ended",
     "client": "4c0f3a91", "user": "owner", "id": 7, "type": "generate", "outcome": "done", "waited_s": 0.0, ...}

`event` and what follows it come from `extra=about("job_ended", ...)`; `message` is the line that people see. No line
holds a token, a prompt or a picture. A file is turned over at 4 MiB and three old ones are kept.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE_BYTES, OLD_FILES = 4 << 20, 3
LONGEST = 4_000
"""Characters of one text in a line: names of clients come from outside."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def about(event: str, **fields: Any) -> dict[str, Any]:
    """`extra` of a log call: log.info("client %s joined", name, extra=about("client_joined", client=name))."""
    return {"fields": {"event": event, **fields}}


def tell(logger: logging.Logger, file: Path | None) -> None:
    """Send what `logger` and those below it say to `file`, or to standard error. Raises OSError."""
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler()
        handler.setFormatter(ForPeople())
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8"
        )
        handler.setFormatter(ForMachines())
    for old in logger.handlers:
        old.close()
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class ForPeople(logging.Formatter):
    """Time, level, sentence. A name from outside can neither end its line nor write to the terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(threadName)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the standard library's name)
        return _UNPRINTABLE.sub("�", super().formatMessage(record))


class ForMachines(logging.Formatter):
    """One JSON object, in one line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "thread": record.threadName,
            "message": record.getMessage()[:LONGEST],
        }
        for name, value in getattr(record, "fields", {}).items():
            line[name] = value[:LONGEST] if isinstance(value, str) else value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)  # in ASCII, since some tools end lines at more than \n
