"""Full disks, read-only disks and missing rights: a run ends with one line, and the next goes on.

The disks are real: small file systems in memory, in a mount namespace of the test's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.verbs.extract import extract
from anomaly.video import ArchiveSpec
from tests.end_to_end.story import stored

ANOMALY = str(Path(sys.executable).with_name("anomaly"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs mount namespaces")


@pytest.fixture(scope="module")
def archive(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unwritable") / "archive"
    for seed in range(4):
        make_video(folder / "gate" / f"{seed}.mp4", frames=150, seed=seed)
    return folder


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    extract(str(root), ArchiveSpec(root=str(archive)), [recipe("motion")], fan_out=one_by_one)
    return stored(root, "features")


def answers(script: Sequence[str], folder: Path) -> list[str]:
    """Run lines of shell on a disk of their own; return what they say."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lends no mount namespace")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", "\n".join(script)],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kilobytes",
    [80, *(pytest.param(size, marks=pytest.mark.soak) for size in range(30, 160, 10))],
)
def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(
    kilobytes: int, archive: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    run = f"{ANOMALY} extract {archive} --root root --json --workers 2 --backbone motion"
    said = answers(
        [
            f"mount -t tmpfs -o size={kilobytes}k none root",
            f"{run} > /dev/null; echo status $?",
            "mount -o remount,ro root",
            f"{run} > /dev/null; echo status $?",
            "mount -o remount,rw,size=50m root",
            f"{run} > /dev/null; echo status $?",
            "cp -r root kept",
        ],
        tmp_path,
    )
    assert [line for line in said if line.startswith("status")] == ["status 2"] * 2 + [
        "status 0"
    ], said
    complaints = [line for line in said if not line.startswith("status")]
    assert len(complaints) == 2, said
    assert "No space left on device" in complaints[0]
    assert "Read-only file system" in complaints[1]
    assert stored(tmp_path / "kept", "features") == undisturbed


@pytest.mark.parametrize("what", [".", "features"])
def test_missing_rights_end_the_run_and_with_them_it_goes_on(
    what: str, archive: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "features").mkdir(parents=True)
    (root / what).chmod(0o555)
    command = [ANOMALY, "extract", str(archive), "--root", str(root), "--workers", "1"]
    command += ["--backbone", "motion"]
    if os.geteuid() == 0:  # for whom rights do not count, unless this is taken away
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "Permission denied" in refused.stderr
    assert refused.stderr.count("\n") == 1
    (root / what).chmod(0o755)
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert stored(root, "features") == undisturbed
