from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import AlreadyExists, BadRequest, Cancelled
from latent_loom.backend.job import Job
from latent_loom.backend.textures.generate import texture
from latent_loom.backend.textures.pace import distance, even_times, measure_arc, place_frames
from latent_loom.backend.textures.varied import Varied, seed_to_ws
from latent_loom.backend.textures.walk import WalkSettings, latent_curve, walk
from PIL import Image


def settings(**changes) -> WalkSettings:
    return WalkSettings(**({"seeds": (3, 7, 12), "frames": 6, "size": (32, 32)} | changes))


def curve_of(generator, wanted: WalkSettings):
    return latent_curve(Varied(None, "", generator, wanted), wanted)


def frames(folder) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("frame-*.png"))]


@pytest.mark.parametrize("interpolation", ["w", "linear", "z"])
@pytest.mark.parametrize("loop", [True, False])
def test_the_curve_passes_through_the_keys(generator, interpolation, loop):
    wanted = settings(interpolation=interpolation, loop=loop)
    curve = curve_of(generator, wanted)
    spans = 3 if loop else 2
    for number, seed in enumerate(wanted.seeds):
        assert torch.allclose(curve(number / spans), seed_to_ws(generator, seed, psi=wanted.psi), atol=1e-5)


@pytest.mark.parametrize("interpolation", ["w", "linear", "z"])
def test_a_loop_meets_exactly_and_without_a_jump_in_speed(generator, interpolation):
    curve = curve_of(generator, settings(interpolation=interpolation, loop=True))
    assert torch.equal(curve(0.0), curve(1.0))
    assert torch.norm(curve(0.999) - curve(0.0)) < 0.05 * torch.norm(curve(0.5) - curve(0.0))
    if interpolation == "w":
        into, out_of = curve(1.0) - curve(0.999), curve(0.001) - curve(0.0)
        assert torch.norm(into - out_of) < 0.1 * torch.norm(out_of)


def test_the_smooth_curve_has_no_corner_where_the_straight_one_has(generator):
    def turn(interpolation: str) -> float:
        curve = curve_of(generator, settings(interpolation=interpolation))
        into, out_of = curve(0.5) - curve(0.499), curve(0.501) - curve(0.5)
        return float(torch.norm(out_of - into) / torch.norm(into))

    assert turn("w") < 0.1 < 0.5 < turn("linear")


def test_an_open_walk_ends_on_its_last_key_and_a_loop_one_step_before_its_first():
    assert even_times(5, loop=False) == [0, 0.25, 0.5, 0.75, 1]
    assert even_times(4, loop=True) == [0, 0.25, 0.5, 0.75]
    assert even_times(1, loop=False) == [0]


def test_the_first_frame_is_the_texture_of_the_first_seed(store, tmp_path):
    walk(store, settings(), tmp_path)
    expected = texture(store.generator(), 3, size=(32, 32), tile="xy", psi=0.8)
    assert np.array_equal(frames(tmp_path)[0], expected)


def test_visual_speed_evens_out_the_steps_that_the_eye_sees():
    def picture(t: float) -> np.ndarray:
        return np.full((8, 8, 3), round(200 * t**4), np.uint8)

    def unevenness(times: list[float]) -> float:
        steps = [distance(picture(a), picture(b)) for a, b in itertools.pairwise(times)]
        return max(steps) / (sum(steps) / len(steps))

    times = place_frames(11, 1, loop=False, arc=measure_arc(picture, 200))
    assert times[0] == 0 and times[-1] == 1 and times == sorted(times)
    assert unevenness(times) < 1.2 < 2 < unevenness(even_times(11, loop=False))


def test_visual_speed_of_a_real_walk_is_even_round_the_loop(store, tmp_path):
    def unevenness(folder) -> float:
        made = frames(folder)
        steps = [distance(a, b) for a, b in zip(made, made[1:] + made[:1], strict=True)]
        return max(steps) / (sum(steps) / len(steps))

    wanted = {"frames": 24, "loop": True, "seeds": (1, 2, 3)}
    walk(store, settings(**wanted, speed="visual"), tmp_path / "visual")
    walk(store, settings(**wanted), tmp_path / "linear")
    assert unevenness(tmp_path / "visual") < 1.5 < unevenness(tmp_path / "linear")


def test_a_picture_that_never_changes_is_walked_at_even_steps():
    still = np.zeros((8, 8, 3), np.uint8)
    assert place_frames(5, 1, loop=True, arc=measure_arc(lambda t: still, 8)) == even_times(5, loop=True)


def test_distance_counts_an_even_change_more_than_a_shifted_grain():
    grain = np.random.default_rng(0).integers(100, 140, (64, 64, 3)).astype(np.uint8)
    assert distance(grain, grain) == 0
    rms = np.sqrt(np.mean((np.roll(grain, 1, 1).astype(float) - grain) ** 2))
    assert distance(grain, np.roll(grain, 1, 1)) < 0.6 * distance(grain, grain + np.uint8(round(rms)))


def test_a_stopped_walk_goes_on_at_the_missing_frames_and_gives_the_same_bytes(store, tmp_path):
    reports = []
    with pytest.raises(Cancelled):
        walk(store, settings(), tmp_path / "a", Job(report=reports.append, cancelled=lambda: len(reports) == 3))
    assert len(frames(tmp_path / "a")) == 2
    (tmp_path / "a" / "frame-0001.png").unlink()
    (tmp_path / "a" / "frame-0005.png").write_bytes(b"half")
    (tmp_path / "a" / ".frame-0003.png.0a1b2c3d.part").write_bytes(b"of a killed process")
    kept = (tmp_path / "a" / "frame-0002.png").stat().st_mtime_ns
    result = walk(store, settings(), tmp_path / "a")
    assert result.kept == 1 and len(result.files) == 6
    assert (tmp_path / "a" / "frame-0002.png").stat().st_mtime_ns == kept
    walk(store, settings(), tmp_path / "b")
    names = sorted(p.name for p in (tmp_path / "b").iterdir())
    assert names == ["frame-%04d.png" % n for n in range(1, 7)] + ["walk.json"]  # noqa: UP031
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_frames_of_another_walk_are_not_overwritten_unless_asked(store, tmp_path):
    walk(store, settings(), tmp_path)
    first = (tmp_path / "frame-0002.png").read_bytes()
    other = {"seeds": (3, 8), "frames": 3}
    with pytest.raises(AlreadyExists, match=r"frames of another walk \(frame-0001.png\)"):
        walk(store, settings(**other), tmp_path)
    assert (tmp_path / "frame-0002.png").read_bytes() == first
    walk(store, settings(**other, overwrite=True), tmp_path)
    assert len(frames(tmp_path)) == 3  # none of the longer walk's frames stays behind


def test_a_changed_style_makes_another_walk(store, tmp_path):
    from .conftest import make_style

    walk(store, settings(styles=(("mossy", 1.0),)), tmp_path)
    store.add_style(make_style("mossy", size=2.0), overwrite=True)
    with pytest.raises(AlreadyExists):
        walk(store, settings(styles=(("mossy", 1.0),)), tmp_path)


def test_a_walk_can_carry_maps(store, tmp_path):
    result = walk(store, settings(frames=2, maps=("color", "normal")), tmp_path)
    assert [(f["frame"], f["map"]) for f in result.files] == [(1, "color"), (1, "normal"), (2, "color"), (2, "normal")]
    assert (tmp_path / "frame-0002_normal.png").is_file()


@pytest.mark.parametrize(
    "bad, sentence",
    [
        ({"seeds": (1,)}, "at least two different seeds"),
        ({"seeds": (1, 1)}, "at least two different seeds"),
        ({"frames": 0}, "0 frames"),
        ({"interpolation": "slerp"}, "no interpolation 'slerp'.*w, linear, z"),
        ({"speed": "visula"}, "did you mean 'visual'"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(bad, sentence):
    with pytest.raises(BadRequest, match=sentence):
        settings(**bad)
