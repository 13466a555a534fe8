"""A folder for tests about permissions."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

UNPRIVILEGED = 65534


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """A folder for a user whom rights stop, also where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(UNPRIVILEGED)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for place, _, _ in os.walk(folder):
            os.chmod(place, 0o700)
        shutil.rmtree(folder)
