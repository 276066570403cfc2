"""The report on a style: whole, self-contained, honest about what it does not know, and harmless."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from latent_loom.backend.adaptation import page, report
from latent_loom.backend.adaptation.page import render_page, to_json
from latent_loom.backend.adaptation.report import make_report
from latent_loom.backend.errors import BadRequest, Cancelled, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.service.handlers import HANDLERS, Context

from ..adaptation.conftest import make_clip
from .conftest import make_snapshots, style_of


class Parts(HTMLParser):
    """The page's elements, links and headings; fails on tags that are closed in another order."""

    VOID = ("meta", "img", "input", "line", "rect", "circle", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.images, self.links, self.tags, self.said = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data"):
                (self.images if tag == "img" else self.links).append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)


@pytest.fixture(scope="module")
def small(module_store):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "PAIRS", 2)
        patch.setattr(report, "STRIP_ROWS", 1)
        patch.setattr(report, "MOST_SEAM_PICTURES", 16)
        yield make_report(module_store, "mossy", judge=make_clip(), timings={"seconds in all": 12.5})


@pytest.fixture(scope="module")
def module_store(tmp_path_factory, builtin_file):
    from latent_loom.backend.models.store import Store

    store = Store(tmp_path_factory.mktemp("data"), builtin=builtin_file)
    snapshots = make_snapshots(25, 50, 60)
    style = style_of(snapshots[1], generator=store.generator())
    store.library.add(style, snapshots, history={"loss": [1.0, 0.9, 0.8]})
    return store


def test_the_page_needs_nothing_beside_it(small):
    text = render_page(small)
    parts = Parts(text)
    assert parts.images and all(src.startswith("data:image/") for src in parts.images) and not parts.links
    assert not re.search(r"https?:|@import|url\(", text) and "script" not in parts.tags
    assert len(parts.images) == 2 * 2 + 4


def test_the_page_shows_every_part_of_a_run(small):
    headings = re.findall(r"<h2>(.*?)</h2>", render_page(small))
    assert headings == [
        "Before and after", "Measures", "Along the run", "Curves", "What else moved", "Settings", "Time",
        "Where it comes from",
    ]  # fmt: skip
    assert list(small.strip) == [0, 25, 50, 60]


def test_the_numbers_are_in_the_json_and_the_pictures_are_not(small):
    numbers = json.loads(to_json(small))
    assert numbers["measures"]["direction"] == 0.5 and numbers["timings"] == {"seconds in all": 12.5}
    assert [s["iterations"] for s in numbers["snapshots"]] == [25, 50, 60] and numbers["history"]["loss"][-1] == 0.8
    assert set(numbers["seam"]) == {"source", "adapted"} and numbers["seam_pictures"] == 16
    assert {"probe", "shift", "asked"} == set(numbers["bias"][0])


def test_texts_from_a_file_cannot_become_markup(small):
    evil = "<script>alert(1)</script>\"'"
    settings = {"judge": evil, evil: evil}
    info = replace(small.info, name=evil, source=evil, target=evil, licence=evil, clips=(evil,), settings=settings)
    text = render_page(replace(small, info=replace(info, measures={evil: 1.0}), notes=(evil,), timings={evil: evil}))
    assert "script" not in Parts(text).tags and "<script" not in text


def test_a_style_without_snapshots_or_a_judge_is_reported_on_with_what_is_known(module_store, monkeypatch):
    monkeypatch.setattr(report, "PAIRS", 1)
    style = style_of(make_snapshots(25)[0], "plain")
    settings = {"judge": "local-dir:/nowhere", "tile": "none"}
    module_store.add_style(replace(style, info=replace(style.info, settings=settings)), overwrite=True)
    made = make_report(module_store, "plain")
    assert made.strip == {} and made.bias == [] and made.seam == {} and "cannot be had" in made.notes[0]
    headings = re.findall(r"<h2>(.*?)</h2>", render_page(made))
    assert headings == ["Before and after", "Measures", "Settings", "Where it comes from"]


def test_the_request_writes_both_files_and_a_wrong_one_writes_none(module_store, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "render_page", lambda made: "page")
    monkeypatch.setattr(report, "make_report", lambda store, name, **_: None)
    monkeypatch.setattr(page, "to_json", lambda made: "{}")

    def ask(**params):
        return HANDLERS["report_style"](Context(store=module_store), params, {}, Job()).value

    value = ask(name="mossy", file=str(tmp_path / "out" / "m.html"))
    assert value["json"] == str(tmp_path / "out" / "m.json") and (tmp_path / "out" / "m.html").read_text() == "page"
    for params, error in (
        ({"name": "none"}, NotFound),
        ({"name": "mossy", "file": str(tmp_path / "m.pdf")}, BadRequest),
    ):
        with pytest.raises(error):
            ask(**{"file": str(tmp_path / "new" / "m.html"), **params})
    assert not (tmp_path / "new").exists()


def test_a_report_can_be_cancelled(module_store):
    with pytest.raises(Cancelled):
        make_report(module_store, "mossy", job=Job(cancelled=lambda: True))


def test_the_strip_of_a_long_run_is_thinned_with_the_chosen_state_in_it():
    shown = report._spread(range(25, 1025, 25), 175)
    assert len(shown) <= report.STRIP_COLUMNS + 1 and {25, 175, 1000} <= set(shown)
