"""The metrics file, read as Prometheus reads it."""

import re
import time
from types import SimpleNamespace

from latent_loom.backend.service.metrics import Exposition
from latent_loom.backend.service.tally import Tally

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+-]+|\+Inf|NaN)')


def exposition(tally, file=None):
    return Exposition(file, tally, SimpleNamespace(refused=3), SimpleNamespace(shut_out=2))


def samples(text):
    """(name, labels) -> value; every line must be a comment or a sample."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(
                r"# (HELP latent_loom_[a-z_]+ .+|TYPE latent_loom_[a-z_]+ (gauge|counter|histogram))", line
            )
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert (match[1], match[2] or "") not in found
        found[match[1], match[2] or ""] = float(match[3])
    return found


def test_requests_are_counted_by_their_end():
    tally = Tally()
    tally.end("generate", "done", 0.5)
    tally.end("generate", "done", 30.0)
    tally.end("generate", "superseded", None)
    found = samples(exposition(tally).text())
    assert found["latent_loom_requests_total", 'type="generate",outcome="done"'] == 2
    assert found["latent_loom_requests_total", 'type="generate",outcome="superseded"'] == 1
    assert found["latent_loom_refused_connections_total", 'by="porch"'] == 2
    assert found["latent_loom_resident_bytes", ""] > 2**20


def test_durations_are_a_histogram_that_grows_to_its_count():
    tally = Tally()
    for seconds in (0.05, 0.5, 30.0, 9000.0):
        tally.end("adapt", "done", seconds)
    found = samples(exposition(tally).text())
    buckets = [v for (name, labels), v in found.items() if name.endswith("_bucket") and 'type="adapt"' in labels]
    assert buckets == [1, 2, 2, 3, 3, 3, 4]
    assert found["latent_loom_job_seconds_count", 'type="adapt"'] == 4
    assert found["latent_loom_job_seconds_sum", 'type="adapt"'] == 9030.55


def test_the_file_is_written_at_once_and_a_disk_that_refuses_ends_nothing(tmp_path):
    with exposition(Tally(), tmp_path / "loom.prom"):
        until = time.monotonic() + 30
        while not (tmp_path / "loom.prom").exists() and time.monotonic() < until:
            time.sleep(0.01)
    assert samples((tmp_path / "loom.prom").read_text())
    with exposition(Tally(), tmp_path / "loom.prom" / "below-a-file"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["loom.prom"]
