"""What a client with a key may not ask, though it is let in: what reaches past this service, or ends it for others.

The owner (whoever can read the connection file) may ask anything. SECURITY.md lists these for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWNER = "owner"
"""The user of the token, or of the key in the connection file; no key that `keys add` makes may have this name."""


def refusal(user: str, type: str, params: Mapping[str, Any]) -> str | None:
    """A sentence if `user` may not ask this, else None."""
    if user == OWNER:
        return None
    if type == "shutdown":
        return "Only its owner ends this backend; close your connection instead."
    if type == "import" and params.get("url") is not None:
        return "This backend fetches addresses for its owner alone; ask him to import the file."
    if type in ("fetch_clip", "delete_clip", "delete_generator"):
        return "What models this backend has is its owner's choice; ask him."
    if type == "asset_library" and (params.get("blender") is not None or params.get("addon") is not None):
        return "Which program runs on the backend's machine is its owner's choice; ask without `blender` and `addon`."
    if type in ("batch", "adapt") and params.get("detach"):
        return "Work that outlives its client is for the owner; ask without `detach`."
    if type == "adapt_cancel":
        return "Only its owner ends what runs by itself."
    if type == "batch" and params.get("cluster") is not None:
        return "Which cluster this backend works with is its owner's choice; ask without `cluster`."
    return None
