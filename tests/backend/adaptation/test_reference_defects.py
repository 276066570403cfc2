"""The defects of the reference implementation, one test each: what went wrong there must not go wrong here.

Where another file holds the test already, its name stands in the list at the end.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings, adapt, selection
from latent_loom.backend.adaptation import run as running
from latent_loom.backend.adaptation.losses import directional_loss
from latent_loom.backend.adaptation.style import Style, blend
from latent_loom.backend.errors import PromptError
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

from .conftest import make_generator

TEXT = {"source": "stone", "target": "mossy stone", "batch": 2}


def begun(generator, clip, **changes) -> Adaptation:
    return Adaptation(generator, AdaptSettings(**(TEXT | changes)), clips=[clip], judge=clip)


@pytest.mark.parametrize("method", ["lowrank", "style", "full"])
def test_noise_and_mixing_are_drawn_once_for_both_generators(clip, method):
    run = begun(make_generator(input_map=1.0), clip, mixing=1.0, method=method)
    source, adapted = run.subject.pair(run.draw(), run.tensors)
    assert torch.equal(source, adapted)
    before, after = clip.embed_images(source), clip.embed_images(adapted)
    assert torch.isfinite(directional_loss(before, after, run.aims[0].direction))


def test_all_layers_means_no_selection_at_all(generator, clip, monkeypatch):
    run = begun(generator, clip, method="layers", top_layers=7)
    monkeypatch.setattr(selection, "target_loss", lambda *_: pytest.fail("it went to select"))
    run.step()
    assert len({name.rsplit(".", 1)[0] for name in run.tensors if name.endswith("noise_strength")}) == 7


def test_selection_does_not_run_at_every_step(generator, clip, monkeypatch):
    run, calls = begun(generator, clip, method="layers", top_layers=2), []
    real = running.select_layers
    monkeypatch.setattr(running, "select_layers", lambda *given: calls.append(1) or real(*given))
    for _ in range(4):
        run.step()
    assert len(calls) == 1


def test_the_direction_is_float32_with_a_safe_norm_whatever_the_clip(clip):
    e = torch.randn(3, 8).half()
    loss = directional_loss(e, e.clone().requires_grad_(True), torch.ones(8) / 8**0.5)
    assert loss.dtype == torch.float32 and loss.item() == 1.0


def test_source_equal_to_target_is_refused_before_work_starts():
    with pytest.raises(PromptError, match="same prompt"):
        AdaptSettings(source="stone", target="Stone ")


def test_samples_and_target_pictures_go_through_one_antialiased_resize(clip, monkeypatch):
    """Fine stripes must vanish when they shrink, in any picture: no other resize lies on the way into CLIP."""
    seen = []
    monkeypatch.setattr(clip.model, "encode_image", lambda pixels: seen.append(pixels) or torch.ones(1, 4))
    stripes = torch.ones(1, 3, 256, 256)
    stripes[..., ::2] = -1
    clip.embed_images(stripes)
    assert seen[0].std(dim=(2, 3)).max() < 0.05  # 1 and more without antialiasing


def test_nothing_is_loaded_that_is_not_used(generator, clip, monkeypatch):
    monkeypatch.setattr(running, "load_clip", lambda name, device: pytest.fail(f"{name} was loaded"))
    Adaptation(generator, AdaptSettings(**TEXT, clips=("unused*0", "used")), clips=[clip], judge=clip)


@pytest.mark.parametrize("shape", [{"channels": (4, 12, 6, 2), "mapping_layers": 1}, {"w_dim": 12, "const_size": 1}])
def test_channels_depth_and_widths_are_the_generators_own(clip, shape):
    style = adapt(make_generator(**shape), AdaptSettings(**TEXT, iterations=1), clips=[clip], judge=clip)
    assert all(torch.isfinite(t).all() for t in style.tensors.values())


def test_the_result_is_saved_with_where_it_comes_from_and_the_latent_average_stays(generator, clip, tmp_path):
    style = adapt(generator, AdaptSettings(**TEXT, iterations=1), clips=[clip], judge=clip)
    style.save(tmp_path / "s.safetensors")
    found = Style.load(tmp_path / "s.safetensors")
    assert found.info.settings["seed"] == 0 and found.info.generator_hash
    assert torch.equal(blend(generator, [(found, 1.0)]).mapping.w_avg, generator.mapping.w_avg)


def test_nothing_is_compiled_by_an_import_and_no_device_is_taken_for_granted(clip):
    importlib.import_module("latent_loom.backend.adaptation")
    folder = Path(running.__file__).parent
    assert not [p.name for p in folder.glob("*.py") if ".cuda()" in p.read_text(encoding="utf-8")]
    with torch.device("meta"):
        assert Generator(GeneratorConfig(z_dim=4, w_dim=4, resolution=8, channels=(4, 4))).mapping.w_avg.is_meta


ELSEWHERE = {
    "test_methods.py": (
        "test_the_index_map_gives_each_latent_the_convolution_that_it_drives_and_never_a_torgb",
        "test_an_image_target_chooses_layers_by_the_image",
    ),
    "test_training.py": ("test_a_run_goes_on_from_its_style_to_the_iterations_asked_for",),
}


@pytest.mark.parametrize("file", ELSEWHERE)
def test_the_other_defects_have_their_tests_elsewhere(file):
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    assert [name for name in ELSEWHERE[file] if f"def {name}(" not in text] == []
