"""Masks as data sets hand them out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from anomaly.datasets.masks import masks_of
from anomaly.errors import SpecError

WANTED_THW = np.arange(3 * 4 * 6).reshape(3, 4, 6) % 5 == 0


def pictures(folder: Path, *, channels: int = 1) -> None:
    folder.mkdir(parents=True)
    for number, mask_HW in enumerate(WANTED_THW):
        picture = mask_HW.astype(np.uint8) * 255
        if channels > 1:
            picture = np.dstack([picture] * 3 + [np.full_like(picture, 255)] * (channels - 3))
        assert cv2.imwrite(str(folder / f"{number:03d}.png"), picture)


@pytest.mark.parametrize("name", ["test/01", "test/01_gt", "01", "01_gt"])
def test_folders_of_pictures_are_found_by_path_or_name(tmp_path: Path, name: str) -> None:
    pictures(tmp_path / name)
    found = masks_of(tmp_path, "test/01.mp4")
    assert found is not None
    assert len(found) == 3
    np.testing.assert_array_equal(np.stack(list(found)), WANTED_THW)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_in_colour_and_with_opacity_are_read(tmp_path: Path, channels: int) -> None:
    pictures(tmp_path / "01", channels=channels)
    np.testing.assert_array_equal(
        np.stack(list(masks_of(tmp_path, "01.avi") or ())), WANTED_THW
    )


def test_arrays_are_read_and_come_before_folders(tmp_path: Path) -> None:
    (tmp_path / "01").mkdir()
    np.save(tmp_path / "01.npy", WANTED_THW.astype(np.uint8))
    found = masks_of(tmp_path, "deep/below/01.mp4")
    np.testing.assert_array_equal(np.stack(list(found or ())), WANTED_THW)


def test_a_video_without_masks_has_none(tmp_path: Path) -> None:
    (tmp_path / "01").mkdir()  # no pictures in it
    assert masks_of(tmp_path, "01.mp4") is None


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No folder of masks"):
        masks_of(tmp_path / "nowhere", "01.mp4")
    np.save(tmp_path / "01.npy", np.zeros((3, 4)))
    with pytest.raises(SpecError, match=r"shape \(3, 4\), expected \(frames"):
        masks_of(tmp_path, "01.mp4")
    np.save(tmp_path / "02.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(SpecError, match="Cannot read masks"):
        masks_of(tmp_path, "02.mp4")
    (tmp_path / "03").mkdir()
    (tmp_path / "03" / "000.png").write_bytes(b"no picture")
    with pytest.raises(SpecError, match="it is no picture"):
        list(masks_of(tmp_path, "03.mp4") or ())
