"""Warnings for names of the Python API that will go.

``docs/python-api.md`` promises under *What stays* that no public name changes or goes without such a warning, which
says since when, until when and what to write instead. A name or parameter that is to go gets one of these decorators,
so that each warning has all three. Where no decorator is in use, no name is deprecated.
"""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def deprecated(since: str, goes_in: str, instead: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function or method that works as before, and warns its caller.

    Args:
        since: the version that warns first.
        goes_in: the version without it.
        instead: what to write in its place.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def warn_and_call(*args: P.args, **kwargs: P.kwargs) -> T:
            warnings.warn(_text(f"{function.__qualname__}()", since, goes_in, instead), DeprecationWarning, 2)
            return function(*args, **kwargs)

        return warn_and_call

    return decorate


def renamed_parameter(old: str, new: str, since: str, goes_in: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function whose keyword ``old`` is called ``new`` now: the old word works, and warns.

    The caller that gives both gets the error of a keyword given twice.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def rename_and_call(*args: P.args, **kwargs: P.kwargs) -> T:
            if old in kwargs:
                if new in kwargs:
                    raise TypeError(f"{function.__qualname__}() got both {old} and {new}, which are the same")
                what = f"the parameter {old} of {function.__qualname__}()"
                warnings.warn(_text(what, since, goes_in, new), DeprecationWarning, 2)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return rename_and_call

    return decorate


def _text(what: str, since: str, goes_in: str, instead: str) -> str:
    return f"{what} is deprecated since {since} and will be removed in {goes_in}; use {instead}"
