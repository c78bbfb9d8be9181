"""A real Prefect server, `prefect deploy --all`, a process worker and `prefect deployment run NAME`.

What the deployed flows leave equals what the command line leaves in another root.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from anomaly.spec import to_dict
from anomaly.video import ArchiveSpec
from flows.deployments import FLOWS, WORK_POOL
from tests.flows.conftest import REQUEST

LABELS = """video,n_frames,start_frame,stop_frame,category
gate/20260302_080000.mp4,40,10,20,test
hall/20260302_080000.mp4,40,,,
"""
CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """A Prefect server on loopback with everything it stores in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(folder),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DO_NOT_TRACK": "1",
            "ANOMALY_WORKERS": "2",
            "ANOMALY_LABELS": str(folder / "labels.csv"),
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str) -> None:
        """Start a process of the server's environment in a session of its own."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    command,
                    env=self.environment,
                    cwd=CHECKOUT,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def stop(self) -> None:
        """Stop what was started, last first, and leave nothing of it behind."""
        for process in reversed(self.running):
            self.end(process)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Ask one process to stop, then make it, and all that it started."""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        kill_group(process.pid)

    def command(self, *command: str, done: tuple[int, ...] = (0,)) -> str:
        """Run a command to its end and return what it printed."""
        ended = subprocess.run(
            command,
            check=False,
            env=self.environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ended.returncode in done, ended.stdout + ended.stderr
        return ended.stdout

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the server's answer to a GET, or to a POST of `body`."""
        request = urllib.request.Request(
            f"{self.api}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def wait(self) -> None:
        """Wait until the server answers."""
        for _ in range(600):
            try:
                self.ask("health")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.25)
            else:
                return
        raise RuntimeError((self.folder / "server.log").read_text())

    def runs_of(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a flow that have begun, the latest first."""
        flow = {"name": {"any_": [name]}}
        runs = self.ask("flow_runs/filter", {"flows": flow, "sort": "START_TIME_DESC"})
        return [run for run in runs if run["start_time"]]

    def first_end_of(self, name: str) -> dict[str, Any]:
        """Wait until some run of a flow that nobody waits for has ended, and return it."""
        for _ in range(240):
            ended = [run for run in self.runs_of(name) if run["end_time"]]
            if ended:
                return ended[0]
            time.sleep(0.5)
        raise RuntimeError((self.folder / "worker.log").read_text())

    def run_deployment(self, name: str, **parameters: Any) -> dict[str, Any]:
        """Run a deployment by its one-word name, wait for its end, and return the flow run."""
        given = [f"--param={key}={json.dumps(value)}" for key, value in parameters.items()]
        self.command("prefect", "deployment", "run", name, *given, "--watch")
        return self.runs_of(name)[0]


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with our deployments and a worker that runs them."""
    made = Server(tmp_path_factory.mktemp("prefect"))
    (made.folder / "labels.csv").write_text(LABELS)
    try:
        made.start(
            "server", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(made.port),
            "--no-ui",
        )  # fmt: skip
        made.wait()
        made.command("prefect", "work-pool", "create", WORK_POOL, "--type", "process")
        made.command("prefect", "--no-prompt", "deploy", "--all")
        made.start("worker", "prefect", "worker", "start", "--pool", WORK_POOL)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def cli_root(
    campus: ArchiveSpec, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A root where the command line did what the deployed flows do."""
    root = tmp_path_factory.mktemp("cli")
    archive = [campus.root, "--pattern", campus.pattern, "--time-zone", campus.time_zone]
    request = ["--detector", "gaussian", "--alarms-per-camera-day", "50000"]
    for verb, *more in (
        ["extract"],
        ["train", "--videos", *REQUEST.videos, *request],
        ["nightly"],
    ):
        server.command("anomaly", verb, *archive, "--root", str(root), *more, done=(0, 3))
    return root


@pytest.fixture(scope="module")
def runs(
    server: Server, campus: ArchiveSpec, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The flow runs of three deployments, and the root they worked on."""
    root = tmp_path_factory.mktemp("deployed")
    where = {"archive": to_dict(campus), "root": str(root)}
    return {
        "root": root,
        "extract": server.run_deployment("extract-features", **where),
        "train": server.run_deployment("train-detector", **where, request=to_dict(REQUEST)),
        "night": server.run_deployment("nightly-scan", **where),
        "evaluate": server.first_end_of("evaluate"),
    }


def test_all_deployments_are_there_and_the_night_runs_alone(server: Server):
    found = {one["name"]: one for one in server.ask("deployments/filter", {})}
    assert sorted(found) == sorted(flow.name for flow in FLOWS)
    night = found["nightly-scan"]
    assert night["global_concurrency_limit"]["limit"] == 1
    assert night["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert [one["schedule"]["timezone"] for one in night["schedules"]] == ["UTC"]


def test_deployments_run_to_completed_by_one_word(runs: dict[str, Any]):
    states = {name: runs[name]["state_type"] for name in ("extract", "train", "night")}
    assert states == dict.fromkeys(states, "COMPLETED")
    assert runs["extract"]["state_name"] == "CompletedWithFailures"
    assert runs["night"]["name"].startswith("nightly-scan campus 20")


@pytest.mark.parametrize("folder", ["features", "checkpoints", "scores", "events"])
def test_they_leave_what_the_command_line_leaves_byte_for_byte(
    runs: dict[str, Any], cli_root: Path, stored: Callable[..., dict[str, bytes]], folder: str
):
    found, expected = stored(runs["root"], folder), stored(cli_root, folder)
    assert expected
    assert list(found) == list(expected)
    assert [key for key in found if found[key] != expected[key]] == []


def test_a_new_checkpoint_was_evaluated_by_itself(runs: dict[str, Any]):
    evaluation = runs["evaluate"]
    assert (evaluation["state_type"], evaluation["state_name"]) == ("COMPLETED", "Completed")
    assert evaluation["parameters"]["checkpoint"].startswith("gaussian-motion-")
    assert evaluation["parameters"]["archive"]["time_zone"] == "Europe/Rome"
    assert (runs["root"] / "evaluations" / "results.parquet").exists()


def test_each_video_was_a_task_run_with_its_name(server: Server, runs: dict[str, Any]):
    wanted = {"flow_runs": {"id": {"any_": [runs["extract"]["id"]]}}}
    found = {run["name"]: run["state_name"] for run in server.ask("task_runs/filter", wanted)}
    assert found["extract gate/20260301_080000.mp4"] == "Completed"
    assert found["extract gate/20260302_100000.mp4"] == "Quarantined"
    assert len(found) == 9


def test_our_own_command_deploys_the_same_again(server: Server, runs: dict[str, Any]):
    server.command("anomaly", "deploy")
    found = server.ask("deployments/filter", {})
    assert sorted(one["name"] for one in found) == sorted(flow.name for flow in FLOWS)
    assert {one["work_pool_name"] for one in found} == {WORK_POOL}


def test_served_from_one_process_the_night_runs_without_a_worker(
    server: Server, campus: ArchiveSpec, runs: dict[str, Any]
):
    server.end(server.running.pop())
    server.start("serve", "anomaly", "serve")
    where = {"archive": to_dict(campus), "root": str(runs["root"])}
    night = server.run_deployment("nightly-scan", **where)
    assert night["state_type"] == "COMPLETED"
    assert "nightly-scan" in (server.folder / "serve.log").read_text()
