"""Folders, provenance, jobs and troubles: the plain modules that hold one thing each."""

import os
import subprocess
import sys

import pytest
from loom_extension.addon import folders, provenance, troubles
from loom_extension.addon.job import Job, duration
from loom_extension.addon.params import BadInput


def test_results_go_where_the_artist_says_else_beside_the_file_else_to_our_own_data(tmp_path):
    own = tmp_path / "own"
    assert folders.output_root("/chosen", "/scene/a.blend", own).as_posix() == "/chosen"
    assert folders.output_root("", "/scene/a.blend", own).as_posix() == "/scene/loom_textures"
    assert folders.output_root("", "", own) == own / "textures"


def test_a_folder_that_cannot_be_made_is_refused_with_advice(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="choose another output folder"):
        folders.ready(tmp_path / "file" / "below")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused_with_advice(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match="cannot be written"):
        folders.ready(tmp_path)


def test_a_folder_in_use_gets_a_neighbour_and_an_empty_one_is_taken(tmp_path):
    walk = tmp_path / "walk"
    assert folders.fresh(walk) == walk
    walk.mkdir()
    assert folders.fresh(walk) == walk
    (walk / "frame-0001.png").write_text("")
    assert folders.fresh(walk) == tmp_path / "walk-2"


def test_every_blender_has_a_run_folder_of_its_own_and_old_ones_go(tmp_path):
    other, old = folders.run_folder(tmp_path, 1), folders.run_folder(tmp_path, 2)
    os.utime(old, (0, 0))
    own = folders.run_folder(tmp_path, 3)
    assert own != other and sorted(tmp_path.iterdir()) == [other, own]


def test_provenance_comes_back_as_it_was_written():
    record = provenance.describe("generate", {"seeds": [3], "generator": "böden"}, version="1.2.3", map="color")
    assert provenance.recall(provenance.dump(record)) == record


@pytest.mark.parametrize("text", [None, 7, "", "{", "[]", '{"params": 3}', '{"kind": "generate"}'])
def test_what_is_no_provenance_of_ours_is_none(text):
    assert provenance.recall(text) is None


def test_two_results_have_identities_of_their_own():
    first, second = (provenance.describe("walk", {}, version="")["uuid"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3900, "1 h 5 min")]
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_a_job_s_line_says_stage_count_and_time_left():
    job = Job(id=1, type="adapt", title="Adapting")
    assert job.line() == "Adapting" and job.fraction == 0.0
    job.stage, job.done, job.total, job.eta_s = "training", 30, 120, 8.0
    assert job.line() == "Training 30/120 · 8 s left" and job.fraction == 0.25
    job.stage = "adapt"  # the backend's word for it
    assert job.line().startswith("Training 30/120")
    job.cancelling = True
    assert job.line() == "Cancelling…"


def test_a_trouble_is_a_sentence_whatever_it_was_made_of():
    assert troubles.trouble("no\n  such thing").sentence == "No such thing."
    assert troubles.trouble("").sentence == "Something went wrong."


def test_a_lost_backend_offers_to_start_it_again():
    assert troubles.from_code("backend_lost", "it died").mend == "loom.backend_start"
    assert troubles.from_code("bad_prompt", "empty prompt").mend == ""


def test_the_plain_modules_load_neither_bpy_nor_torch_nor_zmq_by_themselves():
    names = "catalogues child folders job params picture_cache pixels provenance setup troubles variations"
    code = (
        "import sys, importlib\n"
        f"for name in {names.split()!r}: importlib.import_module('loom_extension.addon.' + name)\n"
        "print(sorted({'bpy', 'torch', 'zmq'} & set(sys.modules)))"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
