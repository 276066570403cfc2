from __future__ import annotations

import torch
from latent_loom.stylegan2.training.discriminator import Seen
from latent_loom.stylegan2.training.paired import draw_projections, paired_loss, sliced_wasserstein


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def directions(seed: int = 3):
    return draw_projections([3], torch.Generator().manual_seed(seed))


def seen(images: torch.Tensor) -> Seen:
    return Seen([torch.nn.functional.avg_pool2d(images, 4)], images)


def stripes(period: int, axis: int) -> torch.Tensor:
    line = torch.sin(torch.arange(32) * 2 * torch.pi / period)
    flat = (line[:, None] if axis == 0 else line[None]).expand(32, 32)
    return flat.expand(1, 3, 32, 32).contiguous()


def test_a_picture_and_its_roll_are_alike_and_another_one_is_not():
    images = torch.rand(3, 3, 32, 32, generator=rng())
    same = paired_loss(seen(images), seen(images), directions())
    rolled = paired_loss(seen(images.roll((8, 4), (2, 3))), seen(images), directions())
    other = paired_loss(seen(1 - images * 0.5), seen(images), directions())
    assert same == 0
    assert rolled < 0.02 < 0.3 < other


def test_the_direction_of_stripes_and_their_width_count_not_only_their_colours():
    model = seen(stripes(8, 0))
    assert paired_loss(seen(stripes(8, 0).roll(4, 2)), model, directions()) < 0.02
    assert paired_loss(seen(stripes(8, 1)), model, directions()) > 0.1
    assert paired_loss(seen(stripes(16, 0)), model, directions()) > 0.1


def test_following_its_gradient_brings_a_picture_to_its_model():
    model = torch.rand(1, 3, 16, 16, generator=rng()) * 0.2 + 0.7
    picture = torch.zeros(1, 3, 16, 16, requires_grad=True)
    optimizer = torch.optim.Adam([picture], lr=0.05)
    for step in range(60):
        loss = paired_loss(seen(picture), seen(model), directions(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (picture.mean() - model.mean()).abs() < 0.1
    assert (picture.std() - model.std()).abs() < 0.1


def test_items_are_compared_with_their_own_model_alone():
    a, (axes,) = torch.rand(2, 3, 8, 8, generator=rng()), directions().maps
    crossed = sliced_wasserstein(a, a.flip(0) + torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), axes)
    assert sliced_wasserstein(a, a, axes) == 0 and crossed > 0.3
