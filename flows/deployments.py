"""The deployments, one a flow and named like it; `prefect.yaml` says the same to Prefect's own command.

One `nightly-scan` at a time. A night that begins while the last one still runs is cancelled, not queued:
the running one, or the next, does all that is new, so nothing is lost, nights never pile up, and a slot
left over from a killed run shows as Cancelled instead of waiting for ever without a word.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.compare_checkpoints import compare_checkpoints
from flows.evaluate import evaluate
from flows.events import CHECKPOINT_PUBLISHED
from flows.extract_features import extract_features
from flows.nightly_scan import nightly_scan
from flows.score_archive import score_archive
from flows.settings import load_settings
from flows.sweep_detectors import sweep_detectors
from flows.train_detector import train_detector

WORK_POOL = "anomaly"
TAG = "archive-anomaly"

FLOWS: tuple[Flow[..., Any], ...] = (
    extract_features,
    train_detector,
    sweep_detectors,
    score_archive,
    evaluate,
    compare_checkpoints,
    nightly_scan,
)


def deployments() -> list[RunnerDeployment]:
    """Return the deployment of each flow; only the nightly one has a schedule, from the settings."""
    special = {nightly_scan.name: _nightly, evaluate.name: _evaluate}
    return [special.get(one.name, partial(_on_demand, one))() for one in FLOWS]


def _on_demand(one: Flow[..., Any]) -> RunnerDeployment:
    made = one.to_deployment(one.name, tags=[TAG], entrypoint_type=EntrypointType.MODULE_PATH)
    return cast("RunnerDeployment", made)


def _evaluate() -> RunnerDeployment:
    """Return the deployment that judges every new checkpoint, with the labels of the settings."""
    made = evaluate.to_deployment(
        evaluate.name,
        tags=[TAG],
        triggers=[
            DeploymentEventTrigger(
                name="Evaluate new checkpoints",
                expect={CHECKPOINT_PUBLISHED},
                match={"prefect.resource.id": "archive-anomaly.checkpoint.*"},
                parameters={
                    "checkpoint": "{{ event.payload.checkpoint }}",
                    "root": "{{ event.payload.root }}",
                    "archive": {
                        "__prefect_kind": "json",
                        "value": {
                            "__prefect_kind": "jinja",
                            "template": "{{ event.payload.archive | tojson }}",
                        },
                    },
                    "after_training": True,
                },
            )
        ],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return cast("RunnerDeployment", made)


def _nightly() -> RunnerDeployment:
    settings = load_settings()
    made = nightly_scan.to_deployment(
        nightly_scan.name,
        tags=[TAG, "nightly"],
        schedule=Cron(settings.cron, timezone=settings.time_zone),
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return cast("RunnerDeployment", made)
