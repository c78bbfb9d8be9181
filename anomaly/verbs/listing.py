"""`list`, `show`, `doctor` and `retry`: what there is, and whether it can work here."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from anomaly.catalog import Catalog, archives_with_tables, known_archives, out_of_domain
from anomaly.checkpoints import current, load, names
from anomaly.detectors import Detector
from anomaly.errors import AnomalyError, SpecError
from anomaly.features.store import FeatureStore
from anomaly.registry import unknown_name
from anomaly.storage import Root

PACKAGES = (
    "archive-anomaly",
    "av",
    "dask",
    "decord",
    "duckdb",
    "numpy",
    "opencv-python-headless",
    "prefect",
    "pyarrow",
    "s3fs",
    "scikit-learn",
    "timm",
    "torch",
    "torchcodec",
    "zarr",
)


def list_things(root: Root, kind: str = "") -> dict[str, Any]:
    """Return the names of everything of one kind (all kinds without), plug-ins and stored things."""
    from anomaly.detectors import detectors
    from anomaly.evaluation.metrics import metrics
    from anomaly.features.backbones import backbones
    from anomaly.video.decoders import decoders

    things: Mapping[str, Any] = {
        "backbones": lambda: backbones().names(),
        "detectors": lambda: detectors().names(),
        "decoders": lambda: decoders().names(),
        "metrics": lambda: metrics().names(),
        "archives": lambda: known_archives(root),
        "checkpoints": lambda: {"current": current(root), "names": names(root)},
        "cameras": lambda: _cameras(root),
        "quarantine": lambda: _quarantine(root),
    }
    if kind and kind not in things:
        raise unknown_name("kind of thing", kind, sorted(things))
    return {name: found() for name, found in things.items() if kind in {"", name}}


def show(root: Root, kind: str, name: str, dimension: int = 0) -> dict[str, Any]:
    """Return what is known of one checkpoint, detector, backbone or video.

    `options` are what can be chosen; of a detector, `parameters.trainable` is how many numbers its
    network learns for vectors of length `dimension` (null without a length or a network).

    Raises:
        SpecError: there is no such kind, or no such thing.
    """
    from anomaly.detectors import detectors
    from anomaly.features.backbones import backbones

    if kind == "checkpoint":
        if name not in names(root):
            raise unknown_name("checkpoint", name, names(root))
        return load(root, name).describe(root)
    if kind == "detector":
        return _detector(detectors().get(name), name, dimension)
    if kind == "backbone":
        return _plugin(backbones().get(name), name)
    if kind == "video":
        return _video(root, name)
    raise unknown_name("kind of thing", kind, ["backbone", "checkpoint", "detector", "video"])


def doctor(root: Root) -> dict[str, Any]:
    """Return versions, devices and whether the root can be written; never raises."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "root": root.url,
        "checkpoint": None,
    }
    try:
        root.check_writable()
        found["checkpoint"] = current(root)
        found["root_writable"] = True
    except AnomalyError as error:
        found["root_writable"] = str(error)
    found["gpu"] = _gpu()
    return found


def retry(root: Root, videos: Sequence[str], archive: str = "") -> list[str]:
    """Take videos out of quarantine, so that the next run tries them; return their paths.

    Raises:
        SpecError: there is no such archive, or none of the videos is in quarantine.
    """
    if archive and archive not in archives_with_tables(root):
        raise unknown_name("archive", archive, archives_with_tables(root))
    freed = []
    for name in [archive] if archive else archives_with_tables(root):
        catalog = Catalog(root, name)
        wanted = videos or [
            u for u, row in catalog.rows().items() if row.status == "quarantined"
        ]
        freed += catalog.forget_quarantine(wanted)
    if videos and not freed:
        raise SpecError(f"None of {', '.join(map(repr, videos))} is in quarantine.")
    return freed


def _cameras(root: Root) -> dict[str, dict[str, str]]:
    """Return for each archive which cameras the current checkpoint can judge, and which not."""
    checkpoint = current(root)
    found = {}
    for name in archives_with_tables(root) if checkpoint else []:
        catalog = Catalog(root, name)
        scored = catalog.scored(checkpoint or "").values()
        outside = out_of_domain(catalog.rows(), scored)
        told = {one.camera: one.text for one in outside if not one.is_over}
        cameras = sorted({row.camera for row in scored})
        found[name] = {camera: told.get(camera, "in domain") for camera in cameras}
    return found


def _quarantine(root: Root) -> list[dict[str, Any]]:
    return [
        {"archive": row.archive, "video": row.uri, "code": row.code, "message": row.message}
        for name in archives_with_tables(root)
        for row in Catalog(root, name).rows().values()
        if row.status == "quarantined"
    ]


def _plugin(cls: type[Any], name: str) -> dict[str, Any]:
    import inspect
    import sys

    from pydantic import TypeAdapter

    module = sys.modules[cls.__module__]
    schema = TypeAdapter(cls.Parameters).json_schema()
    about = _descriptions(cls.Parameters)
    found = {
        "name": name,
        "about": inspect.cleandoc(module.__doc__ or cls.__doc__ or ""),
        "options": {
            field: {
                "default": values.get("default"),
                "description": about.get(field),
                "type": values.get("enum") or values.get("type") or _first_type(values),
            }
            for field, values in schema.get("properties", {}).items()
        },
    }
    for fact in ("supervision", "scope", "peeks", "calibration", "version"):
        if hasattr(cls, fact):
            found[fact] = getattr(cls, fact)
    return found


def _first_type(values: dict[str, Any]) -> str | None:
    """Return the type of a field that may also be left open."""
    return next((kind.get("type") for kind in values.get("anyOf", ())), None)


def _descriptions(parameters: type[Any]) -> dict[str, str]:
    """Return what each field is for; an heir keeps the words of the class that it has the field from."""
    return {
        name: field.description
        for base in reversed(parameters.__mro__)
        for name, field in vars(base).get("__pydantic_fields__", {}).items()
        if field.description
    }


def _detector(cls: type[Detector], name: str, dimension: int) -> dict[str, Any]:
    known = dimension or cls.reads == "pixels"
    trainable = cls.build({}, {}).trainable(dimension) if known else None
    return {
        **_plugin(cls, name),
        "paper": cls.paper,
        "signal": cls.signal,
        "published": [asdict(figure) for figure in cls.published],
        "parameters": {"dimension": dimension or None, "trainable": trainable},
    }


def _video(root: Root, uri: str) -> dict[str, Any]:
    for name in archives_with_tables(root):
        row = Catalog(root, name).rows().get(uri)
        if row is None:
            continue
        scored = {}
        for checkpoint in names(root):
            done = Catalog(root, name).scored(checkpoint).get(uri)
            if done is not None:
                scored[checkpoint] = {"frames": done.n_frames, "events": done.n_events}
        plain = {
            key: str(v) if hasattr(v, "isoformat") else v for key, v in asdict(row).items()
        }
        features = FeatureStore(root).of_content(row.content or "")
        return {**plain, "features": features, "scored": scored}
    raise SpecError(f"No video {uri!r} in the catalog of {root.url!r}: scan its archive first.")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
