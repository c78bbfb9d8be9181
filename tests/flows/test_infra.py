"""The files that run things for good: they parse, fit together, and name only settings that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.events.schemas.automations import AutomationCore

from anomaly.video import ArchiveSpec
from flows.deployments import WORK_POOL
from flows.settings import Settings

INFRA = Path(__file__).parents[2] / "infra"
FILES = sorted(path for path in INFRA.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((INFRA / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def worker() -> dict[str, Any]:
    manifests = list(yaml.safe_load_all((INFRA / "kubernetes" / "worker.yaml").read_text()))
    return {one["kind"]: one for one in manifests}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(INFRA).as_posix())
def test_files_name_only_settings_that_exist(path: Path):
    named = set(re.findall(r"ANOMALY_([A-Z]+(?:_[A-Z]+)*)", path.read_text()))
    assert named <= {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(INFRA).as_posix())
def test_no_file_holds_a_credential(path: Path):
    text = path.read_text()
    assert not re.search(
        r"(?im)^[ \t]*\w*(password|secret|token)\w*[ \t]*[:=][ \t]*(?!\$\{)\S+", text
    )


def test_compose_services_and_volumes_refer_to_what_is_there(compose: dict[str, Any]):
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{.*\}", "./", volume).split(":")[0]
            assert source in compose["volumes"] or (INFRA / source).exists()
    assert (INFRA / compose["x-anomaly"]["build"]["context"]).resolve() == INFRA.parent
    assert all("healthcheck" in services[name] for name in ("database", "server"))


def test_the_server_is_offered_to_this_machine_alone(compose: dict[str, Any]):
    assert compose["services"]["server"]["ports"] == ["127.0.0.1:4200:4200"]


def test_workers_poll_the_pool_that_we_deploy_to(
    compose: dict[str, Any], worker: dict[str, Any]
):
    (container,) = worker["Deployment"]["spec"]["template"]["spec"]["containers"]
    for command in (compose["services"]["worker"]["entrypoint"], container["command"]):
        assert command[command.index("--pool") + 1] == WORK_POOL


def test_the_manifest_fits_together(worker: dict[str, Any]):
    spec = worker["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert pod["serviceAccountName"] == worker["ServiceAccount"]["metadata"]["name"]
    assert {one["configMapRef"]["name"] for one in container["envFrom"]} == {
        worker["ConfigMap"]["metadata"]["name"]
    }
    assert {m["name"] for m in container["volumeMounts"]} <= {v["name"] for v in pod["volumes"]}
    assert all(isinstance(value, str) for value in worker["ConfigMap"]["data"].values())


def test_everything_the_image_copies_is_there_and_let_in():
    dockerfile = (INFRA / "docker" / "Dockerfile").read_text()
    allowed = (INFRA / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (INFRA.parent / source).exists()
        assert f"!{source.removeprefix('./')}" in allowed
    assert dockerfile.rindex("USER anomaly") > dockerfile.rindex("RUN ")


def test_the_automation_against_zombies_is_one_that_prefect_reads():
    (listed,) = yaml.safe_load((INFRA / "zombies.yaml").read_text())["automations"]
    automation = AutomationCore.model_validate(listed)
    assert "prefect.flow-run.CompletedWithFailures" in automation.trigger.expect


@pytest.mark.slow
def test_the_slurm_job_runs_a_night_on_its_own_dask_cluster(
    campus: ArchiveSpec, reference: Path, stored: Callable[..., dict[str, bytes]],
    prefect_server: None, tmp_path: Path,
):  # fmt: skip
    from prefect.settings import PREFECT_API_URL

    root = tmp_path / "root"
    shutil.copytree(reference / "checkpoints", root / "checkpoints")
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/bash\nshift\nexec "$@"\n')
    srun.chmod(0o755)
    ended = subprocess.run(
        ["bash", INFRA / "slurm" / "nightly.sbatch", campus.root, root],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        env={
            **os.environ,
            "PATH": f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_API_URL": PREFECT_API_URL.value(),
        },
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (asked_for,) = (root / "features").iterdir()
    folder = f"features/{asked_for.name}"
    assert stored(root, folder) == stored(reference, folder)
    assert list(tmp_path.glob("dask-*.json")) == []
