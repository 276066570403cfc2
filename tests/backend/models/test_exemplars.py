from __future__ import annotations

import torch
from latent_loom.backend.models.exemplars import COMPONENTS, FAR, ExemplarLatents
from latent_loom.stylegan2.latents import kind_of
from latent_loom.stylegan2.training.discriminator import Seen

KINDS, Z_DIM = 3, 40


def pictures(n: int, seed: int) -> tuple[Seen, torch.Tensor]:
    """Each family has a brightness of its own, which varies; the embedding follows it and has more to say."""
    rng = torch.Generator().manual_seed(seed)
    families = torch.randint(KINDS, (n,), generator=rng)
    bright = families / KINDS + 0.1 * torch.randn(n, generator=rng)
    images = bright[:, None, None, None] + 0.05 * torch.randn(n, 3, 4, 4, generator=rng)
    embedding = torch.cat([bright[:, None], torch.randn(n, 31, generator=rng)], 1)
    return Seen([], images, embedding), families


def test_latents_of_pictures_say_their_family_and_are_nearly_normal_within_it():
    latents = ExemplarLatents(*pictures(900, 1), kinds=KINDS, z_dim=Z_DIM)
    seen, families = pictures(900, 2)
    z = latents(seen, families, torch.Generator().manual_seed(0))
    assert z.shape == (900, Z_DIM)
    assert torch.equal(kind_of(z, KINDS), families)
    for family in range(KINDS):
        own = z[families == family, KINDS : KINDS + COMPONENTS]
        assert own.mean(0).abs().max() < 0.35 and (own.std(0) - 1).abs().max() < 0.35
    assert z[:, KINDS : KINDS + COMPONENTS].abs().max() <= FAR


def test_the_same_picture_has_the_same_numbers_and_a_brighter_one_others():
    latents = ExemplarLatents(*pictures(900, 1), kinds=KINDS, z_dim=Z_DIM)
    seen, families = pictures(50, 3)
    own = slice(KINDS, KINDS + COMPONENTS)
    first, second = (latents(seen, families, torch.Generator().manual_seed(i)) for i in (0, 1))
    assert torch.equal(first[:, own], second[:, own]) and not torch.equal(first, second)
    brighter = latents(Seen([], seen.images + 0.3, seen.embedding), families, torch.Generator().manual_seed(0))
    assert (brighter[:, own] - first[:, own]).abs().max(1).values.min() > 0.3
