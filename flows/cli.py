"""`anomaly serve` and `anomaly deploy`: the verbs that need Prefect.

The command line finds them through the entry-point group `anomaly.commands`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from anomaly.errors import SpecError, TransientError


@click.command("serve")
@click.option(
    "--limit",
    default=1,
    show_default=True,
    help="how many flow runs at once; each uses all workers",
)
def serve(limit: int) -> None:
    """Serve all flows from this process, the nightly one on its schedule. Needs a Prefect server."""
    with _server():
        from prefect import serve as prefect_serve

        from flows.deployments import deployments

        prefect_serve(*deployments(), limit=limit)


@click.command("deploy")
def deploy() -> None:
    """Create the work pool and all deployments on the Prefect server; workers do the work."""
    with _server():
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.actions import WorkPoolCreate

        from flows.deployments import WORK_POOL, deployments

        with get_client(sync_client=True) as client:
            if WORK_POOL not in {pool.name for pool in client.read_work_pools()}:
                client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
        for deployment in deployments():
            deployment.apply(work_pool_name=WORK_POOL)
            click.echo(f"prefect deployment run {deployment.full_name}")
        click.echo(f"Start a worker: prefect worker start --pool {WORK_POOL}")


@contextmanager
def _server() -> Iterator[None]:
    """Work with the server of PREFECT_API_URL; say so in a line when there is none.

    Raises:
        SpecError: no server is named; what is deployed to Prefect's temporary one would be lost.
        TransientError: the server does not answer.
    """
    import httpx
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        raise SpecError(
            "No Prefect server is named. Start one with `prefect server start`, then "
            "`prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api`."
        )
    try:
        yield
    except httpx.ConnectError as error:
        raise TransientError(
            f"No Prefect server answers at {url}. Start it (`prefect server start`) or name another "
            "one in PREFECT_API_URL."
        ) from error
