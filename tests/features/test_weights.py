"""Files of weights: named by their bytes, found on any machine that works on the root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import anomaly.features.extract as extract_module
from anomaly.errors import SpecError
from anomaly.features import recipe, weights
from anomaly.features.extract import extract_video
from anomaly.spec import fingerprint
from anomaly.storage import open_root
from anomaly.video import ArchiveSpec
from anomaly.video.archive import find

MODEL = "test_efficientnet"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    from safetensors.torch import save_file

    from anomaly.features.networks import load_network

    path = tmp_path / "mine.safetensors"
    save_file(load_network(MODEL, "random:3", {}).module.state_dict(), path)
    return path


def move_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be on another machine."""
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    extract_module._backbone.cache_clear()


def test_where_a_file_lies_is_not_part_of_the_recipe(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to(tmp_path / "home", monkeypatch)
    made = recipe("timm_frames", {"model": MODEL, "weights": str(file)})
    (tmp_path / "elsewhere").mkdir()
    moved = file.rename(tmp_path / "elsewhere" / "renamed.safetensors")
    again = recipe("timm_frames", {"model": MODEL, "weights": str(moved)})
    moved.unlink()
    by_digest = recipe("timm_frames", made.parameters)
    assert fingerprint(made) == fingerprint(again) == fingerprint(by_digest)
    assert str(tmp_path) not in str(made)


def test_weights_that_are_not_here_are_asked_for(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to(tmp_path / "home", monkeypatch)
    made = recipe("timm_frames", {"model": MODEL, "weights": str(file)})
    move_to(tmp_path / "other", monkeypatch)
    with pytest.raises(SpecError, match=r"not on this machine\. Name their file once"):
        recipe("timm_frames", made.parameters)


def test_a_damaged_file_of_the_cache_is_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to(tmp_path / "home", monkeypatch)
    digest = weights.keep(file)
    weights.kept(digest).write_bytes(b"something else")
    with pytest.raises(SpecError, match="is damaged"):
        recipe("timm_frames", {"model": MODEL, "weights": digest})


def test_another_machine_finds_the_weights_in_the_root(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_video: Callable[..., Path]
) -> None:
    root = open_root(str(tmp_path / "root"))
    for name in "ab":
        make_video(tmp_path / "archive" / f"{name}.mp4", frames=5, seed=ord(name))
    first, second = find(ArchiveSpec(root=str(tmp_path / "archive")), name="t")
    move_to(tmp_path / "home", monkeypatch)
    made = recipe("timm_frames", {"model": MODEL, "weights": str(file)})
    outcome = extract_video(root, first, [made])
    assert (outcome.status, outcome.message) == ("ok", "")
    move_to(tmp_path / "other", monkeypatch)
    file.unlink()
    assert extract_video(root, second, [made]).status == "ok"
    extract_module._decode_process().close()
