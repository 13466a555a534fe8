"""Puts a bug in the place of a function, a method or a value that is named: a seam.

A bug is ordinary Python next to its name, so a refactoring that keeps the seam keeps the bug. A seam is written
``module:qualified.name``; one that no longer exists, or takes other parameters than the bug, is an error and not a bug
that is never caught.

- ``replace(seam, buggy)``: ``buggy`` takes its place, with the same parameters.
- ``wrap(seam, buggy)``: ``buggy`` is called with the original first.
- ``within(outer, seam, buggy)``: as ``wrap``, only for calls that ``outer`` itself makes; ``buggy`` is called with the
  original and a mapping of the local names of ``outer``, then the arguments.
"""

import contextlib
import functools
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Make = Callable[[Any], Any]
"""Makes the buggy value from the original one."""


@dataclass(frozen=True, slots=True)
class Change:
    seam: str
    make: Make


@dataclass(frozen=True, slots=True)
class Mutant:
    """``quick`` ones are common mistakes, which CI hunts: that many walks from seed 1 must notice it."""

    name: str
    changes: tuple[Change, ...]
    quick: int = 0
    days: bool = False
    """Whether it is about the watcher, so that long days are played instead of walks."""


def mutant(name: str, *changes: Change, quick: int = 0, days: bool = False) -> Mutant:
    return Mutant(name, changes, quick, days)


def replace(seam: str, buggy: Any) -> Change:
    def make(original: Any) -> Any:
        if callable(buggy):
            _check_parameters(seam, original, buggy, 0)
        return buggy

    return Change(seam, make)


def wrap(seam: str, buggy: Callable[..., Any]) -> Change:
    def make(original: Any) -> Any:
        _check_parameters(seam, original, buggy, 1)
        return functools.wraps(original)(lambda *args, **kwargs: buggy(original, *args, **kwargs))

    return Change(seam, make)


def within(outer: str, seam: str, buggy: Callable[..., Any]) -> Change:
    def make(original: Any) -> Any:
        _check_parameters(seam, original, buggy, 2)
        codes = set(_codes_of(inspect.unwrap(_value_at(outer)).__code__))

        @functools.wraps(original)
        def anywhere(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1)
            if caller.f_code in codes:
                return buggy(original, caller.f_locals, *args, **kwargs)
            return original(*args, **kwargs)

        return anywhere

    return Change(seam, make)


def change_argument(seam: str, name: str, change: Callable[[Any], Any]) -> Change:
    """The function is called with another value for one of its parameters."""

    def make(original: Any) -> Any:
        signature = inspect.signature(original)
        if name not in signature.parameters:
            raise LookupError(f"{seam} has no parameter {name!r} any more")

        @functools.wraps(original)
        def changed(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.arguments[name] = change(bound.arguments[name])
            return original(*bound.args, **bound.kwargs)

        return changed

    return Change(seam, make)


def nothing(*args: Any, **kwargs: Any) -> None:
    """A step that is left out, in place of a function without a result."""


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """While it lasts, the bug is in the code.

    Raises:
        LookupError: a seam is not there any more, or has other parameters.
    """
    undo: list[tuple[Any, str, Any]] = []
    try:
        for change in mutant.changes:
            undo += _plant(change)
        yield
    finally:
        for owner, name, before in reversed(undo):
            setattr(owner, name, before)


def _plant(change: Change) -> list[tuple[Any, str, Any]]:
    module, owner, name = _place_of(change.seam)
    before = inspect.getattr_static(owner, name)
    after = change.make(before)
    undo = [(owner, name, before)]
    setattr(owner, name, after)
    if owner is module:
        # Other modules have imported it under its own name.
        for other in list(sys.modules.values()):
            if other is not module and getattr(other, "__name__", "").startswith(("astica_sync", "tests.simulation")):
                for alias, value in list(vars(other).items()):
                    if value is before and (alias == name or callable(before)):
                        undo.append((other, alias, before))
                        setattr(other, alias, after)
    return undo


def _place_of(seam: str) -> tuple[types.ModuleType, Any, str]:
    module_name, _, path = seam.partition(":")
    try:
        module = importlib.import_module(module_name)
        *above, name = path.split(".")
        owner = functools.reduce(getattr, above, module)
        inspect.getattr_static(owner, name)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"there is no {seam} any more: {error}") from error
    return module, owner, name


def _value_at(seam: str) -> Any:
    _, owner, name = _place_of(seam)
    return inspect.getattr_static(owner, name)


def _codes_of(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of all functions and comprehensions written in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes_of(constant)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _check_parameters(seam: str, original: Any, buggy: Callable[..., Any], own: int) -> None:
    """Apart from its ``own`` first ones, the bug has the original's parameters, or leaves the rest to ``*args``."""
    names = [parameter.name for parameter in _parameters(original)]
    given = 0
    for place, parameter in enumerate(_parameters(buggy)):
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            return
        if place < own:
            continue
        if given >= len(names) or parameter.name != names[given]:
            raise LookupError(f"{seam} takes {', '.join(names)}; the bug expects {parameter.name!r}")
        given += 1
    if given != len(names):
        raise LookupError(f"{seam} takes {', '.join(names)}; the bug takes {given} of them")
