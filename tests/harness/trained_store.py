"""A trained store for tests that do not change it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.cli.main import run
from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.digits import write_digits

NO_LIMIT = 1_000_000


@contextlib.contextmanager
def trained_digits(folder: Path, count: int) -> Iterator[tuple[RunningSandbox, Path]]:
    """A sandbox, and a store in ``folder`` of ``count`` digits per class, pushed and trained once.

    For fixtures of a whole module whose tests do not change the store.
    """
    with running(limit=NO_LIMIT) as box, pytest.MonkeyPatch.context() as patch:
        home = folder / "home"
        for name, value in {
            "HOME": home,
            "XDG_CONFIG_HOME": home / "config",
            "XDG_STATE_HOME": home / "state",
            "ASTICA_TRAIN_URL": box.url,
            "ASTICA_DETECT_URL": box.url,
            "ASTICA_API_KEY": box.key,
            "ASTICA_LIMIT": NO_LIMIT,
        }.items():
            patch.setenv(name, str(value))
        store = write_digits(folder / "digits", count)
        model = str(box.add_model("Digits"))
        for command in (["init", str(store), "--model", model], ["push", "--store", str(store)]):
            assert run(command) == 0
        assert run(["train", "--store", str(store)]) == 0
        patch.undo()
        yield box, store
