"""The only place that touches torch's global state: chance, determinism, threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Make torch give the same bits every time inside: deterministic kernels, one thread.

    Sums over several threads are taken in another order; and models of several cameras at once use
    the cores better than threads do. What was set before is set again afterwards. Beside a GPU kernels
    are left alone: some of those that losses need have no deterministic form there.
    """
    strict, threads = torch.get_deterministic_debug_mode(), torch.get_num_threads()
    # `use_deterministic_algorithms` says the same, but loads torch's compiler first: seconds.
    torch.set_deterministic_debug_mode("default" if torch.cuda.is_available() else "error")
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(strict)
        torch.set_num_threads(threads)


@contextlib.contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Make torch `repeatable` inside, and its chance depend on `numbers` alone."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    with repeatable(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
