import pytest
from loom_extension.addon import params
from loom_extension.addon.params import BadInput, Look, WalkKey


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", [7]), ("3, 7, 12-15", [3, 7, 12, 13, 14, 15]), (" 1;2 3 ", [1, 2, 3]), ("5-5", [5])],
)
def test_seeds_are_numbers_and_ranges_however_they_are_separated(text, seeds):
    assert params.parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "advice"),
    [("", "3, 7, 12-15"), ("one", "'one'"), ("-3", "'-3'"), ("9-2", "2-9"), ("0-99999999", "more than")],
)
def test_seeds_that_cannot_be_read_are_refused_with_advice(text, advice):
    with pytest.raises(BadInput, match=advice):
        params.parse_seeds(text)


@pytest.mark.parametrize(
    ("words", "name"),
    [("Mossy Stone!", "mossy-stone"), ("  Übergröße 2 ", "ubergroe-2"), ("...", ""), ("石", ""), ("a" * 90, "a" * 64)],
)
def test_a_name_is_made_of_any_words(words, name):
    assert params.name_from(words) == name


def test_a_taken_name_gets_a_number_and_stays_within_the_limit():
    assert params.free_name("moss", ()) == "moss"
    assert params.free_name("moss", ("moss", "moss-2")) == "moss-3"
    long = "a" * params.NAME_LENGTH
    assert len(params.free_name(long, (long,))) <= params.NAME_LENGTH


def adapt(**changes):
    asked = {"generator": "builtin", "source": "stone", "target": "mossy  stone", "name": ""} | changes
    return params.adapt(**asked)


def test_adapt_takes_its_name_from_the_target_prompt():
    sent = adapt(taken=["mossy-stone"])
    assert (sent["name"], sent["target"], sent["iterations"]) == ("mossy-stone-2", "mossy stone", "auto")


def test_a_name_whose_run_was_interrupted_is_taken_too():
    assert adapt(taken=["mossy-stone-partial"])["name"] == "mossy-stone-2"


def test_a_name_that_was_typed_is_not_changed_so_that_the_backend_can_say_it_is_taken():
    assert adapt(name="Moss", taken=["moss"])["name"] == "moss"


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"source": "  "}, "From prompt"),
        ({"target": ""}, "To prompt"),
        ({"target": "Stone "}, "the same"),
        ({"target": "石"}, "letters or digits"),
    ],
)
def test_prompts_that_lead_nowhere_are_refused_before_sending(changes, advice):
    with pytest.raises(BadInput, match=advice):
        adapt(**changes)


def test_pictures_need_no_words_and_give_the_style_its_name():
    sent = adapt(source="stone", target=" ", images=["C:\\pictures\\Old Rust.png"])
    assert (sent["name"], sent["target"], sent["images"]) == ("old-rust", "", ["C:\\pictures\\Old Rust.png"])
    with pytest.raises(BadInput, match="first of several"):
        adapt(target="", targets=[("wet", 1.0)], images=["a.png"])


def test_a_preset_s_own_settings_count_until_others_are_chosen():
    assert not {"method", "iterations"} & set(adapt(preset="weathering"))
    sent = adapt(preset="weathering", method="full", iterations=30)
    assert (sent["preset"], sent["method"], sent["iterations"]) == ("weathering", "full", 30)


def test_words_that_say_nothing_are_not_sent():
    sent = adapt(targets=[(" ", 1.0), ("wet  stone", 0.5), ("dry", 0.0)], negatives=[("", 1.0)], keep=" , green ")
    assert sent["targets"] == [["wet stone", 0.5]] and "negatives" not in sent and sent["keep_fixed"] == ["green"]


def test_another_target_that_is_the_source_is_refused():
    with pytest.raises(BadInput, match="the same"):
        adapt(targets=[("Stone", 1.0)])


def test_strengths_travel_without_the_noise_of_single_precision():
    look = Look(styles=[("moss", 0.800000011920929)], psi=0.699999988079071)
    assert look.params()["styles"] == [["moss", 0.8]] and look.params()["psi"] == 0.7


def test_without_a_folder_generate_asks_for_arrays(tmp_path):
    assert "out" not in params.generate(Look(), seeds=[1], name="x", out=None)
    assert params.generate(Look(), seeds=[1], name="x", out=tmp_path)["out"] == str(tmp_path)


def test_a_style_is_of_one_class_where_one_is_given():
    asked = {"generator": "g", "source": "stone", "target": "wet stone", "name": ""}
    assert params.adapt(**asked, class_index=0)["class_index"] == 0
    assert "class_index" not in params.adapt(**asked)


def walk(tmp_path, *keys, frames=10):
    return params.walk(Look(), keys=keys, frames=frames, loop=True, speed="linear", out=tmp_path)


@pytest.mark.parametrize(("seeds", "frames"), [([1], 10), ([1, 1], 10), ([1, 2], 1)])
def test_a_walk_needs_two_textures_and_two_frames(seeds, frames, tmp_path):
    with pytest.raises(BadInput, match="at least two"):
        walk(tmp_path, *(WalkKey(source=seed) for seed in seeds), frames=frames)


def test_a_walk_may_stay_at_one_seed_whose_style_changes(tmp_path):
    sent = walk(tmp_path, WalkKey(source=1), WalkKey(source=1, styles=[("moss", 1.0)]))
    assert sent["seeds"] == [1, 1] and sent["styles"] == [] and sent["key_styles"] == [[], [["moss", 1.0]]]


def test_what_all_keys_share_travels_once(tmp_path):
    shared = {"styles": [("moss", 0.8)], "directions": [("d0", 1.0)]}
    sent = walk(tmp_path, *(WalkKey(source=seed, **shared) for seed in (1, 2)))
    assert sent["styles"] == [["moss", 0.8]] and sent["directions"] == [["d0", 1.0]]
    assert not [name for name in sent if name.startswith("key_")]


def test_frames_must_last_for_the_stays(tmp_path):
    keys = [WalkKey(source=1, hold=5), WalkKey(source=2)]
    with pytest.raises(BadInput, match="at least 7"):
        walk(tmp_path, *keys, frames=6)
    assert walk(tmp_path, *keys, frames=7)["key_hold"] == [5, 0]


def test_a_baked_frame_is_its_generate_in_a_batch(tmp_path):
    frames = [params.generate(Look(psi=psi), seeds=[source], out=None) for psi, source in ((0.5, 3), (0.8, "wall"))]
    sent = params.bake(frames, out=tmp_path)
    first, second = sent["jobs"]["items"]
    assert (first["name"], first["seeds"], first["psi"]) == ("frame-0001", [3], 0.5)
    assert (second["name"], second["textures"]) == ("frame-0002", ["wall"]) and "seeds" not in second
    assert sent["jobs"]["defaults"]["naming"] == "{map}/{name}"


def test_directions_and_surface_travel_only_where_they_mean_something():
    assert "directions" not in Look(directions=[("d0", 0.0)]).params()
    assert "material" not in Look(material="metal").params()
    assert "class_index" not in Look().params() and Look(class_index=2).params()["class_index"] == 2
    assert Look(material="metal", maps=("color", "normal")).params()["material"] == "metal"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"file": "/a/My Model.pkl"}, {"file": "/a/My Model.pkl", "name": "my-model"}),
        ({"file": "C:\\models\\ffhq.pkl"}, {"file": "C:\\models\\ffhq.pkl", "name": "ffhq"}),
        ({"url": " https://x.org/My%20Model.pt?x=1 "}, {"url": "https://x.org/My%20Model.pt?x=1", "name": "my-model"}),
        ({"url": "http://x.org/a.pkl", "sha256": " ab "}, {"url": "http://x.org/a.pkl", "sha256": "ab", "name": "a"}),
        ({"file": "/a.pkl", "name": "Big B"}, {"file": "/a.pkl", "name": "big-b"}),
    ],
)  # fmt: skip
def test_an_import_is_of_a_file_or_an_address_and_has_a_name(given, wanted):
    empty = {"file": "", "url": "", "sha256": "", "name": "", "overwrite": False}
    assert params.import_generator(**{**empty, **given}) == {"overwrite": False, **wanted}


@pytest.mark.parametrize(
    "given", [{}, {"url": "file:///etc/passwd"}, {"url": "x.org/a.pkl"}, {"url": "https://x.org/"}]
)
def test_an_import_of_nothing_is_refused(given):
    empty = {"file": "", "url": "", "sha256": "", "name": "", "overwrite": False}
    with pytest.raises(params.BadInput):
        params.import_generator(**{**empty, **given})
