import json
import logging

import pytest
from latent_loom.backend.service import journal
from latent_loom.backend.service.journal import about
from latent_loom.backend.service.quiet import Seldom


@pytest.fixture
def logger():
    made = logging.getLogger("tests.journal")
    yield made
    for handler in made.handlers:
        handler.close()
    made.handlers[:] = []


def test_a_line_in_a_file_is_one_json_object_with_its_fields(logger, tmp_path):
    journal.tell(logger, tmp_path / "new" / "log.jsonl")
    logger.info("job %d ended", 7, extra=about("job_ended", id=7, type="generate", seconds=0.25))
    line = json.loads((tmp_path / "new" / "log.jsonl").read_text())
    assert line.pop("time").endswith("Z") and line.pop("thread")
    assert line == {
        "level": "info", "message": "job 7 ended", "event": "job_ended", "id": 7, "type": "generate", "seconds": 0.25,
    }  # fmt: skip


def test_a_name_with_line_ends_makes_no_second_line_and_no_move_of_the_cursor(logger, tmp_path, capsys):
    evil = "x\n2026 INFO all is well\x1b[2J\u2028"
    journal.tell(logger, tmp_path / "log.jsonl")
    logger.info("client %s", evil, extra=about("client_joined", name=evil))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
    journal.tell(logger, None)
    logger.info("client %s", evil)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "\x1b" not in said


def test_a_traceback_is_part_of_its_line(logger, tmp_path):
    journal.tell(logger, tmp_path / "log.jsonl")
    try:
        raise ZeroDivisionError("here")
    except ZeroDivisionError:
        logger.exception("failed")
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert "ZeroDivisionError: here" in line["traceback"]


def test_a_full_file_is_turned_over_and_the_oldest_goes(logger, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "FILE_BYTES", 2000)
    journal.tell(logger, tmp_path / "log.jsonl")
    for number in range(200):
        logger.info("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + journal.OLD_FILES
    assert all(file.stat().st_size <= 2000 for file in files)
    assert "line 199" in (tmp_path / "log.jsonl").read_text()


def test_what_strangers_cause_is_told_once_a_second_with_a_count():
    seldom = Seldom()
    assert [seldom.tells(now) for now in (0.0, 0.1, 0.2, 1.5, 1.6)] == [1, 0, 0, 3, 0]
