"""What README and docs show is what happens.

All that wants the demo is in this file, so that one process of the suite runs it, once.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, REPOSITORY, Block, agrees, blocks

pytestmark = pytest.mark.slow  # the demo runs once

HOW_TO = REPOSITORY / "docs" / "how-to"
CLIPS = (
    "entrance/20260301_080000.mp4",
    "entrance/20260301_090000.mp4",
    "entrance/20260302_090000.mp4",
)
"""what the page on S3 finds in its bucket"""

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_tells_to_type_works_and_prints_what_it_shows(page, request):
    told = [
        b
        for b in blocks(page)
        if b.language in {"console", "bash", "sql"} and not b.not_run and not b.answer
    ]
    if not told:
        pytest.skip("nothing to type")
    demo, shell = request.getfixturevalue("demo"), request.getfixturevalue("shell")
    for block in told:
        for command, shown in typed(block):
            if command.startswith("anomaly demo"):  # a second one would take its time again
                printed = demo.printed
            else:
                done = shell(command)
                assert done.returncode == 0, f"{block.name}: {command}\n{done.stderr}"
                printed = done.stdout
            assert agrees(shown, printed), (
                f"{block.name}: {command}\nshown:\n{shown}\nprinted:\n{printed}"
            )


def typed(block: Block) -> list[tuple[str, str]]:
    """Return what a reader types, each with what the page says that it prints."""
    if block.language == "console":
        return block.commands
    command = block.text
    if block.language == "sql":
        command = f"anomaly query {shlex.quote(command)}"
    return [(command, "...\n")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target, anchor in _LINK.findall(page.read_text()):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, (
                f"{name_of(page)} links to {target}#{anchor}; there are {slugs}"
            )


def test_every_page_is_reached_from_the_index():
    index = REPOSITORY / "docs" / "index.md"
    linked = {
        (index.parent / target).resolve()
        for target, _ in _LINK.findall(index.read_text())
        if target
    }
    missing = [name_of(page) for page in PAGES[1:] if page not in linked | {index}]
    assert not missing


def test_the_readme_shows_code_before_line_25():
    lines = (REPOSITORY / "README.md").read_text().splitlines()
    assert any(line.startswith("```") for line in lines[:24])


@pytest.mark.s3
def test_the_commands_of_the_page_on_s3_work_on_an_object_store(s3_environment, shell, demo):
    import boto3

    store = boto3.client("s3")
    for clip in CLIPS:
        store.upload_file(
            str(demo.kept / "demo-archive" / clip), s3_environment, f"videos/{clip}"
        )
    (block,) = blocks(HOW_TO / "s3.md")
    done = shell(block.text.replace("my-bucket", s3_environment))
    assert done.returncode == 0, done.stderr
    assert "scored: 3" in done.stdout
    assert "entrance/20260302_090000.mp4" in done.stdout


def test_the_shown_detector_works_as_a_package_of_its_own(tmp_path, shell):
    source = next(
        block.text for block in blocks(HOW_TO / "extend.md") if block.language == "python"
    )
    entry_point = next(
        block.text for block in blocks(HOW_TO / "extend.md") if block.language == "toml"
    )
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
