"""The report as it is written: what it says, how large it grows, what it may do."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.catalog import Catalog, init_catalog
from anomaly.errors import SpecError
from anomaly.report import CLIP_SECONDS, clip_span
from anomaly.report import page as module
from anomaly.report.page import duration, rarity
from anomaly.report.render import render
from anomaly.scores.tables import init_tables
from anomaly.storage import open_root


def test_the_policy_of_the_page_forbids_every_connection(report: Path) -> None:
    text = report.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy[1]
    assert "connect-src &#39;none&#39;" in policy[1]
    assert not re.search(r"(?:src|href)=\"https?:", text)


def test_what_was_measured_and_what_went_wrong_is_told(report: Path) -> None:
    text = report.read_text()
    assert "0.971" in text
    assert "0.950 to 0.990" in text
    assert (
        "anomaly retry &#39;entrance/&lt;b&gt;broken.mp4&#39; --archive &#39;site &amp; co&#39;"
        in text
    )
    assert "Mon 02 Mar 2026, 08:00:0" in text
    assert "07:00:0" in text


def test_clips_that_do_not_fit_are_linked_and_the_page_says_so(
    scanned: Any, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    everything = len(root.read(render(root, "site & co", "knn-1")) or b"")
    media = list((tmp_path / "root" / "media").rglob("*.*"))
    clips = [path.stat().st_size for path in media if path.name.endswith("-clip.mp4")]
    room = everything - min(clips)
    key = render(root, "site & co", "knn-1", page_bytes=room)
    page = (root.read(key) or b"").decode()
    assert len(page.encode()) <= room
    links = re.findall(r'href="([^"]+-clip.mp4)"', page)
    assert 1 <= len(links) < len(clips)
    noun = "clip is" if len(links) == 1 else "clips are"
    assert f"{len(links)} {noun} only in the root" in page
    import urllib.parse

    target = Path(root.address(key)).parent / urllib.parse.unquote(links[0])
    assert target.resolve().is_file()


def test_two_hundred_events_stay_under_ten_megabytes(scanned: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    from anomaly.scores.tables import Partition, iterate, merge_events

    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    partition, table = next(iterate(root, "site & co", "knn-1", "events"))
    rows = [
        row | {"event_id": f"{number:016x}", "video": "many.mp4"}
        for number, row in enumerate(table.to_pylist() * 250)
    ]
    many = replace(partition, date="2026-03-05")
    assert isinstance(many, Partition)
    merge_events(root, many, {"many.mp4": table.from_pylist(rows, schema=table.schema)})
    catalog = Catalog(root, "site & co")
    known = next(iter(catalog.scored("knn-1").values()))
    scored = replace(known, uri="many.mp4", camera=many.camera, date=many.date, n_events=250)
    catalog.record_scored("knn-1", [scored])
    page = root.read(render(root, "site & co", "knn-1")) or b""
    assert page.count(b'class="card"') == 200
    assert len(page) < 10_000_000
    assert b"Shown are 200 of 253 events" in page


def test_the_page_carries_the_licence_of_what_it_is_drawn_with(report: Path) -> None:
    text = report.read_text()
    version = re.search(r"Plots: uPlot ([\d.]+\d)", text)
    assert version is not None
    assert f"uPlot (v{version[1]}) */" in text
    assert "The MIT License (MIT)" in text


def test_a_root_without_scores_gives_a_page_that_says_so(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    init_catalog(root)
    init_tables(root)
    page = (root.read(render(root, "nobody", "none")) or b"").decode()
    assert "No video has been scored by this checkpoint yet." in page


def test_days_before_since_are_left_out(scanned: Any, tmp_path: Path) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    page = (root.read(render(root, "site & co", "knn-1", since="2026-03-03")) or b"").decode()
    assert page.count('class="card"') == 0


def test_an_unknown_time_zone_is_refused(scanned: Any) -> None:
    with pytest.raises(SpecError, match="Mars/Phobos"):
        render(scanned.root, "site & co", "knn-1", time_zone="Mars/Phobos")


@given(st.text())
def test_no_text_can_end_the_data_island(text: str) -> None:
    island = module.island({"video": text + "</script><!--"})
    assert "<" not in island
    assert json.loads(island) == {"video": text + "</script><!--"}


@given(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 1))
def test_a_clip_is_short_and_holds_the_peak(start: float, length: float, share: float) -> None:
    peak = start + share * length
    first, last = clip_span(start, peak, start + length)
    assert 0 <= first <= peak + 1e-6
    assert peak <= last + 1e-6
    assert last - first <= CLIP_SECONDS + 1e-6


def test_rarity_and_duration_read_like_words() -> None:
    assert [rarity(days) for days in (0.25, 1.0, 3.2, 2000, 1e9)] == [
        "about 4 a day",
        "once a day",
        "once in 3 days",
        "once in 5 years",
        "less than once in 100 years",
    ]
    assert [duration(s) for s in (2.34, 59.99, 75, 7260)] == [
        "2.3 s",
        "1 min 0 s",
        "1 min 15 s",
        "2 h 1 min",
    ]
