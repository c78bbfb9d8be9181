"""What our flows tell Prefect of, so that others may start by themselves."""

from __future__ import annotations

from anomaly.spec import to_dict
from anomaly.video import ArchiveSpec

CHECKPOINT_PUBLISHED = "archive-anomaly.checkpoint.published"
"""a bundle is there, or one of its models is new; payload: checkpoint, root, archive"""


def tell_checkpoint(checkpoint: str, root: str, archive: ArchiveSpec) -> None:
    """Emit `CHECKPOINT_PUBLISHED`; the deployment of `evaluate` waits for it."""
    from prefect.events import emit_event

    emit_event(
        CHECKPOINT_PUBLISHED,
        resource={
            "prefect.resource.id": f"archive-anomaly.checkpoint.{checkpoint}",
            "prefect.resource.name": checkpoint,
        },
        payload={"checkpoint": checkpoint, "root": root, "archive": to_dict(archive)},
    )
