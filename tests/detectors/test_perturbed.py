"""The wrapper that moves what is scored against the slope of its score."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.detectors import FitContext, detectors
from anomaly.errors import SpecError
from tests.contracts.test_detectors import bag, recipe, scores

QUICK = {"training": {"epochs": 2}}


def fit(name, options, kind="vectors", **parameters):
    told = options if not parameters else {"detector": name, "options": options, **parameters}
    cls = detectors().get("perturbed" if parameters else name)
    built = cls.build(told, {"features": recipe(kind)})
    videos = [bag(kind, number) for number in range(3)]
    context = FitContext(np.random.default_rng(0))
    return built.fit(videos[:2], validation=videos[2:], context=context)


@pytest.mark.parametrize("kind", ["vectors", "grid"])
@pytest.mark.parametrize(("name", "options"), [("predictor", QUICK), ("gaussian", {})])
def test_a_step_lowers_every_score_and_no_step_changes_none(name, options, kind):
    video = bag(kind, 7, 60)
    plain = scores(fit(name, options, kind), video)
    still = scores(fit(name, options, kind, epsilon=1e-12), video)
    moved = scores(fit(name, options, kind, epsilon=0.05), video)
    told = np.isfinite(plain)
    np.testing.assert_allclose(still[told], plain[told], rtol=1e-4)
    lowered = moved[told] < plain[told]
    assert lowered[plain[told] > 0].mean() > 0.95


def test_a_detector_without_a_slope_is_refused_with_what_would_do():
    for name in ("isolation_forest", "mil_ranking", "unet_predict"):
        with pytest.raises(SpecError, match=f"'{name}' cannot be perturbed.*such as predictor"):
            fit(name, {}, epsilon=0.1)
