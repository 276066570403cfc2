"""Where the paths of requests may lead; every handler that takes one is held against it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from latent_loom.backend.errors import BadRequest, Forbidden
from latent_loom.backend.job import Job
from latent_loom.backend.models.store import Store
from latent_loom.backend.roots import Roots, allowed, within
from latent_loom.backend.service.handlers import HANDLERS, Context
from latent_loom.protocol.requests import REQUESTS

PATHS = {"file", "out", "images", "source_images", "report", "folder", "blender", "addon"}
"""Parameters that are paths, in SPEC.md."""

NAMES = {"url", "name", "new_name", "clip", "clips", "jobs"}
"""What is none, though it leads somewhere: an address, names in the store, a CLIP (tested below), a batch's items."""


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path) -> Path:
    file = tmp_path / "outside.toml"
    file.write_text("secret")
    return file


def test_what_lies_below_a_root_is_allowed_and_comes_back_resolved(root):
    assert Roots(folders=(root,)).resolve(root / "a" / ".." / "b.png") == (root / "b.png").resolve()


@pytest.mark.parametrize("way", ["{root}/../outside.toml", "{root}/link", "{root}/folder/outside.toml", "/etc/passwd"])
def test_no_way_leads_out_of_a_root(root, outside, way):
    (root / "link").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    with pytest.raises(Forbidden, match="outside the folders"):
        Roots(folders=(root,)).resolve(Path(way.format(root=root)))


def test_a_folder_that_begins_with_a_roots_name_is_not_below_it(root):
    with pytest.raises(Forbidden):
        Roots(folders=(root,)).resolve(root.with_name("root-of-another") / "x")


def test_a_root_may_itself_be_a_link(root, tmp_path):
    (tmp_path / "short").symlink_to(root)
    assert Roots(folders=(tmp_path / "short",)).resolve(tmp_path / "short" / "x") == root.resolve() / "x"


def test_secrets_are_closed_by_every_way_to_them(root, tmp_path):
    secret = root / "keys"
    secret.mkdir()
    (tmp_path / "harmless").symlink_to(secret / "server.json")
    for path in (secret, secret / "server.json", tmp_path / "harmless"):
        with pytest.raises(Forbidden, match="belongs to the backend"):
            Roots(secret=(secret,)).resolve(path)


def test_pipes_devices_and_relative_paths_are_refused(root):
    os.mkfifo(root / "pipe")
    for path in (root / "pipe", Path("/dev/zero"), Path("relative/x.png")):
        with pytest.raises(BadRequest):
            Roots().resolve(path)


def test_a_loop_of_links_is_a_sentence(root):
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    Roots(folders=(root,)).resolve(root / "a")  # opening it says what is wrong


def test_on_the_command_line_no_path_is_changed():
    assert allowed(Path("x/../y")) == Path("x/../y")


def test_every_path_in_the_specification_is_known_here():
    known = {name for request in REQUESTS.values() for name in (*request.required, *request.optional)}
    suspicious = {n for n in known if any(word in n for word in ("file", "path", "folder", "dir", "out", "image"))}
    assert suspicious <= PATHS | {"image_weight", "layout", "directional", "directions", "key_directions", "in_domain"}
    assert known >= PATHS - {"source_images"} and known >= NAMES


def asked() -> list[tuple[str, str, dict]]:
    """(request, parameter, all its parameters) for every parameter that is a path."""
    other = {"name": "x", "styles": [["s", 1.0]], "file": "{root}/x.html", "out": "{root}/o", "folder": "{root}/f"}
    found = []
    for request in REQUESTS.values():
        for parameter in (*request.required, *request.optional):
            if parameter not in PATHS or request.name not in HANDLERS:
                continue
            params = {name: other[name] for name in request.required if name in other}
            found.append((request.name, parameter, params))
    return found


@pytest.mark.parametrize(("request_name", "parameter", "params"), asked(), ids=lambda value: str(value)[:20])
def test_every_handler_holds_its_paths_against_the_roots(request_name, parameter, params, root, outside, tmp_path):
    context = Context(store=Store(tmp_path / "data"))
    filled = {n: v.format(root=root) if isinstance(v, str) else v for n, v in params.items()}
    several = parameter.endswith("images") and request_name != "train_generator"  # there it is a folder
    filled[parameter] = [str(outside)] if several else str(outside)
    if request_name == "report_style":
        filled["file"] = str(outside.with_suffix(".html"))
    before = sorted(tmp_path.rglob("*"))
    with within(Roots(folders=(root,))), pytest.raises(Forbidden, match="outside the folders"):
        HANDLERS[request_name](context, filled, {}, Job())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_batch_file_may_not_name_pictures_outside(root, outside, tmp_path):
    entry = f'[[adapt]]\nname = "m"\nimages = ["{outside}"]\n[[items]]\nseeds = "1"\nname = "a"\n'
    (root / "jobs.toml").write_text(entry)
    params = {"out": str(root / "o"), "file": str(root / "jobs.toml")}
    with within(Roots(folders=(root,))), pytest.raises((BadRequest, Forbidden), match="outside the folders"):
        HANDLERS["batch"](Context(store=Store(tmp_path / "data")), params, {}, Job())


def test_a_clip_in_a_folder_is_a_path_too(root, tmp_path):
    from latent_loom.backend.adaptation.clip import load_clip

    with within(Roots(folders=(root,))), pytest.raises(Forbidden):
        load_clip(f"local-dir:{tmp_path}")
