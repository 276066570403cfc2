"""`latent-loom bench models` on a generator small enough for a test: that every number is there, not what it is."""

from __future__ import annotations


def test_every_number_is_reported_for_any_generator_and_its_sheets_are_written(loom, data, tmp_path):
    line = ("bench", "models", "--quick", "--generator", data / "generators" / "tiny.safetensors")
    done = loom(*line, "--sheets", tmp_path)
    assert done.code == 0, done.complaint
    assert set(done.value) == {"clips", "conditions", "generator", "styles", "bytes", "sheets"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["textures.jpg", "walks.jpg"]
    for clip in done.value["clips"].values():
        assert set(clip) == {"retrieval_top1", "family", "condition"} and all(0 <= v <= 1 for v in clip.values())
    assert set(done.value["conditions"]["mossy"]) == {"before", "after", "family"}
    made = done.value["generator"]
    assert made["resolution"] == 16 and len(made["seam"]) == 2 and made["path_length"] > 0
    assert set(made["fidelity"]) == set(made["floor"]) == {"precision", "recall", "frechet"}
    assert sum(made["families_seen"].values()) > 0.99
    assert done.value["bytes"]["total"] == sum(v for k, v in done.value["bytes"].items() if k != "total")
