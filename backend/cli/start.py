"""Where the command `latent-loom` begins: before anything is imported, so that Ctrl-C is answered from the start.

Importing every command takes a fifth of a second and more, and Python shows a traceback to whoever interrupts it.
"""

import sys

INTERRUPTED = 130
SENTENCE = "Interrupted; everything finished so far is kept."


def main() -> int:
    """The exit code of the command line in `sys.argv`."""
    try:
        from .main import main as run

        return run()
    except KeyboardInterrupt:  # in that import, or while the answer to another one was being written
        print(SENTENCE, file=sys.stderr, flush=True)
        if "--json" in sys.argv:
            print(f'{{"error": {{"code": "cancelled", "message": "{SENTENCE}"}}}}', flush=True)
        return INTERRUPTED
