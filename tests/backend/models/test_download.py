from __future__ import annotations

import hashlib
import random
import ssl
import threading
import urllib.error

import pytest
from latent_loom.backend.errors import (
    BadCheckpoint,
    BadRequest,
    Cancelled,
    CannotWrite,
    DownloadFailed,
    LoomError,
    NotFound,
)
from latent_loom.backend.job import Job
from latent_loom.backend.models import download as module
from latent_loom.backend.models import web
from latent_loom.backend.models.download import check_sha256, download, name_of

from .file_server import Server

CONTENT = random.Random(3).randbytes(300_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    server = Server()
    server.manners.content = CONTENT
    yield server
    server.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short waits, small steps, no proxy."""
    monkeypatch.setattr(module, "PAUSES_S", (0.01, 0.01))
    monkeypatch.setattr(module, "CHUNK", 10_000)
    monkeypatch.setattr(module, "REPORT_S", 0.0)
    monkeypatch.setattr(web, "SILENCE_S", 5.0)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def fetch(server, tmp_path):
    """fetch(path="/models/ffhq.pkl", **settings) -> bytes of what came."""

    def call(path: str = "/models/ffhq.pkl", *, job: Job | None = None, **settings) -> bytes:
        found = download(server.url(path), tmp_path / "downloads", job=job or Job(), **settings)
        assert found.parent.parent == tmp_path / "downloads"
        return found.read_bytes()

    return call


def stopping_after(reports: int) -> Job:
    """A job that is cancelled after so many reports."""
    seen: list[int] = []
    return Job(report=lambda progress: seen.append(progress.done), cancelled=lambda: len(seen) >= reports)


def test_a_file_arrives_whole_with_its_name_progress_and_hash(server, tmp_path):
    seen = []
    found = download(server.url(), tmp_path, sha256=HASH, job=Job(report=seen.append))
    assert found.name == "ffhq.pkl" and found.read_bytes() == CONTENT
    assert {(p.total, p.stage) for p in seen} == {(1, "downloading (MB)")}


def test_a_broken_connection_is_taken_up_again_where_it_broke(server, fetch):
    server.manners.breaks = [100_000, 50_000]
    assert fetch() == CONTENT
    assert server.manners.asked == [(None, None), ("bytes=100000-", '"1"'), ("bytes=150000-", '"1"')]


def test_a_cancelled_download_goes_on_at_the_next_call(server, fetch):
    with pytest.raises(Cancelled, match=r"Stopped at 0 of 0 MB; the same import goes on from there\."):
        fetch(job=stopping_after(4))
    assert fetch(sha256=HASH) == CONTENT
    at = int(server.manners.asked[-1][0].removeprefix("bytes=").removesuffix("-"))
    assert 0 < at < len(CONTENT)


def test_an_address_that_breaks_too_often_is_told_and_what_came_is_kept(server, fetch):
    server.manners.breaks = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed, match=r"ended early.*What came so far is kept"):
        fetch()
    server.manners.breaks = []
    assert fetch() == CONTENT
    assert server.manners.asked[-1] == ("bytes=100000-", '"1"')


@pytest.mark.parametrize("manners", [{"etag": None, "modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, {"etag": 'W/"1"'}])
def test_the_date_serves_where_there_is_no_strong_tag_and_nothing_else_does(server, fetch, manners):
    vars(server.manners).update(manners, breaks=[100_000])
    assert fetch() == CONTENT
    known = server.manners.modified
    assert server.manners.asked[1] == (("bytes=100000-", known) if known else (None, None))


@pytest.mark.parametrize(
    "manners",
    [
        {"ranges": False},
        {"etag": None},
        {"length": False},
        {"chunked": True},
        {"starts_at": 7},
        {"headers": {"Content-Encoding": "identity"}},
    ],
    ids=str,
)
def test_servers_of_every_kind_give_the_whole_file(server, fetch, manners):
    vars(server.manners).update(manners, breaks=[100_000] if manners != {"length": False} else [])
    assert fetch(sha256=HASH) == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server, fetch):
    server.manners.breaks = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch()
    vars(server.manners).update(content=CONTENT[::-1], etag='"2"', breaks=[])
    assert fetch() == CONTENT[::-1]


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT[:50_000]])
def test_a_server_that_ignores_if_range_is_seen_through(server, fetch, content):
    server.manners.breaks = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch()
    vars(server.manners).update(content=content, etag='"2"', breaks=[], ignores_if_range=True)
    assert fetch() == content


def test_a_range_that_the_server_no_longer_has_begins_anew(server, fetch):
    server.manners.breaks = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch()
    server.manners.status, server.manners.breaks = 416, []
    with pytest.raises(DownloadFailed, match="416"):
        fetch()
    assert [asked[0] for asked in server.manners.asked[-2:]] == ["bytes=100000-", None]
    server.manners.status = 200
    assert fetch() == CONTENT


def test_redirects_are_followed_and_circles_are_told(server, fetch):
    assert fetch("/from-redirect/x.pkl") == CONTENT
    with pytest.raises(DownloadFailed, match="around in circles"):
        fetch("/in-circles/x.pkl")


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://127.0.0.1/"])
def test_redirects_to_other_schemes_are_refused(server, fetch, place):
    vars(server.manners).update(status=302, headers={"Location": place})
    with pytest.raises(LoomError, match=r"which is not https|around in circles"):
        fetch()


def test_a_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://example.org/x")
    with pytest.raises(DownloadFailed, match=r"which is not https"):
        web._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/x")


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (404, NotFound, "has no file at this address"),
        (410, NotFound, "has no file at this address"),
        (401, DownloadFailed, "without a login"),
        (403, DownloadFailed, "without a login"),
        (400, DownloadFailed, "refuses the request"),
        (204, DownloadFailed, "answers 204 and no file"),
        (429, DownloadFailed, "cannot give the file now"),
        (500, DownloadFailed, "cannot give the file now"),
        (503, DownloadFailed, "cannot give the file now"),
        (304, DownloadFailed, "in circles"),
    ],
)
def test_every_refusal_is_a_sentence(server, fetch, status, kind, sentence):
    server.manners.status = status
    with pytest.raises(kind, match=sentence) as caught:
        fetch()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert len(server.manners.asked) == 1  # an address that never answered is not asked again


def test_nobody_listening_an_unknown_host_and_a_false_certificate_are_sentences(server, tmp_path, monkeypatch):
    server.close()
    with pytest.raises(
        DownloadFailed, match=r"There is no connection to 127.0.0.1 .*check the address and the network"
    ):
        download(server.url(), tmp_path, job=Job())
    with pytest.raises(DownloadFailed, match=r"There is no connection to no-such-host.invalid"):
        download("https://no-such-host.invalid/x.pkl", tmp_path, job=Job())

    class Opener:
        def open(self, *args, **settings):
            error = ssl.SSLCertVerificationError()
            error.verify_message = "self-signed certificate"
            raise urllib.error.URLError(error)

    monkeypatch.setattr(web, "_opener", Opener)
    with pytest.raises(DownloadFailed, match=r"cannot prove that it is example.org \(self-signed certificate\)"):
        download("https://example.org/x.pkl", tmp_path, job=Job())


def test_an_address_of_which_nothing_came_leaves_nothing_behind(server, fetch, tmp_path):
    server.manners.status = 404
    with pytest.raises(NotFound):
        fetch()
    assert not list((tmp_path / "downloads").iterdir())


def test_a_server_that_falls_silent_is_given_up(server, fetch, monkeypatch):
    monkeypatch.setattr(web, "SILENCE_S", 0.2)
    vars(server.manners).update(length=True, content=CONTENT, breaks=[50_000, 0, 0, 0], on_body=threading.Event())
    with pytest.raises(DownloadFailed, match="broke off"):
        fetch()
    server.manners.on_body.set()
    vars(server.manners).update(on_body=None, breaks=[])
    assert fetch() == CONTENT


def test_another_hash_is_refused_and_the_file_is_deleted(fetch, tmp_path):
    with pytest.raises(BadCheckpoint, match=r"ffhq\.pkl has the SHA-256 .* nothing was imported"):
        fetch(sha256="0" * 64)
    assert not list((tmp_path / "downloads").iterdir())


@pytest.mark.parametrize("manners", [{}, {"length": False}, {"chunked": True}])
def test_a_file_larger_than_any_generator_is_not_kept(server, fetch, tmp_path, manners):
    vars(server.manners).update(manners)
    with pytest.raises(DownloadFailed, match="more than"):
        fetch(limit=100_000)
    assert not list((tmp_path / "downloads").iterdir())


def test_a_file_larger_than_the_disk_is_not_begun(server, fetch, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(CannotWrite, match="free some space"):
        fetch()


def test_a_folder_that_cannot_be_written_is_a_sentence(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="choose another data folder"):
        download(server.url(), tmp_path / "file" / "below", job=Job())


def test_two_imports_of_one_file_do_not_mix(server, fetch):
    held, began, first = threading.Event(), threading.Event(), []
    vars(server.manners).update(on_body=held, length=False)  # the end of the body is the end of the connection
    thread = threading.Thread(target=lambda: first.append(fetch(job=Job(report=lambda progress: began.set()))))
    thread.start()
    assert began.wait(10)
    with pytest.raises(DownloadFailed, match="being fetched already"):
        fetch()
    held.set()
    thread.join(10)
    assert first == [CONTENT]


def test_what_was_whole_already_is_not_fetched_again(server, fetch):
    fetch()
    assert fetch(sha256=HASH) == CONTENT
    assert len(server.manners.asked) == 1


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '{"validator": 3, "total": 3}', '{"validator": "x", "total": "y"}']
)
def test_a_damaged_note_begins_anew(server, fetch, tmp_path, text):
    server.manners.breaks = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch()
    (note,) = (tmp_path / "downloads").glob("*/resume.json")
    note.write_text(text)
    server.manners.breaks = []
    assert fetch(sha256=HASH) == CONTENT


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/x.pkl", "/etc/passwd", "example.org/x.pkl", "https://", "http:///x.pkl",
        "https://example.org:port/x.pkl", "https://example.org/x y.pkl", "https://example.org/\n", "https://[::1/x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anything(tmp_path, url):
    with pytest.raises(BadRequest, match=r"is no address of a file; give one that begins with https"):
        download(url, tmp_path / "never", job=Job())
    assert not list(tmp_path.iterdir())


def test_a_password_in_an_address_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="holds a user name"):
        download("https://me:secret@example.org/x.pkl", tmp_path, job=Job())


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x.org/a/ffhq.pkl?download=1", "ffhq.pkl"),
        ("https://x.org/a%20b/my%20model.pt#top", "my-model.pt"),
        ("https://x.org/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://x.org/%2e%2e", "download"),
        ("https://x.org/", "download"),
        ("https://x.org/" + "a" * 300, "a" * 80),
        ("https://x.org/käse.pkl", "k-se.pkl"),
    ],
)
def test_the_files_name_has_nothing_that_a_file_system_minds(url, name):
    assert name_of(url) == name


def test_letters_beyond_ascii_travel_escaped():
    assert web._ascii("https://bücher.example/a b/käse%20x.pkl?q=ä#top") == (
        "https://xn--bcher-kva.example/a%20b/k%C3%A4se%20x.pkl?q=%C3%A4"
    )


def test_a_sha256_is_checked_for_its_form():
    assert check_sha256("A" * 64) == "a" * 64
    for text in ("", "a" * 63, "g" * 64, "a" * 65):
        with pytest.raises(BadRequest, match="64 hexadecimal digits"):
            check_sha256(text)
