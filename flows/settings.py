"""Settings: where and how fast, from the environment (`ANOMALY_*`). They never change a number.

This is the only reader of the environment. What changes numbers is a spec and comes as a parameter of a
flow; a root or an archive set here is only what a flow takes when none is given. Credentials are not
settings: object stores are opened with their own default chain.
"""

from __future__ import annotations

import difflib
import os
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from anomaly.errors import SpecError
from anomaly.video import ArchiveSpec

PREFIX = "ANOMALY_"
_NESTED = "__"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no time zone named {name!r}; expected an IANA name") from error
    return name


class Settings(BaseSettings):
    """Everything that may be set, each with the name of its field in capitals after `ANOMALY_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=_NESTED,
        use_attribute_docstrings=True,
        frozen=True,
    )

    root: str = "./anomaly-root"
    """folder or s3:// prefix of everything stored, where a flow names none"""
    archive: ArchiveSpec | None = None
    """the archive of a flow that names none: `ANOMALY_ARCHIVE__ROOT=/videos`, one variable a field, or
    `ANOMALY_ARCHIVE='{"root": "/videos", "time_zone": "Europe/Rome"}'`"""
    labels: str = ""
    """label file of a flow that names none; without it `evaluate` has nothing to do after a training"""
    workers: Annotated[int, Field(ge=0)] = 0
    """how many videos at once in a flow's own processes; 0: one a core"""
    feeders: Annotated[int, Field(ge=1)] = 1
    """for GPUs: how many videos at once each worker extracts, all with one network in its memory"""
    max_task_runs: Annotated[int, Field(ge=1)] = 500
    """task runs of one stage at most; more videos are dealt to that many shards"""
    retries: Annotated[int, Field(ge=0, le=50)] = 3
    """how often work that failed for a passing reason is tried again"""
    retry_delay_seconds: Annotated[float, Field(ge=0)] = 10.0
    """pause before the first retry; each further one is twice as long"""
    timeout_seconds: Annotated[float, Field(ge=0)] = 0.0
    """a flow run that takes longer fails, and the next one goes on from there; 0: never"""
    dask_scheduler: str = ""
    """address of a Dask scheduler (`tcp://host:8786`) whose workers do the work; empty: local processes"""
    cron: str = "0 2 * * *"
    """when `nightly-scan` starts, in `time_zone`"""
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """IANA name of the zone of `cron` and of the date in run names"""


def load_settings() -> Settings:
    """Return the settings of this process's environment.

    Raises:
        SpecError: a variable has no meaning or its value does not fit; the message names it.
    """
    _refuse_unknown()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + _NESTED.join(str(part) for part in first["loc"]).upper()
        found = f"found {first['input']!r}"
        raise SpecError(f"{name}: {first['msg']}; {found}.") from error


def _refuse_unknown() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith(PREFIX) and name.split(_NESTED)[0] not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SpecError(
                f"The environment sets {name}, which is no setting.{hint} "
                f"Settings: {', '.join(sorted(known))}."
            )
