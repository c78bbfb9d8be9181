"""What it takes to judge scores: many frames, many resamples, two checkpoints over 300 videos.

Scores are drawn. The comparison is the command as a user runs it, on 300 videos of five minutes at
25 frames/s, 2.25 million frames, six cameras; it computes every figure with its interval, all paired
differences, curves and events, and writes the page.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from anomaly.catalog import Catalog, LedgerRow
from anomaly.checkpoints import POOLED, Checkpoint, Model, save
from anomaly.features import recipe
from anomaly.outcome import Outcome
from anomaly.scores import FrameScores, ScoreSpec
from anomaly.scores.events import find_events
from anomaly.scores.tables import Partition, event_rows, merge_events, merge_scores, score_rows
from anomaly.spec import to_dict
from anomaly.verbs.look import Look, look
from anomaly.video import ArchiveSpec, VideoFile
from tests.benchmarks.harness import Figure, anomaly, in_words, workplace

VIDEOS, FRAMES = 300, 7_500
CAMERAS = 6
THRESHOLD = 6.0
CHECKPOINTS = {"first": 1.5, "second": 1.8}
"""names, and how much higher abnormal frames score"""

_MICRO = """
import numpy as np
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics.frame_auc_micro import FrameAucMicro
generator = np.random.default_rng(0)
clips = []
for number in range(1000):
    abnormal_T = generator.random(100_000, dtype=np.float32) < 0.05
    score_T = generator.standard_normal(100_000, dtype=np.float32) + abnormal_T
    clips.append(Clip(str(number), score_T, abnormal_T))
begin()
FrameAucMicro().value(clips)
"""

_INTERVALS = """
import numpy as np
from anomaly.evaluation.bootstrap import intervals
from anomaly.evaluation.curves import Clip
from anomaly.evaluation.metrics import metrics
generator = np.random.default_rng(0)
clips = []
for number in range(400):
    abnormal_T = np.arange(25_000) % 20_000 < 1_500 * (number % 2)
    score_T = generator.gamma(2.0, size=25_000) + abnormal_T
    clips.append(Clip(str(number), score_T, abnormal_T, camera=str(number % 10)))
chosen = {name: metrics().get(name)() for name in metrics().names()}
begin()
intervals(chosen, clips, generator)
"""


def measure() -> list[Figure]:
    """Measure one metric of 10^8 frames, all intervals of 10^7, and a comparison."""
    return [
        alone("frame_auc_micro of 10^8 scores", "within 1 GB", _MICRO),
        alone(
            "intervals of all metrics, 1,000 resamples over 10^7 frames of 400 videos",
            "under a minute, 2 GB",
            _INTERVALS,
        ),
        compared(),
    ]


def alone(what: str, goal: str, code: str) -> Figure:
    """Run code in a process of its own; time what follows `begin()`."""
    frame = (
        "import resource, time\nbegun = []\n"
        "def begin():\n    begun.extend([time.perf_counter(), time.process_time()])\n"
        f"{code}\n"
        "print(time.perf_counter() - begun[0], time.process_time() - begun[1],"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", frame], check=True, capture_output=True, text=True
    )
    seconds, cpu_seconds, kilobytes = map(float, done.stdout.split())
    measured = f"{in_words(seconds, cpu_seconds)}, {kilobytes / 1e6:.2f} GB at most"
    return Figure(what, measured, goal, "python -m tests.benchmarks evaluation")


def compared() -> Figure:
    """Compare two checkpoints by the command line."""
    with workplace() as place:
        folder, root = place / "archive", place / "root"
        labels = place / "labels.csv"
        make(folder, str(root), labels)
        done = anomaly(
            "compare", folder, "--root", root, "--labels", labels,
            "--checkpoint", "first", "--checkpoint", "second",
        )  # fmt: skip
        page = Path(done.answer["report"]).stat().st_size
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return Figure(
        f"two checkpoints compared over {VIDEOS} videos",
        f"{done.times}, {child:.2f} GB at most, page of {page / 1e6:.1f} MB",
        "under a minute on two cores",
        "anomaly compare ARCHIVE --checkpoint A --checkpoint B --labels FILE",
    )


def make(folder: Path, root: str, labels: Path) -> None:
    """Make a root that holds scores and events of two checkpoints; the videos are empty files."""
    for number in range(VIDEOS):
        path = folder / f"camera-{number % CAMERAS}" / f"{number:03d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"no video {number}".encode())
    seen = look(root, ArchiveSpec(root=str(folder)))
    seen.catalog.record(
        [Outcome(uri=file.uri, status="ok", content=content_of(file)) for file in seen.files],
        {},
    )
    spans = truth(len(seen.files))
    lines = ["video,n_frames,start_frame,stop_frame,category"]
    lines += [
        f"{file.uri},{FRAMES},{start},{stop},fall" if start else f"{file.uri},{FRAMES},,,"
        for file, (start, stop) in zip(seen.files, spans, strict=True)
    ]
    labels.write_text("\n".join(lines) + "\n")
    for seed, (name, gain) in enumerate(CHECKPOINTS.items()):
        store(seen, name, gain, spans, np.random.default_rng(seed))


def content_of(file: VideoFile) -> str:
    """Return a made-up digest."""
    return f"{int(Path(file.uri).stem):032x}"


def truth(videos: int) -> list[tuple[int, int]]:
    """Return where each video is abnormal; every third is not."""
    generator = np.random.default_rng(7)
    starts = generator.integers(500, FRAMES - 1_000, videos).tolist()
    return [(0, 0) if n % 3 == 0 else (start, start + 250) for n, start in enumerate(starts)]


def store(
    seen: Look,
    name: str,
    gain: float,
    spans: list[tuple[int, int]],
    generator: np.random.Generator,
) -> None:
    """Store a bundle, and scores and events as it might have given them."""
    bundle = Checkpoint(
        name=name,
        detector="gaussian",
        parameters={},
        inputs={"motion": recipe("motion")},
        scores=to_dict(ScoreSpec()),
    )
    save(seen.root, bundle, {POOLED: Model({}, {}, {"threshold": THRESHOLD, "videos": []})})
    ledger, score_tables, event_tables = [], {}, {}
    for file, (start, stop) in zip(seen.files, spans, strict=True):
        score_T = np.convolve(generator.gamma(1.0, size=FRAMES), np.ones(9) / 9, "same")
        score_T[start:stop] += gain * generator.gamma(2.0)
        score_T *= 1.5
        seconds_T = np.arange(FRAMES) / 25
        scores = FrameScores(score_T, score_T, np.ones(FRAMES, bool), seconds_T)
        found = find_events(scores, THRESHOLD, ScoreSpec())
        rows = score_rows(file, content_of(file), scores, POOLED)
        place = Partition(
            archive=seen.archive, checkpoint=name, camera=file.camera, date="undated-00"
        )
        score_tables.setdefault(place, {})[file.uri] = rows
        event_tables.setdefault(place, {})[file.uri] = event_rows(
            file, content_of(file), found, POOLED, rows
        )
        ledger.append(
            LedgerRow(
                uri=file.uri,
                content=content_of(file),
                camera=file.camera,
                date=place.date,
                model_digest="",
                n_frames=FRAMES,
                n_events=len(found),
            )
        )
    for place, tables in score_tables.items():
        merge_events(seen.root, place, event_tables[place])
        merge_scores(seen.root, place, tables)
    Catalog(seen.root, seen.archive).record_scored(name, ledger)
