"""One corrupt, one empty and one hanging file: the others' results do not change by a byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.story import MANY_EVENTS, anomaly, copy_of, differences, done, stored

pytestmark = pytest.mark.slow

_STUBBORN = """
import time
from collections.abc import Iterator
from pathlib import Path

from anomaly.video import PixelSpec
from anomaly.video.decoders import Picture
from anomaly.video.decoders.pyav import PyavDecoder


class StubbornDecoder(PyavDecoder):
    name = "stubborn"

    def pictures(self, path: Path, pixels: PixelSpec) -> Iterator[Picture]:
        for number, picture in enumerate(super().pictures(path, pixels)):
            if path.name == "hang.mp4" and number == 5:
                time.sleep(3600)
            yield picture
"""


@pytest.fixture
def stubborn(tmp_path: Path) -> dict[str, str]:
    """The environment of commands that know a decoder which hangs in files called hang.mp4.

    It is a plug-in, as anybody could install one.
    """
    folder = tmp_path / "plugins"
    facts = folder / "stubborn-1.0.dist-info"
    facts.mkdir(parents=True)
    (folder / "stubborn.py").write_text(_STUBBORN)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stubborn\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[anomaly.decoders]\nstubborn = stubborn:StubbornDecoder\n"
    )
    return {"PYTHONPATH": f"{Path.cwd()}:{folder}", "ANOMALY_WORKERS": "2"}


def test_bad_files_are_listed_once_and_leave_the_other_results_alone(
    stubborn: dict[str, str], make_video: Callable[..., Path], tmp_path: Path
) -> None:
    archive, root = tmp_path / "site", tmp_path / "reference"
    for seed in range(4):
        make_video(archive / "gate" / f"{seed}.mp4", frames=20, height=48, width=64, seed=seed)
    here = (archive, "--root", root, "--videos", "gate/*")
    train = ("--detector", "gaussian", "--decoder", "stubborn", *MANY_EVENTS)
    done("train", *here, *train, **stubborn)
    among_bad_ones = copy_of(root, tmp_path / "copy")
    done("nightly", archive, "--root", root, **stubborn)

    (archive / "gate" / "corrupt.mp4").write_bytes(b"no video at all " * 1000)
    (archive / "gate" / "empty.mp4").touch()
    make_video(archive / "gate" / "hang.mp4", frames=20, height=48, width=64, seed=9)
    shutil.rmtree(among_bad_ones / "features")
    night = ("nightly", archive, "--root", among_bad_ones, "--json")
    first = anomaly(*night, **stubborn)
    codes = {bad["video"]: bad["code"] for bad in first.json["troubled"]}
    assert first.status == 3, first.err
    assert codes == {
        "gate/corrupt.mp4": "unreadable",
        "gate/empty.mp4": "empty",
        "gate/hang.mp4": "hang",
    }
    assert first.json["scored"] == 4
    lines = [line for line in first.err.splitlines() if line.startswith("quarantined: ")]
    assert len(lines) == 3
    assert "Traceback" not in first.err
    assert differences(stored(among_bad_ones), stored(root)) == []

    second = anomaly(*night, **stubborn)
    assert (second.status, second.json["troubled"]) == (0, [])
    listed = done("list", "quarantine", "--root", among_bad_ones)["quarantine"]
    assert {bad["video"]: bad["code"] for bad in listed} == codes
    assert all(bad["message"] for bad in listed)

    freed = done("retry", "gate/corrupt.mp4", "gate/empty.mp4", "--root", among_bad_ones)
    assert freed == {"freed": ["gate/corrupt.mp4", "gate/empty.mp4"]}
    third = anomaly(*night, **stubborn)
    assert third.status == 3
    assert [bad["video"] for bad in third.json["troubled"]] == freed["freed"]
