"""Small pictures through the store."""

from __future__ import annotations

import numpy as np

from anomaly.features import recipe, vector_block
from anomaly.features.extract import extract_video
from anomaly.features.store import FeatureStore, group_key
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec
from anomaly.video.archive import find


def test_pictures_are_stored_as_bytes_and_read_back_as_decoded(tmp_path, make_video):
    import zarr

    from anomaly.video.decode import DecodeProcess

    path = make_video(tmp_path / "videos/cam/a.mp4", frames=12)
    (file,) = find(ArchiveSpec(root=str(tmp_path / "videos")), name="a")
    root, wanted = (
        open_root(str(tmp_path / "root")),
        recipe("frames", {"height": 32, "width": 48}),
    )
    assert extract_video(root, file, [wanted]).status == "ok"
    (content,) = FeatureStore(root).contents(wanted) - {"recipe.json"}
    stored = zarr.open_group(str(tmp_path / "root" / group_key(wanted, content)), mode="r")
    assert stored["features"].dtype == np.uint8
    group = FeatureStore(root).open(wanted, content)
    with DecodeProcess() as process:
        decoded = process.decode(
            path, "file", wanted.pixels, lambda stream: [b.pixels_BHWC for b in stream]
        )
    pixels_TD = np.minimum(np.concatenate(decoded).reshape(12, -1), 254)
    np.testing.assert_array_equal(group.read(0, 12).values_ND, pixels_TD)


def test_a_white_picture_is_not_taken_for_lost_data(tmp_path):
    import zarr

    root, wanted = open_root(str(tmp_path)), recipe("frames", {"height": 8, "width": 8})
    writer = FeatureStore(root).writer(wanted, "c")
    values_TD = np.repeat([[0.0], [254.0], [255.0]], 64, axis=1)
    writer.append(vector_block(np.arange(3), np.arange(3) / 25, values_TD))
    for column in writer._columns.values():
        column.finish()
    read = np.asarray(zarr.open_array(root.zarr_store(f"{writer.key}/features"), mode="r")[:])
    assert read.max() == 254
    assert read.min() == 0
