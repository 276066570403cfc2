"""What reads bytes from outside, one function each: `TARGETS[name](data, folder)` raises nothing, whatever `data` is.

`scripts/fuzz.py` looks for bytes that break one; what it found lies in `corpus/NAME/` and `test_corpus.py` reads it
again. Only the documented errors are caught, and each must be one sentence.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
from latent_loom.backend.adaptation.settings import AdaptSettings
from latent_loom.backend.adaptation.style import Style
from latent_loom.backend.errors import BadRequest, LoomError
from latent_loom.backend.service import keyring
from latent_loom.backend.service.handlers.adaptation import AdaptRequest
from latent_loom.backend.service.handlers.batches import BatchRequest
from latent_loom.backend.service.handlers.checkpoints import ExportRequest, ImportRequest
from latent_loom.backend.service.parameters import parse
from latent_loom.backend.textures.batch import BatchSettings
from latent_loom.backend.textures.direction_sheet import DirectionSettings
from latent_loom.backend.textures.generate import GenerateSettings
from latent_loom.backend.textures.grid import GridSettings
from latent_loom.backend.textures.kept import KeptTexture
from latent_loom.backend.textures.manifest import read_manifest
from latent_loom.backend.textures.pictures import read_picture
from latent_loom.backend.textures.walk import WalkSettings
from latent_loom.protocol import PROTOCOL, connection_file, frames, limits, messages
from latent_loom.protocol.client_state import ClientConnection
from latent_loom.protocol.errors import NoConnectionFile, RemoteProtocolError
from latent_loom.protocol.server_state import Sending, ServerConnection
from latent_loom.stylegan2.checkpoints import import_checkpoint
from latent_loom.stylegan2.errors import CheckpointError

LONGEST_SENTENCE = 2_000
MAGIC = limits.MAGIC


def told(error: Exception) -> None:
    """A refusal is one sentence."""
    text = str(error)
    assert text.strip() and "\n" not in text and len(text) < LONGEST_SENTENCE, text


# --- the wire ---


def split(data: bytes, frames_at_most: int = 40) -> list[bytes]:
    """Bytes as frames: a length of 16 bits before each; the last takes what is left."""
    found: list[bytes] = []
    while len(data) >= 2 and len(found) < frames_at_most:
        (size,) = struct.unpack_from("<H", data)
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def join(parts: list[bytes]) -> bytes:
    """`split` the other way round."""
    return b"".join(struct.pack("<H", len(part)) + part for part in parts)


def whole_messages(data: bytes, folder: Path) -> None:
    """A message of either end; what is understood can be said again, and is understood then."""
    for sender in ("client", "server"):
        try:
            message = messages.decode(split(data), sender=sender)
        except RemoteProtocolError as error:
            told(error)
            continue
        if isinstance(message, messages.Unknown):
            continue
        again = messages.decode(messages.encode(message), sender=sender)
        assert type(again) is type(message)


def headers(data: bytes, folder: Path) -> None:
    """The header alone."""
    try:
        header, arrays = frames.decode([MAGIC, data])
    except RemoteProtocolError as error:
        told(error)
        return
    assert not arrays and all(isinstance(key, str) for key in header)


def servers(data: bytes, folder: Path) -> None:
    """A server that hears these messages, from two clients by turns, and goes on serving a third."""
    server = ServerConnection(session="s", describe=dict)
    hello = messages.encode(messages.Hello(client="c", version="0", protocol=PROTOCOL))
    for turn, part in enumerate(data.split(b"LOOM/1")[:20]):
        peer = b"ab"[turn % 2 : turn % 2 + 1]
        if turn % 3 == 0:
            server.receive(peer, hello, turn)
        server.receive(peer, [MAGIC, *split(part)], turn)
        server.tick(turn)
        server.flush(lambda peer, frames: Sending.SENT)
    said: list[list[bytes]] = []
    server.receive(b"c", hello, 21)
    server.receive(b"c", messages.encode(messages.Ping(id=7)), 21)
    server.flush(lambda peer, frames: said.append(frames) or Sending.SENT)  # type: ignore[func-returns-value]
    answers = [messages.decode(raw, sender="server") for raw in said]
    assert messages.Pong(id=7) in answers


def clients(data: bytes, folder: Path) -> None:
    """A client that hears these messages from its backend."""
    client = ClientConnection(now=0.0)
    client.transport_opened(0.0)
    welcome = messages.Welcome(server="s", version="0", protocol=PROTOCOL, session="s")
    client.receive(messages.encode(welcome), 0.0)
    client.request("status", {})
    client.flush(lambda frames: True)
    for turn, part in enumerate(data.split(b"LOOM/1")[:20]):
        client.receive([MAGIC, *split(part)], 0.1 * turn)
        client.tick(0.1 * turn)
        client.flush(lambda frames: True)


SETTINGS: tuple[tuple[type, ...], ...] = (
    (GenerateSettings,), (WalkSettings,), (GridSettings,), (DirectionSettings,), (AdaptRequest, AdaptSettings),
    (BatchRequest,), (ImportRequest,), (ExportRequest,),
)  # fmt: skip


def params(data: bytes, folder: Path) -> None:
    """The parameters of a request: settings, or a sentence that names the one that is wrong."""
    if not data:
        return
    try:
        given: Any = msgpack.unpackb(data[1:])
    except Exception:  # no msgpack: `headers` looks at that
        return
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        return
    try:
        frames.plain(given)
    except Exception:  # cannot travel
        return
    try:
        parse("it", given, *SETTINGS[data[0] % len(SETTINGS)])
    except LoomError as error:
        told(error)


# --- files ---


def checkpoints(data: bytes, folder: Path) -> None:
    try:
        import_checkpoint(written(folder / "model.pkl", data))
    except CheckpointError as error:
        told(error)


def styles(data: bytes, folder: Path) -> None:
    try:
        Style.load(written(folder / "style.safetensors", data))
    except LoomError as error:
        told(error)


def kept(data: bytes, folder: Path) -> None:
    try:
        KeptTexture.load(written(folder / "texture.safetensors", data))
    except LoomError as error:
        told(error)


def batches(data: bytes, folder: Path) -> None:
    """The first byte chooses the kind of file."""
    suffix = (".toml", ".csv", ".jsonl")[data[0] % 3] if data else ".toml"
    try:
        BatchSettings.from_file(written(folder / f"jobs{suffix}", data[1:]))
    except LoomError as error:
        assert str(error).strip()  # TOML's and CSV's own words may have lines


def manifests(data: bytes, folder: Path) -> None:
    written(folder / "manifest.jsonl", data)
    try:
        for record in read_manifest(folder):
            assert (folder / record["file"]).resolve().is_relative_to(folder.resolve())
    except BadRequest as error:
        told(error)


def pictures(data: bytes, folder: Path) -> None:
    try:
        picture = read_picture(written(folder / "picture", data))
    except BadRequest as error:
        told(error)
        return
    assert picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype.name == "uint8"


def connection_files(data: bytes, folder: Path) -> None:
    path = written(folder / "connection.json", data)
    path.chmod(0o600)
    try:
        connection_file.read(path)
    except NoConnectionFile as error:
        told(error)


def keys(data: bytes, folder: Path) -> None:
    """The list of clients' keys."""
    path = written(keyring.folder(folder) / keyring.CLIENTS, data)
    path.chmod(0o600)
    try:
        keyring.clients(folder)
    except LoomError as error:
        told(error)


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "messages": whole_messages,
    "headers": headers,
    "servers": servers,
    "clients": clients,
    "params": params,
    "pickles": checkpoints,
    "torch": checkpoints,
    "safetensors": checkpoints,
    "tensorflow": checkpoints,
    "styles": styles,
    "kept": kept,
    "batches": batches,
    "manifests": manifests,
    "pictures": pictures,
    "connection": connection_files,
    "keys": keys,
}
"""`pickles` to `tensorflow` have one reader, which looks at the bytes; they begin from different files."""
