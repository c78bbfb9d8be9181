"""Names are the names of files; asking again is cheap, for every video is decoded by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anomaly import registry
from anomaly.errors import SpecError
from anomaly.video.decoders import decoders


def test_an_unknown_name_is_answered_with_the_nearest_and_with_all():
    with pytest.raises(
        SpecError, match=r"No decoder named 'pyaf'\. Did you mean 'pyav'\?.*images"
    ):
        decoders().get("pyaf")


def test_names_are_listed_without_importing_what_they_name():
    script = (
        "import sys; from anomaly.detectors import detectors; print(detectors().names()); "
        "print('torch' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    names, imported = done.stdout.splitlines()
    assert "'knn'" in names
    assert imported == "False False"


def test_installed_packages_are_searched_for_plugins_once():
    decoders().get("pyav")
    searches = registry._entry_points.cache_info().misses
    for _ in range(3):
        decoders().get("pyav")
    assert registry._entry_points.cache_info().misses == searches
