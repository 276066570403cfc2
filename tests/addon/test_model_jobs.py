"""The Models panel's plain half, and the options that the preferences give the backend."""

import pytest
from loom_extension.addon import model_jobs
from loom_extension.addon.params import BadInput


def train(folder, **more):
    given = {"name": "", "size": 64, "total": 1000, "tileable": False, "start": "", "taken": ["oak"], "goes_on": False}
    return model_jobs.train(folder=str(folder), **given | more)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "Old Oak!"
    folder.mkdir()
    (folder / "a.PNG").write_bytes(b"")
    return folder


def test_a_training_is_named_after_its_folder(pictures):
    sent = train(pictures)
    assert (sent["name"], sent["images"], sent["size"]) == ("old-oak", str(pictures), 64)
    assert train(pictures, name="Bricks 2")["name"] == "bricks-2"


def test_a_name_that_is_taken_means_going_on_only_if_that_is_wanted(pictures):
    with pytest.raises(BadInput, match="Go On"):
        train(pictures, name="oak")
    assert train(pictures, name="oak", goes_on=True)["name"] == "oak"
    with pytest.raises(BadInput):
        train(pictures, name="builtin", goes_on=True)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    for folder, words in (("", "Choose the folder"), (tmp_path / "nowhere", "no folder"), (tmp_path, "no pictures")):
        with pytest.raises(BadInput, match=words):
            train(folder)


def test_what_the_panel_sends_is_a_request_that_the_backend_takes(pictures):
    from latent_loom.backend.service.handlers.own_models import TrainRequest
    from latent_loom.backend.service.parameters import parse

    (asked,) = parse("train_generator", train(pictures, start="builtin"), TrainRequest)
    assert asked.images == pictures and asked.start == "builtin"


def test_sizes_are_said_as_people_say_them():
    assert [model_jobs.amount(n) for n in (2_000, 412e6, 1_700e6)] == ["2 KB", "412 MB", "1.7 GB"]
    told = {"parts": {"styles": 3_000_000, "clips": 0, "new": 5_000}, "free_bytes": 5e9}
    assert model_jobs.disk_lines(told) == ["Styles: 3 MB", "new: 5 KB", "Free on the disk: 5.0 GB"]
    assert model_jobs.disk_lines({}) == []


def test_a_language_model_says_whether_it_is_here_or_what_it_would_cost():
    assert model_jobs.clip_line({"builtin": True}) == "came with it"
    assert model_jobs.clip_line({"there": True}) == "here"
    assert model_jobs.clip_line({"mb": 605, "licence": "MIT"}) == "605 MB"


def test_a_language_model_that_is_not_here_is_never_fetched_unasked():
    clips = [{"name": "ViT-B-32:openai", "there": False}, {"name": "mine", "there": True}]
    assert model_jobs.with_clip({"name": "a"}, "builtin", clips) == {"name": "a"}
    assert model_jobs.with_clip({"name": "a"}, "mine", clips)["clips"] == ["mine"]
    for name in ("ViT-B-32:openai", "gone"):
        with pytest.raises(BadInput, match="get it under Models"):
            model_jobs.with_clip({"name": "a"}, name, clips)
