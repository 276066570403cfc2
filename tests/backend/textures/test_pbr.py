from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.textures.pbr import PBR_MAPS, PbrSettings, halvings_for, normal_map, pbr_maps

from . import pictures

BOTH = (True, True)


def slopes(normal: np.ndarray) -> np.ndarray:
    """Leaning of each normal in degrees."""
    return np.degrees(np.arccos(np.clip(normal[..., 2] / 127.5 - 1, -1, 1)))


def unsettled(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two integer maps, in steps of 8 bits."""
    return np.abs(a.astype(float) - b).max() / (257 if a.dtype == np.uint16 else 1)


@pytest.mark.parametrize("name", pictures.ALL)
def test_maps_are_seamless_where_the_colour_is(name):
    color, _ = pictures.ALL[name](64)
    plain, rolled = pbr_maps(color), pbr_maps(np.roll(color, (17, 40), (0, 1)))
    for which in PBR_MAPS:
        # rolling the picture rolls the map; the sums that set its scale may round differently by one step
        assert unsettled(np.roll(plain[which], (17, 40), (0, 1)), rolled[which]) <= 1, which


def test_maps_do_not_bleed_over_an_edge_that_is_not_seamless():
    color = np.full((32, 64, 3), 60, np.uint8)
    color[:, 48:] = 200
    for which in ("height", "roughness", "ao"):
        open_edge = pbr_maps(color, tile="y")[which][:, 0].astype(float).mean()
        middle = pbr_maps(color, tile="y")[which][:, 1].astype(float).mean()
        assert abs(open_edge - middle) < 0.02 * (65535 if which == "height" else 255)
    wrapped = pbr_maps(color, tile="xy")["normal"][:, 0, 0]
    assert (wrapped.astype(int) - pbr_maps(color, tile="y")["normal"][:, 0, 0]).max() != 0


def test_maps_have_the_promised_types_and_shapes():
    maps = pbr_maps(pictures.cobbles(64)[0][:, :48])
    assert {k: (v.dtype.name, v.shape) for k, v in maps.items()} == {
        "height": ("uint16", (64, 48)),
        "normal": ("uint8", (64, 48, 3)),
        "roughness": ("uint8", (64, 48)),
        "ao": ("uint8", (64, 48)),
        "orm": ("uint8", (64, 48, 3)),
    }
    assert np.array_equal(maps["orm"], np.stack([maps["ao"], maps["roughness"], 0 * maps["ao"]], axis=-1))


def test_only_what_is_asked_for_is_made():
    assert list(pbr_maps(pictures.even(32)[0], which=["ao"])) == ["ao"]


@pytest.mark.parametrize("which", PBR_MAPS)
def test_a_map_does_not_depend_on_which_others_are_made(which):
    color = pictures.bricks(64)[0]
    assert np.array_equal(pbr_maps(color, which=[which])[which], pbr_maps(color)[which])


def test_a_ramp_that_rises_to_the_right_faces_left_and_one_that_rises_to_the_top_faces_down():
    y, x = np.mgrid[0:16, 0:16].astype(np.float32)
    right = normal_map(0.5 * x, (False, False))[8, 8].astype(int) - 127.5
    up = normal_map(-0.5 * y, (False, False))[8, 8].astype(int) - 127.5
    up_directx = normal_map(-0.5 * y, (False, False), green_up=False)[8, 8].astype(int) - 127.5
    assert right[0] < -40 and abs(right[1]) < 1 and right[2] > 90
    assert up[1] < -40 and abs(up[0]) < 1
    assert up_directx[1] > 40


def test_directx_only_turns_green_over():
    color = pictures.cobbles(64)[0]
    gl = pbr_maps(color, which=["normal"])["normal"].astype(int)
    dx = pbr_maps(color, which=["normal"], settings=PbrSettings(normal="directx"))["normal"].astype(int)
    assert np.array_equal(gl[..., [0, 2]], dx[..., [0, 2]])
    assert np.abs(gl[..., 1] + dx[..., 1] - 255).max() <= 1


@pytest.mark.parametrize("name", ["cobbles", "bricks", "weave"])
def test_a_structured_picture_gets_moderate_normals(name):
    lean = slopes(pbr_maps(pictures.ALL[name](128)[0], which=["normal"])["normal"])
    assert 2 < lean.mean() < 30
    assert np.percentile(lean, 99.5) < 62


def test_larger_features_are_seen_in_a_smaller_copy_and_stay_seamless():
    color = pictures.cobbles(256)[0]
    near, far = (pbr_maps(color, which=["height"], halvings=n)["height"].astype(float) for n in (0, 1))
    true = pictures.cobbles(256)[1].ravel()
    assert np.corrcoef(far.ravel(), true)[0, 1] > np.corrcoef(near.ravel(), true)[0, 1] + 0.02
    assert far.std() > 1.3 * near.std()
    rolled = pbr_maps(np.roll(color, (18, 40), (0, 1)), which=["height"], halvings=1)["height"]
    assert np.abs(np.roll(far, (18, 40), (0, 1)) - rolled).max() <= 2


def test_halvings_follow_the_generators_size():
    assert [halvings_for(size) for size in (64, 128, 256, 512, 1024)] == [0, 0, 1, 2, 3]


def test_grain_alone_gets_almost_no_relief():
    maps = pbr_maps(pictures.even(128)[0])
    assert slopes(maps["normal"]).mean() < 3.5
    assert np.ptp(maps["height"].astype(int)) < 0.1 * 65535
    assert maps["ao"].min() > 245


def test_one_flat_colour_gives_a_flat_surface():
    maps = pbr_maps(np.full((32, 32, 3), 90, np.uint8))
    assert np.unique(maps["normal"].reshape(-1, 3), axis=0).tolist() == [[128, 128, 255]]
    assert np.ptp(maps["height"]) == 0 and maps["ao"].min() == 255


def test_stains_do_not_become_hills():
    color, height = pictures.stains(256)
    made = pbr_maps(color, which=["height"])["height"] / 65535
    stain = pictures.noise(256, 40, 1)
    assert np.corrcoef(made.ravel(), height.ravel())[0, 1] > 0.45
    assert abs(np.corrcoef(made.ravel(), stain.ravel())[0, 1]) < 0.2
    assert np.corrcoef(color.mean(-1).ravel(), stain.ravel())[0, 1] > 0.6  # the colour itself is all stain


def test_hollows_are_darker_in_occlusion_and_rougher():
    color, height = pictures.cobbles(128)
    maps = pbr_maps(color)
    joint, top = height < 0.2, height > 0.9
    assert maps["ao"][joint].mean() < maps["ao"][top].mean() - 10
    assert maps["roughness"][joint].mean() > maps["roughness"][top].mean() + 8


def test_relief_scales_the_lean_and_zero_is_flat():
    color = pictures.cobbles(64)[0]
    lean = [
        slopes(pbr_maps(color, which=["normal"], settings=PbrSettings(relief=r))["normal"]).mean() for r in (0, 1, 2)
    ]
    assert lean[0] < 0.6 < lean[1] < lean[2]


def test_a_small_change_of_the_picture_is_a_small_change_of_the_maps():
    color = pictures.cobbles(96)[0]
    brighter = np.clip(color.astype(int) + 2, 0, 255).astype(np.uint8)
    for which, made in pbr_maps(color).items():
        change = np.abs(made.astype(float) - pbr_maps(brighter)[which]).mean() / np.iinfo(made.dtype).max
        assert change < 0.01, which


@pytest.mark.parametrize("bad", [{"relief": -1}, {"normal": "open-gl"}, {"roughness": 1.5}, {"relief": float("nan")}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(BadRequest, match=next(iter(bad)) if "normal" not in bad else "normal map"):
        PbrSettings(**bad)


def test_no_slope_is_steeper_than_sixty_degrees():
    cliff = np.tile(np.linspace(0, 400, 16, dtype=np.float32), (8, 1))
    lean = slopes(normal_map(cliff, (False, False)))[4, 8]
    assert 55 < lean < 61


def test_what_changes_in_one_corner_changes_no_normal_far_away():
    """Nothing is scaled by picture: the frames of a walk do not flicker."""
    color = pictures.cobbles(192)[0]
    touched = color.copy()
    touched[:16, :16] = 255 - touched[:16, :16]
    for which in ("normal", "roughness"):
        a, b = pbr_maps(color, which=[which])[which], pbr_maps(touched, which=[which])[which]
        assert not np.array_equal(a, b)
        far = unsettled(a[90:110, 90:110], b[90:110, 90:110])
        assert far <= 1, which


def test_bricks_stand_above_their_joints_where_the_joints_are_lighter():
    color, height = pictures.bricks(64)
    luminance = color.mean(-1)
    made = pbr_maps(color, which=["height"])["height"]
    assert np.corrcoef(made.ravel(), height.ravel())[0, 1] > 0.6
    assert np.corrcoef(luminance.ravel(), height.ravel())[0, 1] < 0.4


def test_the_height_does_not_depend_on_the_number_of_threads():
    color = pictures.cobbles(320)[0]
    before = torch.get_num_threads()
    try:
        made = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            made.append(pbr_maps(color, which=["height"])["height"])
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])


def test_a_material_sets_roughness_relief_and_metal_and_is_overruled():
    color = pictures.weave(64)[0]
    metal = pbr_maps(color, settings=PbrSettings(material="metal"))
    assert metal["orm"][..., 2].min() == 255
    assert metal["roughness"].mean() < pbr_maps(color)["roughness"].mean() - 40
    rough = PbrSettings(material="metal", roughness=0.9)
    assert pbr_maps(color, which=["roughness"], settings=rough)["roughness"].mean() > 200
    with pytest.raises(BadRequest, match="no material 'mettal'"):
        PbrSettings(material="mettal")
