"""The report as a browser shows it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
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

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def report(scanned: Any) -> Path:
    key = render(scanned.root, "site & co", "knn-1", time_zone="Europe/Amsterdam")
    return Path(scanned.root.address(key))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
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


@needs_browser
def test_the_page_opens_without_a_complaint_and_asks_nothing_of_any_network(page: Any) -> None:
    page.locator(".look").first.click()
    wait_until(page, "clip.readyState >= 2")
    outside = [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert (page.complaints, outside) == ([], [])
    assert sum(url.startswith("file:") for url in page.requests) == 1
    assert page.locator("svg.trace").count() >= 3


@needs_browser
def test_a_click_on_an_event_plays_its_clip_at_the_moment(page: Any, scanned: Any) -> None:
    for card in page.locator(".card").all():
        card.locator(".look").click()
        wait_until(page, "clip.readyState >= 2 && !clip.paused")
        event = page.evaluate(
            "id => JSON.parse(data.textContent).events[id]", card.get_attribute("data-event")
        )
        now = event["clipStart"] + page.evaluate("clip.currentTime")
        assert event["start"] - 0.2 <= now <= event["stop"] + 1.0
        assert page.evaluate("clip.videoWidth") in {320, 384}
        page.keyboard.press("Escape")
        assert not page.evaluate("viewer.open")


@needs_browser
def test_a_click_on_the_timeline_seeks_the_clip_or_opens_the_event(page: Any) -> None:
    page.locator("#timelines .span").last.click()
    wait_until(page, "clip.readyState >= 2")
    page.evaluate("clip.pause()")
    event = page.evaluate("JSON.parse(data.textContent).events[location.hash.slice(7)]")
    box = page.locator("#viewer-timeline svg").bounding_box()
    line = page.evaluate("JSON.parse(data.textContent).timelines.at(-1)")
    wanted = event["clipStart"] + 0.6
    page.mouse.click(box["x"] + box["width"] * wanted / line["duration"], box["y"] + 20)
    wait_until(page, "Math.abs(clip.currentTime - 0.6) < 0.1")


@needs_browser
def test_hostile_names_are_shown_as_text_and_do_nothing(page: Any) -> None:
    assert page.title() == "site & co: anomaly report"
    assert page.locator("text=<script>document.title").count() >= 2
    assert page.locator("td.file", has_text="<b>broken.mp4").count() == 1
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("b", has_text="broken").count() == 0


@needs_browser
def test_events_are_filtered_by_camera_and_sorted_without_the_mouse(page: Any) -> None:
    page.locator("#camera").focus()
    page.locator("#camera").select_option("entrance")
    assert page.locator(".card:visible").count() == 1
    assert page.locator(".line:visible").count() == 1
    assert page.locator("#shown").inner_text() == "1 of 3"
    page.locator("#camera").select_option("")
    page.locator("#sort").select_option("time")
    times = [float(card.get_attribute("data-time")) for card in page.locator(".card").all()]
    assert times == sorted(times)
    page.locator(".look").first.focus()
    page.keyboard.press("Enter")
    first = page.locator("#viewer-title").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-title").inner_text() != first
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "look"


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(browser: Any, report: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".look").first.click()
    box = page.locator("#viewer").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.close()


def test_the_policy_of_the_page_forbids_every_connection(report: Path) -> None:
    text = report.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy[1]
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
    pictures = sum(path.stat().st_size for path in media if path.suffix == ".jpg")
    room = pictures * 3 // 2 + max(clips) * 3 // 2
    key = render(root, "site & co", "knn-1", page_bytes=room)
    page = (root.read(key) or b"").decode()
    assert len(page) < everything - min(clips)
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
    assert b"highest of " in page


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
