"""The samples of a store one by one, each with its state."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.api.reports.data_frame import data_frame
from astica_sync.api.reports.html_table import MOST_ROWS, html_table, notebook_html, paragraph
from astica_sync.api.states.shown_states import find_shown_states
from astica_sync.core.gallery.image_state import ImageState, Shown, WithoutFile
from astica_sync.core.model import LocalSample, content_in_class
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.sync.plan.find_status import StoreStatus
from astica_sync.sync.session import Session

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("class", "path", "state", "reason", "size", "content", "uid", "sample_id", "copies")


@dataclass(frozen=True, slots=True)
class SampleState:
    """One sample and what a push would do about it.

    ``paths`` are its files, relative to the store: several where the class has the image more than once, none where it
    is on the service alone. ``content`` is the hash of its bytes (XXH3-128), "" where that is not known. ``state`` is
    a text as ``"new"`` or ``"on-service"``; ``reason`` says why, ``remedy`` what helps. ``sample_id`` is its number on
    the service, where the state is about one there. ``size`` is in bytes, 0 where that is not known. A file that cannot
    be a sample has the state ``"problem"`` and no uid.
    """

    class_title: str
    paths: tuple[str, ...]
    content: str
    uid: str
    size: int
    state: ImageState
    reason: str
    remedy: str = ""
    sample_id: int | None = None
    root: Path = field(default=Path(), repr=False)

    @property
    def file(self) -> Path | None:
        """The first of its files."""
        return self.root / self.paths[0] if self.paths else None


class Samples:
    """The samples of one status; each iteration begins with the first one. A notebook shows some, and ``to_pandas`` has
    a row for each."""

    def __init__(self, session: Callable[[], Session], status: StoreStatus, root: Path) -> None:
        """``session`` returns the open session, or raises."""
        self._session, self._status, self._root = session, status, root

    def __iter__(self) -> Iterator[SampleState]:
        """Every sample of the store, sorted by content; then the files that are none, and what is on the service
        alone.

        Raises:
            StoreError: the store is closed, or was opened by another thread.
        """
        status, session = self._status, self._session()
        model_id = session.remote.model_id
        states = find_shown_states(status, session.policy.quarantine)
        for sample in session.local.index.local_samples(model_id):
            # A file that would fail has a place among the problems as well.
            usual = states.by_class.get(sample.class_title, states.usual)
            shown = states.problems.pop(sample.paths[0], None) or states.by_uid.get(sample.uid, usual)
            yield self._of_file(sample, shown)
            # The caller may have closed the store meanwhile.
            _ = self._session()
        for path, shown in states.problems.items():
            yield self._of_problem(path, shown)
        recipes = session.local.known_recipes()
        for without in states.without_file:
            yield self._without_file(without, model_id, recipes)

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each sample; ``path`` is its first file, ``copies`` the number of its files.

        Raises:
            ConfigError: pandas is not installed.
            StoreError: the store is closed, or was opened by another thread.
        """
        return data_frame(COLUMNS, map(_row, self))

    def __repr__(self) -> str:
        return f"<Samples of {str(self._root)!r}>"

    def _repr_html_(self) -> str:
        found = list(itertools.islice(self, MOST_ROWS + 1))
        if not found:
            return notebook_html(paragraph("No samples."))
        rows = [(one.class_title, _first(one), str(one.state), one.reason) for one in found[:MOST_ROWS]]
        parts = [html_table(("class", "file", "state", "reason"), rows)]
        if len(found) > MOST_ROWS:
            parts.append(paragraph("and more"))
        return notebook_html(*parts)

    def _of_file(self, sample: LocalSample, shown: Shown) -> SampleState:
        return SampleState(
            sample.class_title,
            sample.paths,
            sample.content,
            sample.uid,
            sample.size,
            shown.state,
            shown.reason,
            shown.remedy,
            root=self._root,
        )

    def _of_problem(self, path: str, shown: Shown) -> SampleState:
        title = class_title_of(path.partition("/")[0]) or ""
        return SampleState(title, (path,), "", "", 0, shown.state, shown.reason, shown.remedy, root=self._root)

    def _without_file(self, one: WithoutFile, model_id: int, recipes: Iterable[str]) -> SampleState:
        content = content_in_class(one.uid, model_id, one.class_title, recipes)
        shown = one.shown
        return SampleState(
            one.class_title,
            (),
            content,
            one.uid,
            one.size,
            shown.state,
            shown.reason,
            shown.remedy,
            one.sample_id,
            self._root,
        )


def _first(one: SampleState) -> str:
    return one.paths[0] if one.paths else ""


def _row(one: SampleState) -> tuple[str | int | None, ...]:
    state = str(one.state)
    return (
        one.class_title,
        _first(one),
        state,
        one.reason,
        one.size,
        one.content,
        one.uid,
        one.sample_id,
        len(one.paths),
    )
