import pytest
from loom_extension.addon import params
from loom_extension.addon.params import BadInput, Look


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


def test_strengths_travel_without_the_noise_of_single_precision():
    look = Look(styles=[("moss", 0.800000011920929)], psi=0.699999988079071)
    assert look.params()["styles"] == [["moss", 0.8]] and look.params()["psi"] == 0.7


def test_without_a_folder_generate_asks_for_arrays(tmp_path):
    assert "out" not in params.generate(Look(), seeds=[1], name="x", out=None)
    assert params.generate(Look(), seeds=[1], name="x", out=tmp_path)["out"] == str(tmp_path)


@pytest.mark.parametrize(("seeds", "frames"), [([1], 10), ([1, 2], 1)])
def test_a_walk_needs_two_seeds_and_two_frames(seeds, frames, tmp_path):
    with pytest.raises(BadInput, match="at least two"):
        params.walk(Look(), seeds=seeds, frames=frames, loop=True, speed="linear", out=tmp_path)


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
