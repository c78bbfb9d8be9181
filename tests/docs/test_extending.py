"""The detector that the page on extending shows is found, trains, scores and is scored again."""

from __future__ import annotations

import json

import pytest

from tests.docs.blocks import REPOSITORY, blocks

pytestmark = pytest.mark.slow
PAGE = REPOSITORY / "docs" / "how-to" / "extend.md"


def test_the_shown_detector_works_as_a_package_of_its_own(tmp_path, shell):
    source = next(block.text for block in blocks(PAGE) if block.language == "python")
    entry_point = next(block.text for block in blocks(PAGE) if block.language == "toml")
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "farthest.py").write_text(source)
    install(tmp_path, entry_point)

    def ask(command: str) -> dict:
        done = shell(f"PYTHONPATH={tmp_path} anomaly {command} --root anomaly-root --json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert "farthest" in ask("list detectors")["detectors"]
    assert "sample" in ask("show detector farthest")["options"]
    archive = "anomaly-root/demo-archive --name extended"
    trained = ask(
        f"train {archive} --videos '*/20260301_*' --detector farthest --into mine "
        "--detector-option sample=5000"
    )
    assert trained["checkpoint"] == "mine"
    scored = ask(f"score {archive} --videos '*/20260302_08*' --checkpoint mine")
    assert scored["frames"] == 2 * 375


def install(folder, entry_point: str) -> None:
    """Write what an installer would leave of the page's `[project.entry-points...]` table."""
    section, line = entry_point.strip().splitlines()
    group = section.removeprefix('[project.entry-points."').removesuffix('"]')
    name, target = line.split(" = ")
    metadata = folder / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{name} = {target.strip(chr(34))}\n")
