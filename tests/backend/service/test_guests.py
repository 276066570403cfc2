from __future__ import annotations

import pytest
from latent_loom.backend.service.auth import OWNER
from latent_loom.backend.service.guests import refusal
from latent_loom.protocol.requests import REQUESTS


@pytest.mark.parametrize(
    ("request_name", "params"),
    [
        ("shutdown", {}),
        ("fetch_clip", {"name": "ViT-B-32:openai"}),
        ("delete_clip", {"name": "mine"}),
        ("delete_generator", {"name": "mine"}),
        ("import", {"name": "x", "url": "https://example.org/x.pkl"}),
        ("asset_library", {"folder": "/x", "blender": "/bin/sh"}),
        ("batch", {"out": "/x", "detach": True}),
        ("adapt", {"name": "x", "detach": True}),
        ("adapt_cancel", {"name": "x"}),
        ("batch", {"out": "/x", "cluster": "auto"}),
    ],
)
def test_what_is_the_owners_alone_is_refused_to_a_guest_in_a_sentence(request_name, params):
    assert request_name in REQUESTS
    assert refusal(OWNER, request_name, params) is None
    assert refusal("guest", request_name, params).endswith(".")


@pytest.mark.parametrize("request_name", ["generate", "adapt", "status", "models", "train_generator"])
def test_a_guest_may_work(request_name):
    assert refusal("guest", request_name, {}) is None
