"""Bundles: one model per camera and a pooled one, found by name, never half-written."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from anomaly.checkpoints import (
    POOLED,
    Checkpoint,
    Model,
    check_recipe,
    current,
    load,
    names,
    save,
    set_current,
    training_state,
)
from anomaly.errors import SpecError, StoreError
from anomaly.features import FeatureSpec
from anomaly.storage import open_root
from anomaly.video import PixelSpec

RECIPE = FeatureSpec(
    backbone="motion",
    parameters={"height": 240},
    version=1,
    weights="",
    pixels=PixelSpec(color="gray"),
)
HEADER = Checkpoint(
    name="yard",
    detector="knn",
    parameters={"bank": 10},
    inputs={"features": RECIPE},
    scores={"smoothing_seconds": 0.3},
)


def model(seed):
    generator = np.random.default_rng(seed)
    return Model(
        {"bank": generator.random((5, 3)), "mean": generator.random(3).astype(np.float32)},
        {"knots": generator.random(4), "step": np.array(7)},
        {"threshold": 1.5 + seed, "videos": [{"video": f"{seed}.mp4", "content": f"c{seed}"}]},
    )


def assert_same(found, expected):
    for part in ("detector", "stages"):
        assert getattr(found, part).keys() == getattr(expected, part).keys()
        for name, array in getattr(expected, part).items():
            again = getattr(found, part)[name]
            assert again.dtype == array.dtype
            assert again.shape == array.shape
            assert np.array_equal(again, array)
    assert found.facts == expected.facts


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path / "root"))


def test_a_model_comes_back_as_it_was_put_in(root):
    save(root, HEADER, {"a/b c": model(0), POOLED: model(1)})
    bundle = load(root, "yard")
    assert replace(bundle, models={}) == HEADER
    name, found = bundle.model_for(root, "a/b c")
    assert name == "a/b c"
    assert_same(found, model(0))


def test_a_camera_without_a_model_of_its_own_uses_the_pooled_one(root):
    bundle = save(root, HEADER, {"a": model(0), POOLED: model(1)})
    name, found = bundle.model_for(root, "unseen")
    assert name == POOLED
    assert_same(found, model(1))
    assert bundle.digest("unseen") == model(1).digest()


def test_a_camera_without_any_model_is_told_which_there_are(root):
    bundle = save(root, HEADER, {"a": model(0), "b": model(0)})
    with pytest.raises(StoreError, match=r"no model for camera 'c'.*it has a, b"):
        bundle.model_for(root, "c")


def test_adding_a_camera_changes_nothing_for_the_others(root):
    before = save(root, HEADER, {"a": model(0), POOLED: model(1)})
    bytes_before = {key: root.read(key) for key in root.keys("checkpoints/yard")}
    after = save(root, HEADER, {"b": model(2)})
    assert {"a", "b", POOLED} == set(after.models)
    assert after.digest("a") == before.digest("a")
    assert after.digest("b") != before.digest("b") == before.digest(POOLED)
    for key, data in bytes_before.items():
        assert key.endswith("bundle.json") or root.read(key) == data


def test_a_renewed_camera_leaves_readers_of_the_older_bundle_their_model(root):
    before = save(root, HEADER, {"a": model(0)})
    after = save(root, HEADER, {"a": model(1)})
    assert_same(before.model_for(root, "a")[1], model(0))
    assert_same(after.model_for(root, "a")[1], model(1))


def test_equal_fits_give_equal_bytes_and_any_change_another_digest(root, tmp_path):
    save(root, HEADER, {"a": model(0)})
    other = open_root(str(tmp_path / "other"))
    save(other, HEADER, {"a": model(0)})
    keys = root.keys("checkpoints")
    assert keys == other.keys("checkpoints")
    assert [root.read(key) for key in keys] == [other.read(key) for key in keys]
    changed = model(0)
    changed.detector["bank"][0, 0] += 1e-9
    assert changed.digest() != model(0).digest()
    assert replace(model(0), facts={}).digest() != model(0).digest()


def test_a_model_of_another_kind_may_not_join_and_the_first_difference_is_named(root):
    save(root, HEADER, {"a": model(0)})
    other = replace(HEADER, parameters={"bank": 11})
    with pytest.raises(StoreError, match=r"parameters\.bank: found 11, expected 10"):
        save(root, other, {"b": model(1)})
    assert set(load(root, "yard").models) == {"a"}


def test_an_unknown_name_is_answered_with_the_nearest(root):
    save(root, HEADER, {"a": model(0)})
    with pytest.raises(StoreError, match=r"No checkpoint named 'yrad'. Did you mean 'yard'"):
        load(root, "yrad")


@pytest.mark.parametrize("name", ["", ".training"])
def test_names_that_would_hide_are_refused(root, name):
    with pytest.raises(SpecError, match="Checkpoint name"):
        save(root, replace(HEADER, name=name), {})


def test_names_lists_whole_bundles_only(root):
    for name in ("b", "a/odd name"):
        save(root, replace(HEADER, name=name), {"a": model(0)})
    _, save_part, _ = training_state(root, "key")
    save_part("loop", {"x": np.zeros(2)})
    root.publish("checkpoints/half/0123.safetensors", b"")
    assert names(root) == ["a/odd name", "b"]


def test_the_current_bundle_is_none_until_set_and_must_exist(root):
    assert current(root) is None
    save(root, HEADER, {"a": model(0)})
    set_current(root, "yard")
    assert current(root) == "yard"
    with pytest.raises(StoreError, match="No checkpoint named 'other'"):
        set_current(root, "other")
    set_current(root, None)
    assert current(root) is None


def test_a_damaged_or_missing_model_is_told_and_never_used(root):
    bundle = save(root, HEADER, {"a": model(0)})
    key = next(k for k in root.keys("checkpoints/yard") if k.endswith(".safetensors"))
    data = root.read(key)
    root.publish(key, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(StoreError, match="is damaged"):
        bundle.model_for(root, "a")
    root.delete(key)
    with pytest.raises(StoreError, match="is missing"):
        bundle.model_for(root, "a")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"detector": "knn"}'])
def test_a_damaged_header_is_told_with_its_place(root, text):
    root.publish("checkpoints/yard/bundle.json", text.encode())
    with pytest.raises(StoreError, match=r"bundle\.json is damaged"):
        load(root, "yard")


def test_features_of_another_recipe_are_refused_with_the_first_field_that_differs():
    check_recipe(HEADER, "features", RECIPE)
    other = replace(RECIPE, parameters={"height": 480}, version=2)
    with pytest.raises(StoreError, match=r"parameters\.height: found 480, expected 240"):
        check_recipe(HEADER, "features", other)
    with pytest.raises(StoreError, match="no input 'pixels'; it reads features"):
        check_recipe(HEADER, "pixels", RECIPE)


def test_a_description_is_plain_json_and_names_what_was_learnt_from(root):
    bundle = save(root, HEADER, {"a": model(0), "b": model(1)})
    described = bundle.describe(root)
    assert json.loads(json.dumps(described)) == described
    assert described["models"]["b"]["threshold"] == 2.5
    facts = {name: {**one} for name, one in described["models"].items()}
    for one in facts.values():
        del one["digest"]
    assert bundle.facts(root) == facts
    assert bundle.trained_contents(root) == {"c0", "c1"}


def _add_camera(url, number):
    save(open_root(url), HEADER, {f"camera{number}": model(number)})


def test_processes_that_add_cameras_at_once_lose_none(root):
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(_add_camera, [root.url] * 8, range(8)))
    assert set(load(root, "yard").models) == {f"camera{number}" for number in range(8)}


def test_training_state_comes_back_until_it_is_cleared(root):
    load_part, save_part, clear = training_state(root, "a/key")
    assert load_part("loop") is None
    arrays = {"epoch": np.array(3), "weights/0": np.arange(6.0).reshape(2, 3).T}
    save_part("loop", arrays)
    found = load_part("loop")
    assert found.keys() == arrays.keys()
    assert found["epoch"].shape == ()
    assert np.array_equal(found["weights/0"], arrays["weights/0"])
    assert load_part("other") is None
    clear()
    assert load_part("loop") is None
    clear()


def test_a_damaged_training_state_counts_as_none(root):
    load_part, save_part, _ = training_state(root, "key")
    save_part("loop", {"x": np.zeros(3)})
    root.publish("checkpoints/.training/key/loop.safetensors", b"rubbish")
    assert load_part("loop") is None


@pytest.mark.s3
def test_bundles_live_in_a_bucket_too(s3_environment):
    root = open_root(f"s3://{s3_environment}/root")
    save(root, HEADER, {"a": model(0)})
    bundle = save(root, HEADER, {POOLED: model(1)})
    training_state(root, "key")[1]("loop", {"x": np.zeros(3)})
    assert names(root) == ["yard"]
    assert_same(bundle.model_for(root, "a")[1], model(0))
