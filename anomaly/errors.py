"""Every error of the package, cut by who must act.

    AnomalyError
    ├── SpecError        the request is wrong: change it          never retried
    ├── VideoError       the file is bad: it becomes an Outcome   never retried
    ├── StoreError       data and request disagree                never retried
    └── TransientError   the world hiccupped: try again           retried

A message says what failed and on which thing, what was found, what was expected and what to do now.
"""

from __future__ import annotations

from typing_extensions import override


class AnomalyError(Exception):
    """Base of all errors that a user may meet."""


class SpecError(AnomalyError):
    """The request cannot be carried out as written; the person who wrote it must change it."""


class VideoError(AnomalyError):
    """A video cannot be used; `code` is the short reason kept in the catalog."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @override
    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        return (VideoError, (self.code, str(self)))


class StoreError(AnomalyError):
    """Stored data and the request do not fit together, or the store cannot be written."""


class TransientError(AnomalyError):
    """Something outside failed that may work when tried again."""
