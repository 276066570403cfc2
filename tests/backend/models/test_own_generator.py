from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation.clip import load_clip
from latent_loom.backend.cli import main
from latent_loom.backend.errors import AlreadyExists, BadRequest, Cancelled
from latent_loom.backend.job import Job
from latent_loom.backend.models import own_generator
from latent_loom.backend.models.own_generator import OwnTraining, make_discriminator, train_own_generator
from latent_loom.backend.models.store import Store
from latent_loom.backend.models.train_generator import TokenMaps
from latent_loom.stylegan2.errors import CheckpointError
from PIL import Image


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(own_generator, "MEASURED", 8)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for i in range(3):
        pixels = torch.randint(256, (40, 50, 3), generator=torch.Generator().manual_seed(i)).to(torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
    return folder


def settings(images, **changes) -> OwnTraining:
    small = {"size": 64, "total": 8, "batch": 2, "width": 0.25, "save_every": 4}
    return OwnTraining(images=str(images), **(small | changes))


def weights(store: Store, name: str) -> torch.Tensor:
    return torch.cat([p.flatten() for p in store.generator(name).parameters()])


def test_a_generator_of_ones_own_is_listed_measured_and_goes_on_exactly_after_an_interruption(images, tmp_path):
    whole, broken = Store(tmp_path / "a"), Store(tmp_path / "b")
    said: list[str] = []
    card = train_own_generator(settings(images), whole, "mine", say=said.append)
    assert card["shown"] == 8 and card["pictures"] == 3 and {"fidelity", "floor", "seam"} <= set(card)
    assert len(said) == 1 and "very few" in said[0]
    entry = next(e for e in whole.generators() if e.name == "mine")
    assert entry.resolution == 64 and entry.tile == "xy"
    files = sorted(p.name for p in (tmp_path / "a" / "training" / "mine").iterdir())
    assert files == ["checkpoint.pt", "sheet-0000004.png", "sheet-0000008.png"]

    steps: list[int] = []
    stop = Job(lambda p: steps.append(p.done) if p.stage == "generator" else None, lambda: len(steps) == 2)
    with pytest.raises(Cancelled, match=r"Stopped after 6 pictures.*'mine'.*goes on"):
        train_own_generator(settings(images), broken, "mine", job=stop)
    assert not torch.equal(weights(broken, "mine"), weights(whole, "mine"))
    train_own_generator(settings(images), broken, "mine")
    assert torch.equal(weights(broken, "mine"), weights(whole, "mine"))


def test_somebody_elses_generator_is_not_replaced_and_other_settings_do_not_continue(images, tmp_path):
    store = Store(tmp_path)
    train_own_generator(settings(images, total=2), store, "mine")
    with pytest.raises(CheckpointError, match="other settings"):
        train_own_generator(settings(images, width=0.5), store, "mine")
    before = weights(store, "mine")
    train_own_generator(settings(images, total=2, seed=1), store, "mine", overwrite=True)
    assert not torch.equal(weights(store, "mine"), before)
    (tmp_path / "training" / "mine" / "checkpoint.pt").unlink()
    with pytest.raises(AlreadyExists, match="'mine'"):
        train_own_generator(settings(images), store, "mine")


@pytest.mark.parametrize("kind", own_generator.DISCRIMINATORS)
def test_every_discriminator_judges_every_size_and_teaches(kind):
    maps = TokenMaps(load_clip("builtin"))
    for size in own_generator.CHANNELS:
        config = own_generator.architecture(size, 0.25)
        discriminator = make_discriminator(kind, config, maps, wraps=False, device="cpu")
        images = torch.rand(2, 3, size, size, requires_grad=True)
        scores = discriminator.score(discriminator.look(images))
        assert len(scores) == {"features": 5, "pixels": 1, "both": 5}[kind]
        sum(score.sum() for score in scores).backward()
        assert images.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "change",
    [{"size": 100}, {"width": 0.0}, {"discriminator": "eyes"}, {"crop": 0.0}, {"save_every": 0}],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(BadRequest, match=r"^(The|There|Give) .*\.$"):
        OwnTraining(images="x", **change)


def test_the_command_line_trains_on_a_folder_and_asks_for_a_name(images, tmp_path, capsys):
    line = ["train", "generator", "--images", str(images), "--data", str(tmp_path)]
    small = ["--size", "64", "--total", "2", "--batch", "2", "--width", "0.25", "--json", "--device", "cpu"]
    assert main.main([*line, *small]) == 2
    assert "--name" in capsys.readouterr().err
    assert main.main([*line, *small, "--name", "mine"]) == 0
    out, err = capsys.readouterr()
    assert '"name": "mine"' in out and "3 pictures are very few" in err
    assert (tmp_path / "generators" / "mine.safetensors").exists()
    assert main.main([*line, *small, "--name", "other", "--device", "nonsense"]) == 1
    assert "no device 'nonsense'" in capsys.readouterr().err
