"""What is stored of an explanation, and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from anomaly.explain import (
    Explanation,
    Heat,
    Moment,
    PartShare,
    Strip,
    publish_explanation,
    read_explanation,
)
from anomaly.storage import open_root

WHOLE = Explanation(
    event_id="0123456789abcdef",
    archive="a/b",
    checkpoint="knn ü",
    camera="gate",
    video="gate/1.mp4",
    content="c0",
    scores_digest="d0",
    note="no gradient",
    heats=(
        Heat(
            method="cells", frame=7, seconds=0.7, raw=((None, 1.5),), low=0.0, high=2.0,
            area=(0.0, 0.25, 1.0, 0.75), picture="explanations/x.jpg",
        ),
    ),
    strip=Strip(method="occlusion", seconds=(0.6, 0.7), contribution=(0.25, 0.75)),
    parts=(PartShare(name="motion", share=1.0),),
    normals=(
        Moment(
            archive="a/b", camera="gate", video="gate/0.mp4", content="c1", frame=3,
            seconds=0.3, distance=2.5,
        ),
    ),
    searched=1.0,
    unit="deviations",
)  # fmt: skip


def test_an_explanation_is_read_back_as_it_was_stored(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    key = publish_explanation(root, WHOLE)
    assert key == "explanations/a%2Fb/knn %C3%BC/0123456789abcdef.json"
    assert read_explanation(root, "a/b", "knn ü", WHOLE.event_id) == WHOLE
    assert WHOLE.heat == WHOLE.heats[0]


def test_what_is_not_there_or_of_another_version_is_none(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    assert read_explanation(root, "a/b", "knn ü", WHOLE.event_id) is None
    key = publish_explanation(root, replace(WHOLE, version=0))
    assert read_explanation(root, "a/b", "knn ü", WHOLE.event_id) is None
    root.publish_json(key, {"no_such": "thing"})
    assert read_explanation(root, "a/b", "knn ü", WHOLE.event_id) is None
