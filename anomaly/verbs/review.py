"""`review`: the report on a small server of this machine, which writes verdicts as they are given.

The server listens on loopback alone, at an address that nobody can guess, and serves two things: the page,
and pictures and clips of its archive. It answers its own page only: a name other than its own (DNS
rebinding) and verdicts from other pages are turned away.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import re
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote as url_quote
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from anomaly.errors import AnomalyError, SpecError, TransientError
from anomaly.report.render import compose
from anomaly.scores.verdicts import LONGEST_NOTE, add_verdicts, parse_verdict
from anomaly.storage import Root, open_root, quote
from anomaly.verbs.look import known_archive
from anomaly.verbs.score import choose_checkpoint
from anomaly.video import ArchiveSpec

_HOST = "127.0.0.1"
_LONGEST_RECORD = 6 * LONGEST_NOTE + 8192
"""bytes; JSON may take six for a character"""
_IDLE_SECONDS = 30.0
_ENDING_SECONDS = 10.0
_TYPES = {"mp4": "video/mp4", "jpg": "image/jpeg"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # the address is the key
    "X-Content-Type-Options": "nosniff",
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReviewSummary:
    """What a review came to."""

    archive: str
    checkpoint: str
    verdicts: int
    """taken"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return asdict(self)


def review(
    root_url: str,
    archive: ArchiveSpec,
    *,
    checkpoint: str = "",
    since: str = "",
    port: int = 0,
    ready: Callable[[str], object],
) -> ReviewSummary:
    """Serve the report of an archive until somebody interrupts (Ctrl-C), and store its verdicts.

    Args:
        root_url: the root; written to with every verdict.
        archive: the archive, which was looked at before; it is not looked at now.
        checkpoint: whose events; the current one by default.
        since: first camera-local date to show, `YYYY-MM-DD`; all by default.
        port: of this machine; 0: any that is free.
        ready: is told the page's address once it can be opened.

    Raises:
        SpecError: the archive or the checkpoint is not known, or the port is taken.
    """
    root = open_root(root_url)
    bundle = choose_checkpoint(root, checkpoint)
    name = known_archive(root, archive)

    def page(address: str) -> str:
        return compose(
            root, name, bundle.name, time_zone=archive.time_zone, since=since, review=address
        )

    page("")  # what is wrong is told here, and not in a browser
    try:
        server = ReviewServer(root, name, bundle.name, page, port)
    except OSError as error:
        raise SpecError(
            f"Cannot listen on port {port} of {_HOST} ({error.strerror}). Take another --port."
        ) from error
    with server:
        ready(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)
        server.finish()
    return ReviewSummary(archive=name, checkpoint=bundle.name, verdicts=server.taken)


class ReviewServer(ThreadingHTTPServer):
    """Serves one archive's page and media below an address that nobody can guess."""

    daemon_threads = True  # a browser keeps spare connections open: nobody waits for them
    request_queue_size = 64

    def __init__(
        self,
        root: Root,
        archive: str,
        checkpoint: str,
        page: Callable[[str], str],
        port: int = 0,
    ) -> None:
        """Listen on a port of loopback; `page` makes the page, given where it posts verdicts."""
        super().__init__((_HOST, port), _Handler)
        self.root = root
        self.archive = archive
        self.token = secrets.token_urlsafe(24)
        self.taken = 0
        self._page = page
        self._page_key = f"reports/{quote(archive)}/{quote(checkpoint)}.html"
        self._media = f"media/{quote(archive)}/"
        self._one_at_a_time = threading.Lock()

    @property
    def origins(self) -> tuple[str, ...]:
        """How a page of this server calls where it comes from."""
        return tuple(f"http://{name}:{self.server_port}" for name in (_HOST, "localhost"))

    @property
    def url(self) -> str:
        """Address of the page; a page lies as deep as in the root, so its links hold."""
        return f"{self.origins[0]}/{self.token}/{url_quote(self._page_key)}"

    def content(self, key: str) -> tuple[str, bytes] | None:
        """Return the type and bytes of the page or of an object of its media; None: not for you."""
        if key == self._page_key:
            with self._one_at_a_time:
                page = self._page(f"/{self.token}/verdicts")
            return "text/html; charset=utf-8", page.encode()
        kind = _TYPES.get(key.rsplit(".", 1)[-1])
        if kind is None or not key.startswith(self._media) or not key.isprintable():
            return None
        data = self.root.read(key)
        return None if data is None else (kind, data)

    def take(self, record: Any) -> None:
        """Store the verdict that a record holds.

        Raises:
            SpecError: it is none, or about another archive.
        """
        verdict = parse_verdict(record, "verdict")
        if verdict.archive != self.archive:
            raise SpecError(
                f"The verdict is about archive {verdict.archive!r}; this is a review of {self.archive!r}."
            )
        with self._one_at_a_time:
            add_verdicts(self.root, [verdict])
            self.taken += 1

    def finish(self) -> None:
        """Wait for a verdict that is just being written."""
        if self._one_at_a_time.acquire(timeout=_ENDING_SECONDS):
            self._one_at_a_time.release()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what went wrong with one request; a browser that hangs up is no error."""
        _logger.debug("a request failed: %r", sys.exception())


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        key = self._key()
        try:
            found = None if key is None else self.server.content(key)
        except SpecError:  # a key that would leave the root
            found = None
        except AnomalyError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        self._send(*found)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        trouble = self._trouble_with_post()
        if trouble is not None:
            self._refuse(*trouble)
            return
        try:
            self.server.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        except (SpecError, ValueError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except TransientError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except AnomalyError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            self._answer(HTTPStatus.NO_CONTENT)

    def _trouble_with_post(self) -> tuple[HTTPStatus, str] | None:
        length = self.headers.get("Content-Length", "")
        if self._key() != "verdicts":
            return HTTPStatus.NOT_FOUND, ""
        if self.headers.get("Origin") not in self.server.origins:
            return HTTPStatus.FORBIDDEN, "Only this review's own page may give verdicts."
        if self.headers.get_content_type() != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Expected application/json."
        if not length.isdecimal():
            return HTTPStatus.LENGTH_REQUIRED, "Expected a Content-Length."
        if int(length) > _LONGEST_RECORD:
            return (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"Expected {_LONGEST_RECORD} bytes at most.",
            )
        return None

    def _key(self) -> str | None:
        """Return what is asked for below the token; None: by the wrong name, or without the token."""
        if f"http://{self.headers.get('Host')}" not in self.server.origins:
            return None
        _, token, *parts = [*unquote(urlsplit(self.path).path).split("/"), ""]
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return None
        return "/".join(parts[:-1])

    def _send(self, kind: str, data: bytes) -> None:
        span = self._span(len(data))
        if span is None:
            self._answer(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                {"Content-Range": f"bytes */{len(data)}"},
            )
            return
        first, stop = span
        headers = {"Content-Type": kind, "Accept-Ranges": "bytes"}
        status = HTTPStatus.OK
        if stop - first < len(data):
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {first}-{stop - 1}/{len(data)}"
        self._answer(status, headers, data[first:stop])

    def _span(self, size: int) -> tuple[int, int] | None:
        """Return the half-open part that is asked for, all without a range; None: there is no such part."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or match.groups() == ("", ""):
            return 0, size
        first, last = match.groups()
        if not first:
            span = max(0, size - int(last)), size
        else:
            span = int(first), min(size, int(last) + 1) if last else size
        return span if span[0] < span[1] else None

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        kind = {"Content-Type": "text/plain; charset=utf-8"}
        self._answer(status, kind, f"{why or status.phrase}\n".encode())

    def _answer(
        self, status: HTTPStatus, headers: dict[str, str] | None = None, data: bytes = b""
    ) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @override
    def version_string(self) -> str:
        return "anomaly"

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Keep the address, which is the key, out of logs."""
