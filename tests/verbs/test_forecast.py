"""The forecast of `scan`: drawn fairly, near the truth, cheap where there is nothing to do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.storage import open_root
from anomaly.verbs import forecast as forecasting
from anomaly.verbs.extract import extract
from anomaly.verbs.forecast import Forecast, ForecastRequest, draw
from anomaly.verbs.scan import scan
from anomaly.video import VideoFile
from tests.verbs.conftest import FRAMES, House

CLIP = VideoFile(
    archive="a", uri="", location="", bytes=0, modified="0", camera="c", start_time=None
)


def files_of(sizes: list[int]) -> list[VideoFile]:
    return [replace(CLIP, uri=str(number), bytes=size) for number, size in enumerate(sizes)]


@pytest.fixture
def request_(house: House) -> ForecastRequest:
    return ForecastRequest(recipes=(recipe("motion"),), workers=1)


def forecast_of(house: House, request_: ForecastRequest) -> Forecast:
    found = scan(house.url, house.archive, request=request_).forecast
    assert found is not None
    return found


def test_what_a_draw_says_of_a_large_archive_is_right_on_average() -> None:
    generator = np.random.default_rng(0)
    sizes = generator.integers(1_000, 1_000_000, 300)
    files = files_of(sizes.tolist())
    hours = dict(zip((file.uri for file in files), sizes**0.7, strict=True))
    totals = []
    for seed in range(200):
        drawn = draw(files, 24, np.random.default_rng(seed))
        weights = np.array([weight for _, weight in drawn])
        ratios = np.array([hours[file.uri] / file.bytes for file, _ in drawn])
        totals.append(sizes.sum() * np.average(ratios, weights=weights))
    assert np.mean(totals) == pytest.approx(sum(hours.values()), rel=0.01)
    assert np.std(totals) / np.mean(totals) < 0.1


def test_a_small_archive_is_drawn_whole_and_weighted_by_its_bytes() -> None:
    files = files_of([5, 100, 7])
    drawn = draw(files, 24, np.random.default_rng(0))
    assert {(file.uri, weight) for file, weight in drawn} == {("0", 5), ("1", 100), ("2", 7)}


def test_huge_files_are_drawn_only_where_there_are_no_others() -> None:
    huge = 2**40
    generator = np.random.default_rng(0)
    assert [file.bytes for file, _ in draw(files_of([huge, 10]), 24, generator)] == [10]
    assert [file.bytes for file, _ in draw(files_of([huge, huge + 1]), 24, generator)] == [huge]


def test_the_forecast_of_a_small_archive_is_what_extraction_then_writes(
    house: House, request_: ForecastRequest
) -> None:
    expected = forecast_of(house, request_)
    done = extract(house.url, house.archive, request_.recipes, fan_out=one_by_one)
    assert expected.videos == 4
    assert expected.hours * 3600 == pytest.approx(4 * FRAMES / 10)
    against = done.to_json()["forecast"]
    assert against["actual_bytes_written"] == pytest.approx(expected.bytes_written, rel=0.01)
    assert against["actual_hours"] == pytest.approx(expected.hours, abs=1e-4)
    assert 0.1 < against["actual_over_forecast"] < 10
    told = done.run_facts()
    assert told["decode_alone_seconds"] > 0
    assert told["model_alone_seconds"] > 0


def test_what_is_measured_leaves_no_features_behind_and_is_known_the_next_time(
    house: House, request_: ForecastRequest
) -> None:
    first = forecast_of(house, request_)
    root = open_root(house.url)
    assert root.keys("features") == []
    assert [key for key in root.keys("forecasts") if "scratch" in key] == []
    again = forecast_of(house, request_)
    assert again == first
    other = forecast_of(house, replace(request_, workers=2))
    assert other.pace is not None
    assert other.pace.workers == 2


def test_an_archive_without_anything_new_is_not_measured(
    house: House, request_: ForecastRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(house.url, house.archive, request_.recipes, fan_out=one_by_one)
    begun = time.monotonic()
    found = forecast_of(house, request_)
    assert (found.videos, found.hours, found.pace) == (0, 0.0, None)
    assert open_root(house.url).keys("forecasts") == []
    assert time.monotonic() - begun < 1


def test_bad_files_do_not_disturb_the_forecast_of_the_good(
    house: House, request_: ForecastRequest
) -> None:
    good = forecast_of(house, request_)
    shutil.rmtree(open_root(house.url).address("forecasts"))
    (house.folder / "gate" / "bad.mp4").write_bytes(b"no video" * 100)
    (house.folder / "gate" / "empty.mp4").touch()
    both = forecast_of(house, request_)
    assert both.videos == 5
    assert both.hours == pytest.approx(good.hours)


def test_a_long_file_is_measured_on_its_beginning(
    house: House,
    request_: ForecastRequest,
    make_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecasting, "_SECONDS_A_FILE", 0.0)
    shutil.rmtree(house.folder)
    make_video(house.folder / "long.mp4", frames=600, height=48, width=64)
    found = forecast_of(house, request_)
    assert found.hours * 3600 == pytest.approx(60)
    done = extract(house.url, house.archive, request_.recipes, fan_out=one_by_one)
    written = done.to_json()["forecast"]["actual_bytes_written"]
    assert 0.5 < found.bytes_written / written < 2  # from 32 of 600 frames


def test_a_pace_of_an_earlier_version_knows_no_floor(
    house: House, request_: ForecastRequest
) -> None:
    forecast_of(house, request_)
    root = open_root(house.url)
    (key,) = root.keys("forecasts")
    old = root.read_json(key)
    assert old is not None
    root.publish_json(key, {n: old[n] for n in old if not n.startswith(("decode", "model"))})
    known = forecast_of(house, request_)
    assert (known.decode_seconds, known.model_seconds) == (None, None)
    done = extract(house.url, house.archive, request_.recipes, fan_out=one_by_one)
    assert done.run_facts()["decode_alone_seconds"] is None
