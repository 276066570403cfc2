"""Small, untrained models of the real architectures: quick, and enough for everything but the look of a picture."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation.clip import Clip
from latent_loom.backend.models.clip_trainer import PIXEL_MEAN, PIXEL_STD
from latent_loom.backend.models.procedural.captions import TEMPLATES, vocabulary
from latent_loom.backend.models.train_clip import CONTEXT_LENGTH, build
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator


def make_generator(**changes) -> Generator:
    torch.manual_seed(1)
    settings = {"z_dim": 8, "w_dim": 8, "resolution": 32, "channels": (8, 8, 8, 6), "mapping_layers": 2, "tile": "xy"}
    generator = Generator(GeneratorConfig(**(settings | changes)))
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.1)
    return generator.eval()


def make_clip(name: str = "test") -> Clip:
    torch.manual_seed(2)
    model, tokenizer, _ = build("clip", vocabulary(), CONTEXT_LENGTH)
    return Clip(name, model, tokenizer, TEMPLATES[:3], size=64, mean=PIXEL_MEAN, std=PIXEL_STD)


@pytest.fixture(scope="session")
def generator() -> Generator:
    return make_generator()


@pytest.fixture(scope="session")
def clip() -> Clip:
    return make_clip()
