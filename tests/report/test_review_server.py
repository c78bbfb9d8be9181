"""The review server: what it serves, to whom, and what becomes of the verdicts."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from anomaly.report.render import compose
from anomaly.scores.verdicts import read_verdicts
from anomaly.storage import Root, open_root
from anomaly.verbs.review import ReviewServer
from tests.report.conftest import Scanned, needs_browser, wait_until

ARCHIVE = "site & co"


@dataclass
class Visitor:
    """Somebody who talks to the server as no browser would."""

    server: ReviewServer
    base: str = field(init=False)

    def __post_init__(self) -> None:
        self.base = f"/{self.server.token}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        connection.putrequest(
            method, path, skip_host="Host" in headers, skip_accept_encoding=True
        )
        if body is not None and "Content_Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        return connection.getresponse()

    def give(self, record: Any, **headers: str) -> HTTPResponse:
        usual = {"Origin": self.server.origins[0], "Content_Type": "application/json"}
        body = record if isinstance(record, bytes) else json.dumps(record).encode()
        return self.ask("POST", f"{self.base}/verdicts", body, **{**usual, **headers})


@pytest.fixture
def root(scanned: Scanned, tmp_path: Path) -> Root:
    shutil.copytree(scanned.root.url, tmp_path / "root")
    return open_root(str(tmp_path / "root"))


@pytest.fixture
def server(root: Root) -> Iterator[ReviewServer]:
    def page(address: str) -> str:
        return compose(root, ARCHIVE, "knn-1", review=address)

    with ReviewServer(root, ARCHIVE, "knn-1", page) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def visitor(server: ReviewServer) -> Visitor:
    return Visitor(server)


def record(server: ReviewServer, **change: Any) -> dict[str, Any]:
    return {
        "event_id": "0123456789abcdef",
        "archive": ARCHIVE,
        "camera": "entrance",
        "video": "entrance/1.mp4",
        "start_seconds": 1.0,
        "stop_seconds": 2.5,
        "verdict": "real",
        "note": "a <b>fox</b>",
        "decided_at": "2026-03-03T07:00:00.000Z",
        **change,
    }


def media(root: Root, ending: str) -> str:
    return next(key for key in root.keys("media") if key.endswith(ending))


def path_of(key: str) -> str:
    """How a page's link asks for a key."""
    return quote(key)


def test_the_page_may_talk_to_its_server_alone_and_says_where_verdicts_go(
    server: ReviewServer, visitor: Visitor
) -> None:
    answer = visitor.ask("GET", urlsplit(server.url).path)
    text = answer.read().decode()
    assert answer.status == 200
    assert f'<meta name="review" content="/{server.token}/verdicts">' in text
    assert "connect-src &#39;self&#39;" in text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Python" not in answer.headers["Server"]


def test_a_verdict_is_stored_at_once_and_shown_when_the_page_is_loaded_again(
    server: ReviewServer, visitor: Visitor, root: Root
) -> None:
    assert visitor.give(record(server)).status == 204
    (stored,) = read_verdicts(root, ARCHIVE).values()
    assert (stored.verdict, stored.note) == ("real", "a <b>fox</b>")
    assert server.taken == 1
    assert visitor.give(record(server)).status == 204
    assert len(read_verdicts(root, ARCHIVE)) == 1


def test_many_verdicts_at_once_are_all_stored(visitor: Visitor, root: Root) -> None:
    def give(number: int) -> None:
        answers.append(visitor.give(record(visitor.server, event_id=f"{number:016x}")).status)

    answers: list[int] = []
    threads = [threading.Thread(target=give, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [204] * 24
    assert len(read_verdicts(root, ARCHIVE)) == 24


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"verdict": "maybe"}, 400, "'real', 'false' or 'unsure'"),
        ({"archive": "elsewhere"}, 400, "about archive 'elsewhere'"),
        ({"event_id": "../x"}, 400, "event_id"),
        ({"note": "x" * 2001}, 400, "note"),
        ({"note": "x" * 30_000}, 413, "at most"),
    ],
)
def test_a_wrong_verdict_is_refused_and_nothing_is_stored(
    visitor: Visitor, root: Root, change: dict[str, Any], status: int, told: str
) -> None:
    answer = visitor.give(record(visitor.server, **change))
    assert (answer.status, told in answer.read().decode()) == (status, True)
    assert read_verdicts(root, ARCHIVE) == {}


def test_a_body_that_is_no_record_is_refused(visitor: Visitor, root: Root) -> None:
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'"text"'):
        assert visitor.give(body).status == 400
    assert read_verdicts(root, ARCHIVE) == {}


def test_verdicts_of_other_pages_are_turned_away(visitor: Visitor, root: Root) -> None:
    port = visitor.server.server_port
    good = record(visitor.server)
    for origin in (
        "null",
        "http://evil.example",
        f"https://127.0.0.1:{port}",
        "http://127.0.0.1",
    ):
        assert visitor.give(good, Origin=origin).status == 403
    without = visitor.ask(
        "POST", f"{visitor.base}/verdicts", b"{}", Content_Type="application/json"
    )
    assert without.status == 403
    assert visitor.give(good, Content_Type="text/plain").status == 415
    assert visitor.give(good, Content_Length="many").status == 411
    assert read_verdicts(root, ARCHIVE) == {}


def test_a_name_that_is_not_the_server_s_own_gets_nothing(
    server: ReviewServer, visitor: Visitor
) -> None:
    page = urlsplit(server.url).path
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1"):
        assert visitor.ask("GET", page, Host=host).status == 404
        assert visitor.give(record(server), Host=host).status == 404
    own = f"localhost:{server.server_port}"
    assert visitor.ask("GET", page, Host=own).status == 200


def test_nothing_is_told_without_the_token(
    server: ReviewServer, visitor: Visitor, root: Root
) -> None:
    page = urlsplit(server.url).path.removeprefix(visitor.base)
    for base in ("", "/", "/x", visitor.base[:-1], f"{visitor.base}x", f"/{'%00' * 8}"):
        for path in (page, f"/{path_of(media(root, '.mp4'))}"):
            answer = visitor.ask("GET", f"{base}{path}")
            assert (answer.status, answer.read()) == (404, b"Not Found\n")
        wrong = visitor.ask("POST", f"{base}/verdicts", b"{}", Origin=server.origins[0])
        assert wrong.status == 404


def test_pictures_and_clips_of_the_archive_are_served_and_nothing_else_of_the_root(
    visitor: Visitor, root: Root
) -> None:
    for ending, kind in ((".mp4", "video/mp4"), (".jpg", "image/jpeg")):
        key = media(root, ending)
        answer = visitor.ask("GET", f"{visitor.base}/{path_of(key)}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert answer.read() == root.read(key)
    root.publish("media/other/c/e-peak.jpg", b"secret")
    root.publish("media/site %26 co/c/notes.txt", b"secret")
    folder = Path(root.url).parent
    (folder / "outside.jpg").write_bytes(b"secret")
    inside = "media/site %26 co"
    for key in (
        "media/other/c/e-peak.jpg",
        f"{inside}/c/notes.txt",
        f"{inside}/../other/c/e-peak.jpg",
        f"{inside}/../../../outside.jpg",
        f"{inside}/{folder}/outside.jpg",
        f"{inside}//etc/passwd.jpg",
        f"{inside}/c\0.jpg",
        f"{inside}",
        "evaluations/results.parquet",
        "reports/site %26 co/other.html",
        "../outside.jpg",
        "",
    ):
        for path in (path_of(key), path_of(path_of(key)), key.replace(" ", "%20")):
            if "\0" in path:
                continue  # is no request at all
            answer = visitor.ask("GET", f"{visitor.base}/{path}")
            assert (answer.status, answer.read()) == (404, b"Not Found\n"), path


@pytest.mark.parametrize(
    ("asked", "first", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, None),
        ("bytes=-7", -7, None),
        ("bytes=5-999999999", 5, None),
        ("bytes=-999999999", 0, None),
    ],
)
def test_a_player_gets_the_part_of_a_clip_that_it_asks_for(
    visitor: Visitor, root: Root, asked: str, first: int, stop: int | None
) -> None:
    key = media(root, ".mp4")
    whole = root.read(key) or b""
    answer = visitor.ask("GET", f"{visitor.base}/{path_of(key)}", Range=asked)
    assert answer.read() == whole[first:stop]
    if len(whole[first:stop]) == len(whole):
        assert answer.status == 200
        return
    begin = first % len(whole)
    end = begin + len(whole[first:stop]) - 1
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end}/{len(whole)}"


def test_a_part_that_is_not_there_is_told_and_odd_ranges_give_all(
    visitor: Visitor, root: Root
) -> None:
    key = media(root, ".mp4")
    size = len(root.read(key) or b"")
    for asked in (f"bytes={size}-", "bytes=9-3", "bytes=-0"):
        answer = visitor.ask("GET", f"{visitor.base}/{path_of(key)}", Range=asked)
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    for asked in ("bytes=-", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b"):
        answer = visitor.ask("GET", f"{visitor.base}/{path_of(key)}", Range=asked)
        assert (answer.status, len(answer.read())) == (200, size)
    head = visitor.ask("HEAD", f"{visitor.base}/{path_of(key)}")
    assert (head.status, head.headers["Content-Length"], head.read()) == (200, str(size), b"")


def test_other_methods_are_refused(visitor: Visitor) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        assert visitor.ask(method, f"{visitor.base}/verdicts", b"").status == 501


def test_somebody_who_connects_and_says_nothing_holds_nobody_up(visitor: Visitor) -> None:
    with socket.create_connection(("127.0.0.1", visitor.server.server_port)):
        assert visitor.give(record(visitor.server)).status == 204


@needs_browser
def test_a_verdict_given_by_key_in_a_browser_reaches_the_root(
    server: ReviewServer, root: Root, browser: Any
) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(server.url)
    first = page.locator(".card").first
    event = first.get_attribute("data-event")
    first.locator("button.look").click()
    page.keyboard.press("f")
    wait_until(page, f"document.getElementById('event-{event}').dataset.verdict === 'false'")
    for _ in range(100):
        if event in read_verdicts(root, ARCHIVE):
            break
        page.wait_for_timeout(50)
    assert read_verdicts(root, ARCHIVE)[event].verdict == "false"
    page.reload()
    assert page.locator(f"#event-{event}").get_attribute("data-verdict") == "false"
    assert complaints == []
    page.close()
