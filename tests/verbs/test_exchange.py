"""Features as plain .npy files: out, and in again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anomaly.errors import SpecError, StoreError
from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.features.store import FeatureStore
from anomaly.storage import open_root
from anomaly.verbs.exchange import export_features, import_features, imported_recipe
from anomaly.verbs.extract import extract
from anomaly.verbs.listing import show
from anomaly.verbs.look import look
from anomaly.verbs.train import TrainRequest, train
from anomaly.video import ArchiveSpec
from tests.verbs.conftest import FRAMES, House

MOTION = recipe("motion")


@pytest.fixture
def extracted(house: House) -> House:
    extract(house.url, house.archive, [MOTION], fan_out=one_by_one)
    return house


@pytest.fixture
def labels(house: House) -> str:
    path = house.folder.parent / "labels.csv"
    path.write_text(
        "video,n_frames,start_frame,stop_frame,category\n"
        f"gate/1.mp4,{FRAMES},,,\n"
        f"gate/2.mp4,{FRAMES},3,7,fight\n"
        f"hall/1.mp4,{FRAMES},0,2,ignore\n"
    )
    return str(path)


def test_each_video_is_an_array_named_like_it(extracted: House, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = export_features(extracted.url, extracted.archive, MOTION, out)
    names = (out / "list.txt").read_text().split()
    assert names == [f"{c}/{n}.mp4.npy" for c in ("gate", "hall") for n in (1, 2)]
    assert summary.files == dict.fromkeys(names, FRAMES)
    content = extracted.catalog()["hall/2.mp4"].content or ""
    group = FeatureStore(extracted.root).open(MOTION, content)
    assert group is not None
    array = np.load(out / "hall" / "2.mp4.npy")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, group.read(0, FRAMES).pooled_TD())


def test_a_pair_has_the_rows_that_labels_call_normal_and_abnormal(
    extracted: House, labels: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = export_features(
        extracted.url, extracted.archive, MOTION, out, layout="pair", model="m", labels=labels
    )
    rows = {"normal_features_m.npy": 3 * FRAMES - 4 - 2, "anomaly_features_m.npy": 4}
    assert summary.files == rows
    assert summary.left_out == ("hall/2.mp4",)
    assert {name: np.load(out / name).shape for name in rows} == {
        name: (count, 7) for name, count in rows.items()
    }


def test_a_pair_without_labels_and_an_export_of_nothing_are_refused(
    house: House, labels: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="needs --labels"):
        export_features(house.url, house.archive, MOTION, tmp_path, layout="pair")
    with pytest.raises(SpecError, match="run `anomaly extract`"):
        export_features(house.url, house.archive, MOTION, tmp_path)


def test_a_pair_comes_in_ungrouped_and_nothing_is_claimed_on_it(
    house: House, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    generator = np.random.default_rng(0)
    normal = generator.normal(size=(5000, 6)).astype(np.float32)
    maps = generator.normal(size=(40, 6, 2, 2)).astype(np.float32)
    np.save(folder / "normal_features_convnext.npy", normal)
    np.save(folder / "anomaly_features_convnext.npy", maps)
    summary = import_features(house.url, folder, model="convnext")
    assert summary.ungrouped
    assert summary.files == {
        "normal_features_convnext.npy": 5000,
        "anomaly_features_convnext.npy": 40,
    }
    facts = show(house.root, "video", "normal_features_convnext.npy")["features"]
    (stored,) = facts.values()
    assert stored["recipe"]["parameters"] == {"model": "convnext", "ungrouped": True}
    content = show(house.root, "video", "anomaly_features_convnext.npy")["content"]
    group = FeatureStore(house.root).open(imported_recipe("convnext", ungrouped=True), content)
    assert group is not None
    np.testing.assert_allclose(group.read(0, 40).values_ND, maps.mean((2, 3)), rtol=1e-6)
    for claim in (
        lambda: look(house.url, ArchiveSpec(root=str(folder))),
        lambda: train(
            house.url, ArchiveSpec(root=str(folder)), TrainRequest(), fan_out=one_by_one
        ),
    ):
        with pytest.raises(SpecError, match="`ungrouped`"):
            claim()
    assert import_features(house.url, folder, model="convnext").files == summary.files


def test_arrays_of_videos_come_in_as_one_video_each(extracted: House, tmp_path: Path) -> None:
    out, root = tmp_path / "out", str(tmp_path / "other")
    export_features(extracted.url, extracted.archive, MOTION, out)
    crops = np.random.default_rng(0).normal(size=(9, 10, 7)).astype(np.float32)
    np.save(out / "x_i3d.npy", crops)
    summary = import_features(root, out, model="mine", name="theirs", row_seconds=16 / 30)
    assert not summary.ungrouped
    assert len(summary.files) == 5
    content = show(open_root(root), "video", "x_i3d.npy")["content"]
    group = FeatureStore(open_root(root)).open(
        imported_recipe("mine", ungrouped=False), content
    )
    assert group is not None
    np.testing.assert_allclose(group.read(0, 9).values_ND, crops.mean(axis=1), rtol=1e-6)
    assert group.seconds_T()[3] == pytest.approx(3 * 16 / 30)


@pytest.mark.parametrize("array", [np.zeros(5), np.zeros((0, 4)), np.array([["a"]])])
def test_what_is_no_array_of_vectors_is_refused(
    array: np.ndarray, house: House, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(StoreError, match="expected vectors"):
        import_features(house.url, tmp_path, model="m")
    (tmp_path / "a.npy").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(StoreError, match="no plain array"):
        import_features(house.url, tmp_path, model="m")
