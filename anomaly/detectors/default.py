"""What is learnt with when nothing is named: motion ranks, things at rest are heard where they are sure.

A preset of plug-ins that also run alone: the backbones `motion` and `static`, each judged by `knn`, joined
as `fused` joins them. What it finds, what it misses and why it is made so: docs/detector.md.
"""

from __future__ import annotations

from anomaly.detectors._joined import Joined, JoinedParameters
from anomaly.spec import spec


@spec
class DefaultParameters(JoinedParameters):
    """What `default` is made of."""


class Default(Joined):
    """Motion and things at rest, without weights, without a GPU."""

    Parameters = DefaultParameters
    parameters: DefaultParameters
    backbones = ("motion", "static")
