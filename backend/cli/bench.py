"""`latent-loom bench SUBJECT`: how fast, or how good, something is, and how near to what can be had."""

from __future__ import annotations

from . import bench_adaptation, bench_models, bench_outputs, bench_synthesis
from .options import add_common

SUBJECTS = {  # name -> a module with HELP, add(parser) and run(args, console)
    "synthesis": bench_synthesis,
    "adaptation": bench_adaptation,
    "models": bench_models,
    "outputs": bench_outputs,
}


def add(commands) -> None:
    parser = commands.add_parser("bench", help="measure speed and memory, or the quality of the models")
    subjects = parser.add_subparsers(dest="subject", metavar="SUBJECT", required=True)
    for name, module in SUBJECTS.items():
        subject = subjects.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add(subject)
        add_common(subject)
        subject.set_defaults(run=module.run)
