"""An open store: what every method of the API works with."""

import contextlib
from pathlib import Path
from typing import Self

from astica_sync.clock import SystemClock
from astica_sync.open_session import OpenStore, open_session
from astica_sync.sync.progress import ProgressListener
from astica_sync.training.train import Trainer
from astica_sync.training.versions import History


def quiet(*_: object) -> None:
    """Hears something and does nothing."""


class Base:
    """One store, open for work in the thread that opened it; a ``with`` block or ``close`` ends it.

    Args:
        path: the store's folder, or one below it; the current one when left out.
        listener: hears what happens meanwhile.

    Raises:
        NoStore: there is none.
        ConfigError: a setting is wrong, or there is no key.
    """

    def __init__(self, path: str | Path | None = None, *, listener: ProgressListener | None = None) -> None:
        self._stack = contextlib.ExitStack()
        where = None if path is None else Path(path)
        opened = self._stack.enter_context(open_session(where, listener or ProgressListener(), clock=SystemClock()))
        self._take(opened)

    @classmethod
    def over(cls, opened: OpenStore) -> Self:
        """The same methods over a store that somebody else opened, and will close."""
        store = cls.__new__(cls)
        store._stack = contextlib.ExitStack()
        store._take(opened)
        return store

    def _take(self, opened: OpenStore) -> None:
        self.session = opened.session
        self.settings = opened.settings
        self.layout = opened.layout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    @property
    def model_id(self) -> int:
        """The model that the store mirrors."""
        return self.session.remote.model_id

    @property
    def history(self) -> History:
        """The versions and snapshots, as far as they are known here."""
        return History(self.layout, self.session.local.backup, self.session.local.fs, self.model_id)

    @property
    def trainer(self) -> Trainer:
        """The training of this model."""
        session = self.session
        return Trainer(
            session.remote.service,
            session.local.journal,
            self.history.records,
            session.runtime.clock,
            session.policy.quarantine,
            session.remote.model_id,
        )
