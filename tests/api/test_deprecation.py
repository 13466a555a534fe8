"""Warnings for names that will go."""

import inspect
import warnings

import pytest

from astica_sync.api.deprecation import deprecated, renamed_parameter


@deprecated("0.3", "0.5", "fresh()")
def stale(first: int, *, second: int = 2) -> int:
    """Adds."""
    return first + second


@renamed_parameter("most", "limit", "0.3", "0.5")
def cut(text: str, *, limit: int = 3) -> str:
    return text[:limit]


def test_a_deprecated_function_works_and_warns_its_caller() -> None:
    with pytest.warns(DeprecationWarning) as caught:
        assert stale(1, second=4) == 5
    assert str(caught[0].message) == "stale() is deprecated since 0.3 and will be removed in 0.5; use fresh()"
    assert caught[0].filename == __file__
    assert (stale.__name__, stale.__doc__) == ("stale", "Adds.")
    assert list(inspect.signature(stale).parameters) == ["first", "second"]


def test_the_old_word_of_a_parameter_works_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match=r"the parameter most of cut\(\) is deprecated .*; use limit") as caught:
        assert cut("abcdef", most=2) == "ab"  # type: ignore[call-arg]
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cut("abcdef", limit=4) == "abcd"
    with pytest.raises(TypeError, match="both most and limit"):
        cut("abcdef", limit=4, most=2)  # type: ignore[call-arg]
