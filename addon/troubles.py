# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist is told when something went wrong: one sentence, and the button that mends it. The one place for it.

No bpy in here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """sentence  what happened and what to do
    mend      idname of the operator that mends it, "" where only the user can
    label     what its button says
    more      another button beside it, (idname, label): mostly the log
    about     type of the job that failed: its panel shows it too; "" = of no one job
    """

    sentence: str
    mend: str = ""
    label: str = ""
    more: tuple[str, str] = ("", "")
    about: str = ""


START = ("loom.backend_start", "Start Backend")
CONNECT = ("loom.backend_connect", "Connect Again")
SETUP = ("loom.backend_setup", "Set Up Backend")
SETUP_LOG = ("loom.setup_log", "Show Log")
REPAIR = ("loom.backend_repair", "Repair Backend")
PREFERENCES = ("loom.preferences", "Open Preferences")
LOG = ("loom.backend_log", "Show Log")
REFRESH = ("loom.refresh", "Refresh Lists")
REPLACE = ("loom.adapt_again", "Replace It")

# Errors whose sentence comes from the backend; what is added is the way out that this side has.
MENDING = {
    "backend_lost": START,
    "not_found": REFRESH,
    "already_exists": REPLACE,
    "internal": LOG,
    "shutting_down": START,
}
# Endings that are no news to the one who caused them.
SILENT = frozenset({"cancelled", "superseded"})


def trouble(
    sentence: str, mending: tuple[str, str] = ("", ""), *, more: tuple[str, str] = ("", ""), about: str = ""
) -> Trouble:
    """A `Trouble` whose sentence starts with a capital and ends in a full stop."""
    text = " ".join(str(sentence).split()) or "Something went wrong."
    text = text[0].upper() + text[1:]
    if text[-1] not in ".!?…":
        text += "."
    return Trouble(sentence=text, mend=mending[0], label=mending[1], more=more, about=about)


def bug(error: Exception) -> Trouble:
    """For what should never happen: the artist hears of it too, and not the system console alone."""
    return trouble(f"The add-on failed at this ({type(error).__name__}); please report what the system console says")


def from_code(code: str, message: str, about: str = "") -> Trouble:
    """The `Trouble` for an `error` that the backend answered, or that the client made of its silence."""
    if code == "version":
        message = message or "This backend speaks another version of the protocol; install the same release of both"
    message = message or f"The backend answered {code!r} without a reason"
    return trouble(message, MENDING.get(code, ("", "")), about=about)


def moved_aside(notices: Iterable[str]) -> Trouble:
    """What the backend found damaged at its start and put out of the way."""
    return trouble(" ".join(notices))


def no_backend() -> Trouble:
    return trouble(
        "No backend was found: set one up, or name the command that starts yours in the add-on's preferences", SETUP
    )


def stopped_while_starting(exit_code: int, last_line: str) -> Trouble:
    reason = f" It said: {last_line}" if last_line else ""
    sentence = f"The backend stopped while starting, with exit code {exit_code}.{reason}"
    if "ModuleNotFoundError" in last_line or "ImportError" in last_line:
        return trouble(sentence, REPAIR, more=LOG)
    return trouble(sentence, LOG)


def died(exit_code: int | None) -> Trouble:
    how = f" with exit code {exit_code}" if exit_code is not None else ""
    return trouble(f"The backend ended{how}; what it had finished is kept, start it again to go on", START, more=LOG)


def no_connection_file(path: str) -> Trouble:
    return trouble(
        f"There is no connection file {path!r}; start a backend with `latent-loom serve --connection-file FILE` "
        "and give its path in the preferences",
        CONNECT,
    )
