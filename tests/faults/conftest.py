"""The store of the fault tests: large enough that some of it can break while the rest works."""

import pytest


@pytest.fixture
def classes() -> dict[str, int]:
    return {"Bottle": 2, "Can": 4, "Glass": 2}
