# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a picture came from, as JSON that lies on the Image data-block and travels in the .blend. No bpy.

`recall` reads it back with tolerance: a file may come from a newer add-on, or the text may have been edited by hand.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

KEY = "latent_loom"  # the ID property's name
FORMAT = 1


def describe(kind: str, params: Mapping[str, Any], *, version: str, **more: Any) -> dict[str, Any]:
    """The record of one result: what was asked for (`params` as sent), of which version, and an identity."""
    identity = uuid.uuid4().hex
    return {"format": FORMAT, "kind": kind, "uuid": identity, "version": version, "params": dict(params), **more}


def dump(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True)


def recall(text: object) -> dict[str, Any] | None:
    """The record in `text`, or None where there is none of ours."""
    if not isinstance(text, str):
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("params"), dict):
        return None
    return record
