"""Batches as the panel describes them, and the list of those that were begun."""

import json

import pytest
from loom_extension.addon import batch_jobs, batches
from loom_extension.addon.batch_jobs import Wanted
from loom_extension.addon.batches import Batches
from loom_extension.addon.params import BadInput, Look

LOOK = Look(styles=[("moss", 1.0), ("rust", 0.5)], size=(512, 256))


def wanted(**more) -> Wanted:
    return Wanted(**{"look": LOOK, "seeds": "0-1"} | more)


def lines(text, **more):
    return batch_jobs.of_lines(wanted(**more), text, source="stone", styles=["mossy", "snowy"])


def test_a_batch_makes_one_item_a_style_or_one_of_all():
    def items(each):
        return batch_jobs.of_styles(wanted(), each_style=each)["items"]

    assert [(item["name"], item["styles"]) for item in items(True)] == [
        ("moss", [["moss", 1.0]]),
        ("rust", [["rust", 0.5]]),
    ]
    assert [(item["name"], item["styles"]) for item in items(False)] == [("moss-rust", [["moss", 1.0], ["rust", 0.5]])]


def test_a_set_without_styles_is_named_after_the_generator():
    assert [item["name"] for item in batch_jobs.of_styles(wanted(look=Look()), each_style=True)["items"]] == ["builtin"]


def test_size_maps_format_and_seeds_hold_for_all_items():
    defaults = wanted(maps=["color", "orm"], format="webp").defaults()
    assert defaults["size"] == [512, 256] and defaults["seeds"] == [0, 1] and "styles" not in defaults
    assert (defaults["maps"], defaults["format"]) == (["color", "orm"], "webp") and "naming" not in defaults


def test_several_sizes_are_told_apart_in_the_names():
    defaults = wanted(sizes="512, 1024x512").defaults()
    assert defaults["sizes"] == ["512x512", "1024x512"] and "size" not in defaults
    assert "{size}" in defaults["naming"]
    assert wanted(sizes="512 1024", naming="{name}/{size}_{seed}_{map}").defaults()["naming"].startswith("{name}/")


def test_a_list_holds_styles_blends_and_prompts():
    jobs = lines("# what I need\nmossy\nmossy:0.8 + snowy:0.3\n\nwood -> burnt wood\nrusty metal\nmossy@75:0.5\n")
    assert [item["styles"] for item in jobs["items"]] == [
        [["mossy", 1.0]],
        [["mossy", 0.8], ["snowy", 0.3]],
        [["burnt-wood", 1.0]],
        [["rusty-metal", 1.0]],
        [["mossy@75", 0.5]],
    ]
    assert jobs["adapt"] == [
        {"name": "burnt-wood", "source": "wood", "target": "burnt wood"},
        {"name": "rusty-metal", "source": "stone", "target": "rusty metal"},
    ]
    names = [item["name"] for item in jobs["items"]]
    assert len(set(names)) == len(names)


def test_a_prompt_whose_name_a_style_has_gets_another():
    jobs = lines("stone -> Mossy!")
    assert jobs["adapt"][0]["name"] == "mossy-2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "list is empty"),
        ("# only this", "list is empty"),
        ("a -> b -> c", "more than one arrow"),
        ("stone ->", "lacks a prompt"),
        ("stone -> Stone", "to itself"),
        ("mossy\n-> moss", "Line 2"),
        ("stone -> 石", "no letters"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(text, words):
    with pytest.raises(BadInput, match=words):
        lines(text)


@pytest.mark.parametrize("text", ["a", "512x", "x512", "512,,a"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(BadInput, match="Sizes are written"):
        batch_jobs.parse_sizes(text)


def test_a_set_without_maps_is_refused():
    with pytest.raises(BadInput, match="at least one map"):
        wanted(maps=()).defaults()


def test_a_table_is_told_from_a_list():
    assert batch_jobs.is_csv("\nname,style,seeds\nmoss,mossy,0-3\n")
    assert not batch_jobs.is_csv("stone, old -> mossy stone")


def test_a_batch_file_is_taken_by_its_ending(tmp_path):
    file = tmp_path / "jobs.csv"
    with pytest.raises(BadInput, match="no file"):
        batch_jobs.file_of(str(file))
    file.write_text("name,seeds\n")
    sent = batch_jobs.request(None, batch_jobs.file_of(str(file)), tmp_path, detach=True)
    assert sent == {"file": str(file), "out": str(tmp_path), "resume": True, "detach": True}
    with pytest.raises(BadInput, match="ends in"):
        batch_jobs.file_of("jobs.xlsx")


def test_what_the_panel_sends_is_a_batch_that_the_backend_takes(tmp_path):
    from latent_loom.backend.textures.batch import BatchSettings

    jobs = lines("mossy\nwood -> burnt wood", sizes="64,128", maps=["color", "normal"])
    settings = BatchSettings.from_mapping(jobs)
    assert len(list(settings.textures())) == 2 * 2 * 2 and settings.adapt[0]["target"] == "burnt wood"
    batch_jobs_of_styles = batch_jobs.of_styles(wanted(), each_style=False)
    assert BatchSettings.from_mapping(batch_jobs_of_styles).items[0].settings.size == (512, 256)


def test_a_material_goes_along_where_one_is_chosen():
    assert "kind" not in wanted().defaults()
    assert wanted(kind="brick").defaults()["kind"] == "brick"


def test_sets_are_remembered_in_a_file_newest_first(tmp_path):
    known = Batches(tmp_path / "own" / "batches.json")
    known.add("/a")
    known.add("/b", file="/jobs.csv", state={"state": "running"})
    known.add("/a")
    again = Batches(tmp_path / "own" / "batches.json")
    assert [(batch.out, batch.file) for batch in again.all] == [("/a", ""), ("/b", "/jobs.csv")]
    again.forget("/a")
    assert [batch.out for batch in Batches(known.path).all] == ["/b"]
    assert batches.source_of(again.all[0]).as_posix() == "/jobs.csv"


@pytest.mark.parametrize("text", ["", "{}", '[1, {"out": 3}]', "\0"])
def test_a_damaged_list_is_an_empty_one(tmp_path, text):
    (tmp_path / "b.json").write_text(text)
    assert Batches(tmp_path / "b.json").all == []


def test_a_set_is_found_again_and_says_where_it_stands(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "batch.json").write_text(
        json.dumps({"state": "running", "done": 34, "total": 160, "left_s": 90})
    )
    known = Batches(tmp_path / "b.json")
    known.add(str(tmp_path / "set"))
    known.add(str(tmp_path / "gone"))
    known.look()
    gone, running = known.all
    assert running.running and running.line() == "34 of 160 · 1 min 30 s left" and running.fraction == 34 / 160
    assert gone.line() == "The folder is gone" and not gone.resumable
    assert not known.note(running.out, {"state": "running", "done": 35, "total": 160})
    assert known.note(running.out, {"state": "finished", "done": 160, "total": 160}) and running.finished
    known.note(running.out, {"state": "killed", "done": 35, "total": 160})
    assert running.resumable and running.line() == "Broke off: 35 of 160"


def test_only_sets_that_may_change_are_asked_for_and_each_in_turn(tmp_path):
    known = Batches(tmp_path / "b.json")
    for name in ("a", "b"):
        known.add(name, state={"state": "running"})
    done = known.add("c", state={"state": "finished"})
    done.asked_s = 1.0
    first = known.next_to_ask(10.0, 2.0)
    first.asked_s = 10.0
    second = known.next_to_ask(10.0, 2.0)
    second.asked_s = 10.0
    assert {first.out, second.out} == {"a", "b"}
    assert known.next_to_ask(11.0, 2.0) is None and known.next_to_ask(13.0, 2.0) is not None
