"""The numbers of docs/models/builtin.md: `.venv/bin/python scripts/measure_builtin.py` (some minutes)."""

from __future__ import annotations

import torch
from latent_loom.backend.adaptation.clip import Clip, load_clip
from latent_loom.backend.models.procedural.captions import CONDITION_NAMES, FAMILY_NAMES, FAMILY_WORDS, NOTHING
from latent_loom.backend.models.procedural.stream import MaterialBank
from latent_loom.backend.models.store import Store
from latent_loom.backend.models.train_clip import retrieval
from latent_loom.backend.textures.generate import texture
from latent_loom.backend.textures.repeat import repeat_score
from latent_loom.backend.textures.seam import seam_scores

TEXTURES = 256


@torch.no_grad()
def zero_shot(clip: Clip, bank: MaterialBank) -> tuple[float, float]:
    """Share of unseen renders whose family, and whose condition, the CLIP names; every family and condition offered."""
    families = [FAMILY_WORDS.get(name, (name,))[0] for name in FAMILY_NAMES]
    weathered = [[f"{condition} {family}" for family in families] for condition in CONDITION_NAMES]
    prompts = [families, *weathered]
    texts = torch.stack([torch.stack([clip.embed_prompt(p).mean(0) for p in row]) for row in prompts])
    right_family = right_condition = total = 0
    for _ in range(4):
        images, attributes = bank.batch(128)
        scores = torch.einsum("nd,cfd->ncf", clip.embed_images(images), texts)
        for score, truth in zip(scores, attributes, strict=True):
            condition = 0 if truth.condition == NOTHING else truth.condition + 1
            right_family += int(score.amax(0).argmax() == truth.family)
            right_condition += int(score.amax(1).argmax() == condition)
            total += 1
    return right_family / total, right_condition / total


def main() -> None:
    bank = MaterialBank(size=64, capacity=512, refresh=0, seed=4242, weathered=0.75, tinted=0.0)
    for name in ("builtin", "judge"):
        clip = load_clip(name)
        family, condition = zero_shot(clip, bank)
        print(f"{name}: top-1 retrieval of 128 {retrieval(clip.model, clip.tokenizer):.3f}", end=", ")
        print(f"zero-shot family {family:.3f}, condition {condition:.3f} (512 unseen renders)")
    generator = Store().generator("builtin")
    pictures = [texture(generator, seed, size=(64, 64), tile="xy", psi=1.0) for seed in range(TEXTURES)]
    print(f"generator: seam scores over {TEXTURES} textures {seam_scores(pictures)}")
    period = generator.config.resolution
    large = [texture(generator, seed, size=(512, 512), tile="xy", psi=1.0) for seed in range(8)]
    highest = max(repeat_score(picture, period) or 0 for picture in large)
    print(f"generator: highest repeat score of 8 textures of 512 px {highest:.3f}")


if __name__ == "__main__":
    main()
