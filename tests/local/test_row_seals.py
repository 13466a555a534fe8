"""What counts in a cache that came with a downloaded store: nothing that this user's program has not written."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.core.versions.confidence_unit import Confidence, ConfidenceRange
from astica_sync.core.versions.version import Version, VersionKey
from astica_sync.local.db.detections import CachedAnswer, Detections
from astica_sync.local.db.features import FeatureCache
from astica_sync.local.db.image_facts import ImageFacts, ImageFactsCache
from astica_sync.local.db.row_seals import RowSeals
from astica_sync.local.known_stores import KnownStores
from astica_sync.page.versions.stored_answers import StoredAnswers

KEY = VersionKey("https://a", 7, 0, "v", 20)
ANSWER = CachedAnswer("Can", Confidence(0.5))
FACTS = ImageFacts(4, 3, 1.0, 2.5, 3.0, "", b"picture")


class OfOther(KnownStores):
    """The state folder of another user."""

    def seal(self, text: str) -> str:
        return f"other {text}"[:32]


class WithoutFolder(KnownStores):
    """A user whose state folder can keep no secret."""

    def seal(self, text: str) -> str:
        return ""


def fill(folder: Path, seals: RowSeals) -> None:
    with contextlib.closing(Detections(folder / "detections.db", seals)) as cache:
        cache.put(KEY, "a", ANSWER)
        cache.put(KEY, "b", CachedAnswer("", None))
        cache.put_fingerprint("a", b"print")
    with contextlib.closing(FeatureCache(folder / "features.db", seals)) as features:
        features.put("gradient", {"a": b"row"})
    with contextlib.closing(ImageFactsCache(folder / "facts.db", seals)) as facts:
        facts.put({"a": FACTS})
        facts.put_fits({("a", "b"): b"fit"})


def found(folder: Path, seals: RowSeals) -> list[object]:
    with (
        contextlib.closing(Detections(folder / "detections.db", seals)) as cache,
        contextlib.closing(FeatureCache(folder / "features.db", seals)) as features,
        contextlib.closing(ImageFactsCache(folder / "facts.db", seals)) as facts,
    ):
        return [
            cache.get(KEY, "a"),
            cache.get(KEY, "b"),
            cache.confidence_range(KEY),
            cache.fingerprint("a"),
            features.find("gradient", ["a"]),
            facts.find(["a"]),
            facts.fits([("a", "b")]),
        ]


NOTHING: list[object] = [None, None, ConfidenceRange(), None, {}, {}, {}]


def test_the_rows_of_this_user_come_back(tmp_path: Path) -> None:
    fill(tmp_path, RowSeals())
    assert found(tmp_path, RowSeals()) == [
        ANSWER,
        CachedAnswer("", None),
        ConfidenceRange(1, 1, 0),
        b"print",
        {"a": b"row"},
        {"a": FACTS},
        {("a", "b"): b"fit"},
    ]


@pytest.mark.parametrize("user", [OfOther, WithoutFolder])
def test_the_rows_of_another_user_do_not_count(tmp_path: Path, user: Callable[[], KnownStores]) -> None:
    fill(tmp_path, RowSeals(user()))
    assert found(tmp_path, RowSeals()) == NOTHING
    # Also for who has no secret: an empty seal is none.
    assert found(tmp_path, RowSeals(WithoutFolder())) == NOTHING


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("UPDATE detection SET label = 'Dog' WHERE content = 'a'", 0),
        ("UPDATE detection SET confidence = 99.9 WHERE content = 'a'", 0),
        ("UPDATE detection SET percent_sign = 1 WHERE content = 'a'", 0),
        ("UPDATE OR REPLACE detection SET content = 'a' WHERE content = 'b'", 0),
        ("UPDATE detection SET confidence = 1.0 WHERE content = 'a'", 2),
        ("UPDATE fingerprint SET print = x'00'", 3),
    ],
)
def test_a_row_that_was_changed_does_not_count(tmp_path: Path, change: str, place: int) -> None:
    """As in a store that this user gave away and took back."""
    fill(tmp_path, RowSeals())
    with contextlib.closing(sqlite3.connect(tmp_path / "detections.db")) as database, database:
        assert database.execute(change).rowcount == 1
    assert found(tmp_path, RowSeals())[place] == NOTHING[place]


def test_foreign_answers_are_removed_and_counted_once_and_own_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "detections.db"
    fill(tmp_path, RowSeals(OfOther()))
    with contextlib.closing(Detections(path, RowSeals(WithoutFolder()))) as cache:
        assert cache.remove_foreign() == 0
    with contextlib.closing(Detections(path)) as cache:
        cache.put(KEY, "c", ANSWER)
        assert [cache.remove_foreign(), cache.remove_foreign()] == [2, 0]
        assert cache.get(KEY, "c") == ANSWER
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT content FROM detection").fetchall() == [("c",)]


def test_the_page_shows_no_answer_of_another_user(tmp_path: Path) -> None:
    path, version = tmp_path / "detections.db", Version(1, "v", 20.0, 0.0, None)
    fill(tmp_path, RowSeals(OfOther()))
    assert StoredAnswers(path, 7).of(version, [version], "https://a") == {}
    fill(tmp_path, RowSeals())
    assert set(StoredAnswers(path, 7).of(version, [version], "https://a")) == {"a", "b"}
