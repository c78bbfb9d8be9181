"""A small root with everything a report shows, made from real pictures by the real functions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from anomaly.catalog import Catalog, LedgerRow, init_catalog
from anomaly.checkpoints import Checkpoint, Model, save
from anomaly.evaluation.results import RESULTS_SCHEMA
from anomaly.explain import Explanation, Heat, Moment, PartShare, Strip, publish_explanation
from anomaly.features import FeatureSpec
from anomaly.outcome import Outcome
from anomaly.report.media import cut_events
from anomaly.report.render import render
from anomaly.scores import FrameScores, Part, ScoreSpec
from anomaly.scores.merge import RowScores
from anomaly.scores.stages import ScoreStages
from anomaly.scores.tables import (
    Partition,
    event_rows,
    init_tables,
    merge_events,
    merge_scores,
    read_events,
    score_rows,
)
from anomaly.spec import to_dict
from anomaly.storage import Root, open_root
from anomaly.video import PixelSpec, VideoFile
from anomaly.video.content import content_of
from anomaly.video.synthetic import ENTRANCE, LOADING_DOCK, TIME_ZONE, Clip, Planted, film

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
SCORES = ScoreSpec(alarms_per_camera_day=24.0)
HOSTILE = "<script>document.title='owned'</script>\"'&.mp4"


def recipe_of(backbone: str, **more: Any) -> FeatureSpec:
    return FeatureSpec(
        backbone=backbone, parameters={}, version=1, weights="", pixels=PixelSpec(), **more
    )


@dataclass(frozen=True)
class Scanned:
    """A root after a scan."""

    root: Root
    files: tuple[VideoFile, ...]
    planted: tuple[Planted, ...]


def video_file(path: Path, camera: str, hour: int) -> VideoFile:
    zone = ZoneInfo(TIME_ZONE)
    return VideoFile(
        archive="site & co",
        uri=f"{camera}/{path.name}",
        location=str(path),
        bytes=path.stat().st_size,
        modified=str(path.stat().st_mtime_ns),
        camera=camera,
        start_time=datetime(2026, 3, 2, hour, tzinfo=zone),
    )


def fitted_stages() -> ScoreStages:
    """Stages of a detector whose scores of an hour of normal video fall off as they should."""
    generator = np.random.default_rng(5)
    n_rows = 3600
    raw_R = generator.exponential(0.43, n_rows)
    rows = RowScores(raw_R, np.arange(n_rows), np.arange(n_rows, dtype=float), n_rows)
    return ScoreStages.fit([rows], SCORES)


@pytest.fixture(scope="session")
def stages() -> ScoreStages:
    return fitted_stages()


def scores_with(planted: Planted, rate: float) -> FrameScores:
    """Low noise, and a bump where the event is; the last frames could not be decoded."""
    generator = np.random.default_rng(planted.n_frames)
    frames = np.arange(planted.n_frames)
    middle = (planted.start_frame + planted.stop_frame) / 2
    bump = 9 * np.exp(-(((frames - middle) / 14) ** 2))
    score_T = 0.4 + 0.3 * generator.random(planted.n_frames) + bump
    score_T[-12:] = np.nan
    place_T2 = np.full((planted.n_frames, 2), 6, dtype=np.int16)
    covered_T = np.ones(planted.n_frames, dtype=bool)
    return FrameScores(
        score_T, score_T, covered_T, frames / rate, place_T2, (Part("motion", (13, 18)),)
    )


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, Planted], ...]:
    folder = tmp_path_factory.mktemp("archive")
    wanted = [
        (ENTRANCE, "fast_mover", "20260302_080000.mp4"),
        (LOADING_DOCK, "wrong_way", "20260302_090000.mp4"),
        (LOADING_DOCK, "left_object", HOSTILE.replace("/", "_")),
    ]
    made = []
    for number, (view, kind, name) in enumerate(wanted):
        path = folder / view.name / name
        clip = Clip(view=view, path=path, kind=kind, seconds=14.0, seed=(3, number))
        planted = film(clip)[1]
        assert planted is not None
        made.append((path, planted))
    return tuple(made)


@pytest.fixture(scope="session")
def scanned(
    clips: tuple[tuple[Path, Planted], ...],
    stages: ScoreStages,
    tmp_path_factory: pytest.TempPathFactory,
) -> Scanned:
    root = open_root(str(tmp_path_factory.mktemp("root")))
    init_catalog(root)
    init_tables(root)
    files = tuple(
        video_file(path, planted.camera, 8 + number)
        for number, (path, planted) in enumerate(clips)
    )
    broken = clips[0][0].parent / "<b>broken.mp4"
    broken.write_bytes(b"not a video at all")
    bad = video_file(broken, "entrance", 12)
    catalog = Catalog(root, "site & co")
    catalog.look([*files, bad])
    outcomes = [
        Outcome(uri=file.uri, status="ok", content=content_of(Path(file.location), "file"))
        for file in files
    ]
    refusal = Outcome(
        uri=bad.uri, status="quarantined", code="unreadable", message="No <header> found."
    )
    known = {"duration_seconds": 14.0, "codec": "h264"}
    facts = {outcome.content: known for outcome in outcomes}
    catalog.record([*outcomes, refusal], facts)
    for file, outcome, (_, planted) in zip(files, outcomes, clips, strict=True):
        _score(root, catalog, file, outcome.content, planted, stages)
    inputs = {"features": recipe_of("motion")}
    bundle = Checkpoint(
        name="knn-1", detector="knn", parameters={}, inputs=inputs, scores=to_dict(SCORES)
    )
    save(root, bundle, {"pooled": Model({}, stages.state(), {"videos": []})})
    _explain(root)
    _evaluate(root)
    return Scanned(root, files, tuple(planted for _, planted in clips))


def _score(
    root: Root,
    catalog: Catalog,
    file: VideoFile,
    content: str,
    planted: Planted,
    stages: ScoreStages,
) -> None:
    scores = scores_with(planted, 12.5)
    found = stages.events(scores)
    assert len(found) == 1
    found = cut_events(root, file, content, found)
    rows = score_rows(file, content, scores, file.camera)
    partition = Partition(
        archive=file.archive, checkpoint="knn-1", camera=file.camera, date="2026-03-02"
    )
    merge_scores(root, partition, {file.uri: rows})
    merge_events(
        root, partition, {file.uri: event_rows(file, content, found, file.camera, rows)}
    )
    ledger = LedgerRow(
        uri=file.uri,
        content=content,
        camera=file.camera,
        date="2026-03-02",
        model_digest="m",
        n_frames=len(scores),
        n_events=1,
    )
    catalog.record_scored("knn-1", [ledger])


def _explain(root: Root) -> None:
    """Explain the highest event with pictures of the others."""
    first, *others = sorted(
        read_events(root, "site & co", "knn-1").to_pylist(), key=lambda row: -row["score"]
    )
    peak = first["peak_seconds"]
    moments = [
        Moment(
            archive="site & co", camera="entrance", video=HOSTILE, content=row["content"],
            frame=3, seconds=0.25, distance=1.5 + number, picture=row["picture_start"],
            event_id=row["event_id"],
        )
        for number, row in enumerate(others)
    ]  # fmt: skip
    explanation = Explanation(
        event_id=first["event_id"],
        archive="site & co",
        checkpoint="knn-1",
        camera="entrance",
        video=first["video"],
        content=first["content"],
        scores_digest=first["scores_digest"],
        note="<i>all</i> that is known",
        heats=(
            Heat(
                method="cells", frame=first["peak_frame"], seconds=peak, raw=((1.0,),),
                low=0.0, high=1.0, picture=others[0]["picture_peak"],
            ),
        ),
        strip=Strip(
            method="occlusion", seconds=(peak - 0.1, peak), contribution=(0.25, 0.75)
        ),
        parts=(PartShare(name="motion", share=0.9), PartShare(name="static", share=0.1)),
        normals=(replace(moments[0], event_id=""),),
        searched=1.0,
        similar=tuple(moments),
        unit="deviations",
    )  # fmt: skip
    publish_explanation(root, explanation)


@pytest.fixture(scope="session")
def report(scanned: Scanned) -> Path:
    key = render(scanned.root, "site & co", "knn-1", time_zone="Europe/Amsterdam")
    return Path(scanned.root.address(key))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for the tests of a module: its event loop must be gone before those of others run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The opened report; what it says on the console and asks of the network is kept."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(report.as_uri())
    yield page
    page.close()


def wait_until(page: Any, condition: str) -> None:
    """Poll from outside: the page's policy forbids the polling script that playwright would put in."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never became true: {condition}")


def _evaluate(root: Root) -> None:
    import io

    import pyarrow.parquet as pq

    row = {
        "archive": "site & co",
        "checkpoint": "knn-1",
        "label_set": "labels",
        "metric": "frame_auc_micro",
        "value": 0.9712,
        "low": 0.95,
        "high": 0.99,
        "frames": 525,
        "videos": 3,
        "videos_left_out": 0,
        "evaluated_at": datetime(2026, 3, 3, tzinfo=ZoneInfo("UTC")) + timedelta(hours=1),
    }
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], schema=RESULTS_SCHEMA), sink)
    root.publish("evaluations/results.parquet", sink.getvalue())
