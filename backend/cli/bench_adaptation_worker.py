"""One way to train a style under the stopwatch, as a process of its own: ours, or StyleGAN-NADA's own code.

    python -m latent_loom.backend.cli.bench_adaptation_worker '{"impl": ..., "size": ..., ...}'

Says one JSON object when it is ready (how much memory its first steps took: with the second, the optimizer's state is
there, and on a GPU some more go before one is recorded) and one more for every line that it reads, after one timed
step. Generator and CLIP have random weights; the architecture is rosinality's with channel multiplier 1 and ViT-B/32.
Ours has what `adapt` puts around its steps (`heap`). Of the reference nothing is changed but the names of the device
and of the multiplier, which are constants there; its `clip` package is played by open_clip.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import types
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Tensor, nn

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.networks import Generator
from ...stylegan2.training.recorded import WARM_UP
from ..adaptation.repeatable import repeatable
from ..heap import freed_memory_kept
from .bench_worker import Step, Unavailable, growth_mib, macs, rates, seconds, serve

W_DIM = 512
ARCHITECTURE = "ViT-B-32"
SOURCE, TARGET = "photo", "sketch"
FIRST_STEPS = {"cpu": 2, "cuda": WARM_UP + 2}
SELECTION = {"auto_layer_iters": 1, "auto_layer_batch": 8}
"""The reference's layer selection as its author gives it for this resolution: two thirds of the layers train."""


def main() -> None:
    serve(measured)


def measured(settings: dict[str, Any]) -> tuple[dict[str, Any], Step]:
    """What is said first, and the function behind every later line."""
    forever = ExitStack()  # a process measures one way to train
    device = settings["device"]
    if settings["impl"] == "limit":
        gmac = {name: count / 1e9 for name, count in arithmetic(settings).items()}

        def rate() -> dict[str, Any]:
            with torch.inference_mode():
                return {"gflops": rates(device)}

        return {"gmac": gmac}, rate
    if settings.get("deterministic"):
        forever.enter_context(repeatable(True))
    if settings["impl"] != "reference":
        forever.enter_context(freed_memory_kept())
    try:
        step = reference(settings) if settings["impl"] == "reference" else ours(settings)
    except Unavailable as reason:
        return {"skipped": str(reason)}, dict
    growth, how = growth_mib(lambda: [step() for _ in range(FIRST_STEPS[device])], device)
    return {"growth_mib": growth, "how": how}, lambda: {"seconds": seconds(step, device)}


def channels_of(size: int) -> dict[int, int]:
    """Feature channels by resolution: rosinality's, with multiplier 1."""
    return {4 << k: min(512, 16384 // (4 << k)) for k in range(size.bit_length() - 2)}


def arithmetic(settings: dict[str, Any]) -> dict[str, int]:
    """Multiply-adds of a step that nobody gets around: both generators forward and the gradient of one's activations,
    and so for the CLIP. Gradients of weights, filters and activations are left out."""
    from torch.utils.flop_counter import FlopCounterMode

    model = random_clip("cpu")
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not see into the fused attention
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encode_image(torch.zeros(1, 3, 224, 224))
    image, seen = macs(channels_of(settings["size"])), counter.get_total_flops() // 2
    parts = {"frozen": image, "trained": image, "gradients": image, "clip": 3 * seen}
    return {name: settings["batch"] * count for name, count in parts.items()}


def random_clip(device: str) -> Any:
    import open_clip

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # that it has no weights is the point
    try:
        model = open_clip.create_model(ARCHITECTURE, device=device)
    finally:
        logging.disable(before)
    return model.eval().requires_grad_(False)


def random_generator(size: int) -> Generator:
    channels = tuple(channels_of(size).values())
    config = GeneratorConfig(z_dim=W_DIM, w_dim=W_DIM, resolution=size, channels=channels, constant_noise=True)
    return Generator(config).eval()


# ---- ours -----------------------------------------------------------------------------------------------------------


def ours(settings: dict[str, Any]) -> Callable[[], Any]:
    """Our step with the settings that `adapt` would have; `fields` are those of AdaptSettings that differ."""
    import open_clip

    from ..adaptation.adapt import Adaptation
    from ..adaptation.clip import Clip
    from ..adaptation.settings import AdaptSettings

    device = settings["device"]
    model = random_clip(device)
    look = model.visual.preprocess_cfg
    templates = tuple(template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES)
    clip = Clip(
        "random", model, open_clip.get_tokenizer(ARCHITECTURE), templates, size=224, mean=look["mean"], std=look["std"]
    )
    asked = AdaptSettings(source=SOURCE, target=TARGET, batch=settings["batch"], **settings["fields"])
    run = Adaptation(random_generator(settings["size"]).to(device), asked, clips=[clip], judge=clip)
    return run.step


# ---- the reference --------------------------------------------------------------------------------------------------


def reference(settings: dict[str, Any]) -> Callable[[], Any]:
    """The training step of a checkout of rinongal/StyleGAN-nada, optimizer and learning rate included."""
    from ...stylegan2.checkpoints import export_rosinality

    device, size = settings["device"], settings["size"]
    folder = Path(settings["folder"]) / "ZSSGAN"
    stand_in_for_packages(device)
    sys.path[:0] = [str(folder), str(folder.parent)]
    os.chdir(folder)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = str(Path(scratch) / "generator.pt")
        export_rosinality(random_generator(size), checkpoint)
        args = types.SimpleNamespace(
            **{"sg3": False, "sgxl": False, "size": size, "phase": None, "target_img_list": None},
            **{"frozen_gen_ckpt": checkpoint, "train_gen_ckpt": checkpoint},
            **{"source_class": SOURCE, "target_class": TARGET, "lambda_direction": 1.0},
            **{f"lambda_{name}": 0.0 for name in ("patch", "global", "manifold", "texture")},
            **{"clip_models": ["ViT-B/32"], "clip_model_weights": [1.0]},
            **(SELECTION if settings["selection"] else {"auto_layer_iters": 0}),
            auto_layer_k=(2 * random_layers(size)) // 3,
        )
        net = patched(folder / "model" / "ZSSGAN.py", device).ZSSGAN(args)
    net.train()
    optimizer = torch.optim.Adam(net.generator_trainable.parameters(), lr=0.002 * 0.8, betas=(0.0, 0.99**0.8))

    def step() -> None:
        _, loss = net([torch.randn(settings["batch"], W_DIM, device=device)])
        net.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def random_layers(size: int) -> int:
    """L, the vectors of W+."""
    return 2 * (size.bit_length() - 1) - 2


def patched(file: Path, device: str) -> Any:
    """The checkout's module with its constants for this machine: the device, and the channel multiplier."""
    text = file.read_text(encoding="utf-8")
    for theirs, ours in (("'cuda:0'", repr(device)), ("channel_multiplier=2", "channel_multiplier=1")):
        if theirs not in text:
            raise Unavailable(f"{file} is not the version that this was written for ({theirs} is missing).")
        text = text.replace(theirs, ours)
    module = types.ModuleType("reference")
    exec(compile(text, str(file), "exec"), module.__dict__)
    return module


def stand_in_for_packages(device: str) -> None:
    """What the reference imports and this machine may lack: `clip`, download helpers and, on a CPU, CUDA operators."""
    import torch.utils.cpp_extension
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

    clip = types.ModuleType("clip")
    steps = [Resize(224, InterpolationMode.BICUBIC), CenterCrop(224), lambda image: image.convert("RGB"), ToTensor()]
    steps.append(Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)))
    shared = ClipPackageModel(random_clip(device))  # it also loads a ResNet, which no step uses

    clip.load = lambda name, device: (shared, Compose(steps))  # type: ignore[attr-defined]
    clip.tokenize = tokenize  # type: ignore[attr-defined]
    sys.modules["clip"] = clip
    for name in ("requests", "click"):  # for downloads and for a command line, which a step has not
        sys.modules.setdefault(name, MagicMock())
    if device == "cpu":  # on the CPU it has pure-PyTorch twins of its own
        torch.utils.cpp_extension.load = lambda *args, **kwargs: None


def tokenize(texts: list[str]) -> Tensor:
    import open_clip

    return open_clip.get_tokenizer(ARCHITECTURE)(texts)


class ClipPackageModel(nn.Module):
    """An open_clip model with the surface of the `clip` package."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def encode_image(self, images: Tensor) -> Tensor:
        return self.model.encode_image(images)

    def encode_text(self, tokens: Tensor) -> Tensor:
        return self.model.encode_text(tokens)

    def forward(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """100 cos(image, text), and its transpose."""
        cosines = (
            100
            * nn.functional.normalize(self.encode_image(images), dim=-1)
            @ nn.functional.normalize(self.encode_text(tokens), dim=-1).t()
        )
        return cosines, cosines.t()


if __name__ == "__main__":
    main()
