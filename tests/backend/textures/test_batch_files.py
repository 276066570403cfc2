"""The three forms of batch files, names of files, and a manifest as a batch file."""

from __future__ import annotations

import json
import shutil

import pytest
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.textures.batch import BatchSettings
from latent_loom.backend.textures.batch_run import run_batch

TOML = """
[defaults]
size = 32
[[items]]
name = "moss"
style = ["mossy:0.8", "snowy"]
seeds = "0-1"
psi = 0.5
[[items]]
name = "plain"
seeds = "4"
maps = ["color", "height"]
"""
CSV = 'name,style,seeds,psi,maps,size\nmoss,mossy:0.8;snowy,0-1,0.5,,32\nplain,,"4",,"color,height",32\n'
JSON_LINES = """{"defaults": {"size": 32}}
{"name": "moss", "style": ["mossy:0.8", "snowy"], "seeds": "0-1", "psi": 0.5}

{"name": "plain", "seeds": [4], "maps": "color,height"}
"""


CELLS = """name,each,seeds,strengths,naming
a,mossy;snowy:0.5,0-2;7,,{style}/{seed}
b,mossy,3;4,0.5;1,
"""


def read(tmp_path, text, name="jobs.toml") -> BatchSettings:
    path = tmp_path / name
    path.write_text(text)
    return BatchSettings.from_file(path)


def test_the_three_forms_say_the_same(tmp_path):
    toml = read(tmp_path, TOML)
    assert read(tmp_path, CSV, "jobs.csv") == toml == read(tmp_path, JSON_LINES, "jobs.jsonl")


def test_a_cell_of_a_csv_file_holds_one_value_or_several(tmp_path):
    several = read(tmp_path, CELLS, "jobs.csv")
    assert [(item.settings.styles, item.settings.seeds) for item in several.items] == [
        ((("mossy", 1.0),), (0, 1, 2, 7)), ((("snowy", 0.5),), (0, 1, 2, 7)), ((("mossy", 1.0),), (3, 4)),
    ]  # fmt: skip
    assert several.items[2].settings.strengths == (0.5, 1.0)


def test_lists_of_sizes_and_styles_make_an_item_each_and_naming_makes_folders(tmp_path):
    text = '[[items]]\nname="m"\nseeds="0-1"\nsizes=[32, "48x32"]\neach=["mossy", "snowy:0.5"]\n'
    text += 'naming="{style}/{name}-{size}-{seed:04}_{map}"\n'
    files = list(read(tmp_path, text).files)
    assert len(files) == 8
    assert files[0] == "mossy/m-32x32-0000_color.png" and files[-1] == "snowy/m-48x32-0001_color.png"


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("jobs.csv", "name,seds\na,1\n", r"jobs.csv, line 2: \[\[items\]\] 1 has an unknown key 'seds'"),
        ("jobs.csv", "name,seeds\na,1\nb,2,3\n", "line 3: there are 3 cells and 2 keys"),
        ("jobs.csv", "name,psi\na,much\n", "line 2: .*psi: 'much' is not a number"),
        ("jobs.csv", 'name,psi\n"a,1\n', "not CSV"),
        ("jobs.jsonl", '{"name": "a"}\n{"name": 3}\n', r"jobs.jsonl, line 2: \[\[items\]\] 2, name: 3 is not text"),
        ("jobs.jsonl", '{"name": "a"}\n{"name"\n', "line 2: this is not JSON"),
        ("jobs.jsonl", "[1]\n", "line 1: every line must be a JSON object"),
        ("jobs.jsonl", '{"sha256": "0", "version": 1}\n', "line 1: .*not a manifest's record"),
        ("jobs.jsonl", '{"sha256": "0", "version": 9}\n', "line 1: .*another version"),
        ("jobs.yaml", "items: 3", "must end in .toml, .csv, .jsonl"),
        ("jobs.toml", '[[items]]\nname = "a"\npsi = 9\n', r"line 3: \[\[items\]\] 1: The truncation psi is 9"),
        ("jobs.toml", '[defaults]\npsi = 9\n[[items]]\npsi = 1\n[[items]]\n', r"line 2: \[\[items\]\] 2: The trunc"),
        ("jobs.toml", '[[items]]\nname = "a"\nformats = ["png", "gif"]', r"line 3: .*no format 'gif'"),
        ("jobs.toml", '[[items]]\nnaming = "../{seed}"', r"line 2: .*'\.\.' cannot start a file name"),
        ("jobs.toml", '[[adapt]]\nname="a"\n[[adapt]]\nname="a"', r"line 4: \[\[adapt\]\] 2 .*'a' a second time"),
        ("jobs.toml", '[[items]]\neach=["a", "b"]\nnaming="{seed}-{style}"\n[[items]]\nnaming="0-b"',
         "line 4: Items 1 and 2 would both"),
        ("jobs.toml", '[[items]]\nnaming = "/{seed}"', "cannot start a file name"),
        ("jobs.toml", '[[items]]\nnaming = "C:\\\\{seed}"', "cannot start a file name"),
        ("jobs.toml", '[[items]]\nnaming = "{sed}"', r"line 2: .*unknown field \{sed\}"),
        ("jobs.toml", '[[items]]\nnaming = "{seed.__class__}"', "unknown field"),
        ("jobs.toml", '[[items]]\nnaming = "{seed"', "cannot be read"),
        ("jobs.toml", '[[items]]\nnaming = "one"\nseeds = "0-1"', "Item 1 would write 'one.png' for more than one"),
        ("jobs.toml", '[[items]]\nsizes = [32, 48]\nname = "a"', "would write 'a-0_color.png' for more.*naming"),
        ("jobs.toml", '[[items]]\nname="a"\nnaming="{name}"\n[[items]]\nnaming="a.png/{seed}"', "a file and a folder"),
        ("jobs.toml", '[[items]]\nsizes = 32', "is not a list"),
        ("jobs.toml", 'adapt = 3\n[[items]]', "line 1: The batch's adapt must be a list"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_line(tmp_path, name, text, sentence):
    with pytest.raises(BadRequest, match=sentence):
        read(tmp_path, text, name)


def test_a_manifest_is_a_batch_file_that_makes_the_same_bytes(store, tmp_path):
    text = '[defaults]\nsize=32\nmaps="all"\nrelief=2\n[[items]]\nname="moss"\nstyle="mossy:0.8"\nseeds=[3]\npsi=0.5\n'
    text += 'normal="directx"\nmaterial="metal"\nmix=["7@2"]\ndirections=["d0:2"]\nnoise_seed=4\n'
    text += '[[items]]\nname="strip"\nstyle="snowy"\nseeds=[1,1]\nstrengths=[0.5,1]\nformat="webp"\n'
    first = run_batch(store, read(tmp_path, text), tmp_path / "a")
    again = run_batch(store, BatchSettings.from_file(first.manifest), tmp_path / "b")
    assert again.failed == [] and again.written == first.written == 18
    for path in (tmp_path / "a").glob("*.[pw]*"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    lines = [path.read_text().splitlines() for path in (first.manifest, again.manifest)]
    assert [_plain(line) for line in lines[0]] == [_plain(line) for line in lines[1]]


def _plain(line: str) -> dict:
    return {key: value for key, value in json.loads(line).items() if key != "repeat"}


def test_whatever_a_texture_can_be_told_can_be_written_in_a_batch():
    from dataclasses import fields

    from latent_loom.backend.textures.batch import ITEM_KEYS
    from latent_loom.backend.textures.generate import GenerateSettings

    spelt = {"styles": "style"}
    assert {spelt.get(f.name, f.name) for f in fields(GenerateSettings)} <= set(ITEM_KEYS)


def test_a_line_whose_style_is_another_one_now_fails_in_a_sentence(store, tmp_path):
    from .conftest import make_style

    first = run_batch(store, read(tmp_path, '[[items]]\nsize=32\nstyle="mossy"\n'), tmp_path / "a")
    store.add_style(make_style("mossy", size=2.0), overwrite=True)
    again = run_batch(store, BatchSettings.from_file(first.manifest), tmp_path / "b")
    assert again.written == 0 and "The style is not the one" in again.failed[0]["message"]


def test_resume_trusts_size_and_time_and_verify_reads_every_file(store, tmp_path):
    import os

    jobs = read(tmp_path, '[[items]]\nsize=32\nseeds="0-2"\nname="a"\n')
    out = tmp_path / "out"
    run_batch(store, jobs, out)
    path = out / "a-1_color.png"
    before = path.stat().st_mtime_ns - 10**9
    path.write_bytes(path.read_bytes()[:-20] + b"\0" * 20)
    os.utime(path, ns=(before, before))  # of the same size, and older than the manifest: nobody could tell
    assert run_batch(store, jobs, out, resume=True).written == 0
    assert run_batch(store, jobs, out, resume=True, verify=True).written == 1
    shutil.copytree(out, tmp_path / "copy", copy_function=shutil.copyfile)
    assert run_batch(store, jobs, tmp_path / "copy", resume=True).written == 0
