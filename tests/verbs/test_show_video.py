"""`anomaly show video` tells what the root holds of a video."""

from __future__ import annotations

from anomaly.fanout import one_by_one
from anomaly.features import recipe
from anomaly.features.store import FeatureStore, recipe_key
from anomaly.verbs.extract import extract
from anomaly.verbs.listing import show
from anomaly.verbs.scan import scan
from tests.verbs.conftest import FRAMES, House


def test_stored_features_are_told_with_their_recipe_and_size(house: House) -> None:
    scan(house.url, house.archive)
    assert show(house.root, "video", "gate/1.mp4")["features"] == {}
    recipes = [recipe("motion"), recipe("motion", {"stride": 2})]
    extract(house.url, house.archive, recipes, fan_out=one_by_one)
    FeatureStore(house.root).writer(
        recipe("static"), house.catalog()["gate/1.mp4"].content or ""
    )
    features = show(house.root, "video", "gate/1.mp4")["features"]
    assert len(features) == 3
    for made, n_rows in zip(recipes, (FRAMES, FRAMES // 2), strict=True):
        facts = features[recipe_key(made).removeprefix("features/")]
        assert facts["complete"] is True
        assert facts["n_rows"] == n_rows
        assert facts["decoder"] == "pyav"
        assert facts["bytes"] > 1000
        assert facts["recipe"]["parameters"]["stride"] == FRAMES // n_rows
    unfinished = [facts for facts in features.values() if not facts["complete"]]
    assert [facts["recipe"]["backbone"] for facts in unfinished] == ["static"]
