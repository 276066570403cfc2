"""The history's plain half: entries as text, small pictures, settings there and back."""

import types

import numpy as np
import pytest
from loom_extension.addon import history, recall
from loom_extension.addon.history import Entry


def entry(**more) -> Entry:
    about = {"size": [512, 256], "seeds": [3], "styles": [["mossy", 0.8]]}
    return Entry(**{"uuid": "a1", "kind": "generate", "title": "mossy", "params": about} | more)


def test_an_entry_comes_back_as_it_was_written():
    first = entry(files=[{"map": "color", "path": "/t/a.png"}], settings={"seed": 3, "styles": [{"name": "m"}]})
    assert history.read(history.write(first)) == first


@pytest.mark.parametrize("text", [None, 3, "", "{", "[]", '{"uuid": "a"}', '{"uuid": 1, "kind": "k", "title": "t"}'])
def test_what_is_no_entry_is_none(text):
    assert history.read(text) is None


def test_an_entry_of_a_newer_add_on_is_read_without_what_is_new_or_odd():
    text = '{"uuid": "a", "kind": "k", "title": "t", "new": 1, "files": 7, "params": [], "thumb": null}'
    assert history.read(text) == Entry(uuid="a", kind="k", title="t", files=[])


def test_the_line_says_size_seed_and_styles_whatever_else_is_there():
    assert entry().line() == "512 x 256 · seed 3 · mossy 0.8"
    assert entry(params={"size": "odd", "styles": [None, ["a"]], "seeds": None}).line() == ""


def test_the_picture_to_show_is_the_colour_else_the_first():
    files = [{"map": "normal", "path": "/n.png"}, {"map": "color", "path": "/c.png"}]
    assert entry(files=files).color_file() == "/c.png"
    assert entry(files=files[:1]).color_file() == "/n.png"
    assert entry().color_file() == ""


@pytest.mark.parametrize(("size", "small"), [((64, 64), (64, 64)), ((512, 512), (64, 64)), ((100, 1000), (6, 62))])
def test_thumbnails_keep_the_shape_and_the_mean(size, small):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    shrunk = history.shrink(picture)
    assert shrunk.shape == (*small, 3) and abs(shrunk.mean() - picture.mean()) < 4


def test_a_thumbnail_survives_its_packing():
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    assert np.array_equal(history.unpack(history.pack(picture)), picture)


@pytest.mark.parametrize("text", ["", "64x64:", "64x64:AAAA", "9999x9999:AAAA", "axb:AAAA", "2x2:not base64!"])
def test_a_damaged_thumbnail_is_none(text):
    assert history.unpack(text) is None


def test_a_thumbnail_cannot_blow_up():
    bomb = history.pack(np.zeros((512, 512, 3), np.uint8)).replace("512x512", "2x2")
    assert history.unpack(bomb) is None


def prop(identifier, type, **more):
    return types.SimpleNamespace(
        identifier=identifier, type=type, **{"is_readonly": False, "is_enum_flag": False, **more}
    )


class Group:
    """Stands for a bpy.types.PropertyGroup."""

    def __init__(self, props, **values):
        self.bl_rna = types.SimpleNamespace(properties={one.identifier: one for one in props})
        self.bl_rna.properties = Properties(props)
        self.__dict__.update(values)


class Properties(list):
    def get(self, name):
        return next((one for one in self if one.identifier == name), None)


class Held(list):
    def __init__(self, make):
        self.make = make

    def add(self):
        self.append(self.make())
        return self[-1]


def settings():
    def slot():
        return Group([prop("name", "STRING"), prop("strength", "FLOAT")], name="", strength=1.0)

    props = [prop("seed", "INT"), prop("texture", "POINTER"), prop("styles", "COLLECTION"), prop("fixed", "INT",
             is_readonly=True), prop("history", "COLLECTION")]  # fmt: skip
    return Group(props, seed=7, texture=object(), styles=Held(slot), fixed=1, history=Held(slot))


def test_settings_go_there_and_back_with_their_lists():
    first = settings()
    slot = first.styles.add()
    slot.name, slot.strength = "mossy", 0.5
    values = recall.snapshot(first)
    assert values == {"seed": 7, "styles": [{"name": "mossy", "strength": 0.5}]}
    second = settings()
    second.seed = 1
    second.styles.add()
    assert recall.restore(second, values) == []
    assert recall.snapshot(second) == values


def test_settings_that_are_gone_are_named_and_stop_nothing():
    second = settings()
    assert recall.restore(second, {"gone": 1, "seed": 9, "history": []}) == ["gone", "history"]
    assert second.seed == 9


def test_settings_are_put_back_in_the_order_of_their_group():
    class Model(Group):
        def __setattr__(self, name, value):
            self.__dict__[name] = value
            if name == "generator":
                self.__dict__["class_index"] = 0

    group = Model([prop("generator", "STRING"), prop("class_index", "INT")])
    assert recall.restore(group, {"class_index": 2, "generator": "mine"}) == []
    assert group.class_index == 2
