"""`latent-loom doctor`: is everything here that the backend needs? One line per check: ok, warn or fail."""

from __future__ import annotations

import argparse
from typing import Any

from . import doctor_checks, values
from .console import Console, UnfinishedError
from .options import add_common


def add(commands) -> None:
    parser = commands.add_parser("doctor", help="check the installation, with one line per check")
    parser.add_argument(
        "--connection-file", type=values.path, metavar="FILE", help="connection file to look at (default: the user's)"
    )
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    found = []
    for check in doctor_checks.all_checks(args.data, args.connection_file, args.threads):
        console.say(f"{check.state:<5} {check.name:<16} {check.said}")
        found.append({"name": check.name, "state": check.state, "said": check.said})
    failed = [check["name"] for check in found if check["state"] == "fail"]
    value = {"ok": not failed, "checks": found}
    if failed:
        raise UnfinishedError(f"Not everything is in order: see {', '.join(failed)} above.", value)
    return value
