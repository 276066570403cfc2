from latent_loom.backend.cli import top
from latent_loom.backend.service.handlers import idle_status

BUSY = idle_status() | {
    "state": "busy", "device": "cpu, 2 threads", "queued": 1, "uptime_s": 93784.0, "resident_mib": 801.4,
    "ended": {"done": 40, "cancelled": 2}, "refused": 3,
    "jobs": [
        {"id": 7, "type": "adapt", "stage": "adapt", "done": 25, "total": 100, "client": "4c0f3a91",
         "state": "running", "seconds": 61.0, "eta_s": 183.2},
        {"id": 8, "type": "generate", "stage": "", "done": 0, "total": 0, "client": "4c0f3a91",
         "state": "queued", "seconds": 2.0, "eta_s": None},
    ],
    "clients": [{"client": "4c0f3a91", "name": "evil\x1b[2J\n", "version": "0", "user": "owner", "pending": 2,
                 "seconds": 400.0}],
}  # fmt: skip


def test_a_busy_backend_is_told_in_lines():
    lines = list(top.view(BUSY))
    assert lines[0].endswith("busy, 1 waiting, up 1 d 2 h")
    assert lines[1] == "cpu, 2 threads; memory 801 MiB"
    assert "ended: 40 done, 2 cancelled" in lines and "3 connections refused" in lines
    running = next(line for line in lines if "adapt" in line)
    assert all(part in running for part in ("7", "running", "1:01", "25/100", "3:03"))


def test_a_name_from_outside_does_not_move_the_cursor():
    text = "\n".join(top.view(BUSY))
    assert "\x1b" not in text and "evil?[2J?" in text


def test_the_status_of_an_older_backend_is_shown_as_far_as_it_goes():
    old = {"state": "idle", "device": "cpu", "memory_mib": 1, "jobs": [], "queued": 0, "version": "0"}
    assert next(iter(top.view(old))) == "latent-loom 0, idle, 0 waiting"


def test_times_are_spelled_for_people():
    assert [top.spell_s(s) for s in (7.9, 187, 7387, 93784)] == ["7 s", "3:07", "2:03:07", "1 d 2 h"]
