"""`latent-loom doctor`: is everything here that the backend needs? One line per check: ok, warn or fail.

With `--report` the same as a text to paste into an issue: nothing in it names the user, a folder or a secret.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import CannotWrite
from . import doctor_checks, doctor_report, values
from .console import Console, UnfinishedError
from .options import add_common
from .replacing import add_overwrite, refuse_to_replace


def add(commands) -> None:
    parser = commands.add_parser("doctor", help="check the installation, with one line per check")
    parser.add_argument(
        "--connection-file", type=values.path, metavar="FILE", help="connection file to look at (default: the user's)"
    )
    parser.add_argument(
        "--report", nargs="?", const="-", metavar="FILE",
        help="make a report to paste into an issue, without names, folders or secrets (default: on the terminal)",
    )  # fmt: skip
    add_overwrite(parser, "a report of the same name")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.report not in (None, "-"):
        refuse_to_replace([values.path(args.report)], args.overwrite, "name another file with --report")
    found = []
    for check in doctor_checks.all_checks(args.data, args.connection_file, args.threads):
        if args.report != "-":
            console.say(f"{check.state:<5} {check.name:<16} {check.said}")
        found.append({"name": check.name, "state": check.state, "said": check.said})
    failed = [check["name"] for check in found if check["state"] == "fail"]
    value: dict[str, Any] = {"ok": not failed, "checks": found}
    if args.report is not None:
        value["report"] = doctor_report.report(found, args.data)
        _hand_over(value["report"], args.report, console)
    if failed:
        raise UnfinishedError(f"Not everything is in order: see {', '.join(failed)} above.", value)
    return value


def _hand_over(text: str, where: str, console: Console) -> None:
    if where == "-":
        console.say(text)
        return
    try:
        values.path(where).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"Cannot write {where!r} ({error.strerror}); name another file with --report.") from error
    console.say(f"The report is in {where}; read it before you paste it.")
