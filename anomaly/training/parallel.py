"""Several processes train one network together, each on its share of every batch.

PyTorch's DistributedDataParallel averages their gradients, so that a step is that of one process with the
whole batch, as far as the loss is a mean over items; losses that compare videos of a batch compare those
of one process. `torchrun` starts the processes. The first of them (rank 0) does all that a training does;
the others follow: they run the same fits beside it, and what comes of them is thrown away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn

from anomaly.errors import SpecError
from anomaly.fanout import FanOut, Item, Result

T = TypeVar("T")

_SHARED = {"train", "fold"}
"""labels of the stages that all processes do together, item by item"""
_PATIENCE = timedelta(days=7)  # followers wait while the first one extracts features


@contextlib.contextmanager
def team() -> Iterator[int]:
    """Meet the other processes that `torchrun` started; yield this one's rank, counted from 0.

    Raises:
        SpecError: `torchrun` has not started this process.
    """
    if not distributed.is_torchelastic_launched():
        raise SpecError(
            "Training in several processes is started by torchrun: "
            "torchrun --nproc-per-node 2 --no-python anomaly train ARCHIVE --data-parallel ..."
        )
    on_gpu = torch.cuda.is_available()
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE
    )
    try:
        yield rank()
    finally:
        distributed.destroy_process_group()


@contextlib.contextmanager
def leading(fan_out: FanOut) -> Iterator[FanOut]:
    """Yield `fan_out` for the first process, with which fits are done by the whole team, one by one.

    After an error the followers are left to `torchrun`, which ends them.
    """

    def run(
        function: Callable[[Item], Result], items: Sequence[Item], *, label: str
    ) -> Iterator[Result]:
        if label not in _SHARED:
            yield from fan_out(function, items, label=label)
            return
        for item in items:
            agreed(partial(_work, function, item))
            yield function(item)

    yield run
    agreed(_no_work)


def follow() -> None:
    """Do beside the first process what it does, until it is done."""
    while (work := agreed(_no_work)) is not None:
        function, item = work
        function(item)


Work = tuple[Callable[[Any], Any], Any] | None
"""A function and what it is called with; None: all is done."""


def _work(function: Callable[[Any], Any], item: Any) -> Work:
    return function, item


def _no_work() -> Work:
    return None


def rank() -> int:
    """Return which process of the team this is; 0 without a team."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Say whether what this process finds is kept."""
    return rank() == 0


def own_chance() -> tuple[int, ...]:
    """Return what tells this process's chance from that of the others; nothing for the first."""
    return () if is_first() else (rank(),)


def device() -> torch.device:
    """Return where this process trains: its own GPU, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", distributed.get_node_local_rank(fallback_rank=0))


def share(chosen_B: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """Return this process's part of a batch, and what its mean loss counts in the mean over processes.

    Either half of the batch is dealt by itself, so that halves of two kinds stay halves. Where there are
    fewer items than processes, some get an item that counts nothing.
    """
    count = _size()
    halves = np.split(chosen_B, [len(chosen_B) // 2])
    own = np.concatenate([half[rank() :: count] for half in halves])
    if not len(own):
        return np.concatenate([half[:1] for half in halves]), 0.0
    return own, count * len(own) / len(chosen_B)


def shared(module: nn.Module) -> nn.Module:
    """Return the module such that its gradients are averaged over the team."""
    if _size() == 1:
        return module
    where = [device()] if torch.cuda.is_available() else None
    return nn.parallel.DistributedDataParallel(module, device_ids=where)


def mean(value: float) -> float:
    """Return the mean of a number over the team."""
    if _size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(total)
    return float(total) / _size()


def agreed(find: Callable[[], T]) -> T:
    """Return what the first process finds; the others wait for it and find nothing themselves."""
    if _size() == 1:
        return find()
    found = [find() if is_first() else None]
    distributed.broadcast_object_list(found, src=0)
    return found[0]  # type: ignore[return-value]


def _size() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1
