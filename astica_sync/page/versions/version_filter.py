"""The conditions of the gallery's filter that versions decide: which images are in the data of one, which have changed
since, and of which it said what."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import STATES, ImageState
from astica_sync.core.model import CONTENT_LENGTH, is_uid, make_scope
from astica_sync.core.versions.label_spelling import LabelSpelling
from astica_sync.core.versions.snapshot import ManagedSample
from astica_sync.core.versions.version import Version
from astica_sync.errors import AsticaSyncError
from astica_sync.page.gallery.image_columns import NO_CONTENT, Columns, first_numbers, is_among, sample_key
from astica_sync.page.versions.stored_answers import StoredAnswer, StoredAnswers
from astica_sync.training.version_history import VersionHistory

SINCE = "since-"
"""Before a version: the images that have changed since."""
_MOST_READ = 6
_GONE = (ImageState.TO_REMOVE, ImageState.BACKUP_ONLY, ImageState.WAITING)


class _Data(NamedTuple):
    """The samples of one version: the keys of the managed ones, and the ids of the others; the titles of all."""

    keys: NDArray[np.uint64]
    ids: frozenset[int]
    titles: frozenset[str]


class VersionFilter:
    """Answers for one store; for any thread."""

    def __init__(self, history: Callable[[], VersionHistory], answers: StoredAnswers, model_id: int) -> None:
        self._history, self._answers, self._model_id = history, answers, model_id
        self._read: OrderedDict[str, _Data] = OrderedDict()

    def in_version(self, columns: Columns, text: str) -> NDArray[np.bool_]:
        """The rows that ``text`` lets through: "@3" those whose samples version 3 was trained on, "since-@3" those that
        are in the store and not in its data, and those of its data that are not in the store any more.

        Raises:
            AsticaSyncError: there is no such version, or its data is not known.
        """
        data = self._data_of(text.removeprefix(SINCE))
        keys = keys_of(columns, self._model_id)
        inside = is_among(keys, data.keys)
        inside &= columns.have_content()
        for row, sample_id in columns.sample_ids.items():
            inside[row] |= sample_id in data.ids
        if not text.startswith(SINCE):
            return inside
        has_file = np.arange(len(columns)) < columns.files
        gone = np.isin(columns.state_of, [STATES.index(state) for state in _GONE])
        gone &= ~has_file & ~is_among(keys, keys[: columns.files])
        problem = columns.state_of == STATES.index(ImageState.PROBLEM)
        changed: NDArray[np.bool_] = (has_file & ~inside & ~problem) | (gone & inside)
        return changed

    def said(self, columns: Columns, text: str, service: str) -> NDArray[np.bool_]:
        """The rows of which the version of ``text`` has said something ("@3"), or a label ("@3:Can").

        Raises:
            AsticaSyncError: there is no such version.
        """
        name, colon, label = text.partition(":")
        spelling, found = LabelSpelling(columns.titles, self.classes(name)), np.zeros(len(columns), bool)
        for content, answer in self.answers(name, service).items():
            if not colon or spelling.spell(answer.label) == label:
                for row in columns.with_content(content):
                    found[row] = True
        return found

    def answers(self, name: str, service: str) -> dict[str, StoredAnswer]:
        """What the version said, by content hash.

        Raises:
            AsticaSyncError: there is no such version.
        """
        history = self._history()
        return self._answers.of(history.find_number(name), history.versions(), service)

    def classes(self, name: str) -> frozenset[str]:
        """The titles of the version's data; none where it is not known."""
        with contextlib.suppress(AsticaSyncError):
            return self._data_of(name).titles
        return frozenset()

    def all_answers(self, service: str) -> list[tuple[frozenset[str], dict[str, StoredAnswer]]]:
        """The answers of each version that is known to have answered, with the classes of its data, the first one
        first."""
        versions = self._history().versions()
        answers = ((version, self._answers.of(version, versions, service)) for version in versions)
        return [(self.classes(f"@{version.number}"), found) for version, found in answers if found]

    def answers_seen(self) -> tuple[int, ...]:
        """The same as long as no version has answered anything new."""
        return self._answers.seen()

    def of_image(
        self, columns: Columns, content: str, service: str
    ) -> list[tuple[Version, list[str] | None, StoredAnswer | None]]:
        """For the newest versions, the newest first: the classes in which they were trained on these bytes, None where
        their data is not known, and what they said of them."""
        versions = self._history().versions()
        found: list[tuple[Version, list[str] | None, StoredAnswer | None]] = []
        for version in reversed(versions[-_MOST_READ:]):
            trained_as = None
            with contextlib.suppress(AsticaSyncError):
                trained_as = self._titles_in(version, columns, content)
            found.append((version, trained_as, self._answers.of(version, versions, service).get(content)))
        return found

    def _titles_in(self, version: Version, columns: Columns, content: str) -> list[str]:
        """The classes in which the version was trained on these bytes, among those of the store.

        Raises:
            AsticaSyncError: its data is not known.
        """
        data = self._data_of(f"@{version.number}")
        keys = [sample_key(content, make_scope(self._model_id, title)) for title in columns.titles]
        inside = is_among(np.array(keys, np.uint64), data.keys)
        return [title for title, is_in in zip(columns.titles, inside.tolist(), strict=True) if is_in]

    def _data_of(self, name: str) -> _Data:
        history = self._history()
        snapshot = history.snapshot_of(history.find_number(name)).snapshot
        if snapshot not in self._read:
            scopes: dict[str, str] = {}
            keys, ids, titles = [], [], set[str]()
            for sample in history.snapshots.read(snapshot):
                title = sample.class_title
                titles.add(title)
                if isinstance(sample, ManagedSample):
                    scope = scopes.setdefault(title, make_scope(self._model_id, title))
                    keys.append(sample_key(sample.content, scope))
                    continue
                ids.append(sample.sample_id)
                if is_uid(sample.uid):
                    keys.append(sample_key(sample.uid, sample.uid[CONTENT_LENGTH + 1 :]))
            self._read[snapshot] = _Data(np.array(keys, np.uint64), frozenset(ids), frozenset(titles))
            while len(self._read) > _MOST_READ:
                self._read.popitem(last=False)
        return self._read[snapshot]


def keys_of(columns: Columns, model_id: int) -> NDArray[np.uint64]:
    """The key of each row's sample, see ``sample_key``."""
    if not len(columns):
        return np.zeros(0, np.uint64)
    scopes = np.array([sample_key(NO_CONTENT, make_scope(model_id, title)) for title in columns.titles], np.uint64)
    keys = columns.contents.derive(first_numbers)
    keys ^= scopes[columns.class_of]
    return keys
