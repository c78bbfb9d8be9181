"""`prefect deployment run extract-features`: a deployment may be called by one word.

Our deployments bear the name of their flow, and Prefect knows them as `extract-features/extract-features`.
Prefect offers plug-ins a hook at start-up (entry-point group `prefect.plugins`); ours teaches its clients
that a name without a slash means both parts. Needs `PREFECT_PLUGINS_ENABLED=true`, which `pyproject.toml`
sets for commands started in the checkout. The method that is wrapped is public, its place is not promised:
`tests/flows/test_server.py` runs the real command.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from prefect.plugins import HookContext, SetupResult, register_hook


@register_hook
def setup_environment(*, ctx: HookContext) -> SetupResult | None:
    """Let Prefect's clients of this process read deployments by one word."""
    del ctx
    from prefect.client.orchestration import PrefectClient, SyncPrefectClient

    for client in (PrefectClient, SyncPrefectClient):
        client.read_deployment_by_name = _by_one_word(client.read_deployment_by_name)  # type: ignore[method-assign]
    return None


def full_name(name: str) -> str:
    """Return `FLOW/DEPLOYMENT` for a name of either form."""
    return name if "/" in name else f"{name}/{name}"


def _by_one_word(read: Callable[..., Any]) -> Callable[..., Any]:
    if hasattr(read, "__wrapped__"):
        return read

    @functools.wraps(read)
    def wrapped(client: Any, name: str) -> Any:
        return read(client, full_name(name))

    return wrapped
