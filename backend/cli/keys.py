"""`latent-loom keys`: who may connect from other machines.

on the backend's machine    latent-loom keys add laptop --address tcp://studio:47555 --out laptop.json
on the laptop               latent-loom keys accept laptop.json
"""

from __future__ import annotations

import argparse
from typing import Any

from ...protocol import connection_file
from ...protocol.data_folder import data_folder
from ..errors import CannotWrite
from . import values
from .console import Console
from .options import add_common


def add(commands) -> None:
    parser = commands.add_parser("keys", help="let clients of other machines connect: add, list, remove, accept")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="make a key for a client, and the file that it connects with")
    adding.add_argument("name", metavar="NAME", help="what the client is called in the list and the log")
    adding.add_argument(
        "--address", required=True, metavar="tcp://HOST:PORT", help="where that client reaches this backend"
    )
    adding.add_argument(
        "--out", type=values.path, metavar="FILE", help="file for the client's machine (default: NAME.json)"
    )
    accepting = actions.add_parser("accept", help="on the client's machine: use the file that `keys add` wrote")
    accepting.add_argument("file", type=values.path, metavar="FILE", help="the file")
    accepting.add_argument(
        "--connection-file", type=values.path, metavar="FILE",
        help="where to put it (default: connection.json in the user's data folder, where clients look)",
    )  # fmt: skip
    removing = actions.add_parser("remove", help="a client may not connect any more")
    removing.add_argument("name", metavar="NAME", help="its name")
    listing = actions.add_parser("list", help="who may connect")
    for action, run in ((adding, run_add), (accepting, run_accept), (removing, run_remove), (listing, run_list)):
        add_common(action)
        action.set_defaults(run=run)


def run_add(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..service import keyring

    out = args.out or values.path(f"{args.name}.json")
    if out.exists():
        raise CannotWrite(f"{str(out)!r} is there already; name another file with --out.")
    root = args.data or data_folder()
    info = keyring.add(root, args.name, args.address)
    try:
        connection_file.write(info, out)
    except OSError as error:
        keyring.remove(root, args.name)  # a key that nobody holds
        raise CannotWrite(f"Cannot write {str(out)!r} ({error.strerror}); name another file with --out.") from error
    port = args.address.rpartition(":")[2]
    console.say(f"{out} lets {args.name} in. Bring it there safely (it is a key), and there run:")
    console.say(f"    latent-loom keys accept {out.name}")
    console.say("Here, run:")
    console.say(f"    latent-loom serve --address tcp://0.0.0.0:{port}")
    return {"name": args.name, "file": str(out)}


def run_accept(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..service import keyring

    file = keyring.accept(args.file, args.connection_file)
    console.say(f"{file} leads to {connection_file.read(file).address}; try: latent-loom top")
    return {"file": str(file)}


def run_remove(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..service import keyring

    keyring.remove(args.data or data_folder(), args.name)
    console.say(f"{args.name} cannot connect any more; a connection that it has now ends with the backend.")
    return {"name": args.name}


def run_list(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..service import keyring

    known = keyring.clients(args.data or data_folder())
    for name, key in known.items():
        console.say(f"{name:<20} {key}")
    if not known:
        console.say("No client of another machine may connect; latent-loom keys add NAME --address tcp://HOST:PORT")
    return {"keys": [{"name": name, "public_key": key} for name, key in known.items()]}
