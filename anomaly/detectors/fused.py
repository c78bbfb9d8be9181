"""Any features joined: the first ranks, the others are heard where they are sure; see `_joined`."""

from __future__ import annotations

from anomaly.detectors._joined import Joined, JoinedParameters
from anomaly.spec import spec


@spec
class FusedParameters(JoinedParameters):
    """What `fused` is made of."""


class Fused(Joined):
    """Joins whatever inputs it is given, in the order in which they are named."""

    Parameters = FusedParameters
    parameters: FusedParameters
