"""A web server on this machine whose manners a test chooses."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(kw_only=True)
class Manners:
    """What the server does next; a test may change it between requests.

    breaks     after how many bytes of a body each of the coming connections ends, one entry each
    status     answered in place of the file
    asked      (Range, If-Range) of every request so far
    """

    content: bytes = b""
    etag: str | None = '"1"'
    modified: str | None = None
    ranges: bool = True
    length: bool = True
    chunked: bool = False
    breaks: list[int] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ignores_if_range: bool = False
    starts_at: int | None = None
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    on_body: threading.Event | None = None


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manners = Manners()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str = "/models/ffhq.pkl") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        manners = self.server.manners
        manners.asked.append((self.headers["Range"], self.headers["If-Range"]))
        self.close_connection = True
        if self.path.startswith(("/from-redirect", "/in-circles")):
            place = self.path if self.path.startswith("/in-circles") else "/models/ffhq.pkl"
            self._head(302, {"Location": place, "Content-Length": "0"})
        elif manners.status != 200:
            self._head(manners.status, {"Content-Length": "0", **manners.headers})
        else:
            self._give(manners)

    def _give(self, manners: Manners) -> None:
        at, status = self._start(manners)
        body = manners.content[at:]
        headers = {"ETag": manners.etag, "Last-Modified": manners.modified, **manners.headers}
        if manners.length and not manners.chunked:
            headers["Content-Length"] = str(len(body))
        if manners.chunked:
            headers["Transfer-Encoding"] = "chunked"
        if status == 206:
            total = len(manners.content)
            shown = at if manners.starts_at is None else manners.starts_at
            headers["Content-Range"] = f"bytes {shown}-{total - 1}/{total}"
        self._head(status, headers)
        limit = manners.breaks.pop(0) if manners.breaks else len(body)
        self._write(body[:limit], chunked=manners.chunked, whole=limit >= len(body))
        if manners.on_body is not None:
            manners.on_body.wait(10)

    def _start(self, manners: Manners) -> tuple[int, int]:
        """Where the answer begins in the file, and its status."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        same = self.headers["If-Range"] in (manners.etag, manners.modified) or manners.ignores_if_range
        if wanted is None or not manners.ranges or not same:
            return 0, 200
        return int(wanted[1]), 206

    def _head(self, status: int, headers: dict[str, str | None]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def _write(self, data: bytes, *, chunked: bool, whole: bool) -> None:
        if chunked:
            data = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (data[:1000], data[1000:]) if c)
            data += b"0\r\n\r\n" if whole else b""
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *args) -> None:
        pass
