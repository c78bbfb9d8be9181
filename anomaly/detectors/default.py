"""What is learnt with when nothing is named: motion ranks, things at rest are heard where they are sure.

A preset of plug-ins that also run alone: the backbones `motion`, `static` and `trail`, each judged by
`knn`, joined as `fused` joins them. What is usual about motion is learnt of a place: how fast things are
near and far, and where they go. So `motion` leads in the one place that the training video shows. In any
other, and after training on several places, `trail` leads: from how far things have come means the same
everywhere. `static` is heard in both, where it is sure. A place is told by what the camera shows in the
first seconds of a video, small and without its light; a video of which no view was kept is taken to show
the place that was learnt.

What it finds, what it misses and why it is made so: docs/detector.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from typing_extensions import override

from anomaly.detectors import Arrays, FitContext
from anomaly.detectors._joined import Joined, JoinedParameters
from anomaly.features import FeatureSpec
from anomaly.features.views import OnePlace
from anomaly.spec import spec
from anomaly.windows.bags import Bag

_ABROAD = "trail"
"""backbone that leads where the place is not the one that was learnt; elsewhere it is not listened to"""
_HOME_ONLY = "motion"
_VIEWS = "place.views"


@spec
class DefaultParameters(JoinedParameters):
    """What `default` is made of."""


class Default(Joined):
    """Motion, things at rest, and trails in places not learnt; without weights, without a GPU."""

    Parameters = DefaultParameters
    parameters: DefaultParameters
    backbones = ("motion", "static", _ABROAD)

    def __init__(self, parameters: Any, inputs: Mapping[str, FeatureSpec]) -> None:
        super().__init__(parameters, inputs)
        self._place: OnePlace | None = None

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        views = [bag.view_HW for bag in bags if bag.view_HW is not None]
        self._place = OnePlace.fit(views) if views else None
        return super().fit(bags, validation=validation, context=context)

    @override
    def listened_to(self, bag: Bag) -> Sequence[str]:
        of = {name: self.inputs[name].backbone for name in self.learnt}
        home = [name for name in of if of[name] != _ABROAD]
        if _ABROAD not in of.values() or self._is_home(bag):
            return home or self.learnt
        abroad = [name for name in of if of[name] != _HOME_ONLY]
        return sorted(abroad, key=lambda name: of[name] != _ABROAD)

    def _is_home(self, bag: Bag) -> bool:
        if self._place is None or bag.view_HW is None:
            return True
        return self._place.is_shown(bag.view_HW)

    @override
    def state(self) -> Arrays:
        known = {} if self._place is None else {_VIEWS: self._place.references_RHW}
        return {**super().state(), **known}

    @override
    def load_state(self, state: Arrays) -> None:
        super().load_state(state)
        self._place = OnePlace(state[_VIEWS]) if _VIEWS in state else None
