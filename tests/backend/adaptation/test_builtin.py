"""The shipped models and the documented interface, together."""

from __future__ import annotations

import inspect
import textwrap

import numpy as np
import torch
from latent_loom.backend import adaptation
from latent_loom.backend.adaptation import AdaptSettings, adapt, blend
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures.generate import texture


def test_the_ten_lines_of_the_documentation_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    _, _, example = inspect.getdoc(adaptation).partition("\n\n")
    example = textwrap.dedent(example).replace('target="mossy stone"', 'target="mossy stone", iterations=2')
    found: dict = {}
    exec(example, found)
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    assert (tmp_path / "mossy.safetensors").stat().st_size > found["style"].nbytes
    assert found["picture"].shape == (512, 512, 3) and found["picture"].dtype == np.uint8


def test_different_prompts_change_the_same_textures_differently_and_as_they_say(tmp_path):
    generator = Store(tmp_path).generator("builtin")
    seeds = (1, 2, 3)

    def colour(pictures: list[np.ndarray]) -> np.ndarray:
        return np.mean([p.mean((0, 1)) for p in pictures], axis=0)

    def made(target: str) -> np.ndarray:
        settings = AdaptSettings(source="stone", target=target, iterations=50, learning_rate=0.01, preview_every=0)
        styled = blend(generator, [(adapt(generator, settings), 1.0)])
        return colour([texture(styled, seed, size=(64, 64), tile="xy", psi=0.8) for seed in seeds])

    before = colour([texture(generator, seed, size=(64, 64), tile="xy", psi=0.8) for seed in seeds])
    moss, gold = made("mossy stone") - before, made("gilded stone") - before
    # red, green, blue: moss is greener than it was, gold less blue
    assert moss[1] - (moss[0] + moss[2]) / 2 > 3
    assert (gold[0] + gold[1]) / 2 - gold[2] > 8
    assert np.abs(moss - gold).max() > 8


def test_a_picture_is_the_same_whatever_the_number_of_threads(tmp_path):
    generator = Store(tmp_path).generator("builtin")
    threads = torch.get_num_threads()
    try:
        pictures = []
        for count in (1, 2):
            torch.set_num_threads(count)
            pictures.append(texture(generator, 5, size=(128, 96), tile="xy", psi=1.0))
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*pictures)
