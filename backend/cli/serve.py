"""`latent-loom serve`: the backend that Blender connects to, until it is told to stop."""

from __future__ import annotations

import argparse
from typing import Any

from . import values
from .console import Console
from .options import add_common


def add(commands) -> None:
    parser = commands.add_parser("serve", help="run the backend that Blender connects to")
    parser.add_argument(
        "--address", default="tcp://127.0.0.1:0", metavar="ADDRESS",
        help="where to listen; port 0 takes a free one (default: tcp://127.0.0.1:0)",
    )  # fmt: skip
    parser.add_argument(
        "--connection-file", type=values.path, metavar="FILE",
        help="file that tells clients the address and the token (default: connection.json in the user's data folder)",
    )  # fmt: skip
    parser.add_argument("--parent-stdin", action="store_true", help="end when standard input ends (the parent died)")
    parser.add_argument("--log-file", type=values.path, metavar="FILE", help="write the log there, not to the terminal")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..service.server import serve
    from ..service.settings import ServeSettings

    settings = ServeSettings(
        address=args.address,
        connection_file=args.connection_file,
        data=args.data,
        parent_stdin=args.parent_stdin,
        log_file=args.log_file,
        threads=args.threads,
    )
    serve(settings)
    return {}
