"""The real service with one handler that gives arrays back as they came, for measure_wire.py: all but the work."""

from __future__ import annotations

import sys

from latent_loom.backend.service import __main__ as service
from latent_loom.backend.service.handlers import HANDLERS, Answer


def echo(context, params, arrays, job) -> Answer:
    return Answer(value={"files": []}, arrays=arrays)


if __name__ == "__main__":
    HANDLERS["project"] = echo
    sys.exit(service.main())
