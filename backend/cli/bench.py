"""`latent-loom bench SUBJECT`: how fast something is here, and how near to what this machine can do."""

from __future__ import annotations

from . import bench_adaptation, bench_synthesis
from .options import add_common

SUBJECTS = {  # name -> a module with HELP, add(parser) and run(args, console)
    "synthesis": bench_synthesis,
    "adaptation": bench_adaptation,
}


def add(commands) -> None:
    parser = commands.add_parser("bench", help="measure speed and memory, beside the machine's limit")
    subjects = parser.add_subparsers(dest="subject", metavar="SUBJECT", required=True)
    for name, module in SUBJECTS.items():
        subject = subjects.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add(subject)
        add_common(subject)
        subject.set_defaults(run=module.run)
