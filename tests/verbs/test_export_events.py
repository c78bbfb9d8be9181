"""Events as files of other programs; where a library reads the format, it reads ours."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from anomaly.catalog import Catalog
from anomaly.cli import run
from anomaly.errors import SpecError, StoreError
from anomaly.outcome import Outcome
from anomaly.verbs.export_events import COLUMNS, export_events
from anomaly.verbs.verdicts import give_verdict
from anomaly.video import ArchiveSpec
from tests.verbs.conftest import House
from tests.verbs.given import events, with_events

BOXES = [
    {"left": 16, "top": 12, "right": 32, "bottom": 24, "score": 5.0},
    {"left": 0, "top": 0, "right": 64, "bottom": 48, "score": 4.0},
]
ODD = "a fox; 50 % = half # \\ <b>&amp;</b>\n--> next line"


@pytest.fixture
def told(copied: House) -> House:
    """Two events in each of four videos, one of them judged, one with a clip."""
    rows = with_events(copied, [3.0, 400.0], boxes=BOXES)
    give_verdict(copied.root, rows[0]["event_id"], "real", ODD)
    copied.root.publish("media/site/c/x-clip.mp4", b"a clip")
    return copied


def exported(house: House, folder: Path, *forms: Any, **more: Any) -> Any:
    return export_events(house.url, house.archive, folder, forms, **more)


def test_tables_hold_every_event_with_its_verdict(told: House, tmp_path: Path) -> None:
    summary = exported(told, tmp_path, "csv", "json")
    with (tmp_path / "events.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows = json.loads((tmp_path / "events.json").read_text())
    assert summary.to_json()["files"] == {"csv": 1, "json": 1}
    assert [row["event_id"] for row in rows] == [row["event_id"] for row in events(told)]
    assert tuple(lines[0]) == tuple(rows[0]) == COLUMNS
    first = next(row for row in rows if row["verdict"])
    assert (first["verdict"], first["note"], first["boxes"]) == ("real", ODD, BOXES)
    line = next(line for line in lines if line["verdict"])
    assert (line["note"], json.loads(line["boxes"])) == (ODD, BOXES)
    assert float(line["one_in_days"]) == first["one_in_days"] == 3.0
    assert {row["camera"] for row in rows} == {"gate", "hall"}


def test_exporting_again_writes_the_same_bytes(told: House, tmp_path: Path) -> None:
    forms = ("csv", "json", "fiftyone", "chapters", "clips")
    exported(told, tmp_path, *forms)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    exported(told, tmp_path, *forms)
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_only_events_of_the_wanted_verdicts_are_written(told: House, tmp_path: Path) -> None:
    assert exported(told, tmp_path, "csv", verdicts=("real",)).events == 1
    assert exported(told, tmp_path, "csv", verdicts=("none",)).events == 7
    assert exported(told, tmp_path, "csv", verdicts=("real", "none")).events == 8
    assert exported(told, tmp_path, "csv", verdicts=("false",)).events == 0
    assert (tmp_path / "events.csv").read_text().count("\n") == 1


def test_chapters_are_read_by_ffmpeg_as_they_were_meant(told: House, tmp_path: Path) -> None:
    import av

    exported(told, tmp_path, "chapters")
    path = tmp_path / "chapters" / "gate" / "1.mp4.ffmetadata"
    with av.open(str(path), format="ffmetadata") as container:
        chapters = container.chapters()
    spans = [
        (one["start"] * one["time_base"], one["end"] * one["time_base"]) for one in chapters
    ]
    assert [(float(start), float(stop)) for start, stop in spans] == [(0.0, 0.1), (0.1, 0.2)]
    titles = [one["metadata"]["title"] for one in chapters]
    assert titles[0] == f"anomaly: score 1.0, once in 3 days, real, {ODD}"
    assert titles[1] == "anomaly: score 1.0, once in 400 days"


def test_chapters_can_be_muxed_into_the_video(told: House, tmp_path: Path) -> None:
    import av

    exported(told, tmp_path, "chapters")
    meta = tmp_path / "chapters" / "gate" / "1.mp4.ffmetadata"
    with (
        av.open(str(meta), format="ffmetadata") as chapters,
        av.open(str(told.folder / "gate/1.mp4")) as video,
        av.open(str(tmp_path / "with.mkv"), "w") as out,
    ):
        stream = out.add_stream_from_template(video.streams.video[0])
        out.set_chapters(chapters.chapters())
        for packet in video.demux(video.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with av.open(str(tmp_path / "with.mkv")) as muxed:
        assert len(muxed.chapters()) == 2


def test_web_chapters_are_well_formed_whatever_a_note_says(told: House, tmp_path: Path) -> None:
    exported(told, tmp_path, "chapters")
    head, *cues = (tmp_path / "chapters/gate/1.mp4.vtt").read_text().strip().split("\n\n")
    assert head == "WEBVTT"
    name, times, *text = cues[0].splitlines()
    assert len(name) == 16
    assert times == "00:00:00.000 --> 00:00:00.100"
    assert len(text) == 1
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt; --&gt; next line" in text[0]


def test_a_fiftyone_data_set_has_its_layout_and_fields(told: House, tmp_path: Path) -> None:
    exported(told, tmp_path, "fiftyone")
    folder = tmp_path / "fiftyone"
    about = json.loads((folder / "metadata.json").read_text())
    assert about["media_type"] == "video"
    assert "version" not in about  # plain samples, not a dump of a data base
    samples = json.loads((folder / "samples.json").read_text())["samples"]
    assert [Path(one["filepath"]) for one in samples] == sorted(
        path for path in told.folder.rglob("*.mp4")
    )
    first = samples[0]
    assert first["tags"] == ["gate"]
    assert first["metadata"]["_cls"] == "VideoMetadata"
    assert first["metadata"]["total_frame_count"] == 12
    assert (first["metadata"]["frame_width"], first["metadata"]["frame_height"]) == (64, 48)
    (judged, other) = first["events"]["detections"]
    assert judged["_cls"] == "TemporalDetection"
    assert judged["support"] == [1, 1]  # frame 0, the first of theirs
    assert (judged["tags"], other["tags"]) == (["real"], [])
    frames = json.loads((folder / first["frames"]).read_text())["frames"]
    assert list(frames) == ["1", "2"]
    places = frames["1"]["places"]["detections"]
    assert [place["bounding_box"] for place in places] == [
        [0.25, 0.25, 0.25, 0.25],
        [0, 0, 1, 1],
    ]


def test_clips_are_named_by_rank_camera_and_event_and_missing_ones_are_told(
    told: House, tmp_path: Path
) -> None:
    rows = with_events(told, [3.0], clip="media/site/c/x-clip.mp4")
    summary = exported(told, tmp_path, "clips")
    assert summary.left_out == ()
    names = sorted(path.name for path in (tmp_path / "clips").iterdir())
    assert names[0] == f"0001-gate-1-{rows[0]['event_id']}.mp4"
    assert {path.read_bytes() for path in (tmp_path / "clips").iterdir()} == {b"a clip"}
    told.root.delete("media")
    summary = exported(told, tmp_path / "other", "clips")
    assert set(summary.left_out) == {row["event_id"] for row in rows}


def test_folders_of_images_are_left_out_of_fiftyone_and_named(
    told: House, tmp_path: Path
) -> None:
    row = told.catalog()["hall/1.mp4"]
    outcome = Outcome(uri=row.uri, status="ok", content=row.content or "")
    facts = {outcome.content: {"kind": "frames"}}
    Catalog(told.root, "site").record([outcome], facts)
    summary = exported(told, tmp_path, "fiftyone")
    assert summary.left_out == ("hall/1.mp4",)
    samples = json.loads((tmp_path / "fiftyone/samples.json").read_text())["samples"]
    assert len(samples) == 3


def test_what_cannot_be_done_is_told_in_one_line(told: House, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Did you mean 'site'"):
        export_events(told.url, ArchiveSpec(root="sit"), tmp_path, ["csv"])
    wrong = ArchiveSpec(root=told.archive.root, time_zone="Europe/Rom")
    with pytest.raises(SpecError, match="'Europe/Rome'"):
        export_events(told.url, wrong, tmp_path, ["csv"])
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Cannot write"):
        exported(told, tmp_path / "file", "csv")


def test_the_command_line_writes_all_forms_by_the_archive_s_name(
    told: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms = [word for form in ("csv", "clips", "chapters") for word in ("--as", form)]
    command = ["export-events", "site", "--to", str(tmp_path), *forms, "--root", told.url]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == {"csv": 1, "chapters": 8}
    assert len(found["left_out"]) == 8
