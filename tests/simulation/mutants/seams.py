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
import re
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
        if not callable(buggy):
            return buggy
        _check_parameters(seam, original, buggy, 0)
        return _by_position(original, buggy)

    return Change(seam, make)


def wrap(seam: str, buggy: Callable[..., Any]) -> Change:
    def make(original: Any) -> Any:
        _check_parameters(seam, original, buggy, 1)
        return _by_position(original, functools.partial(buggy, original))

    return Change(seam, make)


def within(outer: str, seam: str, buggy: Callable[..., Any]) -> Change:
    def make(original: Any) -> Any:
        _check_parameters(seam, original, buggy, 2)
        codes = set(_codes_of(inspect.unwrap(_value_at(outer)).__code__))
        name = re.split(r"[.:]", seam)[-1]
        if not any(name in code.co_names for code in codes):
            raise LookupError(f"{outer} does not call {seam} any more")
        called = _by_position(original, lambda scope, *args, **kwargs: buggy(original, scope, *args, **kwargs), own=1)

        @functools.wraps(original)
        def anywhere(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1)
            if caller.f_code in codes:
                return called(caller.f_locals, *args, **kwargs)
            return original(*args, **kwargs)

        return anywhere

    return Change(seam, make)


def _by_position(original: Any, buggy: Callable[..., Any], own: int = 0) -> Any:
    """Calls ``buggy`` by position, so that its parameters need not have the names of the original's; its ``own`` first
    ones are not the original's."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            bound = signature.bind(*args[own:], **kwargs)
            return buggy(*args[:own], *bound.args, **bound.kwargs)
        return buggy(*args)

    return call


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
    """Apart from its ``own`` first ones, the bug has as many parameters as the original, or leaves the rest to
    ``*args``; keyword-only ones have the same names."""
    theirs, ours = _parameters(original), _parameters(buggy)[own:]
    kinds = {parameter.kind for parameter in _parameters(buggy)}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return
    wanted, given = _positional(theirs), _positional(ours)
    extra = {parameter.name for parameter in theirs} - {parameter.name for parameter in ours}
    keywords = {parameter.name for parameter in theirs if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
    if inspect.Parameter.VAR_KEYWORD not in kinds and (len(wanted) != len(given) or keywords & extra):
        raise LookupError(f"{seam} takes {', '.join(wanted)} {', '.join(sorted(keywords))}; the bug takes {given}")
    if len(given) > len(wanted):
        raise LookupError(f"{seam} takes {', '.join(wanted)}; the bug takes {given}")


def _positional(parameters: list[inspect.Parameter]) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in kinds]
