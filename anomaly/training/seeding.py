"""The only place that touches torch's global state: chance and determinism."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Make torch repeatable inside: deterministic kernels, chance from `numbers` alone.

    What was set before is set again afterwards.
    """
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    strict = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(mode=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=strict)
