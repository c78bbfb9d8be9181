"""Options made from specs: a field's name, type, default and docstring are the flag and its help."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from anomaly.errors import SpecError
from anomaly.spec import from_dict

Function = TypeVar("Function", bound=Callable[..., Any])
T = TypeVar("T")


def spec_options(
    cls: type[Any], *, leave_out: Iterable[str] = ()
) -> Callable[[Function], Function]:
    """Add one option for each field of a spec; the values arrive as keyword arguments."""
    hints = get_type_hints(cls)
    left_out = set(leave_out)

    def decorate(function: Function) -> Function:
        for field in reversed(dataclasses.fields(cls)):
            if field.name not in left_out:
                function = click.option(*_flag(field.name), **_kind(cls, field, hints))(
                    function
                )
        return function

    return decorate


def take_spec(cls: type[T], values: dict[str, Any], **more: Any) -> T:
    """Pop the fields of `cls` out of `values` and build the spec from them and from `more`."""
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    taken = {
        name: values.pop(name) for name in list(values) if name in names and name not in more
    }
    return from_dict(cls, {**taken, **more})


def key_values(pairs: Iterable[str]) -> dict[str, Any]:
    """Turn `KEY=VALUE` texts into values: JSON where it parses, else the text itself.

    Raises:
        SpecError: a text has no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise SpecError(f"Option {pair!r}: expected KEY=VALUE.")
        try:
            found[key] = json.loads(text)
        except json.JSONDecodeError:
            found[key] = text
    return found


def _flag(name: str) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", name


def _kind(
    cls: type[Any], field: dataclasses.Field[Any], hints: dict[str, Any]
) -> dict[str, Any]:
    hint = hints[field.name]
    described = getattr(cls, "__pydantic_fields__", {}).get(field.name)
    kind: dict[str, Any] = {
        "help": " ".join((described.description or "").split()) if described else "",
        "default": described.default if described else field.default,
        "show_default": True,
    }
    if get_origin(hint) is Literal:
        return {**kind, "type": click.Choice([str(choice) for choice in get_args(hint)])}
    if get_origin(hint) is tuple:
        return {**kind, "multiple": True, "type": get_args(hint)[0]}
    if isinstance(hint, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    return {**kind, "type": hint}
