"""What UCF-Crime and its subset have in common: a pile of videos, found by name."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from anomaly.datasets import Dataset


class UcfVideos(Dataset):
    """Videos lie in folders by category, in whatever parts they were unpacked."""

    def video_named(self, name: str) -> str:
        """Return the path of a video by its name, with or without folder, `_x264` and suffix.

        A video that is not there keeps the name of the list.
        """
        stem = Path(name).stem.removesuffix("_x264")
        return self._by_stem.get(stem, name)

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        found = sorted(self.root.rglob("*.mp4"))
        return {path.stem.removesuffix("_x264"): self.uri(path) for path in found}
