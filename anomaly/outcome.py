"""What became of one video in one stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "skipped", "partial", "quarantined", "failed"]
"""ok: done now. skipped: was done before. partial: done, some frames lost. quarantined: the file is bad.
failed: the world was bad (network, disk); the next run tries again."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One row of a run's summary; `code` and `message` say why when the status is not ok."""

    uri: str
    status: Status
    code: str = ""
    message: str = ""
    content: str = ""
    """hash of all bytes of the video; empty when it could not be learnt"""
    frames: int = 0
    """length of the video in frames, holes counted"""
    frames_lost: int = 0
    """frames inside that length that could not be decoded"""
    seconds: float = 0.0
    """wall time spent"""
    duration_seconds: float = 0.0
    """playing time of the video"""
    bytes_written: int = 0
    frames_compared: int = 0
    """frames that a second decoder was asked about"""
    frames_disagreeing: int = 0
    """those of them that it saw otherwise"""
