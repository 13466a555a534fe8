"""Seeded bugs that still replace words in the source of a function; each is to become one at a seam."""

import importlib
import inspect
from typing import Any

from tests.simulation.mutants.seams import Change, Mutant

Words = tuple[str, str, str]
"""The function (``module:qualified.name``), the words in it, and the words in their place."""


def by_text(name: str, changes: tuple[Words, ...], quick: int = 0, days: bool = False) -> Mutant:
    places: dict[str, list[tuple[str, str]]] = {}
    for place, old, new in changes:
        places.setdefault(place, []).append((old, new))
    return Mutant(name, tuple(_change(place, words) for place, words in places.items()), quick, days)


def _change(place: str, words: list[tuple[str, str]]) -> Change:
    def make(original: Any) -> Any:
        module_name, _, path = place.partition(":")
        source = inspect.getsource(inspect.unwrap(original))
        for old, new in words:
            if old not in source:
                raise LookupError(f"{place} has no {old!r} any more")
            source = source.replace(old, new)
        *outer, name = path.split(".")
        names: dict[str, Any] = {}
        inside = f"class inside:\n{source}" if outer else source
        exec(compile(inside, f"<{place}>", "exec"), vars(importlib.import_module(module_name)), names)
        return vars(names["inside"])[name] if outer else names[name]

    return Change(place, make)
