from __future__ import annotations

import pytest
import torch
from latent_loom.backend.models.latent_pairs import BLOCK, MaterialLesson, PairBank
from latent_loom.backend.models.procedural.captions import FAMILY_NAMES
from latent_loom.backend.models.procedural.draws import FIRST_FIELD, MAP_CHANNELS, LatentDraw
from latent_loom.backend.models.procedural.latent_render import KINDS, render_latents
from latent_loom.backend.models.train_generator import architecture
from latent_loom.stylegan2.inputs import SynthesisInputs, sample_inputs
from latent_loom.stylegan2.latents import kind_of, z_of_kind

SIZE = 64
CONFIG = architecture(SIZE)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def latents(n: int, kind: int, seed: int = 0) -> torch.Tensor:
    z = torch.randn(n, CONFIG.z_dim, generator=rng(seed))
    return z_of_kind(z, torch.full((n,), kind), KINDS)


def rolled(inputs: SynthesisInputs, cells: int) -> SynthesisInputs:
    def roll(field: torch.Tensor) -> torch.Tensor:
        return field.roll((0, cells * field.shape[-1] // 4), (2, 3))

    assert inputs.input_map is not None
    return SynthesisInputs(input_map=roll(inputs.input_map), noise=tuple(roll(n) for n in inputs.noise))


@pytest.mark.parametrize("kind", range(KINDS), ids=FAMILY_NAMES)
def test_the_picture_of_a_latent_depends_on_latent_map_and_noise_and_moves_with_them(kind):
    z, inputs = latents(2, kind), sample_inputs(CONFIG, 2, generator=rng(1))
    pictures = render_latents(z, inputs, SIZE)
    assert torch.equal(render_latents(z[1:], inputs.items(slice(1, 2)), SIZE), pictures[1:]), "whatever the batch"
    assert pictures.min() >= 0 and pictures.max() <= 1 and pictures.std() > 0.01
    moved = render_latents(z, rolled(inputs, 1), SIZE)
    assert (moved - pictures.roll(SIZE // 4, 3)).abs().max() < 0.02, "what a convolution could make"
    same_place = render_latents(latents(2, kind, seed=5), inputs, SIZE)
    elsewhere = render_latents(z, sample_inputs(CONFIG, 2, generator=rng(2)), SIZE)
    assert (same_place - pictures).abs().mean() > 0.01 and (elsewhere - pictures).abs().mean() > 0.01


def test_every_family_gets_by_with_the_numbers_and_channels_that_there_are(monkeypatch):
    used, fields = [], []
    number, octave = LatentDraw._normal, LatentDraw._octave
    monkeypatch.setattr(LatentDraw, "_normal", lambda draw: (used.append(draw._next), number(draw))[1])
    monkeypatch.setattr(LatentDraw, "_octave", lambda draw, side, i: (fields.append(i), octave(draw, side, i))[1])
    for kind in range(KINDS):
        render_latents(latents(4, kind), sample_inputs(CONFIG, 4, generator=rng()), SIZE)
    assert max(used) < 26 and FIRST_FIELD + max(fields) < MAP_CHANNELS


def test_a_bank_gives_the_same_batches_again_and_goes_on_where_it_was_left():
    settings = {"capacity": BLOCK, "refresh": BLOCK // 2, "seed": 3}
    whole = PairBank(architecture(64), **settings)
    batches = [whole.batch(2) for _ in range(4)]
    again = PairBank(architecture(64), **settings, start=3).batch(2)
    assert torch.equal(again.z, batches[3].z) and torch.equal(again.pictures, batches[3].pictures)
    assert not torch.equal(batches[0].z, batches[1].z)
    wanted = render_latents(again.z, again.inputs, 64)
    assert (wanted * 2 - 1 - again.pictures).abs().max() < 0.05, "a rolled pair is still a pair"


def test_a_bank_begins_small_grows_and_stays_within_its_capacity(monkeypatch):
    rendered = []
    monkeypatch.setattr(
        PairBank, "_rendered", lambda bank, block: rendered.append(block) or torch.zeros(BLOCK, 3, 8, 8)
    )
    bank = PairBank(CONFIG, capacity=10 * BLOCK, refresh=BLOCK, seed=0)
    sizes = []
    for _ in range(5):
        bank.batch(1)
        sizes.append(len(bank._blocks))
    assert sizes == [8, 9, 10, 10, 10] and rendered == list(range(12)), "and no block is made twice"
    checked = []
    PairBank(CONFIG, capacity=10 * BLOCK, refresh=0, seed=0).fill(lambda: checked.append(1))
    assert len(checked) == 10


def test_lessons_tell_the_family_and_in_a_thorough_one_its_colours():
    lesson = MaterialLesson(CONFIG, seed=0)
    z = torch.cat([latents(4, FAMILY_NAMES.index("grass")), latents(4, FAMILY_NAMES.index("brick"))])
    brief, thorough = lesson(z, False), lesson(z, True)
    assert torch.equal(thorough[:, : brief.shape[1]], brief)
    assert torch.equal(brief[:, :KINDS].argmax(1), kind_of(z, KINDS))
    red, green = thorough[:, brief.shape[1]], thorough[:, brief.shape[1] + 1]
    assert (green - red)[:4].min() > 0 > (green - red)[4:].max()
