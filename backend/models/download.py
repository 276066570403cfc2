"""A file from an address: resumed where it broke off, checked against what is known of it, never larger than allowed.

    DATA/downloads/KEY/NAME.part     what has come so far; KEY is made of the address
    DATA/downloads/KEY/resume.json   {validator, total}: by which a server knows that the rest belongs to it
    DATA/downloads/KEY/NAME          whole, and of the right size and hash; the caller deletes the folder

Source  RFC 9110, sections 13.1.5 (If-Range), 14 (Range requests) and 8.8 (validators)
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import BadCheckpoint, BadRequest, Cancelled, CannotWrite, DownloadFailed, LoomError
from ..job import Job, Progress
from .web import BrokenError, ChangedError, Reply, check_address, host_of, open_address

LIMIT_BYTES = 8 * 1000**3
"""No checkpoint of a generator comes near, not even one that keeps its discriminator and the state of its training."""
CHUNK = 1 << 20
MB = 1000**2
PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Between attempts that bring nothing new; after the last the download fails. One that brings bytes begins anew."""
REPORT_S = 0.1


def download(url: str, folder: Path, *, sha256: str | None = None, job: Job, limit: int = LIMIT_BYTES) -> Path:
    """Fetch `url` into a folder of its own below `folder`, going on with what an earlier call left there.

    Raises  BadRequest, NotFound, DownloadFailed, BadCheckpoint (another hash), CannotWrite, Cancelled
    """
    check_address(url)
    own = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
    try:
        own.mkdir(parents=True, exist_ok=True)
        with _alone(own):
            part = Partial(own, name_of(url))
            try:
                _fetch_all(url, part, job, limit)
                if sha256 is not None:
                    _compare(part, sha256, job)
            except LoomError as error:
                if not (part.size and part.validator):
                    part.discard()  # nothing came that could be gone on from
                if isinstance(error, Cancelled):
                    raise Cancelled(f"Stopped {part.so_far()}; the same import goes on from there.") from error
                raise
            return part.finish()
    except OSError as error:  # of the disk: those of the network are DownloadFailed by now
        raise CannotWrite(
            f"Cannot write to {str(folder)!r} ({error.strerror or error}); free some space or choose another data "
            "folder."
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a second process that fetches the same file; the lock goes with its process, however that ends."""
    with (folder / "lock").open("ab") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DownloadFailed("This file is being fetched already; wait until that import ends.") from error
        yield


def name_of(url: str) -> str:
    """The file's name as the address has it, with nothing in it that a file system could mind."""
    name = unquote(urlsplit(url).path).replace("\\", "/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip(".-")[:80] or "download"


class Partial:
    """What has come of one file so far.

    validator  by which the server recognises this version of the file; None: it gave none, so nothing can be resumed
    total      bytes of the whole; None = unknown
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.whole = folder, folder / name
        self.path, self._about = folder / f"{name}.part", folder / "resume.json"
        if self.whole.exists():  # fetched before, but what was to follow failed
            self.whole.replace(self.path)
        self.validator, self.total = self._remembered()
        if self.validator is None and self.path.exists():
            self.path.unlink()

    def _remembered(self) -> tuple[str | None, int | None]:
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            validator, total = about["validator"], about["total"]
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return None, None
        sound = isinstance(validator, str) and (total is None or type(total) is int)
        return (validator, total) if sound else (None, None)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def complete(self) -> bool:
        return self.total is not None and self.size == self.total

    def begin(self, validator: str | None, total: int | None) -> None:
        """Forget what came so far: the file begins anew."""
        self.path.write_bytes(b"")
        self.validator, self.total = validator, total
        self._about.write_text(json.dumps({"validator": validator, "total": total}), encoding="utf-8")

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> Path:
        self.path.replace(self.whole)
        return self.whole

    def so_far(self) -> str:
        """`at 118 of 347 MB`."""
        return f"at {self.size // MB}" + (f" of {self.total // MB}" if self.total else "") + " MB"


def _fetch_all(url: str, part: Partial, job: Job, limit: int) -> None:
    """Attempts until the file is whole. Waits only after something came: an address that never answered is told at
    once."""
    failures, came = 0, 0
    while not part.complete:
        job.check()
        before = part.size
        try:
            _fetch(url, part, job, limit)
            return
        except ChangedError:
            part.begin(None, None)
        except BrokenError as broken:
            grown = part.size - before
            came += max(grown, 0)
            failures = 0 if grown > 0 else failures + 1
            if not came or failures >= len(PAUSES_S):
                kept = f" What came so far is kept ({part.so_far()}): the same import goes on from there."
                raise DownloadFailed(f"{broken}{kept if part.size and part.validator else ''}") from broken
            _wait(PAUSES_S[failures], job)


def _wait(seconds: float, job: Job) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        job.check()
        time.sleep(0.05)


def _fetch(url: str, part: Partial, job: Job, limit: int) -> None:
    """One connection: everything that is missing, or BrokenError."""
    at = part.size if part.validator is not None else 0
    with open_address(url, at=at, validator=part.validator) as reply:
        if reply.begins_at == 0:
            part.begin(reply.validator, reply.total)
        elif reply.begins_at != at or reply.total != part.total or reply.validator not in (None, part.validator):
            raise ChangedError(f"The file at {host_of(url)} changed while it was fetched.")
        _refuse_size(part, reply.total or 0, limit)
        _receive(url, reply, part, job, limit)
    if part.total is not None and part.size < part.total:
        raise BrokenError(f"The connection to {host_of(url)} ended early.")


def _receive(url: str, reply: Reply, part: Partial, job: Job, limit: int) -> None:
    size, reported_s = part.size, 0.0
    with part.path.open("ab") as file:
        while chunk := reply.read(CHUNK):
            size += len(chunk)
            if size > (limit if part.total is None else part.total):
                part.discard()
                raise DownloadFailed(
                    f"{host_of(url)} sends more than it announced or than a generator has; nothing kept."
                )
            file.write(chunk)
            now_s = time.monotonic()
            if now_s - reported_s > REPORT_S:
                file.flush()  # a cancel, or the end of this process, keeps all that was told
                reported_s = now_s
                total = -(-part.total // MB) if part.total else 0
                job.report(Progress(done=size // MB, total=total, stage="downloading (MB)"))
            job.check()


def _refuse_size(part: Partial, total: int, limit: int) -> None:
    if total > limit:
        part.discard()
        raise DownloadFailed(
            f"The file has {total // MB:,} MB, more than any generator ({limit // MB:,} MB): it was not fetched; check "
            "the address."
        )
    free = shutil.disk_usage(part.folder).free
    if total - part.size > free:
        raise CannotWrite(
            f"The file needs {(total - part.size) // MB + 1:,} MB, and {free // MB:,} MB are left where "
            f"{str(part.folder.parent)!r} is; free some space or choose another data folder."
        )


def _compare(part: Partial, sha256: str, job: Job) -> None:
    found = file_hash(part.path, job)
    if found != sha256:
        part.discard()
        raise BadCheckpoint(different(part.whole.name, found, sha256))


def file_hash(path: Path, job: Job) -> str:
    """sha256 of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            job.check()
    return digest.hexdigest()


def different(name: str, found: str, wanted: str) -> str:
    return (
        f"{name} has the SHA-256 {found[:12]}… and not {wanted[:12]}…: it is another file than you asked for, or a "
        "damaged one; nothing was imported."
    )


def check_sha256(text: str) -> str:
    """64 hexadecimal digits, in small letters. Raises BadRequest."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise BadRequest(f"A SHA-256 has 64 hexadecimal digits, not {text[:80]!r}; copy it again.")
    return text.lower()
