"""What can go wrong in the backend, each with its code on the wire.

    LoomError                  .code  .retryable; str() is one sentence that says what to do
    + BadRequest               bad_request      a parameter is missing, malformed or out of range
    + PromptError              bad_prompt       a prompt is empty, equal to the other, or unknown to the CLIP
    + Forbidden                forbidden        this client may not ask this, or not with that path
    + NotFound                 not_found        no such generator, style or file; near names are offered
    + AlreadyExists            already_exists   a name is taken
    + CannotWrite              cannot_write     a folder or file cannot be written
    + BadCheckpoint            bad_checkpoint   a model file is truncated, foreign, unsafe or unsupported
    |   + Damaged              bad_checkpoint   a file of the store is not what was written
    + DownloadFailed           download_failed  a file cannot be fetched, or not now; what came of it is kept
    + OutOfMemory              out_of_memory    the device has too little memory for this
    + NonFinite                non_finite       an adaptation diverged
    + Cancelled                cancelled        the user stopped it; what was finished is kept
    + AddressTaken             address_taken    another process listens there

`as_loom_error` is the one place where errors of the model library, of PyTorch and of the operating system become one
of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LoomError(Exception):
    code = "internal"
    retryable = False


class BadRequest(LoomError):
    code = "bad_request"


class PromptError(LoomError):
    code = "bad_prompt"


class Forbidden(LoomError):
    code = "forbidden"


class NotFound(LoomError):
    code = "not_found"


class AlreadyExists(LoomError):
    code = "already_exists"


class CannotWrite(LoomError):
    code = "cannot_write"


class BadCheckpoint(LoomError):
    code = "bad_checkpoint"


class Damaged(BadCheckpoint):
    """A file of ours that was whole once: the store moves it aside (`models.integrity`)."""


class DownloadFailed(LoomError):
    code = "download_failed"
    retryable = True


class OutOfMemory(LoomError):
    code = "out_of_memory"
    retryable = True


class NonFinite(LoomError):
    code = "non_finite"


class Cancelled(LoomError):
    code = "cancelled"


class AddressTaken(LoomError):
    code = "address_taken"


NO_COLOURS = (
    "The generator makes numbers that are no colours (not finite): its file is damaged, or a style, a direction or psi "
    "pushes it too far; use smaller strengths, or import the generator again."
)
"""What `NonFinite` says of pictures."""


def not_found(kind: str, name: str, known: Iterable[str], advice: str) -> NotFound:
    """`NotFound` for a `kind` ("style") called `name`, offering the nearest of the `known` names."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        hint = "did you mean " + " or ".join(repr(n) for n in near) + "?"
    elif known:
        hint = "there are: " + ", ".join(known[:8]) + ("…" if len(known) > 8 else "") + "."
    else:
        hint = "there are none yet."
    return NotFound(f"There is no {kind} called {name!r}; {hint} {advice}".strip())


def is_out_of_memory(error: BaseException) -> bool:
    """Also by PyTorch's own words where it has no type for it: on a processor (Windows, Linux), on Apple's GPUs."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    words = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def as_loom_error(error: BaseException) -> LoomError | None:
    """The `LoomError` that tells a user what `error` means, or None where it is a bug of ours."""
    from ..stylegan2.errors import CannotExport, CheckpointError, StyleGAN2Error

    if isinstance(error, LoomError):
        return error
    if isinstance(error, CheckpointError) and not isinstance(error, CannotExport):
        return BadCheckpoint(str(error))
    if isinstance(error, StyleGAN2Error):
        return BadRequest(str(error))
    if is_out_of_memory(error):
        return OutOfMemory("There is not enough memory for this; use a smaller size or batch, or close other programs.")
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("Stopped; everything finished so far is kept.")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"There is no file {error.filename!r}; check the path.")
    if isinstance(error, OSError):
        where = f" {error.filename!r}" if error.filename else ""
        return CannotWrite(f"Cannot use{where}: {error.strerror or error}; choose another place or free some space.")
    return None
