"""Parameters of which ``make test`` runs the first and ``make test-long`` the rest."""

from collections.abc import Iterable
from typing import Any

import pytest


def rest_long(first: int, values: Iterable[Any]) -> list[Any]:
    """The values; from the ``first``-th on they carry the mark ``long``. A value that is a tuple is one row."""
    return [value if number < first else _long(value) for number, value in enumerate(values)]


def _long(value: Any) -> Any:
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.long)
