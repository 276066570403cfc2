from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.models.image_folder import Crops, Cutter, Folder, fit, read_folder
from PIL import Image


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, (3, height, width), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def save(path, height: int, width: int, seed: int = 0) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture(height, width, seed).permute(1, 2, 0).numpy()).save(path)


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "b.png", 40, 60)
    save(tmp_path / "more" / "a.jpg", 33, 32)
    save(tmp_path / "small.png", 17, 90)
    (tmp_path / "broken.png").write_bytes((tmp_path / "b.png").read_bytes()[:300])
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_what_cannot_be_used_is_skipped_and_listed(folder):
    found = read_folder(folder, Crops(size=64))
    assert found.names == ["b.png", "more/a.jpg"]
    assert [name for name, _ in found.skipped] == ["broken.png", "small.png"]
    first, second, expectation = found.warnings()
    assert first.startswith("broken.png was skipped: it cannot be read") and "17" in second
    assert expectation.startswith("2 pictures are very few: expect")


def test_a_folder_without_pictures_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(BadRequest, match="no picture to train on"):
        read_folder(tmp_path, Crops(size=64))
    with pytest.raises(BadRequest, match="no folder"):
        read_folder(tmp_path / "none", Crops(size=64))


def test_many_skipped_files_are_told_in_one_line():
    found = Folder(pictures=[picture(4, 4)] * 600, names=[], skipped=[(f"{i}.png", "is broken.") for i in range(13)])
    assert len(found.warnings()) == 11 and found.warnings()[-1] == "3 more files were skipped."
    assert Folder(pictures=[picture(4, 4)] * 600, names=[]).warnings() == []


def test_pictures_are_kept_no_larger_than_their_cuts_need():
    assert fit(picture(200, 300), Crops(size=32, smallest=0.5)).shape == (3, 64, 96)
    assert fit(picture(40, 50), Crops(size=32, smallest=0.5)).shape == (3, 40, 50)


def test_a_seamless_picture_is_used_whole_and_its_short_side_repeated():
    crops = Crops(size=32, tileable=True)
    wide = fit(picture(32, 64), crops)
    assert wide.shape == (3, 32, 32) and torch.equal(wide[:, :16], wide[:, 16:])
    with pytest.raises(BadRequest, match="square"):
        fit(picture(32, 46), crops)


def test_a_batch_depends_on_seed_step_and_process_alone():
    pictures = [picture(40, 60, 1), picture(32, 33, 2)]
    one, two = (Cutter(pictures, Crops(size=32), 7) for _ in range(2))
    batches = one.batches(4)
    first, _ = next(batches)
    second, _ = next(batches)
    assert first.shape == (4, 3, 32, 32) and first.min() >= -1 and first.max() <= 1
    assert torch.equal(next(two.batches(4, start=1))[0], second) and not torch.equal(first, second)
    assert not torch.equal(two.batch(4, 1, rank=1)[0], second)


def test_cuts_of_a_seamless_picture_are_its_rolls():
    original = picture(8, 8)
    cuts, _ = Cutter([original], Crops(size=8, tileable=True, flips=False), 0).batch(3, 0)
    rolls = {tuple(original.roll((y, x), (1, 2)).flatten().tolist()) for y in range(8) for x in range(8)}
    for cut in np.rint((cuts.numpy() + 1) * 127.5).astype(int):
        assert tuple(cut.flatten().tolist()) in rolls
