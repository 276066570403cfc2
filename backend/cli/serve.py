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
        help="where to listen; port 0 takes a free one (default: tcp://127.0.0.1:0). Beyond this machine only clients "
        "with a key come in (see latent-loom keys)",
    )  # fmt: skip
    parser.add_argument(
        "--connection-file", type=values.path, metavar="FILE",
        help="file that tells clients the address and the token (default: connection.json in the user's data folder)",
    )  # fmt: skip
    parser.add_argument("--parent-stdin", action="store_true", help="end when standard input ends (the parent died)")
    parser.add_argument(
        "--log-file", type=values.path, metavar="FILE",
        help="write the log there, one JSON object a line, and not to the terminal; 4 files of 4 MiB are kept",
    )  # fmt: skip
    parser.add_argument(
        "--root", type=values.path, action="append", default=[], metavar="DIR", dest="roots",
        help="clients may name files in this folder alone; give it again for more (default: on this machine anywhere, "
        "for clients of others nowhere)",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", type=values.path, metavar="FILE",
        help="keep metrics there, in Prometheus' text format (for node_exporter's textfile collector: NAME.prom)",
    )  # fmt: skip
    parser.add_argument(
        "--models-mib", type=values.whole, metavar="MIB",
        help="memory of the device that loaded models may keep (default: half of a GPU's, a quarter of the machine's)",
    )  # fmt: skip
    parser.add_argument(
        "--unload-after", type=values.number, default=900.0, metavar="SECONDS", dest="unload_after_s",
        help="let go of models that nobody has used for so long; 0 = never (default: 900)",
    )  # fmt: skip
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..service import keyring
    from ..service.auth import is_loopback
    from ..service.server import serve
    from ..service.settings import ServeSettings

    curve = None if is_loopback(args.address) else keyring.curve_keys(args.data)
    settings = ServeSettings(
        address=args.address,
        connection_file=args.connection_file,
        data=args.data,
        parent_stdin=args.parent_stdin,
        log_file=args.log_file,
        threads=args.threads,
        curve=curve,
        roots=tuple(args.roots),
        metrics=args.metrics,
        models_mib=args.models_mib,
        unload_after_s=args.unload_after_s,
    )
    serve(settings)
    return {}
