"""Which minor version two ends agree on, and the sentence that says which of them to update. SPEC.md, "Versions"."""

from __future__ import annotations

from collections.abc import Sequence

from . import PROTOCOL


def agreed_minor(theirs: Sequence[int]) -> int | None:
    """The minor version that both ends know, the lower one; None where the major versions differ."""
    return min(PROTOCOL[1], theirs[1]) if theirs[0] == PROTOCOL[0] else None


def shown(version: Sequence[int]) -> str:
    return f"{version[0]}.{version[1]}"


def advice(backend: Sequence[int], client: Sequence[int]) -> str:
    """Who is to be updated, as the end of a sentence; the ends differ."""
    older, newer = ("backend", "client") if tuple(backend) < tuple(client) else ("client", "backend")
    return f"update the {older} (or install the same version of Latent Loom on both sides; the {newer} is newer)"


def refusal(backend: Sequence[int], client: Sequence[int]) -> str:
    """What two ends of different major versions are told."""
    return f"This backend speaks protocol {shown(backend)} and the client {shown(client)}; {advice(backend, client)}."


def too_new(request: str, since: int, agreed: int) -> str:
    """What is said of a request that the older backend cannot know."""
    return (
        f"`{request}` needs protocol {PROTOCOL[0]}.{since} and this backend speaks {PROTOCOL[0]}.{agreed}; "
        "update the backend."
    )
