"""Archive and root in an object store: the whole way leaves what it leaves on a disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.story import MANY_EVENTS, differences, done, stored

pytestmark = [pytest.mark.s3, pytest.mark.slow]


def work(archive: str, root: str) -> dict[str, object]:
    """Go the whole way and return what is the same wherever it is gone."""
    here = (archive, "--root", root)
    done("scan", *here)
    done("train", *here, "--detector", "gaussian", "--into", "mine", *MANY_EVENTS)
    first, second = done("nightly", *here), done("nightly", *here)
    assert first["report"].startswith(root)
    assert (first["scored"], second["new"], second["scored"]) == (4, 0, 0)
    rows = done("query", "--root", root, "SELECT * FROM scores ORDER BY video, frame")
    catalog = "SELECT uri, content, n_frames, status FROM catalog ORDER BY uri"
    return {
        "events": first["events"],
        "rows": rows,
        "catalog": done("query", "--root", root, catalog),
        "list": done("list", "checkpoints", "--root", root),
        "retry": done("retry", "--root", root),
    }


def test_the_whole_way_on_s3_leaves_the_same_bytes_as_on_a_disk(
    s3_environment: str, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    import boto3

    client = boto3.client("s3")
    for seed in range(4):
        uri = f"gate/{seed}.mp4"
        path = make_video(tmp_path / "site" / uri, frames=20, height=48, width=64, seed=seed)
        client.upload_file(str(path), s3_environment, f"site/{uri}")
    on_disk = work(str(tmp_path / "site"), str(tmp_path / "root"))
    on_s3 = work(f"s3://{s3_environment}/site", f"s3://{s3_environment}/root")
    assert on_s3 == on_disk

    copy = tmp_path / "copy"
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=s3_environment, Prefix="root/"
    )
    for key in (entry["Key"] for page in pages for entry in page["Contents"]):
        target = copy / key.removeprefix("root/")
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(s3_environment, key, str(target))
    assert differences(stored(copy), stored(tmp_path / "root")) == []
