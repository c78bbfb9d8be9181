"""The report as somebody uses it in a browser: by mouse, by keyboard, on a phone, on paper."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly.catalog import Catalog, LedgerRow
from anomaly.report.render import compose, render
from anomaly.scores import FrameScores
from anomaly.scores.events import Event
from anomaly.scores.stages import ScoreStages
from anomaly.scores.tables import (
    Partition,
    event_rows,
    merge_events,
    merge_scores,
    read_events,
    score_rows,
)
from anomaly.scores.verdicts import add_verdicts, parse_verdict, parse_verdicts
from anomaly.storage import Root, open_root
from tests.report.conftest import needs_browser, wait_until

pytestmark = needs_browser


def seconds_in_video(page: Any) -> float:
    return float(page.evaluate("moment()"))


def at_second(page: Any, plot: Any, seconds: float) -> tuple[float, float]:
    """Return where on the screen a second of a plot of the viewer lies."""
    box = plot.locator(".u-over").bounding_box()
    across = page.evaluate(f"timeline.plot.valToPos({seconds}, 'x')")
    return box["x"] + across, box["y"] + box["height"] / 2


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_page_opens_without_a_complaint_and_asks_nothing_of_any_network(page: Any) -> None:
    page.locator(".look").first.click()
    wait_until(page, "clip.readyState >= 2")
    for key in ("z", "h", "h", "r", "ArrowRight", "+", "-", "Escape"):
        press(page, key)
    page.locator("#budget").fill("30")
    page.locator(".line").last.scroll_into_view_if_needed()
    wait_until(page, "document.querySelectorAll('.line canvas').length === 3")
    outside = [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert (page.complaints, outside) == ([], [])
    assert sum(url.startswith("file:") for url in page.requests) == 1


def test_a_click_on_an_event_plays_its_clip_at_the_moment(page: Any) -> None:
    for card in page.locator(".card").all():
        card.locator(".look").click()
        wait_until(page, "clip.readyState >= 2 && !clip.paused")
        event = page.evaluate("id => report.events[id]", card.get_attribute("data-event"))
        assert event["start"] - 0.2 <= seconds_in_video(page) <= event["stop"] + 1.0
        assert page.evaluate("clip.videoWidth") in {320, 384}
        press(page, "Escape")
        assert not page.evaluate("viewer.open")


def test_the_player_moves_the_timeline_and_the_timeline_the_player(page: Any) -> None:
    page.locator(".look").first.click()
    wait_until(page, "clip.readyState >= 2")
    page.evaluate("clip.pause()")
    plot = page.locator("#viewer-timeline")
    head = plot.locator(".head")
    event = page.evaluate("report.events[current]")
    for share in (0.2, 0.7):
        wanted = event["clipStart"] + share * (event["clipStop"] - event["clipStart"])
        page.mouse.click(*at_second(page, plot, wanted))
        wait_until(page, f"Math.abs(moment() - {wanted}) < 0.12")
    page.evaluate("clip.currentTime = 0.5")
    wait_until(page, "Math.abs(clip.currentTime - 0.5) < 0.05 && !clip.seeking")
    page.wait_for_timeout(50)
    place = head.bounding_box()
    assert place["x"] + 1 == pytest.approx(
        at_second(page, plot, event["clipStart"] + 0.5)[0], abs=2
    )
    before = place["x"]
    page.evaluate("clip.play()")
    wait_until(page, "clip.currentTime > 0.9")
    assert head.bounding_box()["x"] > before + 2
    assert "in the video" in page.locator("#now").inner_text()


def test_a_moment_outside_the_clip_is_shown_from_the_whole_video(page: Any) -> None:
    page.locator(".look").first.click()
    wait_until(page, "clip.readyState >= 2")
    press(page, "z")
    page.mouse.click(*at_second(page, page.locator("#viewer-timeline"), 12.6))
    wait_until(
        page, "source === 'original' && clip.readyState >= 1 && Math.abs(moment() - 12.6) < 1"
    )
    assert page.evaluate("clip.duration") == pytest.approx(14, abs=0.2)
    page.get_by_role("button", name="Clip", exact=True).click()
    wait_until(page, "source === 'clip' && clip.readyState >= 1 && clip.duration < 9")


def test_the_pointer_over_the_score_reads_it_with_the_camera_s_clock(page: Any) -> None:
    page.locator(".look").first.click()
    event = page.evaluate("report.events[current]")
    page.mouse.move(*at_second(page, page.locator("#viewer-timeline"), event["peak"]))
    said = page.locator("#viewer-timeline .readout").inner_text()
    seconds, time_of_day, score = said.split(", ")
    assert float(score.removeprefix("score ")) == pytest.approx(event["score"], abs=0.3)
    begun = datetime.fromisoformat(page.locator(".card time").first.get_attribute("datetime"))
    peak = begun + timedelta(seconds=event["peak"] - event["start"])
    told = datetime.strptime(time_of_day, "%H:%M:%S").replace(
        year=peak.year, month=peak.month, day=peak.day, tzinfo=peak.tzinfo
    )
    assert abs((told - peak).total_seconds()) < 1.2
    assert float(seconds.removeprefix("0:")) == pytest.approx(event["peak"], abs=0.2)


def test_dragging_over_the_score_zooms_and_keys_do_too(page: Any) -> None:
    page.locator(".look").first.click()
    plot = page.locator("#viewer-timeline")

    def shown() -> tuple[float, float]:
        page.wait_for_timeout(60)
        return tuple(page.evaluate("[timeline.plot.scales.x.min, timeline.plot.scales.x.max]"))

    press(page, "z")
    whole = shown()
    x, y = at_second(page, plot, 4.0)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(*at_second(page, plot, 6.0), steps=4)
    page.mouse.up()
    assert shown() == pytest.approx((4.0, 6.0), abs=0.1)
    press(page, "-")
    assert shown()[1] - shown()[0] == pytest.approx(3.4, abs=0.2)
    press(page, "z")
    assert shown() == whole
    press(page, "+")
    assert shown()[1] - shown()[0] == pytest.approx(0.6 * (whole[1] - whole[0]), abs=0.1)


def test_a_mark_on_a_timeline_opens_its_event(page: Any) -> None:
    line = page.locator("#timelines .line").last
    line.scroll_into_view_if_needed()
    mark = line.locator(".mark")
    mark.click()
    assert page.evaluate("current") == mark.get_attribute("data-event")
    current = page.locator("#viewer-timeline .mark.current")
    x, _ = at_second(
        page, page.locator("#viewer-timeline"), page.evaluate("report.events[current].start")
    )
    assert current.bounding_box()["x"] == pytest.approx(x, abs=2)


def test_stretches_that_say_less_are_marked_and_explained(page: Any) -> None:
    page.locator(".look").first.click()
    assert "not decodable" in page.locator("#viewer-timeline .stretches").inner_text()
    assert page.locator("#viewer-timeline .swatch.lost").count() == 1


def test_hostile_names_are_shown_as_text_and_do_nothing(page: Any) -> None:
    assert page.title() == "site & co: anomaly report"
    assert page.locator("text=<script>document.title").count() >= 2
    assert page.locator("td.file", has_text="<b>broken.mp4").count() == 1
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("b", has_text="broken").count() == 0
    page.locator(".look").first.click()
    assert page.locator("#viewer-why", has_text="<i>all</i> that is known").count() == 1
    assert page.locator("#viewer-why i").count() == 0
    title = page.locator("#viewer-why .moments li").first.get_attribute("title")
    assert "<script>document.title" in title


def test_what_is_known_of_an_event_is_shown_on_its_card_and_beside_its_clip(page: Any) -> None:
    card = page.locator(".card").first
    assert (
        card.locator(".spark").count() == card.locator(".contributions rect").count() / 2 == 1
    )
    assert card.locator(".moments img").count() == 1
    assert "motion 90 %, static 10 %" in card.inner_text()
    plain = card.locator("img.peak").get_attribute("src")
    page.get_by_label("heat maps").check()
    hot = card.locator("img.peak").get_attribute("src")
    assert hot != plain
    page.get_by_label("heat maps").uncheck()
    assert card.locator("img.peak").get_attribute("src") == plain
    card.get_by_role("button", name="heat").click()
    assert card.locator("img.peak").get_attribute("src") == hot
    assert page.locator(".warm").count() == 1
    card.locator(".look").click()
    press(page, "h")
    wait_until(page, "!still.hidden && clip.hidden")
    assert page.locator("#still").get_attribute("src") == hot
    press(page, "h")
    wait_until(page, "still.hidden && !clip.hidden")
    assert page.locator("#viewer-why .moments img").count() == 3
    page.locator("#viewer-why .moments button").first.click()
    assert page.locator("#viewer-title").inner_text().startswith("2.")


def test_events_are_filtered_by_camera_day_rarity_and_verdict(page: Any) -> None:
    shown = page.locator("#shown")
    page.locator("#camera").select_option("entrance")
    assert page.locator(".card:visible").count() == 1
    assert page.locator(".line:visible").count() == 1
    assert shown.inner_text() == "1 of 3"
    assert "1 event" in page.locator("#budget-says").inner_text()
    page.get_by_role("button", name="Show all again").click()
    assert shown.inner_text() == "3"
    day = page.locator("#calendar .day")
    assert day.count() == 1
    assert day.get_attribute("aria-label") == "Mon 2 Mar: 3 events, 3 videos"
    day.click()
    assert page.locator("#day").input_value() == "2026-03-02"
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.locator(".look").nth(1).focus()
    press(page, "f")
    page.locator("#verdict").select_option("false")
    assert shown.inner_text() == "1 of 3"
    page.locator("#verdict").select_option("none")
    assert shown.inner_text() == "2 of 3"
    page.locator("#verdict").select_option("")
    rarest = max(
        float(card.get_attribute("data-rarity")) for card in page.locator(".card").all()
    )
    page.locator("#severity").select_option("365")
    assert page.locator(".card:visible").count() == (3 if rarest >= 365 else 0)
    assert page.locator("#none-left").is_visible() == (rarest < 365)


def test_events_are_sorted(page: Any) -> None:
    def order(name: str) -> list[str]:
        return [card.get_attribute(f"data-{name}") for card in page.locator(".card").all()]

    page.locator("#sort").select_option("time")
    times = [float(value) for value in order("time")]
    assert times == sorted(times)
    page.locator("#sort").select_option("newest")
    assert [float(value) for value in order("time")] == times[::-1]
    page.locator("#sort").select_option("duration")
    durations = [float(value) for value in order("duration")]
    assert durations == sorted(durations, reverse=True)
    page.locator("#sort").select_option("camera")
    assert order("camera") == sorted(order("camera"))
    page.locator("#sort").select_option("rank")
    assert order("rank") == ["1", "2", "3"]


def test_the_slider_tells_how_many_events_another_budget_gives(page: Any) -> None:
    says, slider = page.locator("#budget-says"), page.locator("#budget")
    assert says.inner_text().startswith("24 a day and camera, as now: 3 events in 1 min")
    what_if = page.evaluate("report.whatIf")
    counts = np.sum([day["counts"] for day in what_if["days"]], axis=0)
    for step in (int(slider.get_attribute("max")), int(np.argmax(counts == 2))):
        slider.fill(str(step))
        assert f"{counts[step]} event" in says.inner_text()
        assert page.locator(".card:visible").count() == counts[step]
        assert "--alarms-per-camera-day" in says.inner_text()
    slider.focus()
    press(page, "Home")
    assert "240 a day" in slider.get_attribute("aria-valuetext")
    assert page.locator(".card:visible").count() == 3


def test_everything_can_be_done_with_the_keyboard_alone(page: Any) -> None:
    press(page, "j", "Enter")
    assert page.evaluate("viewer.open")
    first = page.locator("#viewer-title").inner_text()
    press(page, "r", "n")
    page.keyboard.type("somebody ran")
    press(page, "Enter", "ArrowRight")
    assert page.locator("#viewer-title").inner_text() != first
    assert page.locator("#note").input_value() == ""
    press(page, "f", "ArrowLeft")
    assert page.locator("#note").input_value() == "somebody ran"
    wait_until(page, "clip.readyState >= 2 && !clip.paused")
    press(page, "Space")
    wait_until(page, "clip.paused")
    at = seconds_in_video(page)
    press(page, ".")
    wait_until(page, f"Math.abs(moment() - {at} - 0.2) < 0.05")
    press(page, "Escape")
    wait_until(page, "!location.hash")
    assert page.evaluate("document.activeElement.className") == "look"
    press(page, "j", "j", "u")
    said = [card.get_attribute("data-verdict") for card in page.locator(".card").all()]
    assert said == ["real", "false", "unsure"]
    for _ in range(40):
        press(page, "Shift+Tab")
        if page.evaluate("document.activeElement.id") == "save":
            break
    with page.expect_download() as download:
        press(page, "Enter")
    assert download.value.suggested_filename.startswith("verdicts-site_co-")


def test_verdicts_come_back_from_the_browser_the_file_and_the_root(
    browser: Any, scanned: Any, report: Path, tmp_path: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator(".look").nth(0).click()
    page.locator("#note").fill("<b>checked</b> on site")
    page.get_by_role("button", name="r real").click()
    press(page, "ArrowRight", "f", "Escape")
    wait_until(page, "!location.hash")
    page.reload()
    assert page.locator(".card .said:visible").all_inner_texts() == [
        "! real <b>checked</b> on site".removeprefix("! "),
        "false",
    ]
    with page.expect_download() as download:
        page.locator("#save").click()
    content = json.loads(Path(download.value.path()).read_text())
    assert (content["archive"], content["checkpoint"]) == ("site & co", "knn-1")
    verdicts = parse_verdicts(Path(download.value.path()).read_bytes(), "the file")
    assert [(one.verdict, one.note) for one in verdicts] == [
        ("real", "<b>checked</b> on site"),
        ("false", ""),
    ]
    context.close()
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    add_verdicts(root, verdicts)
    key = render(root, "site & co", "knn-1")
    fresh = browser.new_context()
    page = fresh.new_page()
    page.goto(Path(root.address(key)).as_uri())
    assert page.locator(".card .said:visible").count() == 2
    assert page.locator("#judged").inner_text() == "2 of 3 judged"
    assert page.locator("#save").is_disabled()
    fresh.close()


@pytest.fixture
def review(scanned: Any) -> Iterator[tuple[str, list[Any], list[int]]]:
    """A server as `anomaly review` is one: the page, and an address that takes verdicts."""
    page = compose(scanned.root, "site & co", "knn-1", review="verdicts?token=secret").encode()
    taken: list[Any] = []
    answers = [204]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, parse_verdict(json.loads(body), "the request")))
            self.send_response(answers[0])
            self.end_headers()

        def log_message(self, *said: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", taken, answers
        server.shutdown()
        thread.join()


def test_a_page_under_review_posts_each_verdict_to_its_own_server(
    browser: Any, review: tuple[str, list[Any], list[int]]
) -> None:
    address, taken, answers = review
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(address)
    press(page, "j", "r")
    wait_until(page, "unsaved.size === 0")
    ((path, verdict),) = taken
    assert path == "/verdicts?token=secret"
    assert (verdict.verdict, verdict.event_id) == (
        "real",
        page.evaluate("cards[0].dataset.event"),
    )
    assert page.locator("#save").is_hidden()
    assert complaints == []
    answers[0] = 500
    press(page, "f")
    page.locator("#toast").wait_for()
    assert "did not reach the server" in page.locator("#toast").inner_text()
    assert page.locator("#save").is_enabled()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(browser: Any, report: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".look").first.click()
    box = page.locator("#viewer").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert page.evaluate("viewer.scrollWidth <= viewer.clientWidth")
    page.close()


CONTRASTS = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((one, k) => one * a + under[k] * (1 - a));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || !element.checkVisibility() || element.matches(":disabled, option")) continue;
    const ground = behind(element), ink = over(parse(getComputedStyle(element).color), ground);
    const [low, high] = [light(ground), light(ink)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_enough_to_be_read(browser: Any, report: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    for key in ("j", "r", "j", "f", "j", "u"):
        press(page, key)
    page.locator("#calendar .day").click()
    assert page.evaluate(CONTRASTS) == []
    page.locator(".look").first.click()
    assert page.evaluate(CONTRASTS) == []
    page.close()


def test_a_page_without_events_works_too(browser: Any, tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    ledger = LedgerRow(
        uri="a.mp4", content="c", camera="gate", date="2026-03-05", model_digest="m",
        n_frames=10, n_events=0,
    )  # fmt: skip
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for scored in ([], [ledger]):
        Catalog(root, "site").record_scored("knn-1", scored)
        page.goto(Path(root.address(render(root, "site", "knn-1"))).as_uri())
        press(page, "j", "r", "h", "Enter")
        assert page.locator(".day").count() == len(scored)
        assert page.locator("[aria-labelledby=events-title] .empty:visible").count() == 1
    assert complaints == []
    page.close()


def test_the_theme_can_be_chosen_and_is_remembered(page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("#theme")
    button.click()
    assert (button.inner_text(), page.evaluate(ground)) == ("Theme: light", light)
    button.click()
    assert page.evaluate(ground) != light
    page.reload()
    assert button.inner_text() == "Theme: dark"
    assert page.evaluate(ground) != light


def test_every_picture_button_and_control_has_a_name(page: Any) -> None:
    page.locator(".look").first.click()
    assert (
        page.evaluate("""() => [...document.querySelectorAll("button, select, input, textarea, img, svg")]
        .filter((one) => !(one.getAttribute("aria-label") || one.labels?.length || one.textContent.trim()
            || one.hasAttribute("alt") || one.getAttribute("aria-hidden")))
        .map((one) => one.outerHTML.slice(0, 80))""")
        == []
    )
    levels = page.evaluate("[...document.querySelectorAll('h1, h2')].map((one) => one.tagName)")
    assert levels.count("H1") == 1


def test_on_paper_there_are_events_and_all_timelines_but_no_controls(page: Any) -> None:
    page.locator("#theme").click(click_count=2)
    assert page.locator("#theme").inner_text() == "Theme: dark"
    page.emulate_media(media="print")
    assert page.locator("#controls").is_hidden()
    assert page.locator(".card").first.is_visible()
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    assert page.evaluate("colour('ink')") == "rgb(35, 37, 42)"
    pdf = page.pdf()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) in range(1, 6)
    assert page.evaluate("document.querySelectorAll('.line canvas').length") == 3


def with_media(root: Root, event: Event, name: str, like: dict[str, Any]) -> Event:
    """Return the event with pictures and a clip of its own, which are copies of those of `like`."""
    keys = {}
    for field in ("clip", "picture_start", "picture_peak", "picture_stop"):
        data = root.read(like[field])
        assert data is not None
        keys[field] = f"media/{name}-{field}"
        root.publish(keys[field], data)
    return replace(event, **keys)


def test_a_million_scores_and_two_hundred_events_with_pictures_open_quickly(
    browser: Any, scanned: Any, stages: ScoreStages, tmp_path: Path
) -> None:
    root = open_root(str(shutil.copytree(scanned.root.url, tmp_path / "root")))
    file, day = scanned.files[0], "2026-03-05"
    generator = np.random.default_rng(8)
    partition = Partition(
        archive=file.archive, checkpoint="knn-1", camera=file.camera, date=day
    )
    like = read_events(root, file.archive, "knn-1").to_pylist()[0]
    scores, events, ledger = {}, {}, []
    for number in range(20):
        one = replace(file, uri=f"{file.camera}/{number}.mp4")
        score_T = generator.exponential(0.43, 50_000)
        score_T[np.arange(50_000) % 5000 < 10] = 30 + number
        frames = FrameScores(
            score_T, score_T, np.ones(50_000, np.bool_), np.arange(50_000) / 25
        )
        found = [
            with_media(root, event, f"{number}-{place}", like)
            for place, event in enumerate(stages.events(frames))
        ]
        scores[one.uri] = score_rows(one, f"{number:032x}", frames, one.camera)
        events[one.uri] = event_rows(one, f"{number:032x}", found, one.camera, scores[one.uri])
        ledger.append(
            LedgerRow(
                uri=one.uri, content=f"{number:032x}", camera=one.camera, date=day,
                model_digest="m", n_frames=50_000, n_events=len(found),
            )
        )  # fmt: skip
    merge_scores(root, partition, scores)
    merge_events(root, partition, events)
    Catalog(root, file.archive).record_scored("knn-1", ledger)
    begun = time.process_time()
    key = render(root, file.archive, "knn-1")
    written = time.process_time() - begun
    path = Path(root.address(key))
    page = browser.new_page()
    page.goto(path.as_uri())
    opened = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
    highest = page.evaluate("Math.max(...report.timelines.flatMap((line) => line.high))")
    print(
        f"10^6 scores: {page.locator('.card').count()} events, {path.stat().st_size / 1e6:.1f} MB, "
        f"written in {written:.1f} s of CPU, opened in {opened:.2f} s"
    )
    assert page.locator(".card").count() == 200
    days = page.locator(".day")
    assert [day.is_disabled() for day in days.all()] == [False, True, True, False]
    assert highest == 49
    assert path.stat().st_size < 10_000_000
    assert opened < 6
    page.close()
