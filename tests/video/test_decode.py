"""The decode process: speed, restarts, hangs, and what it leaves behind. Real processes, real signals."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from anomaly.errors import SpecError, VideoError
from anomaly.video import PixelSpec
from anomaly.video.decode import DecodeProcess, DecoderDied, FrameStream

GRAY = PixelSpec(color="gray")
MakeVideo = Callable[..., Path]


@pytest.fixture
def process() -> Iterator[DecodeProcess]:
    with DecodeProcess(timeout_seconds=1.5) as running:
        yield running


@pytest.fixture
def video(make_video: MakeVideo, tmp_path: Path) -> Path:
    return make_video(tmp_path / "walk.mp4", frames=300, height=240, width=360, rate=25)


def pixels_of(stream: FrameStream) -> np.ndarray:
    return np.concatenate([batch.pixels_BHWC for batch in stream])


def test_one_process_reads_many_videos(
    process: DecodeProcess, make_video: MakeVideo, tmp_path: Path
) -> None:
    pids = set()
    for number in range(4):
        path = make_video(tmp_path / f"{number}.mp4", frames=10 + number, seed=number)
        stream = process.frames(path, "file", GRAY, batch=4)
        sizes = [len(batch) for batch in stream]
        assert sum(sizes) == stream.report.n_frames == 10 + number
        assert set(sizes[:-1]) == {4}
        pids.add(process.pid)
    assert len(pids) == 1


def test_facts_come_from_the_process_too(process: DecodeProcess, video: Path) -> None:
    facts = process.probe(video)
    assert (facts.height, facts.width, facts.n_frames, facts.rate) == (240, 360, 300, 25)
    assert (facts.codec, facts.rotation) == ("h264", 0)


@pytest.mark.parametrize(
    ("sent", "decoder"),
    [(signal.SIGSEGV, "decord"), (signal.SIGKILL, "pyav"), (signal.SIGSTOP, "decord")],
)
def test_a_decoder_that_dies_half_way_is_replaced_and_the_video_read_anew(
    sent: signal.Signals, decoder: str, process: DecodeProcess, video: Path
) -> None:
    undisturbed = pixels_of(process.frames(video, "file", GRAY))
    calls = []

    def read(stream: FrameStream) -> list[int]:
        calls.append(stream)
        index: list[int] = []
        for batch in stream:
            index += batch.index_B.tolist()
            if len(calls) == 1 and len(index) == 96:
                os.kill(process.pid or 0, sent)
            start = index[-1] + 1 - len(batch)
            difference = batch.pixels_BHWC.astype(int) - undisturbed[start : index[-1] + 1]
            assert np.abs(difference).mean() < 2
        return index

    assert process.decode(video, "file", GRAY, read) == list(range(300))
    assert len(calls) == 2
    assert (calls[1].report.decoder, calls[1].report.restarts) == (decoder, 1)
    with pytest.raises(SpecError, match="read to its end"):
        _ = calls[0].report


def test_a_decoder_that_dies_twice_is_reported_with_its_signal(
    process: DecodeProcess, video: Path
) -> None:
    def read(stream: FrameStream) -> None:
        for _ in stream:
            os.kill(process.pid or 0, signal.SIGABRT)

    with pytest.raises(VideoError, match=r"SIGABRT in .*walk\.mp4") as raised:
        process.decode(video, "file", GRAY, read)
    assert raised.value.code == "crash"
    assert process.probe(video).n_frames == 300  # and the next video gets a process again


def test_a_file_that_never_answers_is_given_up_with_both_decoders(
    process: DecodeProcess, tmp_path: Path
) -> None:
    pipe = tmp_path / "stalled.mp4"
    os.mkfifo(pipe)
    start = time.monotonic()
    with pytest.raises(VideoError, match=r"no progress for 1\.5 s in .*stalled\.mp4") as raised:
        process.decode(pipe, "file", GRAY, list)
    assert raised.value.code == "hang"
    assert 3 <= time.monotonic() - start < 12
    with pytest.raises(DecoderDied, match="stalled") as probed:
        process.probe(pipe)
    assert probed.value.code == "hang"


def test_a_slow_reader_is_no_hang(process: DecodeProcess, video: Path) -> None:
    total = 0
    for batch in (stream := process.frames(video, "file", GRAY, batch=100)):
        time.sleep(1.7)
        total += len(batch)
    assert total == 300
    assert stream.report.restarts == 0


def test_a_bad_file_fails_at_once_and_is_not_tried_again(
    process: DecodeProcess, tmp_path: Path
) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video at all\n" * 100)
    calls: list[int] = []
    with pytest.raises(VideoError, match=r"notes\.mp4") as raised:
        process.decode(text, "file", GRAY, lambda stream: (calls.append(1), list(stream)))
    assert (raised.value.code, len(calls)) == ("unreadable", 1)
    pid = process.pid
    with pytest.raises(VideoError) as raised:
        process.probe(tmp_path / "gone.mp4")
    assert raised.value.code == "vanished"
    assert process.pid == pid


def test_leaving_a_stream_early_leaves_the_next_one_whole(
    process: DecodeProcess, video: Path
) -> None:
    for batch in process.frames(video, "file", GRAY, batch=8):
        assert batch.index_B[0] == 0
        break
    assert len(pixels_of(process.frames(video, "file", GRAY))) == 300


def test_an_error_of_the_reader_is_its_own(process: DecodeProcess, video: Path) -> None:
    def read(stream: FrameStream) -> None:
        for _ in stream:
            raise TimeoutError("the reader's own")

    with pytest.raises(TimeoutError, match="reader's own"):
        process.decode(video, "file", GRAY, read)


def test_an_unknown_decoder_is_refused_with_a_suggestion(
    process: DecodeProcess, video: Path
) -> None:
    with pytest.raises(SpecError, match="Did you mean 'pyav'"):
        process.frames(video, "file", GRAY, decoder="pyavv")
    assert process.pid is None


def test_the_child_ends_with_its_owner_even_when_it_hangs(tmp_path: Path) -> None:
    pipe = tmp_path / "stalled.mp4"
    os.mkfifo(pipe)
    script = f"""
        import threading, time
        from pathlib import Path
        from anomaly.video import PixelSpec
        from anomaly.video.decode import DecodeProcess
        process = DecodeProcess()
        read = lambda: list(process.frames(Path({str(pipe)!r}), "file", PixelSpec()))
        threading.Thread(target=read, daemon=True).start()
        while process.pid is None:
            time.sleep(0.01)
        time.sleep(1)
        print(process.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        child = psutil.Process(int(owner.stdout.readline()))
        assert child.is_running()
        owner.kill()
    gone, _ = psutil.wait_procs([child], timeout=5)
    assert gone


def test_memory_of_the_child_does_not_grow_with_the_video(
    make_video: MakeVideo, tmp_path: Path, process: DecodeProcess
) -> None:
    path = make_video(tmp_path / "long.mp4", frames=1500, height=240, width=320)
    peaks = [
        psutil.Process(process.pid).memory_info().rss
        for batch in process.frames(path, "file", GRAY)
        if batch.index_B[0] % 320 == 0
    ]
    assert max(peaks[1:]) - peaks[1] < 10 * 2**20


def test_small_frames_cross_faster_than_two_thousand_a_second(tmp_path: Path) -> None:
    from anomaly.video.encode import write_video

    still = np.full((240, 360), 90, np.uint8)
    path = tmp_path / "still.mp4"
    write_video(path, (still for _ in range(4000)), 25)
    with DecodeProcess() as process:
        process.probe(path)
        start = time.process_time()
        total = sum(len(batch) for batch in process.frames(path, "file", GRAY))
        assert total == 4000
        assert (
            4000 / (time.process_time() - start) > 2000
        )  # processor time on our side of the border


def test_no_heavy_package_is_imported_on_either_side(video: Path) -> None:
    script = f"""
        import sys, time
        from pathlib import Path
        from anomaly.video import PixelSpec
        from anomaly.video.decode import DecodeProcess
        with DecodeProcess() as process:
            frames = list(process.frames(Path({str(video)!r}), "file", PixelSpec()))
            maps = open(f"/proc/{{process.pid}}/maps").read()
        assert "libtorch" not in maps and "libavcodec" in maps
        assert not {{"av", "cv2", "torch"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_the_death_of_a_decoder_can_be_sent_between_processes() -> None:
    death = pickle.loads(pickle.dumps(DecoderDied("hang", "stuck", "decord")))
    assert (death.code, str(death), death.again_with) == ("hang", "stuck", "decord")
