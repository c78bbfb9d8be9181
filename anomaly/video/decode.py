"""Frames of a video, decoded in a child process.

Decoders are native code that reads untrusted files: they crash, and they hang so that only SIGKILL helps.
A `DecodeProcess` keeps one such process and gives it one video after another. When the process dies, or
shows no progress for `timeout_seconds`, it is killed and the reader gets `DecoderDied`.

A video is either read whole by one decoder or not at all: frames of two decoders are never mixed. So
restarting means that the reader starts the video again too, and `DecodeProcess.decode` does just that: it
calls the reader with a stream of frames, and when the decoder dies calls it once more with a fresh stream
from the other decoder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import replace
from types import TracebackType
from typing import IO, Any, Literal, Self, TypeVar

from typing_extensions import override

from anomaly.errors import AnomalyError, SpecError, StoreError, TransientError, VideoError
from anomaly.spec import from_dict, to_dict
from anomaly.video import DecodeReport, FrameBatch, PixelSpec, Video
from anomaly.video.decoders import decoders
from anomaly.video.remote import Remote, Source
from anomaly.video.wire import ConnectionEndedError, receive, receive_batch, send

T = TypeVar("T")
Kind = Literal["file", "frames"]

TIMEOUT_SECONDS = 20.0
_LEAST_BUDGET_SECONDS = 60.0
_BUDGET_TIMES = 20.0
"""a video may take so many times as long as its pixels took on average in the videos before it"""
_SLOWEST = 0.05
"""seconds a megapixel taken for the average before there is one; a tenth of the usual speed"""
_ENOUGH_MEGAPIXELS = 100.0
"""fewer tell no speed"""
_START_SECONDS = 120.0
_REAP_SECONDS = 5.0
_OTHER_DECODER = {"pyav": "decord", "decord": "pyav", "nvdec": "pyav"}
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}
_CHILD_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from anomaly.video.decode_child import main; main(int(sys.argv[1]))"
)


class DecoderDied(VideoError):  # noqa: N818 - an event at the decoder, which a reader may survive
    """The decode process hung (`hang`), ended (`crash`) or went on and on (`too_slow`) with a video.

    `again_with` names the decoder to read the video with once more.
    """

    def __init__(self, code: str, message: str, again_with: str = "pyav") -> None:
        super().__init__(code, message)
        self.again_with = again_with

    @override
    def __reduce__(self) -> tuple[type[DecoderDied], tuple[str, str, str]]:  # type: ignore[override]
        return (DecoderDied, (self.code, str(self), self.again_with))


class FrameStream:
    """The frames of one video, to be read once; `report` is there at the end.

    Leaving the stream before its end throws the decode process away; the next video gets a new one.
    """

    def __init__(self, batches: Generator[FrameBatch | DecodeReport], decoder: str) -> None:
        self.decoder = decoder
        """what reads the video"""
        self._batches = batches
        self._report: DecodeReport | None = None

    def __iter__(self) -> Iterator[FrameBatch]:
        """Yield the frames, in order.

        Raises:
            VideoError: the file is bad; with the class `DecoderDied` when decoding ended abnormally.
        """
        with contextlib.closing(self._batches) as batches:
            for item in batches:
                if isinstance(item, DecodeReport):
                    self._report = item
                else:
                    yield item

    @property
    def report(self) -> DecodeReport:
        """What decoding came to.

        Raises:
            SpecError: the frames have not been read to their end.
        """
        if self._report is None:
            raise SpecError(
                "A stream of frames has its report when it has been read to its end."
            )
        return self._report


class Speed:
    """How fast videos were decoded so far, and how long the next one may therefore take."""

    def __init__(self) -> None:
        self.seconds = self.megapixels = 0.0

    def add(self, seconds: float, megapixels: float) -> None:
        """Take a video into account that was read to its end."""
        self.seconds += seconds
        self.megapixels += megapixels

    def budget_seconds(self, megapixels: float) -> float:
        """Return how long to wait, in all, for the frames of a video of so many pixels."""
        known = self.megapixels >= _ENOUGH_MEGAPIXELS
        pace = self.seconds / self.megapixels if known else _SLOWEST
        return _LEAST_BUDGET_SECONDS + _BUDGET_TIMES * pace * megapixels


class DecodeProcess:
    """A child process that decodes videos one after another; started when needed, kept until closed.

    Used by one thread at a time. While the reader works on a batch, the next two are decoded ahead.
    """

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Prepare; `timeout_seconds` without progress count as a hang."""
        self.timeout_seconds = timeout_seconds
        self.most_seconds: float | None = None
        """decode each video for so long and then call it over; the report tells its whole length"""
        self.speed = Speed()
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process at once; a later request starts a new one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    @property
    def pid(self) -> int | None:
        """Process id of the child; None when none runs."""
        return None if self._child is None else self._child.process.pid

    def probe(self, path: Source, kind: Kind = "file") -> Video:
        """Return the facts of a video.

        Raises:
            VideoError: the file cannot be opened or holds no picture; `hang` or `crash` when PyAV does.
        """
        request = {"verb": "probe", **_named(path), "kind": kind}
        video = None
        for header, _ in self._answers(request, "pyav"):
            video = from_dict(Video, header["video"])
        if video is None:
            raise VideoError("unreadable", f"{path} gave no answer to a probe.")
        return video

    def decode(
        self,
        path: Source,
        kind: Kind,
        pixels: PixelSpec,
        read: Callable[[FrameStream], T],
        *,
        decoder: str = "pyav",
        batch: int = 32,
        only: Collection[int] = (),
    ) -> T:
        """Return what `read` makes of the frames of a video.

        When the decoder dies under it, `read` is called a second time with a fresh stream, and must
        forget what it made of the first. The stream comes from the other decoder, or from the same one
        when the process was killed from outside. A decoder that has a rival reads what it reads faster.

        Raises:
            SpecError: there is no such decoder.
            VideoError: the file is bad; `hang` or `crash` when both tries failed.
        """
        rival = decoders().get(decoder).rival if kind == "file" else ""
        if rival:
            # A few frames are a matter of seeking, which PyAV does and an engine would not.
            decoder = rival if only else self._winner(path, pixels, decoder)
        try:
            return read(
                self.frames(path, kind, pixels, decoder=decoder, batch=batch, only=only)
            )
        except DecoderDied as error:
            death = error
        except VideoError as error:
            if not rival or decoder == rival:
                raise
            death = DecoderDied(error.code, str(error), rival)
        again = self.frames(
            path, kind, pixels, decoder=death.again_with, batch=batch, only=only, restarts=1
        )
        try:
            return read(again)
        except (
            VideoError,
            SpecError,
        ) as error:  # SpecError: the other decoder does not work here
            message = f"{death} Then {death.again_with} failed too: {error}"
            raise VideoError(death.code, message) from error

    def _winner(self, path: Source, pixels: PixelSpec, decoder: str) -> str:
        """Return what reads a video faster, a decoder or its rival; the rival when it dies at it."""
        request = {
            "verb": "race",
            **_named(path),
            "pixels": to_dict(pixels),
            "decoder": decoder,
        }
        winner = decoders().get(decoder).rival
        with contextlib.suppress(DecoderDied):
            for header, _ in self._answers(request, decoder):
                winner = header["decoder"]
        return winner

    def frames(
        self,
        path: Source,
        kind: Kind,
        pixels: PixelSpec,
        *,
        decoder: str = "pyav",
        batch: int = 32,
        only: Collection[int] = (),
        restarts: int = 0,
    ) -> FrameStream:
        """Return the frames of a video as one decoder reads them, without a second try.

        Args:
            path: local file or folder, or a remote file.
            kind: a folder of images is read by `images`, whatever `decoder` says.
            pixels: what is handed out.
            decoder: name of a file in `video/decoders`.
            batch: frames in each batch but the last.
            only: index of the frames that are wanted, all if empty. The default decoder starts at the key
                frame that leads to the first, so this is quick in long videos too. Of a video read so the
                report tells nothing of damage.
            restarts: goes into the report.

        Raises:
            SpecError: there is no such decoder.
        """
        name = "images" if kind == "frames" else decoder
        decoders().get(name)
        batches = self._batches(path, pixels, name, batch, tuple(only), restarts)
        return FrameStream(batches, name)

    def _batches(
        self,
        path: Source,
        pixels: PixelSpec,
        decoder: str,
        batch: int,
        only: tuple[int, ...],
        restarts: int,
    ) -> Generator[FrameBatch | DecodeReport]:
        request = {
            "verb": "frames",
            **_named(path),
            "pixels": to_dict(pixels),
            "decoder": decoder,
            "batch": batch,
            "only": only,
            "most_seconds": self.most_seconds,
        }
        megapixels = 0.0
        with contextlib.closing(self._answers(request, decoder)) as answers:
            for header, frames in answers:
                if frames is not None:
                    megapixels = header["megapixels"]
                    yield frames
                else:
                    if self.most_seconds is None and not only:
                        self.speed.add(header["seconds"], megapixels)
                    yield replace(from_dict(DecodeReport, header["report"]), restarts=restarts)

    def _answers(
        self, request: dict[str, Any], decoder: str
    ) -> Generator[tuple[dict[str, Any], FrameBatch | None]]:
        """Send a request and yield the answers to it; a child that is not done with it is killed."""
        child = self._started()
        done = False
        waited, budget = 0.0, float("inf")
        try:
            child.ask(request)
            while not done:
                begun = time.monotonic()
                header, frames = child.answer()
                waited += time.monotonic() - begun
                if frames is not None:
                    budget = self.speed.budget_seconds(header["megapixels"])
                if waited > budget:
                    raise _too_slow(decoder, request["path"], budget)
                done = header["kind"] in {"report", "video", "winner", "error"}
                if header["kind"] == "error":
                    raise _as_error(header)
                if header["kind"] != "beat":
                    yield header, frames
        except TimeoutError as error:
            if request["remote"] is not None:
                raise TransientError(f"{request['path']} gave no bytes for long.") from error
            seconds = f"{self.timeout_seconds:g} s"
            message = f"{decoder} showed no progress for {seconds} in {request['path']} and was killed."
            raise DecoderDied("hang", message, _other(decoder)) from error
        except (ConnectionEndedError, ConnectionError) as error:
            raise child.death(decoder, request["path"]) from error
        finally:
            if not done:
                child.kill()

    def _started(self) -> _Child:
        """Return a child that waits for a request."""
        child = self._child
        if child is None or not child.is_idle():
            self.close()
            self._child = child = _Child(self.timeout_seconds)
        return child


class _Child:
    """A running decode process and the way to it."""

    def __init__(self, timeout_seconds: float) -> None:
        self.connection, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed by the finalizer
        command = [
            sys.executable,
            "-c",
            _CHILD_CODE,
            str(theirs.fileno()),
            json.dumps(sys.path),
        ]
        with theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.errors,
                stderr=self.errors,
            )
        self.owner = os.getpid()
        self.busy = False
        self._end = weakref.finalize(self, _end, self.process, self.connection, self.errors)
        self._wait_until_ready()
        self.connection.settimeout(timeout_seconds)

    def _wait_until_ready(self) -> None:
        self.connection.settimeout(_START_SECONDS)
        try:
            receive(self.connection)
        except (TimeoutError, ConnectionEndedError, ConnectionError) as error:
            words = self.last_words()
            self.kill()
            raise TransientError(f"The decode process did not start: {words}") from error

    def is_idle(self) -> bool:
        """Say whether it is alive, of this process, and done with the last request."""
        return not self.busy and self.owner == os.getpid() and self.process.poll() is None

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request."""
        self.busy = True
        self.errors.truncate(0)
        send(self.connection, request)

    def answer(self) -> tuple[dict[str, Any], FrameBatch | None]:
        """Wait for the next answer, a header and frames if it announces some."""
        header = receive(self.connection)
        if header["kind"] == "batch":
            return header, receive_batch(self.connection, header)
        self.busy = header["kind"] == "beat"
        return header, None

    def death(self, decoder: str, path: str) -> DecoderDied:
        """Return the error for a child that ended by itself or was killed by somebody else."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_REAP_SECONDS)
        code = self.process.returncode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        message = f"{decoder} ended with {how} in {path}. {self.last_words()}".rstrip()
        return DecoderDied(
            "crash", message, decoder if code in _FROM_OUTSIDE else _other(decoder)
        )

    def last_words(self) -> str:
        """Return the last line that it wrote to stderr."""
        self.errors.seek(0)
        lines = self.errors.read()[-2000:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        """End it with SIGKILL; nothing happens the second time."""
        self.busy = True
        self._end()


def _end(
    process: subprocess.Popen[bytes], connection: socket.socket, errors: IO[bytes]
) -> None:
    connection.close()
    process.kill()
    with contextlib.suppress(
        subprocess.TimeoutExpired
    ):  # a process stuck in the kernel goes later
        process.wait(_REAP_SECONDS)
    errors.close()


def _other(decoder: str) -> str:
    """Return the decoder that reads a video once more: another one, where one is installed."""
    other = _OTHER_DECODER.get(decoder, decoder)
    return other if other != "decord" or importlib.util.find_spec("decord") else decoder


def _named(path: Source) -> dict[str, Any]:
    remote = dict(path.options) if isinstance(path, Remote) else None
    return {"path": str(path), "remote": remote}


def _too_slow(decoder: str, path: str, budget_seconds: float) -> DecoderDied:
    message = (
        f"{decoder} was still at {path} after {budget_seconds:.0f} s, many times what as many pixels "
        "took in videos before it, and was stopped."
    )
    return DecoderDied("too_slow", message, _other(decoder))


def _as_error(header: dict[str, Any]) -> AnomalyError:
    """Return the error that a decode process reported."""
    if header["class"] == "VideoError":
        return VideoError(header["code"], header["message"])
    known = {"SpecError": SpecError, "StoreError": StoreError, "TransientError": TransientError}
    return known.get(header["class"], AnomalyError)(header["message"])
