"""`python -m latent_loom.backend.service`: the service alone, for tests; people use `latent-loom serve`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import LoomError
from .server import serve
from .settings import ServeSettings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="tcp://127.0.0.1:0")
    parser.add_argument("--connection-file", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--parent-stdin", action="store_true")
    parser.add_argument("--models-mib", type=int)
    parser.add_argument("--unload-after-s", type=float, default=ServeSettings.unload_after_s)
    try:
        serve(ServeSettings(**vars(parser.parse_args())))
    except LoomError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
