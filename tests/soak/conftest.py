"""The fixtures of the whole way."""

from tests.end_to_end.roots import (
    bare,
    blank_diary,
    campus,
    diary,
    extracted,
    foreseen,
    scored,
    trained,
    written_diary,
)

__all__ = [
    "bare",
    "blank_diary",
    "campus",
    "diary",
    "extracted",
    "foreseen",
    "scored",
    "trained",
    "written_diary",
]
