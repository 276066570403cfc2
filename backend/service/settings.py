"""What `serve` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import BadRequest
from .auth import CurveKeys, refuse_open_address


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """address          where to listen; port 0 takes a free one
    connection_file  tells clients address and token; None = connection.json in the user's data folder
    data             folder of generators and styles; None = the user's data folder
    parent_stdin     end when standard input ends
    log_file         None = standard error
    threads          of PyTorch on the CPU; None = all but one on machines with four cores or more
    curve            keys for addresses beyond loopback; without them such an address is refused
    end_limit_s      how long a running job may take to stop when the backend ends
    """

    address: str = "tcp://127.0.0.1:0"
    connection_file: Path | None = None
    data: Path | None = None
    parent_stdin: bool = False
    log_file: Path | None = None
    threads: int | None = None
    curve: CurveKeys | None = None
    end_limit_s: float = 2.0

    def __post_init__(self) -> None:
        refuse_open_address(self.address, self.curve)
        if self.threads is not None and not 1 <= self.threads <= 1024:
            raise BadRequest(f"The number of threads is 1 to 1024, not {self.threads}.")
