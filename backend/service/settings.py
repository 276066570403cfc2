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
    roots            folders to which the paths of all clients are kept; none = the owner's paths lead anywhere, and
                     clients with a key name none (`..roots`)
    metrics          file that the metrics are written to, again and again; None = none are
    models_mib       how much of the device's memory loaded models may keep; None = half of an accelerator's, a quarter
                     of the machine's
    unload_after_s   models that nobody has used for so long are let go; 0 = never
    end_limit_s      how long a running job may take to stop when the backend ends
    """

    address: str = "tcp://127.0.0.1:0"
    connection_file: Path | None = None
    data: Path | None = None
    parent_stdin: bool = False
    log_file: Path | None = None
    threads: int | None = None
    curve: CurveKeys | None = None
    roots: tuple[Path, ...] = ()
    metrics: Path | None = None
    models_mib: int | None = None
    unload_after_s: float = 900.0
    end_limit_s: float = 2.0

    def __post_init__(self) -> None:
        refuse_open_address(self.address, self.curve)
        if self.threads is not None and not 1 <= self.threads <= 1024:
            raise BadRequest(f"The number of threads is 1 to 1024, not {self.threads}.")
        for root in self.roots:
            if not root.is_dir():
                raise BadRequest(f"There is no folder {str(root)!r}; make it, or name another with --root.")
        if self.models_mib is not None and not 0 <= self.models_mib <= 1 << 24:
            raise BadRequest(f"Models may keep 0 to {1 << 24} MiB, not {self.models_mib}.")
        if not 0 <= self.unload_after_s <= 1e7:
            raise BadRequest(f"Models are let go after 0 (never) to 10,000,000 s, not {self.unload_after_s:g}.")
