"""`anomaly serve` and `anomaly deploy`: the verbs that need Prefect.

The command line finds them through the entry-point group `anomaly.commands`.
"""

from __future__ import annotations

import click


@click.command("serve")
@click.option(
    "--limit",
    default=1,
    show_default=True,
    help="how many flow runs at once; each uses all workers",
)
def serve(limit: int) -> None:
    """Serve all flows from this process, the nightly one on its schedule. Needs a Prefect server."""
    from prefect import serve as prefect_serve

    from flows.deployments import deployments

    prefect_serve(*deployments(), limit=limit)


@click.command("deploy")
def deploy() -> None:
    """Create the work pool and all deployments on the Prefect server; workers do the work."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    from flows.deployments import WORK_POOL, deployments

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"), overwrite=True)
    for deployment in deployments():
        deployment.apply(work_pool_name=WORK_POOL)
        click.echo(f"{deployment.name}: prefect deployment run {deployment.full_name}")
    click.echo(f"Start a worker: prefect worker start --pool {WORK_POOL}")
