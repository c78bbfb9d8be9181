"""What is loaded when: arrows are checked by import-linter, weight and independence here."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import anomaly

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "cv2",
    "av",
    "zarr",
    "pyarrow",
    "duckdb",
    "prefect",
    "sklearn",
)


def loaded_by(code: str) -> set[str]:
    """Return the packages that a fresh process has loaded after `code`."""
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys; print(' '.join(sys.modules), file=sys.stderr)",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return {name.split(".")[0] for name in ended.stderr.split()}


def test_help_loads_nothing_heavy():
    code = "from anomaly.cli import run\nrun(['--help'])"
    assert loaded_by(code) & set(HEAVY) == set()


def test_extracting_motion_never_loads_torch():
    code = "import anomaly.verbs.extract\nfrom anomaly.features import recipe\nrecipe('motion')"
    assert loaded_by(code) & {"torch", "timm", "prefect"} == set()


@pytest.mark.parametrize("verb", ["look", "extract", "score", "query", "report"])
def test_what_runs_every_night_starts_without_scipy_or_torch(verb: str) -> None:
    assert loaded_by(f"import anomaly.verbs.{verb}") & {"scipy", "sklearn", "torch"} == set()


def test_no_module_of_the_library_loads_prefect():
    names = [module.name for module in pkgutil.walk_packages(anomaly.__path__, "anomaly.")]
    imports = "\n".join(f"import {name}" for name in names if not name.endswith("__main__"))
    assert "prefect" not in loaded_by(imports)
