# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend on another computer: its address, its public key, and our own pair of keys (CURVE). No bpy.

One file can hold all three: the one that `latent-loom keys add` writes on the other computer. Else:
keys are 40 characters of Z85. Where a file is asked for, it may be ZeroMQ's own certificate (`public-key = "..."`),
JSON ({"public_key": ...}) or a bare key.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from .params import BadInput

Z85 = r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}"
MOST_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Remote:
    """What `protocol.client.Client` needs: address, the server's public key, (public, secret) of this client."""

    address: str
    server_key: str
    client_keys: tuple[str, str] = field(repr=False)


def read(address: str, server_key: str, client_key: str) -> Remote:
    """What the preferences hold, made into a `Remote`. Raises BadInput, a sentence that says what to do."""
    address = address.strip()
    if address and "://" not in address:
        address = f"tcp://{address}"
    if not re.fullmatch(r"tcp://[^\s/]+:\d{1,5}", address):
        raise BadInput(
            f"{address!r} is no address of a backend; write it as tcp://192.168.1.20:5760 in the preferences."
            if address
            else "Give the address of the other computer's backend in the preferences, such as tcp://192.168.1.20:5760."
        )
    server = _key(server_key, "public", "the other backend's public key")
    secret = _key(client_key, "secret", "your own secret key")
    return Remote(address=address, server_key=server, client_keys=(_public_of(secret), secret))


def read_file(path: str) -> Remote:
    """What the file says that `latent-loom keys add` wrote on the other computer. Raises BadInput."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            told = json.loads(file.read(MOST_BYTES))
        address, server, (public, secret) = told["address"], told["server_key"], told["client_keys"]
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}; choose the key file again in the preferences.") from None
    except (ValueError, TypeError, KeyError):
        raise BadInput(
            f"{path} is no key file for a backend; make one there with `latent-loom keys add NAME --address ...`."
        ) from None
    if not all(isinstance(key, str) and re.fullmatch(Z85, key) for key in (server, public, secret)):
        raise BadInput(f"The keys in {path} are damaged; have the other computer make a new file.")
    return Remote(address=str(address), server_key=server, client_keys=(public, secret))


def _key(given: str, half: str, what: str) -> str:
    """The key that is written in `given`, or in the file that it names."""
    given = given.strip()
    if not given:
        raise BadInput(f"Choose the file with {what} in the preferences; `latent-loom` on that computer makes it.")
    if re.fullmatch(Z85, given) and not Path(given).is_file():
        return given
    try:
        with Path(given).open(encoding="utf-8", errors="replace") as file:
            text = file.read(MOST_BYTES)
    except OSError as error:
        raise BadInput(f"Cannot read {what} from {given}: {error.strerror}; choose its file again.") from None
    named = re.search(rf'{half}[-_]?(?:key)?"?\s*[=:]\s*"({Z85})"', text)
    if named:
        return named[1]
    bare = [line.strip() for line in text.splitlines() if re.fullmatch(Z85, line.strip())]
    if len(bare) == 1:
        return bare[0]
    raise BadInput(f"There is no {half} key in {given}; {what} is a line of 40 characters.")


def _public_of(secret: str) -> str:
    from ..protocol.client import public_key

    try:
        return public_key(secret)
    except ValueError as error:
        raise BadInput("Your own secret key is damaged; make a new pair.") from error
