"""The commands of the page on S3, on an object store on loopback."""

from __future__ import annotations

import pytest

from tests.docs.blocks import REPOSITORY, blocks

pytestmark = [pytest.mark.slow, pytest.mark.s3]
PAGE = REPOSITORY / "docs" / "how-to" / "s3.md"
CLIPS = (
    "entrance/20260301_080000.mp4",
    "entrance/20260301_090000.mp4",
    "entrance/20260302_090000.mp4",
)


def test_what_the_page_tells_to_type_works(s3_environment, shell, demo):
    import boto3

    store = boto3.client("s3")
    for clip in CLIPS:
        store.upload_file(
            str(demo.kept / "demo-archive" / clip), s3_environment, f"videos/{clip}"
        )
    (block,) = blocks(PAGE)
    done = shell(block.text.replace("my-bucket", s3_environment))
    assert done.returncode == 0, done.stderr
    assert "scored: 3" in done.stdout
    assert "entrance/20260302_090000.mp4" in done.stdout
