"""A folder is a registry: the name of a file is the name of the thing it defines.

Names are listed without importing anything. Outside packages add to a registry with an entry point in
the group `anomaly.<kind>` (for example `anomaly.detectors`).
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import inspect
import pkgutil
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from anomaly.errors import SpecError

T = TypeVar("T")


def unknown_name(kind: str, name: str, known: list[str]) -> SpecError:
    """Return the error for a name nobody knows, with the nearest known one."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return SpecError(
        f"No {kind} named {name!r}.{hint} Available: {', '.join(known) or 'none'}."
    )


class Registry(Generic[T]):
    """The classes derived from `base` in the modules of one package, one class per module."""

    def __init__(self, package: str, base: type[T], kind: str) -> None:
        self.package = package
        self.base = base
        self.kind = kind

    def names(self) -> list[str]:
        """Return all names, sorted, importing none of them."""
        return sorted({*self._files, *self._plugins})

    def get(self, name: str) -> type[T]:
        """Import and return the class called `name`.

        Raises:
            SpecError: there is no such name; the message suggests the nearest one.
        """
        if name in self._plugins:
            plugin: type[T] = self._plugins[name].load()
            return plugin
        if name not in self._files:
            raise unknown_name(self.kind, name, self.names())
        module = importlib.import_module(f"{self.package}.{name}")
        found = [
            item
            for _, item in inspect.getmembers(module, inspect.isclass)
            if issubclass(item, self.base)
            and item.__module__ == module.__name__
            and not item.__name__.startswith("_")
        ]
        if len(found) != 1:
            raise SpecError(
                f"{module.__name__} defines {len(found)} classes derived from "
                f"{self.base.__name__}, expected exactly one."
            )
        return found[0]

    @cached_property
    def _files(self) -> list[str]:
        spec = importlib.util.find_spec(self.package)
        folders = list(spec.submodule_search_locations or []) if spec else []
        return sorted(
            module.name
            for module in pkgutil.iter_modules([str(Path(folder)) for folder in folders])
            if not module.name.startswith("_")
        )

    @property
    def _plugins(self) -> dict[str, EntryPoint]:
        return _entry_points(f"anomaly.{self.package.rsplit('.', 1)[-1]}")


@functools.cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group; asked once, it reads files of every installed package."""
    return {point.name: point for point in entry_points(group=group)}
