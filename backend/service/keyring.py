"""The keys of a backend that listens beyond loopback, and of the clients that may connect there.

    DATA/keys/server.json    {public, secret}        this backend's pair, made once
    DATA/keys/clients.json   {name: public key}      who may connect; read anew at every handshake

Both are private files in a private folder. Keys are CURVE's (Z85, 40 characters). A new client's pair leaves in a
connection file for its machine (`latent-loom keys add`), and only its public half stays here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from ...protocol import connection_file
from ...protocol.data_folder import data_folder
from ...protocol.private_file import NotPrivateError, read_private, write_private
from ..errors import AlreadyExists, BadRequest, CannotWrite, NotFound, not_found
from .auth import CurveKeys, is_loopback
from .guests import OWNER

if TYPE_CHECKING:
    from .settings import ServeSettings

SERVER, CLIENTS = "server.json", "clients.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


def folder(root: Path) -> Path:
    return root / "keys"


def new_pair() -> tuple[str, str]:
    """(public, secret) of a new key."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def nearby(address: str) -> str:
    """`address` as a client on this machine connects to it: 0.0.0.0 is no place to go to."""
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    return f"{scheme}://{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"


# --- the folder ---


def server_pair(root: Path) -> tuple[str, str] | None:
    """This backend's (public, secret); None where no key was ever made. Raises BadRequest for a broken file."""
    found = _read(folder(root) / SERVER)
    if found is None:
        return None
    public, secret = found.get("public"), found.get("secret")
    if not (_is_key(public) and _is_key(secret)):
        raise BadRequest(f"{folder(root) / SERVER} holds no pair of keys; delete it and pair all clients again.")
    return str(public), str(secret)


def clients(root: Path) -> dict[str, str]:
    """Name -> public key of those who may connect, by name. Raises BadRequest for a broken file."""
    found = _read(folder(root) / CLIENTS) or {}
    if not all(_NAME.fullmatch(name) and _is_key(key) for name, key in found.items()):
        raise BadRequest(f"{folder(root) / CLIENTS} holds something that is no name with a key; correct it.")
    return dict(sorted(found.items()))


def add(root: Path, name: str, address: str) -> connection_file.ConnectionInfo:
    """Make a key for a client called `name`, let it in, and return the connection file for it.

    address  where that client reaches this backend, "tcp://HOST:PORT"
    Raises   BadRequest, AlreadyExists, CannotWrite
    """
    if not _NAME.fullmatch(name) or name == OWNER:
        raise BadRequest(
            f"{name!r} is no name for a key; use 1 to 64 small letters, digits, '-' and '_' (not {OWNER!r})."
        )
    is_loopback(address)  # refuses what is no address
    if address.rpartition("://")[2].rpartition(":")[0] in ("0.0.0.0", "*", "[::]") or address.endswith((":*", ":0")):
        raise BadRequest(
            f"{address!r} is no place that a client can reach; name this machine and a port: tcp://HOST:PORT."
        )
    known = clients(root)
    if name in known:
        raise AlreadyExists(f"There is a key for {name!r} already; choose another name, or remove it first.")
    own = server_pair(root) or _make_server(root)
    pair = new_pair()
    _write(root, CLIENTS, {**known, name: pair[0]})
    return connection_file.ConnectionInfo(
        address=address, token="-", pid=0, session="paired", server_key=own[0], client_keys=pair
    )


def remove(root: Path, name: str) -> None:
    """The client called `name` cannot connect any more. Raises NotFound."""
    known = clients(root)
    if known.pop(name, None) is None:
        raise not_found("key", name, known, "latent-loom keys list shows them.")
    _write(root, CLIENTS, known)


# --- the service ---


def curve_keys(data: Path | None) -> CurveKeys | None:
    """The keys to listen with beyond loopback; None where no client has a key yet."""
    root = data or data_folder()
    pair, known = server_pair(root), clients(root)
    if pair is None or not known:
        return None
    return CurveKeys(public_key=pair[0], secret_key=pair[1], allowed_clients=frozenset(known.values()))


def known(settings: ServeSettings, owners: tuple[str, str] | None) -> Callable[[], Mapping[str, str]] | None:
    """Who may connect now, public key -> name, for the doorkeeper: the list on disk and the owner; None without CURVE.

    Asked with every message, so the file is read where it has changed. One that cannot be read lets in the owner alone.
    """
    if settings.curve is None or owners is None:
        return None
    owner, root = {owners[0]: OWNER}, settings.data or data_folder()
    fixed = {key: key[:8] for key in settings.curve.allowed_clients}
    seen: tuple[int, ...] | None = None
    known_then: Mapping[str, str] = {}

    def now() -> Mapping[str, str]:
        nonlocal seen, known_then
        found = _version(folder(root) / CLIENTS)
        if found != seen:
            seen, known_then = found, (_named(root) if found else fixed) | owner
        return known_then

    return now


def _version(path: Path) -> tuple[int, ...]:
    """Another one after every change of the file; empty where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _named(root: Path) -> dict[str, str]:
    try:
        return {key: name for name, key in clients(root).items()}
    except (BadRequest, CannotWrite):
        return {}


# --- files ---


def _is_key(value: object) -> bool:
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def _read(path: Path) -> dict | None:
    try:
        found = json.loads(read_private(path).decode("utf-8"))
    except FileNotFoundError:
        return None
    except NotPrivateError as error:
        raise BadRequest(str(error)) from error
    except OSError as error:
        raise CannotWrite(f"Cannot read {path} ({error.strerror}); check its owner and permissions.") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{path} is damaged; delete it and pair the clients again.") from error
    if not isinstance(found, dict):
        raise BadRequest(f"{path} is damaged; delete it and pair the clients again.")
    return found


def _write(root: Path, name: str, value: Mapping[str, str]) -> None:
    try:
        folder(root).mkdir(parents=True, exist_ok=True)
        folder(root).chmod(0o700)
        write_private(folder(root) / name, json.dumps(dict(sorted(value.items())), indent=1) + "\n")
    except OSError as error:
        raise CannotWrite(f"Cannot write {str(folder(root) / name)!r} ({error.strerror}); free some space.") from error


def _make_server(root: Path) -> tuple[str, str]:
    pair = new_pair()
    _write(root, SERVER, {"public": pair[0], "secret": pair[1]})
    return pair


def accept(file: Path, into: Path | None) -> Path:
    """On the client's machine: put the file that `keys add` wrote where clients look for one; returns that place.

    Raises  NotFound, BadRequest, CannotWrite, NoConnectionFile
    """
    try:
        if not file.is_file():
            raise NotFound(f"There is no file {str(file)!r}; copy the one that `latent-loom keys add` wrote.")
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)  # it came over some other way, which seldom keeps permissions
        info = connection_file.read(file)
        if info.server_key is None:
            raise BadRequest(f"{str(file)!r} was not made by `latent-loom keys add`; ask for such a file.")
        return connection_file.write(info, into)
    except OSError as error:
        raise CannotWrite(f"Cannot use {error.filename!r} ({error.strerror}); check permissions and space.") from error
