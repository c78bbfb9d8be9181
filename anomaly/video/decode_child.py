"""The inside of a decode process: takes requests from its owner, decodes, answers.

Three threads: one decodes, one sends what is ready (so that decoding goes on while the owner works), one
waits for requests and ends the process when the owner is gone, whatever the others are stuck in.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anomaly.errors import AnomalyError, VideoError
from anomaly.spec import from_dict, to_dict
from anomaly.video import PixelSpec
from anomaly.video.decoders import decoders
from anomaly.video.golden import check_decoder
from anomaly.video.probe import probe
from anomaly.video.race import Race
from anomaly.video.remote import Remote
from anomaly.video.wire import ConnectionEndedError, receive, send, send_batch

_BEAT_SECONDS = 0.25
_BATCHES_AHEAD = 2
_race = Race()


def main(descriptor: int) -> None:
    """Serve the owner at the other end of a socket until it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner decides, and its end is ours
    connection = socket.socket(fileno=descriptor)
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    answers: queue.Queue[Callable[[], None]] = queue.Queue(_BATCHES_AHEAD)
    threading.Thread(target=_take_requests, args=(connection, requests), daemon=True).start()
    threading.Thread(target=_send_answers, args=(answers,), daemon=True).start()
    answers.put(lambda: send(connection, {"kind": "ready"}))
    while True:
        request = requests.get()
        try:
            _serve(request, connection, answers)
        except Exception as error:  # noqa: BLE001 - whatever a file does to a decoder, the owner is told
            header = _as_header(error, request["path"])
            answers.put(lambda header=header: send(connection, header))  # type: ignore[misc]


def _take_requests(connection: socket.socket, requests: queue.Queue[dict[str, Any]]) -> None:
    try:
        while True:
            requests.put(receive(connection))
    except (OSError, ConnectionEndedError):
        os._exit(0)


def _send_answers(answers: queue.Queue[Callable[[], None]]) -> None:
    try:
        while True:
            answers.get()()
    except OSError:
        os._exit(0)


def _serve(
    request: dict[str, Any], connection: socket.socket, answers: queue.Queue[Callable[[], None]]
) -> None:
    remote = request["remote"]
    path = Path(request["path"]) if remote is None else Remote(request["path"], remote)
    if request["verb"] == "probe":
        video = to_dict(probe(path, request["kind"]))
        answers.put(lambda: send(connection, {"kind": "video", "video": video}))
        return
    check_decoder(request["decoder"])
    asked, beat = decoders().get(request["decoder"]), _Beat(connection, answers)
    pixels = from_dict(PixelSpec, request["pixels"])
    if request["verb"] == "race":
        winner = _race.winner(path, pixels, asked, decoders().get(asked.rival), beat)
        answers.put(lambda: send(connection, {"kind": "winner", "decoder": winner}))
        return
    decoder = asked(beat)
    decoder.only = frozenset(request["only"])
    most_seconds = request["most_seconds"]
    begun = resumed = time.monotonic()
    seconds = 0.0
    for batch in decoder.frames(path, pixels, request["batch"]):
        seconds += time.monotonic() - resumed
        size = decoder.megapixels
        answers.put(lambda batch=batch, size=size: send_batch(connection, batch, size))  # type: ignore[misc]
        resumed = time.monotonic()
        if most_seconds is not None and resumed - begun > most_seconds:
            break
    seconds += time.monotonic() - resumed
    header = {"kind": "report", "report": to_dict(decoder.report()), "seconds": seconds}
    answers.put(lambda: send(connection, header))


class _Beat:
    """Tells the owner from time to time that there is progress; says nothing while answers wait."""

    def __init__(
        self, connection: socket.socket, answers: queue.Queue[Callable[[], None]]
    ) -> None:
        self._connection = connection
        self._answers = answers
        self._last = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last > _BEAT_SECONDS and self._answers.empty():
            self._last = now
            self._answers.put(lambda: send(self._connection, {"kind": "beat"}))


def _as_header(error: Exception, path: str) -> dict[str, Any]:
    if isinstance(error, VideoError):
        return {
            "kind": "error",
            "class": "VideoError",
            "code": error.code,
            "message": str(error),
        }
    if isinstance(error, AnomalyError):
        return {"kind": "error", "class": type(error).__name__, "message": str(error)}
    message = f"{path} made the decoder fail with {type(error).__name__}: {error}."
    return {"kind": "error", "class": "VideoError", "code": "unreadable", "message": message}
