"""What can go wrong between client and backend; every str() is one sentence that says what to do.

ProtocolError                     bytes broke the contract
+ LocalProtocolError              ours: a bug, nothing was sent
|   + TooLargeToSend              ours: over a size limit of the wire
+ RemoteProtocolError             theirs: drop the peer
RequestError                      the peer answered `error`; .code .retryable
+ BadRequest                      bad_request       a parameter is missing, malformed or out of range
+ PromptError                     bad_prompt        a prompt is empty, equal to the other, or unknown to the CLIP
+ Forbidden                       forbidden         this client may not ask this, or not with that path
+ NotFound                        not_found         no such generator, style or file
+ AlreadyExists                   already_exists    a name is taken
+ CannotWrite                     cannot_write      a folder or file cannot be written
+ BadCheckpoint                   bad_checkpoint    a model file is truncated, foreign, unsafe or unsupported
+ DownloadFailed                  download_failed   a file cannot be fetched, or not now; what came of it is kept
+ OutOfMemory                     out_of_memory     the device has too little memory for this
+ NonFinite                       non_finite        an adaptation diverged
+ Cancelled                       cancelled         the user stopped it; what was finished is kept
+ AddressTaken                    address_taken     another process listens there
+ UnknownType                     unknown_type      this backend does not know that request
+ Superseded                      superseded        a newer request in the same slot replaced it
+ Busy                            busy              too many requests are waiting
+ VersionMismatch                 version           the two ends speak different major versions
+ TooLarge                        too_large         a message is over a size limit
+ ShuttingDown                    shutting_down     the backend is closing
+ HelloFirst                      hello_first       the backend does not know this client (any more)
+ BadMessage                      bad_message       this client broke the contract and was dropped
+ Internal                        internal          a bug of the backend; its log has the traceback
BackendLost                       backend_lost      no answer will come: died, restarted, timed out
+ WrongToken                      backend_lost      the backend refused the token
+ NoConnectionFile                backend_lost      the connection file is missing, unsafe or unreadable
"""

from __future__ import annotations


class ProtocolError(Exception):
    pass


class LocalProtocolError(ProtocolError):
    pass


class TooLargeToSend(LocalProtocolError):
    pass


class RemoteProtocolError(ProtocolError):
    pass


class RequestError(Exception):
    """An `error` message. `retryable` defaults to the class's own value; the backend's word overrides it."""

    code = "internal"
    retryable = False

    def __init__(self, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable


class BadRequest(RequestError):
    code = "bad_request"


class PromptError(RequestError):
    code = "bad_prompt"


class Forbidden(RequestError):
    code = "forbidden"


class NotFound(RequestError):
    code = "not_found"


class AlreadyExists(RequestError):
    code = "already_exists"


class CannotWrite(RequestError):
    code = "cannot_write"


class BadCheckpoint(RequestError):
    code = "bad_checkpoint"


class DownloadFailed(RequestError):
    code = "download_failed"
    retryable = True


class OutOfMemory(RequestError):
    code = "out_of_memory"
    retryable = True


class NonFinite(RequestError):
    code = "non_finite"


class Cancelled(RequestError):
    code = "cancelled"


class AddressTaken(RequestError):
    code = "address_taken"


class UnknownType(RequestError):
    code = "unknown_type"


class Superseded(RequestError):
    code = "superseded"


class Busy(RequestError):
    code = "busy"
    retryable = True


class VersionMismatch(RequestError):
    code = "version"


class TooLarge(RequestError):
    code = "too_large"


class ShuttingDown(RequestError):
    code = "shutting_down"
    retryable = True


class HelloFirst(RequestError):
    code = "hello_first"
    retryable = True


class BadMessage(RequestError):
    code = "bad_message"


class Internal(RequestError):
    code = "internal"


class BackendLost(Exception):
    code = "backend_lost"
    retryable = True


class WrongToken(BackendLost):
    retryable = False


class NoConnectionFile(BackendLost):
    pass


REQUEST_ERRORS: dict[str, type[RequestError]] = {kind.code: kind for kind in RequestError.__subclasses__()}
"""Every code that may stand in an `error` message, with its class."""

ERROR_CODES: tuple[str, ...] = (*REQUEST_ERRORS, BackendLost.code)
"""All codes; `backend_lost` is the client's own and never travels."""


def request_error(code: str, message: str, retryable: bool | None = None) -> RequestError:
    """The exception for an `error` message. An unknown code (a newer backend) gives a plain RequestError with it."""
    kind = REQUEST_ERRORS.get(code)
    if kind is not None:
        return kind(message, retryable=retryable)
    error = RequestError(message, retryable=retryable)
    error.code = code
    return error
