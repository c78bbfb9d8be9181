"""Specs: what changes numbers. Frozen, complete, fingerprinted, stored with every result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from anomaly.errors import SpecError

T = TypeVar("T")

_CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def spec(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only pydantic dataclass that refuses unknown keys.

    A string under a field documents it; the text becomes CLI help and the Prefect form.
    (A dataclass and not a `BaseModel`: Prefect's `task.map` deals models out field by field.)
    """
    made = pydantic_dataclass(frozen=True, kw_only=True, config=_CONFIG)(cls)
    return cast("type[T]", made)


def to_dict(value: Any) -> dict[str, Any]:
    """Return the spec as plain JSON values."""
    plain: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return plain


def from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build a spec of class `cls` from plain values.

    Raises:
        SpecError: a key is unknown or a value does not fit; the message names the field.
    """
    try:
        return TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or cls.__name__
        known = ", ".join(f.name for f in dataclasses.fields(cls))  # type: ignore[arg-type]
        raise SpecError(
            f"{cls.__name__}: {field}: {first['msg']}; found {first.get('input')!r}. "
            f"Known fields: {known}."
        ) from error


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces."""
    plain = to_dict(value) if dataclasses.is_dataclass(value) else value
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def fingerprint(value: Any) -> str:
    """Return 16 hex digits that change when anything in the spec changes."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def first_difference(found: Any, expected: Any, path: str = "") -> str | None:
    """Name the first field in which two plain values differ, with both values; None if equal."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in sorted(set(found) | set(expected)):
            inner = f"{path}.{key}" if path else str(key)
            difference = first_difference(found.get(key), expected.get(key), inner)
            if difference is not None:
                return difference
        return None
    return None if found == expected else f"{path}: found {found!r}, expected {expected!r}"
