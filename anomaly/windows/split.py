"""Deals videos to sides; never rows of one video to both, unless there is only one video.

The order comes from a hash of the video's name, so that a new video moves few others, and each
camera with several videos is cut by itself, so that no side lacks a camera.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate

from anomaly.errors import SpecError
from anomaly.windows.bags import Bag

GAP_ROWS = 250
"""Rows left out where a video is cut in time: ten seconds at 25 frames a second."""

Side = list[Bag]


def halves(bags: Sequence[Bag], *, gap_rows: int = GAP_ROWS) -> list[tuple[Side, Side]]:
    """Return the two folds of cross-fitting: (learn from, score), then the other way round.

    Both halves hold about as many usable rows. A single video is cut in the middle of its
    usable rows, with `gap_rows` (at most a tenth of them) left out between.

    Raises:
        SpecError: there is one video with fewer than two usable rows, or none.
    """
    first, second = _deal(bags, 0.5, 0, gap_rows)
    return [(first, second), (second, first)]


def hold_out(
    bags: Sequence[Bag], share: float, seed: int = 0, *, gap_rows: int = GAP_ROWS
) -> tuple[Side, Side]:
    """Return (train, validation), the latter with about `share` of the usable rows.

    A single video gives its last rows to validation, after a gap as in `halves`.

    Raises:
        SpecError: `share` is not between 0 and 1, or there are fewer than two usable rows.
    """
    if not 0 < share < 1:
        raise SpecError(f"Held-out share is {share}, expected a number between 0 and 1.")
    return _deal(bags, 1 - share, seed, gap_rows)


def _deal(bags: Sequence[Bag], share: float, seed: int, gap_rows: int) -> tuple[Side, Side]:
    """Return two sides, the first with about `share` of the usable rows; neither is empty."""
    usable = [bag for bag in bags if bag.n_usable > 0]
    if len(usable) < 2:
        return _cut_in_time(usable, share, gap_rows)
    first: Side = []
    second: Side = []
    for group in _groups(usable):
        ordered = sorted(group, key=lambda bag: (_place(bag.video, seed), bag.video))
        cut = _cut(ordered, share)
        first += ordered[:cut]
        second += ordered[cut:]
    return first, second


def _groups(bags: Sequence[Bag]) -> list[Side]:
    """Return the videos by camera; cameras with a single video make one group together."""
    by_camera: dict[str, Side] = {}
    for bag in bags:
        by_camera.setdefault(bag.camera, []).append(bag)
    several = [group for group in by_camera.values() if len(group) > 1]
    single = [group[0] for group in by_camera.values() if len(group) == 1]
    return [*several, single] if single else several


def _place(video: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{video}".encode()).hexdigest()


def _cut(bags: Side, share: float) -> int:
    """Return where to cut the list to have nearest to `share` of the rows in the first part."""
    if len(bags) == 1:
        return 1
    before = list(accumulate(bag.n_usable for bag in bags))
    return min(range(1, len(bags)), key=lambda cut: abs(before[cut - 1] - share * before[-1]))


def _cut_in_time(bags: Sequence[Bag], share: float, gap_rows: int) -> tuple[Side, Side]:
    rows = sum(bag.n_usable for bag in bags)
    if rows < 2:
        raise SpecError(
            f"{rows} usable rows in {len(bags)} training videos cannot be split into two "
            "sides. Give more training video."
        )
    gap = min(gap_rows, rows // 10)
    before = min(max(1, round(share * (rows - gap))), rows - gap - 1)
    bag = bags[0]
    usable = bag.usable_rows().nonzero()[0]
    return (
        [bag.restrict(0, int(usable[before - 1]) + 1)],
        [bag.restrict(int(usable[before + gap]), bag.n_rows)],
    )
