"""The files of the page as a wheel has them."""

from pathlib import Path

import pytest

import hatch_build


def make_bundle(folder: Path) -> Path:
    """Makes them in the folder. npm brings what makes them, from its cache or the network; without it the test is
    skipped."""
    try:
        hatch_build.bundle(folder)
    except hatch_build.NotBrought as error:
        pytest.skip(str(error))
    return folder
