"""Deals videos to sides; never rows of one video to both, unless there is only one video.

Videos of one group (they come from one source) stay together. The order comes from a hash of the
video's or group's name, so that a new video moves few others. Each camera with several of them is
cut by itself, and its normal and abnormal videos too, so that no side lacks a camera or a class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise

from anomaly.errors import SpecError
from anomaly.windows.bags import Bag

GAP_ROWS = 250
"""Rows left out where a video is cut in time: ten seconds at 25 frames a second."""
LEFT_OUT = 10
"""sides that a detector leaves out in turn"""

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


def folds(bags: Sequence[Bag], count: int, seed: int = 0) -> list[tuple[Side, Side]]:
    """Return `count` times (learn from, judge by); every video is judged by once, groups as a whole.

    Normal and abnormal videos are dealt apart, the largest groups first and each to the fold that has
    fewest of their rows, so that folds are about equal.

    Raises:
        SpecError: normal, or abnormal, videos come from fewer groups than there are folds.
    """
    judged: list[Side] = [[] for _ in range(count)]
    units = _units([bag for bag in bags if bag.n_usable > 0])
    for kind, abnormal in (("normal", False), ("abnormal", True)):
        stratum = [unit for unit in units if _is_abnormal(unit) == abnormal]
        if len(stratum) < count:
            raise SpecError(
                f"{count} folds: {kind} videos come from {len(stratum)} sources, expected {count} "
                "or more. Ask for fewer folds, or label more videos."
            )
        rows = [0] * count
        for unit in sorted(stratum, key=lambda unit: (-_rows(unit), _place(unit, seed))):
            least = rows.index(min(rows))
            judged[least] += unit
            rows[least] += _rows(unit)
    chosen = [{bag.video for bag in side} for side in judged]
    return [
        ([bag for bag in bags if bag.n_usable > 0 and bag.video not in videos], side)
        for videos, side in zip(chosen, judged, strict=True)
    ]


def leave_out(
    bags: Sequence[Bag], count: int = LEFT_OUT, *, gap_rows: int = GAP_ROWS
) -> list[Side]:
    """Return at most `count` sides, each to be left out in turn; no video, or group, is on two of them.

    The videos of a camera are spread over as many sides as there are. A single video is cut in time into
    `count` stretches, with `gap_rows` (in all at most a tenth of the rows) left out between. What
    cannot be split makes one side.
    """
    usable = [bag for bag in bags if bag.n_usable > 0]
    if len(usable) == 1:
        return _stretches(usable[0], count, gap_rows)
    sides: list[Side] = [[] for _ in range(count)]
    rows = [0] * count
    for stratum in _strata(_units(usable)):
        dealt = [0] * count
        for unit in sorted(stratum, key=lambda unit: (-_rows(unit), _place(unit, 0))):
            least = min(range(count), key=lambda side: (dealt[side], rows[side]))
            sides[least] += unit
            dealt[least] += 1
            rows[least] += _rows(unit)
    return [side for side in sides if side]


def _stretches(bag: Bag, count: int, gap_rows: int) -> list[Side]:
    """Return stretches of one video that hold about as many usable rows each."""
    usable = bag.usable_rows().nonzero()[0]
    count = min(count, len(usable))
    gap = min(gap_rows, len(usable) // (10 * count))
    edges = [len(usable) * number // count for number in range(count + 1)]
    return [
        [bag.stretch(int(usable[first + (gap if first else 0)]), int(usable[last - 1]) + 1)]
        for first, last in pairwise(edges)
    ]


def _is_abnormal(unit: Side) -> bool:
    return any(bag.label for bag in unit)


def _rows(unit: Side) -> int:
    return sum(bag.n_usable for bag in unit)


def _deal(bags: Sequence[Bag], share: float, seed: int, gap_rows: int) -> tuple[Side, Side]:
    """Return two sides, the first with about `share` of the usable rows; neither is empty."""
    usable = [bag for bag in bags if bag.n_usable > 0]
    if len(usable) < 2:
        return _cut_in_time(usable, share, gap_rows)
    units = _units(usable)
    if len(units) < 2:
        raise SpecError(
            f"All {len(usable)} training videos belong to the group {usable[0].group!r}, so none can be "
            "held out. Give videos of other groups."
        )
    first: Side = []
    second: Side = []
    for stratum in _strata(units):
        ordered = sorted(stratum, key=lambda unit: (_place(unit, seed), unit[0].video))
        cut = _cut(ordered, share)
        first += chain.from_iterable(ordered[:cut])
        second += chain.from_iterable(ordered[cut:])
    return first, second


def _units(bags: Sequence[Bag]) -> list[Side]:
    """Return what must not be torn apart: the videos of each group, and each other video alone."""
    units: dict[tuple[bool, str], Side] = {}
    for bag in bags:
        units.setdefault((bool(bag.group), bag.group or bag.video), []).append(bag)
    return list(units.values())


def _strata(units: Sequence[Side]) -> list[list[Side]]:
    """Return the units by camera and by whether anything in them is abnormal.

    Strata of a single unit make one together.
    """
    strata: dict[tuple[str, bool], list[Side]] = {}
    for unit in units:
        strata.setdefault((unit[0].camera, _is_abnormal(unit)), []).append(unit)
    several = [stratum for stratum in strata.values() if len(stratum) > 1]
    single = [stratum[0] for stratum in strata.values() if len(stratum) == 1]
    return [*several, single] if single else several


def _place(unit: Side, seed: int) -> str:
    name = unit[0].group or unit[0].video
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _cut(units: Sequence[Side], share: float) -> int:
    """Return where to cut the list to have nearest to `share` of the rows in the first part."""
    if len(units) == 1:
        return 1
    before = list(accumulate(map(_rows, units)))
    return min(range(1, len(units)), key=lambda cut: abs(before[cut - 1] - share * before[-1]))


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
