"""Checkpoint bundles: what was learnt, by name, one model per camera plus `pooled`.

    checkpoints/current.json         {"checkpoint": the bundle that nightly takes, or null}
    checkpoints/<name>/bundle.json   names, parameters, recipes, digests of models; written last
    checkpoints/<name>/<digest>.safetensors   one model: arrays, and facts (JSON) in its header
    checkpoints/.training/<key>/     state of a training run that has not ended

A model file is named by the hash of its bytes and never changes, so a reader of an older
`bundle.json` still finds what it names, and adding a camera leaves the models of the others as
they are. No pickle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anomaly.detectors import Arrays
from anomaly.errors import SpecError, StoreError
from anomaly.features import FeatureSpec
from anomaly.registry import unknown_name
from anomaly.spec import canonical_json, first_difference, from_dict, to_dict
from anomaly.storage import Root, quote, unquote

POOLED = "pooled"
"""name of the model for cameras that have none of their own"""
_CURRENT = "checkpoints/current.json"


@dataclass(frozen=True)
class Model:
    """What one fit learnt: state of the detector, of the score stages and of the domain, facts."""

    detector: Arrays
    stages: Arrays
    facts: dict[str, Any]
    """plain JSON; part of the digest, so without the time of day"""
    domain: Arrays = field(default_factory=dict)
    """what the camera's pictures looked like; empty where that was not measured"""

    def digest(self) -> str:
        """Return 32 hex digits of the hash of all it holds; equal fits give equal digests."""
        return _digest(_model_bytes(self))


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The header of a bundle; models are read when asked for."""

    name: str
    detector: str
    """name of a file in detectors/"""
    parameters: dict[str, Any]
    """the detector's own parameters, defaults written out"""
    inputs: dict[str, FeatureSpec]
    """recipe of each input of the detector"""
    scores: dict[str, Any]
    """the ScoreSpec as plain values"""
    models: Mapping[str, str] = field(default_factory=dict)
    """camera, or `pooled` -> digest of its model"""

    def header(self) -> dict[str, Any]:
        """Return as plain JSON what all models of the bundle share."""
        recipes = {name: to_dict(recipe) for name, recipe in self.inputs.items()}
        header = {
            "detector": self.detector,
            "parameters": self.parameters,
            "inputs": recipes,
            "scores": self.scores,
        }
        plain: dict[str, Any] = json.loads(canonical_json(header))
        return plain

    def model_name(self, camera: str) -> str:
        """Return whose model scores this camera: its own name, or `pooled`.

        Raises:
            StoreError: the bundle has neither.
        """
        for name in (camera, POOLED):
            if name in self.models:
                return name
        raise StoreError(
            f"Checkpoint {self.name!r} has no model for camera {camera!r} and none pooled; "
            f"it has {', '.join(sorted(self.models)) or 'none at all'}. "
            f"Add one: anomaly train ARCHIVE --camera {camera} --into {self.name}."
        )

    def digest(self, camera: str) -> str:
        """Return the digest of the model that this camera's scores depend on."""
        return self.models[self.model_name(camera)]

    def model_for(self, root: Root, camera: str) -> tuple[str, Model]:
        """Read the model for this camera; return its name, the camera's or `pooled`, and it.

        Raises:
            StoreError: there is no model for this camera, or its file is missing or damaged.
        """
        name = self.model_name(camera)
        return name, self._read(root, name)

    def describe(self, root: Root) -> dict[str, Any]:
        """Return all that is known of the bundle and its models as plain JSON."""
        models = {
            name: {"digest": digest, **self._read(root, name).facts}
            for name, digest in self.models.items()
        }
        return {"name": self.name, **self.header(), "models": models}

    def facts(self, root: Root) -> dict[str, dict[str, Any]]:
        """Return what is known of each model, by its name; arrays are neither read nor checked.

        Raises:
            StoreError: a model's file is missing or damaged.
        """
        return {
            name: _read_facts(root, _model_key(self.name, digest))
            for name, digest in self.models.items()
        }

    def trained_contents(self, root: Root) -> set[str]:
        """Return the contents of all videos that some model was fitted on (facts `videos`)."""
        return {
            video["content"]
            for facts in self.facts(root).values()
            for video in all_videos(facts)
        }

    def _read(self, root: Root, name: str) -> Model:
        return _read_model(root, _model_key(self.name, self.models[name]))


def save(root: Root, checkpoint: Checkpoint, models: Mapping[str, Model]) -> Checkpoint:
    """Put `models` (camera or `pooled` -> model) into the bundle; return what it is now.

    A bundle of this name that exists gets these models added or renewed and keeps its others.

    Raises:
        SpecError: the name is empty or begins with a dot.
        StoreError: the bundle exists with another detector, recipe or parameters; the message
            names the first field that differs.
    """
    check_name(checkpoint.name)
    digests = {}
    for name, model in models.items():
        data = _model_bytes(model)
        digests[name] = _digest(data)
        root.publish(_model_key(checkpoint.name, digests[name]), data)
    header = checkpoint.header()

    def with_models(found: bytes | None) -> bytes:
        bundle = {**header, "models": {}} if found is None else json.loads(found)
        existing = {key: bundle[key] for key in header}
        difference = first_difference(header, existing)
        if difference is not None:
            raise StoreError(
                f"Checkpoint {checkpoint.name!r} exists and was made otherwise: {difference}. "
                "Train with the same choices, or under another name."
            )
        bundle["models"] = dict(sorted({**bundle["models"], **digests}.items()))
        return json.dumps(bundle, indent=2, sort_keys=True).encode() + b"\n"

    root.update(_bundle_key(checkpoint.name), with_models)
    return load(root, checkpoint.name)


def check_name(name: str) -> None:
    """Raise `SpecError` unless a bundle may have this name."""
    if not name or name.startswith("."):
        raise SpecError(f"Checkpoint name {name!r}: expected no leading dot, not empty.")


def load(root: Root, name: str) -> Checkpoint:
    """Read the header of a bundle.

    Raises:
        StoreError: there is no such bundle (the message names the nearest), or it is damaged.
    """
    data = root.read(_bundle_key(name))
    if data is None:
        raise StoreError(str(unknown_name("checkpoint", name, names(root))))
    try:
        bundle = json.loads(data)
        return Checkpoint(
            name=name,
            detector=bundle["detector"],
            parameters=bundle["parameters"],
            inputs={
                key: from_dict(FeatureSpec, value) for key, value in bundle["inputs"].items()
            },
            scores=bundle["scores"],
            models=bundle["models"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{root.address(_bundle_key(name))} is damaged ({error!r}). Train it again."
        ) from error


def all_videos(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a model learnt from: its own training videos, and those of what it began with."""
    return [*facts.get("videos", []), *facts.get("start_from", {}).get("videos", [])]


def names(root: Root) -> list[str]:
    """Return the names of all bundles, sorted."""
    folders = [unquote(folder) for folder in root.folders("checkpoints")]
    return [name for name in sorted(folders) if root.exists(_bundle_key(name))]


def current(root: Root) -> str | None:
    """Return the name of the bundle that `nightly` takes when none is named."""
    found = root.read_json(_CURRENT)
    return None if found is None else found["checkpoint"]


def set_current(root: Root, name: str | None) -> None:
    """Make `name` the current bundle, or none.

    Raises:
        StoreError: there is no such bundle.
    """
    if name is not None:
        load(root, name)
    root.publish_json(_CURRENT, {"checkpoint": name})


def check_recipe(checkpoint: Checkpoint, input_name: str, found: FeatureSpec) -> None:
    """Refuse features made by another recipe than the checkpoint was fitted on.

    Raises:
        StoreError: the recipes differ; the message names the first field.
    """
    expected = checkpoint.inputs.get(input_name)
    if expected is None:
        raise StoreError(
            f"Checkpoint {checkpoint.name!r} has no input {input_name!r}; it reads "
            f"{', '.join(checkpoint.inputs)}."
        )
    difference = first_difference(to_dict(found), to_dict(expected))
    if difference is not None:
        raise StoreError(
            f"Checkpoint {checkpoint.name!r} was fitted on other features: {difference}. "
            "Extract with the checkpoint's recipe, or train a new checkpoint."
        )


def training_state(
    root: Root, key: str
) -> tuple[Callable[[str], Arrays | None], Callable[[str, Arrays], None], Callable[[], None]]:
    """Return `load`, `save` (for `FitContext`) and `clear` for the training run called `key`.

    The names that `load` and `save` are given tell several fits of one run apart. A damaged or
    missing state loads as None, so training begins anew.
    """
    folder = f"checkpoints/.training/{quote(key)}"

    def part(name: str) -> str:
        return f"{folder}/{quote(name)}.safetensors"

    def load_part(name: str) -> Arrays | None:
        from safetensors import SafetensorError
        from safetensors.numpy import load as parse

        data = root.read(part(name))
        try:
            return None if data is None else parse(data)
        except SafetensorError:
            return None

    def save_part(name: str, arrays: Arrays) -> None:
        from safetensors.numpy import save as dump

        root.publish(part(name), dump(_contiguous(arrays)))

    def clear() -> None:
        root.delete(folder)

    return load_part, save_part, clear


def _bundle_key(name: str) -> str:
    return f"checkpoints/{quote(name)}/bundle.json"


def _model_key(name: str, digest: str) -> str:
    return f"checkpoints/{quote(name)}/{digest}.safetensors"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _contiguous(arrays: Arrays) -> Arrays:
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _model_bytes(model: Model) -> bytes:
    """Return one safetensors file; equal models give equal bytes."""
    from safetensors.numpy import save as dump

    arrays = {f"detector/{name}": array for name, array in model.detector.items()}
    arrays |= {f"stages/{name}": array for name, array in model.stages.items()}
    arrays |= {f"domain/{name}": array for name, array in model.domain.items()}
    return dump(_contiguous(arrays), metadata={"facts": canonical_json(model.facts)})


def _read_facts(root: Root, key: str) -> dict[str, Any]:
    """Return the facts in the header of a safetensors file."""
    length = root.read_part(key, 0, 8)
    header = length and root.read_part(key, 8, 8 + int.from_bytes(length, "little"))
    if not header:
        raise StoreError(
            f"{root.address(key)} is missing. Train the checkpoint's camera again."
        )
    try:
        facts: dict[str, Any] = json.loads(json.loads(header)["__metadata__"]["facts"])
    except (ValueError, KeyError) as error:
        raise StoreError(
            f"{root.address(key)} is damaged ({error!r}). Train the checkpoint's camera again."
        ) from error
    return facts


def _read_model(root: Root, key: str) -> Model:
    from safetensors.numpy import load as parse

    data = root.read(key)
    digest = key.rsplit("/", 1)[-1].removesuffix(".safetensors")
    if data is None or _digest(data) != digest:
        state = "is missing" if data is None else "is damaged"
        raise StoreError(f"{root.address(key)} {state}. Train the checkpoint's camera again.")
    arrays = parse(data)
    header_bytes = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + header_bytes])["__metadata__"]

    def below(part: str) -> Arrays:
        return {
            name.removeprefix(part): array
            for name, array in arrays.items()
            if name.startswith(part)
        }

    facts = json.loads(metadata["facts"])
    return Model(below("detector/"), below("stages/"), facts, below("domain/"))
