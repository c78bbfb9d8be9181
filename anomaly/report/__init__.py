"""ROOM 7: what people look at.

`media` cuts pictures and clips of events while the footage is there. `contents` gathers what a report
says from the tables: `events`, `timelines`, `whatif` (other alarm budgets), `machine` and `room` (for who
runs it). `render` writes it as one HTML file that needs no network; `assets` make a page of it.
"""

from __future__ import annotations

CLIP_SECONDS = 8.0
"""longest clip of an event; it holds the peak"""
LEAD_SECONDS = 1.5
"""how much of what came before an event, and after it, a clip shows"""


def clip_span(
    start_seconds: float, peak_seconds: float, stop_seconds: float
) -> tuple[float, float]:
    """Return the stretch of the video, in seconds, that the clip of an event shows."""
    start, stop = max(0.0, start_seconds - LEAD_SECONDS), stop_seconds + LEAD_SECONDS
    if stop - start > CLIP_SECONDS:
        start = max(start, min(peak_seconds - CLIP_SECONDS / 2, stop - CLIP_SECONDS))
        stop = start + CLIP_SECONDS
    return start, stop
