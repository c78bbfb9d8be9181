"""The fixtures of the whole way."""

import pytest

pytest.register_assert_rewrite("tests.end_to_end.kills", "tests.end_to_end.story")

from tests.end_to_end.roots import (  # noqa: E402 - after their asserts learn to explain themselves
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
