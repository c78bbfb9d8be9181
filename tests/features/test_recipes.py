"""What a recipe says of frames, and what does not go together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anomaly.errors import SpecError
from anomaly.features import recipe
from anomaly.features.extract import extract_video
from anomaly.features.store import FeatureStore
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec
from anomaly.video.archive import find

TINY = {"model": "test_vit", "weights": "random:0"}


@pytest.mark.parametrize(
    ("backbone", "parameters", "more", "said"),
    [
        ("motion", {}, {}, "compares each frame with others"),
        ("timm_frames", {**TINY, "stride": 4}, {}, "stride of 4"),
        ("timm_frames", TINY, {"bad_frames": "repeat"}, "nobody knows where"),
        ("timm_frames", TINY, {"decoder": "decord"}, "'decord' cannot leave out"),
    ],
)
def test_key_frames_alone_are_refused_where_they_make_no_sense(
    backbone: str, parameters: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        recipe(backbone, parameters, keyframes=True, **more)


def test_a_first_pass_over_key_frames_stores_their_rows_alone(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    import av

    path = make_video(tmp_path / "archive" / "a.mp4", frames=600, height=48, width=64)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    shown = sorted(packet.pts for packet in packets)
    keys_T = [shown.index(packet.pts) for packet in packets if packet.is_keyframe]
    (file,) = find(ArchiveSpec(root=str(tmp_path / "archive")), name="t")
    root = open_root(str(tmp_path / "root"))
    keys, every = recipe("timm_frames", TINY, keyframes=True), recipe("timm_frames", TINY)
    outcome = extract_video(root, file, [keys, every])
    assert (outcome.status, outcome.frames, outcome.frames_lost) == ("ok", 600, 0)
    first, full = (FeatureStore(root).open(one, outcome.content) for one in (keys, every))
    assert first is not None
    assert full is not None
    assert 3 <= first.n_rows == len(keys_T) <= 10
    assert first.index_T().tolist() == keys_T
    for row, index in enumerate(keys_T):
        found = first.read(row, row + 1).values_ND
        assert abs(found - full.read(index, index + 1).values_ND).max() < 2e-3


def test_what_becomes_of_bad_frames_is_part_of_the_recipe() -> None:
    policies = [recipe("motion", bad_frames=policy) for policy in ("skip", "repeat", "fail")]
    assert len({str(policy) for policy in policies}) == 3


def test_a_parameter_with_the_name_of_a_backbone_is_for_that_one_alone() -> None:
    given = {"motion.smoothing_seconds": 0.25, "static.stride": 2}
    motion, static = recipe("motion", given), recipe("static", given)
    assert motion == recipe("motion", {"smoothing_seconds": 0.25})
    assert static == recipe("static", {"stride": 2})
    with pytest.raises(SpecError, match="No backbone named 'motoin'"):
        recipe("static", {"motoin.stride": 2})
