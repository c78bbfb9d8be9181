"""`export-events`: what was found, as files that other programs read.

events.csv, events.json           every column of the events, with camera, local time and verdict
fiftyone/                         a data set of FiftyOne: videos, events as temporal detections, boxes
chapters/<video>.ffmetadata       chapters, as ffmpeg takes them into a video (`-i FILE -map_chapters 1`)
chapters/<video>.vtt              the same as WebVTT, as web players take them
clips/<rank>-<camera>-<time>-<event>.mp4   the stored clips, the highest score first
"""

from __future__ import annotations

import csv
import io
import json
import mimetypes
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from anomaly.catalog import Catalog, CatalogRow
from anomaly.errors import StoreError
from anomaly.report.page import rarity
from anomaly.scores.tables import EVENTS_SCHEMA, iterate
from anomaly.scores.verdicts import Said, verdicts_for
from anomaly.storage import Root, open_root, quote
from anomaly.verbs.look import known_archive
from anomaly.verbs.score import choose_checkpoint
from anomaly.video import ArchiveSpec
from anomaly.video.archive import clock_of

Form = Literal["csv", "json", "fiftyone", "chapters", "clips"]
NOT_JUDGED = "none"
COLUMNS = (
    "archive",
    "checkpoint",
    "camera",
    "date",
    *EVENTS_SCHEMA.names,
    "start_local",
    "verdict",
    "note",
)
"""of `events.csv`, and keys of `events.json`"""

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExportEventsSummary:
    """What was written."""

    archive: str
    checkpoint: str
    folder: str
    events: int
    files: Mapping[str, int]
    """by form"""
    left_out: tuple[str, ...]
    """events whose clip is not stored; videos that are folders of images, which FiftyOne does not play"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return {
            "archive": self.archive,
            "checkpoint": self.checkpoint,
            "folder": self.folder,
            "events": self.events,
            "files": dict(self.files),
            "left_out": list(self.left_out),
        }


def export_events(
    root_url: str,
    archive: ArchiveSpec,
    folder: Path,
    forms: Sequence[Form],
    *,
    checkpoint: str = "",
    verdicts: Sequence[Said | Literal["none"]] = (),
) -> ExportEventsSummary:
    """Write the events of an archive into a folder, over files of the same name.

    Args:
        root_url: the root.
        archive: the archive, which was looked at before; it is not looked at now.
        folder: made when missing.
        forms: what to write.
        checkpoint: whose events; the current one by default.
        verdicts: only events of these verdicts (`none`: not judged); all by default.

    Raises:
        SpecError: the archive, the checkpoint or the time zone is not known.
        StoreError: the folder cannot be written.
    """
    root = open_root(root_url)
    bundle = choose_checkpoint(root, checkpoint)
    name = known_archive(root, archive)
    rows = _rows(root, name, bundle.name, archive.time_zone)
    wanted = [row for row in rows if not verdicts or (row["verdict"] or NOT_JUDGED) in verdicts]
    out = _Out(root, name, folder)
    try:
        for form in dict.fromkeys(forms):
            _WRITERS[form](out, wanted)
    except OSError as error:
        raise StoreError(f"Cannot write {error.filename}: {error.strerror}.") from error
    return ExportEventsSummary(
        archive=name,
        checkpoint=bundle.name,
        folder=str(folder),
        events=len(wanted),
        files=dict(out.files),
        left_out=tuple(out.left_out),
    )


def _rows(root: Root, archive: str, checkpoint: str, time_zone: str) -> list[Row]:
    """Return the events by camera-day, video and time."""
    found = [
        {
            "archive": archive,
            "checkpoint": checkpoint,
            "camera": day.camera,
            "date": day.date,
            **row,
        }
        for day, table in iterate(root, archive, checkpoint, "events")
        for row in table.to_pylist()
    ]
    said = verdicts_for(root, archive, found)
    zone = clock_of(time_zone)
    for row in found:
        verdict, start = said.get(row["event_id"]), row["start_time_utc"]
        row["start_local"] = None if start is None else start.astimezone(zone)
        row["verdict"] = None if verdict is None else verdict.verdict
        row["note"] = None if verdict is None else verdict.note
    return [{name: row[name] for name in COLUMNS} for row in found]


class _Out:
    """The folder that is written to, and what was written."""

    def __init__(self, root: Root, archive: str, folder: Path) -> None:
        self.root = root
        self.archive = archive
        self.files: dict[str, int] = defaultdict(int)
        self.left_out: list[str] = []
        self._folder = folder

    def write(self, form: Form, path: str, data: str | bytes) -> None:
        """Write a file whole or not at all."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(data.encode() if isinstance(data, str) else data)
        partial.replace(target)
        self.files[form] += 1

    def catalog(self) -> dict[str, CatalogRow]:
        """Return what is known of the videos."""
        return Catalog(self.root, self.archive).rows()


def _csv(out: _Out, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        boxes = None if row["boxes"] is None else json.dumps(row["boxes"])
        writer.writerow({**row, "boxes": boxes, **_times(row)})
    out.write("csv", "events.csv", text.getvalue())


def _json(out: _Out, rows: Sequence[Row]) -> None:
    out.write("json", "events.json", _plain([{**row, **_times(row)} for row in rows]))


def _times(row: Row) -> dict[str, str | None]:
    """Return the times of an event in ISO 8601."""
    return {
        name: None if row[name] is None else row[name].isoformat()
        for name in ("start_time_utc", "start_local")
    }


def _plain(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _fiftyone(out: _Out, rows: Sequence[Row]) -> None:
    """Write what `fo.Dataset.from_dir(..., dataset_type=fo.types.FiftyOneDataset)` reads.

    The layout without a `version` is plain JSON of samples and has stayed the same since FiftyOne 0.7;
    newer ones are dumps of its data base. Frames count from 1 there, and supports hold both ends.
    """
    catalog = out.catalog()
    samples = []
    for number, (video, events) in enumerate(sorted(_by_video(rows).items()), 1):
        known = catalog[video]
        if known.kind != "file":
            out.left_out.append(video)
            continue
        frames = f"frames/{number:06d}.json"
        out.write("fiftyone", f"fiftyone/{frames}", _plain({"frames": _boxes(events, known)}))
        samples.append(
            {
                "_media_type": "video",
                "filepath": known.location,
                "tags": [known.camera],
                "metadata": _video_metadata(known),
                "frames": frames,
                "events": {
                    "_cls": "TemporalDetections",
                    "detections": [_temporal_detection(event) for event in events],
                },
            }
        )
    out.write("fiftyone", "fiftyone/samples.json", _plain({"samples": samples}))
    info = {"archive": out.archive, "classes": [_LABEL]}
    out.write(
        "fiftyone", "fiftyone/metadata.json", _plain({"media_type": "video", "info": info})
    )


_LABEL = "anomaly"


def _video_metadata(video: CatalogRow) -> dict[str, Any]:
    return {
        "_cls": "VideoMetadata",
        "size_bytes": video.bytes,
        "mime_type": mimetypes.guess_type(video.uri)[0],
        "frame_width": video.width,
        "frame_height": video.height,
        "frame_rate": video.rate,
        "total_frame_count": video.n_frames,
        "duration": video.duration_seconds,
        "encoding_str": video.codec,
    }


def _temporal_detection(event: Row) -> dict[str, Any]:
    return {
        "_cls": "TemporalDetection",
        "label": _LABEL,
        "support": [event["start_frame"] + 1, event["stop_frame"]],
        "tags": [event["verdict"]] if event["verdict"] else [],
        **{name: event[name] for name in ("event_id", "score", "one_in_days", "part", "note")},
    }


def _boxes(events: Sequence[Row], video: CatalogRow) -> dict[str, Any]:
    """Return the strange places at the peaks, by frame number: parts of width and height."""
    found: dict[str, Any] = {}
    for event in events:
        if not event["boxes"] or not video.width or not video.height:
            continue
        number = event["peak_frame"] + 1
        boxes = [_relative(box, video.width, video.height) for box in event["boxes"]]
        found[str(number)] = {
            "frame_number": number,
            "places": {
                "_cls": "Detections",
                "detections": [
                    {
                        "_cls": "Detection",
                        "label": _LABEL,
                        "tags": [],
                        "bounding_box": place,
                        "event_id": event["event_id"],
                        "score": box["score"],
                    }
                    for place, box in zip(boxes, event["boxes"], strict=True)
                ],
            },
        }
    return found


def _relative(box: Row, width: int, height: int) -> list[float]:
    """Return left, top, width and height of a box as parts of the picture."""
    return [
        box["left"] / width,
        box["top"] / height,
        (box["right"] - box["left"]) / width,
        (box["bottom"] - box["top"]) / height,
    ]


def _chapters(out: _Out, rows: Sequence[Row]) -> None:
    for video, events in _by_video(rows).items():
        path = f"chapters/{'/'.join(quote(part) for part in video.split('/') if part)}"
        out.write("chapters", f"{path}.ffmetadata", _ffmetadata(events))
        out.write("chapters", f"{path}.vtt", _webvtt(events))


def _ffmetadata(events: Sequence[Row]) -> str:
    parts = [";FFMETADATA1"]
    for event in events:
        start, stop = _milliseconds(event)
        title = re.sub(r"([=;#\\\n])", r"\\\1", _title(event))
        parts += [
            "[CHAPTER]",
            "TIMEBASE=1/1000",
            f"START={start}",
            f"END={stop}",
            f"title={title}",
        ]
    return "\n".join(parts) + "\n"


def _webvtt(events: Sequence[Row]) -> str:
    cues = ["WEBVTT"]
    for event in events:
        start, stop = (_vtt_time(end) for end in _milliseconds(event))
        title = _title(event).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{event['event_id']}\n{start} --> {stop}\n{' '.join(title.split())}")
    return "\n\n".join(cues) + "\n"


def _milliseconds(event: Row) -> tuple[int, int]:
    start, stop = (round(event[f"{end}_seconds"] * 1000) for end in ("start", "stop"))
    return start, max(stop, start + 1)


def _vtt_time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _title(event: Row) -> str:
    """Return what a player shows of an event: score, rarity, verdict and note."""
    words = [f"score {event['score']:.1f}"]
    if event["one_in_days"] is not None:
        words.append(rarity(event["one_in_days"]))
    words += [event[name] for name in ("verdict", "note") if event[name]]
    return f"{_LABEL}: {', '.join(words)}"


def _clips(out: _Out, rows: Sequence[Row]) -> None:
    ranked = sorted(rows, key=lambda row: (-row["score"], row["event_id"]))
    for rank, row in enumerate(ranked, 1):
        data = out.root.read(row["clip"]) if row["clip"] else None
        if data is None:
            out.left_out.append(row["event_id"])
            continue
        out.write("clips", f"clips/{_clip_name(rank, row)}", data)


def _clip_name(rank: int, row: Row) -> str:
    local = row["start_local"]
    moment = Path(row["video"]).stem if local is None else local.strftime("%Y%m%d_%H%M%S")
    words = [f"{rank:04d}", row["camera"], moment, row["event_id"]]
    return "-".join(re.sub(r"[^\w.]+", "_", word)[:80] for word in words) + ".mp4"


def _by_video(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["video"]].append(row)
    return {
        video: sorted(of, key=lambda row: row["start_seconds"]) for video, of in found.items()
    }


_WRITERS: Mapping[Form, Callable[[_Out, Sequence[Row]], None]] = {
    "csv": _csv,
    "json": _json,
    "fiftyone": _fiftyone,
    "chapters": _chapters,
    "clips": _clips,
}
