"""One GET of a whole file or of the rest of one: http and https only, redirected or not; failures are sentences."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from ...protocol import VERSION
from ..errors import BadRequest, DownloadFailed, NotFound

SILENCE_S = 20.0
"""How long a server may say nothing; a cancel waits as long in the worst case."""
SCHEMES = ("http", "https")
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


class BrokenError(Exception):
    """The connection failed in a way that trying again may mend; str() is a sentence."""


class ChangedError(BrokenError):
    """The server has another version of the file by now than the one that was begun."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The body of an answer.

    begins_at  place in the file of its first byte
    total      bytes of the whole file; None = unknown
    validator  by which the server recognises this version of the file
    """

    body: Any
    host: str
    begins_at: int
    total: int | None
    validator: str | None

    def read(self, n: int) -> bytes:
        """What has arrived, up to n bytes; b"" at the end. Raises BrokenError."""
        try:
            return self.body.read1(n)
        except (OSError, http.client.HTTPException) as error:
            raise BrokenError(f"The connection to {self.host} broke off ({_reason(error)}).") from error


def check_address(url: str) -> None:
    """BadRequest unless `url` is an http or https address without a password in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in SCHEMES or not host or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise BadRequest(f"{url[:200]!r} is no address of a file; give one that begins with https:// or http://.")
    if parts.username is not None:
        raise BadRequest("The address holds a user name; fetch the file with a browser and import it from disk.")


def host_of(url: str) -> str:
    return urlsplit(url).hostname or "?"


@contextmanager
def open_address(url: str, *, at: int = 0, validator: str | None = None) -> Iterator[Reply]:
    """Ask for the file, or for what follows its first `at` bytes if it is still the version of `validator`.

    Raises  BrokenError, ChangedError, NotFound, DownloadFailed
    """
    headers = {"User-Agent": f"latent-loom/{VERSION}", "Accept-Encoding": "identity"}
    if at and validator is not None:
        headers |= {"Range": f"bytes={at}-", "If-Range": validator}
    host = host_of(url)
    try:
        answer = _opener().open(urllib.request.Request(_ascii(url), headers=headers), timeout=SILENCE_S)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refusal(host, error, at) from error
    except urllib.error.URLError as error:
        raise _no_connection(host, error.reason) from error
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
        raise _no_connection(host, error) from error
    with answer:
        yield _reply(host, answer)


def _ascii(url: str) -> str:
    """The address as it travels: spaces and letters beyond ASCII escaped, without its fragment."""
    scheme, place, path, query, _ = urlsplit(url)
    safe = "/%:@!$&'()*+,;=~-._?"
    return urlunsplit((scheme, place.encode("idna").decode("ascii"), quote(path, safe), quote(query, safe), ""))


def _reply(host: str, answer: Any) -> Reply:
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DownloadFailed(f"{host} sends the file compressed; fetch it with a browser and import it from disk.")
    begins_at, total = 0, answer.length
    if answer.status == http.client.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if found is None:
            raise DownloadFailed(f"{host} answers with an unknown part of the file; try again later.")
        begins_at, total = int(found[1]), None if found[2] == "*" else int(found[2])
    elif answer.status != http.client.OK:
        raise DownloadFailed(f"{host} answers {answer.status} and no file; check the address.")
    etag = answer.headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else None
    validator = strong or answer.headers.get("Last-Modified")
    return Reply(body=answer, host=host, begins_at=begins_at, total=total, validator=validator)


def _refusal(host: str, error: urllib.error.HTTPError, at: int) -> Exception:
    code = error.code
    if code == 416 and at:
        return ChangedError(f"The file at {host} changed while it was fetched.")
    if code in (404, 410):
        return NotFound(f"{host} has no file at this address ({code}); check the address.")
    if code in (401, 403, 407):
        return DownloadFailed(
            f"{host} does not hand out this file without a login ({code}); fetch it with a browser and import it from "
            "disk."
        )
    if 300 <= code < 400:
        return DownloadFailed(f"{host} sends us around in circles ({code}); check the address.")
    if code in (408, 416, 429) or code >= 500:
        return BrokenError(f"{host} cannot give the file now ({code}); try again later.")
    return DownloadFailed(f"{host} refuses the request ({code}); check the address.")


def _no_connection(host: str, reason: Any) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadFailed(
            f"{host} cannot prove that it is {host} ({_reason(reason)}); nothing was fetched: check the address and "
            "this machine's clock."
        )
    return BrokenError(f"There is no connection to {host} ({_reason(reason)}); check the address and the network.")


def _reason(error: Any) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return (text or type(error).__name__).splitlines()[0][:100].rstrip(".")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in SCHEMES or (old.scheme, new.scheme) == ("https", "http"):
            raise DownloadFailed(
                f"{old.hostname} sends us to {newurl[:100]!r}, which is not https; fetch the file with a browser and "
                "import it from disk."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Without the handlers of files, ftp and data that urllib would add."""
    opener = urllib.request.OpenerDirector()
    handlers = ("ProxyHandler", "HTTPHandler", "HTTPSHandler", "HTTPDefaultErrorHandler", "HTTPErrorProcessor")
    for handler in handlers:
        opener.add_handler(getattr(urllib.request, handler)())
    opener.add_handler(_Redirects())
    return opener
