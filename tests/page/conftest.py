"""Fixtures of the page's tests: a pushed store of real photos and its page on a real port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.features import extractor
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell


@pytest.fixture
def small_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features without the network, which takes seconds to load; tests/features runs it."""
    monkeypatch.setattr(extractor, "WEIGHTS_PACKAGE", "no_such_package")


@pytest.fixture
def photo_store(shell: Shell, sandbox: RunningSandbox, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the photos of fixtures/store, bound to a new model and not yet pushed."""
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    ran = shell("init", photos, "--model", str(sandbox.add_model("Cans")))
    assert ran.code == 0, ran.err
    return photos


@pytest.fixture
def page(photo_store: Path) -> Iterator[PageClient]:
    with running_page(photo_store) as client:
        yield client


@pytest.fixture
def pushed_page(shell: Shell, photo_store: Path) -> Iterator[PageClient]:
    """The page of the store after a push."""
    assert shell("push", "--store", photo_store).code == 0
    assert shell("status", "--store", photo_store).code == 0
    with running_page(photo_store) as client:
        yield client
