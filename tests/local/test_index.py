import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from astica_sync import sqlite
from astica_sync.core.model import Problem, make_scope, make_uid
from astica_sync.core.recipe import Recipe
from astica_sync.errors import DatabaseError
from astica_sync.local.db.index import COARSE_GRAIN_NS, GRAIN_NS, File, Folder, Index

A, B, C = "a" * 32, "b" * 32, "c" * 32
SECOND = 1_000_000_000
ROOT, CAN, OLD, BOTTLE = (
    Folder(1, b"", None, False),
    Folder(2, b"Can", "Can", False),
    Folder(3, b"Can/old", "Can", False),
    Folder(4, b"Bottle", "Bottle", False),
)


def file(folder: Folder, name: str, content: str | None = None, reason: str | None = None, **times: int) -> File:
    values = {"size": 10, "mtime_ns": 5, "ctime_ns": 5, "inode": 1, "checked_ns": 10 * SECOND} | times
    return File(folder.folder_id, name.encode(), **values, content=content, reason=reason)


def fill(index: Index) -> None:
    index.change(
        [ROOT, CAN, OLD, BOTTLE],
        [
            file(CAN, "2.png", A),
            file(OLD, "1.png", A),
            file(CAN, "b.png", B),
            file(BOTTLE, "x.png", A),
            file(BOTTLE, "bad.png", reason="empty"),
            file(ROOT, "note.txt", reason="not in a class folder"),
        ],
        [],
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def index(path: Path) -> Iterator[Index]:
    with Index(path, busy_s=0.02) as found:
        fill(found)
        yield found


def test_the_version_changes_when_another_connection_writes(index: Index, path: Path) -> None:
    before = index.version
    index.change([], [file(CAN, "3.png", C)], [])
    assert index.version == before
    with Index(path) as other:
        assert list(other.problems())
        assert index.version == before
        other.change([], [file(CAN, "3.png", reason="cannot be read")], [])
    assert index.version != before


def test_a_sample_is_one_content_in_one_class_with_all_its_files(index: Index) -> None:
    samples = list(index.local_samples(3))
    assert {(sample.class_title, sample.content): sample.paths for sample in samples} == {
        ("Can", A): ("Can/2.png", "Can/old/1.png"),
        ("Can", B): ("Can/b.png",),
        ("Bottle", A): ("Bottle/x.png",),
    }
    assert all(sample.uid == make_uid(sample.content, make_scope(3, sample.class_title)) for sample in samples)
    assert all(sample.size == 10 for sample in samples)


@pytest.mark.parametrize("model_id", range(8))
def test_samples_are_sorted_by_uid_for_any_model(index: Index, model_id: int) -> None:
    uids = [sample.uid for sample in index.local_samples(model_id)]
    assert uids == sorted(uids)
    assert len(uids) == 3


def test_problems_come_with_their_path_and_reason(index: Index) -> None:
    assert list(index.problems()) == [
        Problem("note.txt", "not in a class folder"),
        Problem("Bottle/bad.png", "empty"),
    ]


def test_totals_follow_every_change(index: Index) -> None:
    assert index.totals() == (2, 3, 4)
    index.change([], [file(CAN, "c.png", C)], [(OLD.folder_id, b"1.png")])
    assert index.totals() == (2, 4, 4)
    index.drop_folders([BOTTLE.folder_id])
    assert index.totals() == index.totals() == (1, 3, 3)


def test_all_files_of_a_sample_are_found(index: Index) -> None:
    assert index.paths_of("Can", A) == ["Can/2.png", "Can/old/1.png"]
    assert index.paths_of("Can", C) == index.paths_of("Glass", A) == []


def is_ordered(index: Index) -> bool:
    with closing(sqlite3.connect(index.path)) as other:
        return other.execute("SELECT count(*) FROM sqlite_master WHERE name = 'file_content'").fetchone() == (1,)


def test_the_content_index_of_many_new_files_is_built_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astica_sync.local.db.index.MANY_FILES", 3)
    with Index(path) as index:
        assert is_ordered(index)
        fill(index)
        assert not is_ordered(index)
        # What a killed scan leaves is right all the same.
        assert index.paths_of("Can", B) == ["Can/b.png"]
        index.change([], [file(CAN, "3.png", C)], [])
        index.ensure_content_index()
        assert is_ordered(index)
        assert [sample.uid[:32] for sample in index.local_samples(1)] == [A, A, B, C]
        fill(index)
        assert is_ordered(index), "what is there already is not ordered again"


def test_a_removed_folder_takes_its_files_along(index: Index) -> None:
    index.drop_folders([CAN.folder_id, OLD.folder_id])
    assert [sample.class_title for sample in index.local_samples(3)] == ["Bottle"]
    assert set(index.folders()) == {b"", b"Bottle"}


@pytest.mark.parametrize(
    ("times", "settled"),
    [
        ({"ctime_ns": 9 * SECOND + 1, "mtime_ns": 9 * SECOND + 1}, True),
        ({"ctime_ns": 10 * SECOND - GRAIN_NS - 1, "mtime_ns": 5}, True),
        ({"ctime_ns": 10 * SECOND - GRAIN_NS + 1, "mtime_ns": 5}, False),
        ({"ctime_ns": 5, "mtime_ns": 10 * SECOND - GRAIN_NS + 1}, False),
        ({"ctime_ns": 11 * SECOND + 1, "mtime_ns": 5}, False),
        # A camera whose clock runs ahead: the change time, which no program can set, tells.
        ({"ctime_ns": 5, "mtime_ns": 90 * SECOND + 1}, True),
        # Whole seconds: a file system that keeps no more.
        ({"ctime_ns": 7 * SECOND, "mtime_ns": 7 * SECOND}, True),
        ({"ctime_ns": 10 * SECOND - COARSE_GRAIN_NS, "mtime_ns": 7 * SECOND}, False),
        ({"checked_ns": 0}, False),
    ],
)
def test_a_file_changed_about_when_it_was_read_is_read_again(
    index: Index, times: dict[str, int], settled: bool
) -> None:
    index.change([], [file(CAN, "new.png", C, **times)], [])
    signature, _reason, _inode = index.known(CAN.folder_id)[b"new.png"]
    assert (signature is not None) is settled


def test_a_forgotten_file_is_read_again(index: Index) -> None:
    index.forget(["Can/2.png", "Can/none.png"])
    assert index.known(CAN.folder_id)[b"2.png"] == (None, None, 1)
    assert index.known(OLD.folder_id)[b"1.png"] == ((10, 5, 5, 1), None, 1)


def test_meta_is_kept(index: Index, path: Path) -> None:
    index.set_meta("ignore_digest", "x")
    with Index(path) as again:
        assert again.get_meta("ignore_digest") == "x"
        assert again.get_meta("nothing") is None


@contextmanager
def locked(path: Path, begin: str) -> Iterator[None]:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute(begin)
    yield
    holder.close()


def test_a_locked_index_goes_on_in_memory_and_loses_nothing(index: Index, path: Path) -> None:
    with locked(path, "BEGIN IMMEDIATE"):
        index.change([], [file(CAN, "c.png", C)], [])
        assert index.is_private
        assert index.totals() == (2, 4, 5)
    with Index(path) as again:
        assert again.totals() == (2, 3, 4)


def test_an_index_that_cannot_even_be_read_begins_empty_in_memory(index: Index, path: Path) -> None:
    with locked(path, "BEGIN EXCLUSIVE"):
        index.change([CAN], [file(CAN, "c.png", C)], [])
        assert index.totals() == (1, 1, 1)
        with Index(path, busy_s=0.01) as other:
            assert other.is_private
            assert other.totals() == (0, 0, 0)
    with Index(path) as again:
        assert again.totals() == (2, 3, 4)


def test_while_one_scans_another_works_on_a_copy_and_then_comes_back(index: Index, path: Path) -> None:
    with Index(path, busy_s=0.02) as other:
        with index.scanning(), other.scanning():
            assert not index.is_private
            assert other.is_private
            other.change([], [file(CAN, "c.png", C)], [])
            assert (index.totals(), other.totals()) == ((2, 3, 4), (2, 4, 5))
        with other.scanning():
            assert not other.is_private
            assert other.totals() == (2, 3, 4)


def test_a_scan_is_not_blocked_by_one_that_was_killed(path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from astica_sync.local.db.index import Index\n"
        "with Index(Path(sys.argv[1])).scanning(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    with Index(path, busy_s=0.02) as index, index.scanning():
        assert not index.is_private


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with Index(tmp_path / "none" / "index.db") as index, index.scanning():
        assert index.is_private
        index.change([CAN], [file(CAN, "c.png", C)], [])
        assert index.totals() == (1, 1, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_index_is_an_empty_one(index: Index, path: Path) -> None:
    index.close()
    path.unlink()
    with Index(path) as again:
        assert list(again.local_samples(3)) == []


def test_an_index_of_a_newer_version_is_refused_with_advice(index: Index, path: Path) -> None:
    index.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseError, match="newer version") as caught:
        Index(path)
    assert "upgrade" in caught.value.hint
    assert "delete it" in caught.value.hint


def test_a_file_that_is_no_index_is_set_aside(path: Path) -> None:
    path.write_bytes(b"nothing like a database " * 100)
    with Index(path) as index:
        assert not index.is_private
        assert index.totals() == (0, 0, 0)
    assert path.with_name("index.db.damaged").exists()


def test_damage_found_while_reading_is_an_error_once_and_the_next_start_has_a_new_file(
    index: Index, path: Path
) -> None:
    index.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE file SET name = 5 WHERE content = ?", (B,))
    connection.commit()
    connection.close()
    with Index(path) as damaged, pytest.raises(sqlite.Damaged):
        list(damaged.local_samples(3))
    with Index(path) as again:
        assert list(again.local_samples(3)) == []


@pytest.mark.parametrize("seed", range(25))
def test_a_flipped_byte_is_no_crash(index: Index, path: Path, seed: int) -> None:
    index.close()
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 3, 400])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    try:
        with Index(path, busy_s=0.02) as found:
            list(found.local_samples(3)), list(found.problems())
            found.totals(), found.folders(), found.known(CAN.folder_id), found.get_meta("ignore_digest")
            found.change([CAN], [file(CAN, "c.png", C)], [])
    except DatabaseError as error:
        assert error.hint


BY_RECIPE = Recipe(max_side=64)


def uids_in(index: Index) -> tuple[list[str], list[str]]:
    """All uids by the columns, with their classes."""
    pages = list(index.pages(3))
    return [uid for uids, _ in pages for uid in uids], [title for _, titles in pages for title in titles]


@pytest.mark.parametrize("seed", range(4))
def test_columns_and_rows_have_the_same_uids_whatever_is_converted(index: Index, seed: int) -> None:
    chance = random.Random(seed)
    contents = [f"{chance.getrandbits(128):032x}" for _ in range(60)]
    files = [file(chance.choice((CAN, OLD, BOTTLE)), f"{n}.tif", chance.choice(contents)) for n in range(90)]
    index.change([], files, [], [(content, "tiff") for content in contents[::2]])
    for recipe in (Recipe(), BY_RECIPE):
        index.use_recipe(recipe)
        samples = list(index.local_samples(3))
        assert uids_in(index) == ([one.uid for one in samples], [one.class_title for one in samples])
        assert [one.uid for one in samples] == sorted(one.uid for one in samples)
        for one in samples:
            identity = recipe.identity if one.content in contents[::2] else ""
            assert one.uid == make_uid(one.content, make_scope(3, one.class_title, identity))
            assert index.recipe_of(one.content) == identity
        some = sorted({one.content for one in samples})[::3]
        assert list(index.local_samples(3, some)) == [one for one in samples if one.content in some]


def test_with_the_default_recipe_uids_are_what_they_were_and_nothing_else_is_read(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = uids_in(index)
    index.change([], [], [], [])
    index.write(lambda connection: connection.execute("INSERT INTO prepared VALUES (?, 'tiff')", (A,)))
    monkeypatch.setattr(Index, "prepared", None)
    monkeypatch.setattr(Index, "formats_of", None)
    index.note_recipe(Recipe())
    assert uids_in(index) == before and [one.uid for one in index.local_samples(3)] == before[0]
    assert index.recipe_of(A) == ""


def test_a_recipe_that_makes_images_otherwise_makes_no_file_to_be_read_again(index: Index, path: Path) -> None:
    index.change([], [file(CAN, "c.tif", C)], [], [(C, "tiff")])
    index.note_recipe(Recipe())

    def checked() -> int:
        return int(sqlite3.connect(path).execute("SELECT count(*) FROM file WHERE checked_ns > 0").fetchone()[0])

    # Those with a problem are read again where it was not known which formats are converted.
    index.change([], [file(BOTTLE, "bad.png", reason="empty"), file(ROOT, "note.txt", reason="x")], [])
    index.change([], [file(CAN, "c.tif", C)], [], [(C, "tiff")])
    before = checked()
    index.note_recipe(BY_RECIPE)
    assert checked() == before and index.prepared() == {C: "tiff"} and index.recipe() == BY_RECIPE
    index.note_recipe(Recipe(frozenset({"webp"}), max_side=64))
    assert checked() < before and index.prepared() == {}


def test_what_goes_on_being_converted_is_not_read_again_where_other_formats_change(index: Index, path: Path) -> None:
    """As after an upgrade to a version that converts one more format."""
    other = "d" * 32
    index.note_recipe(Recipe(frozenset({"webp", "tiff"})))
    index.change([], [file(CAN, "c.tif", C), file(CAN, "d.webp", other)], [], [(C, "tiff"), (other, "webp")])
    assert index.note_recipe(Recipe(frozenset({"tiff", "oversized"}))) and index.prepared() == {C: "tiff"}
    query = "SELECT name FROM file WHERE checked_ns = 0 AND content IN (?, ?)"
    assert sqlite3.connect(path).execute(query, (C, other)).fetchall() == [(b"d.webp",)]
    assert not index.note_recipe(Recipe(frozenset({"tiff", "oversized"})))


def test_a_process_keeps_its_recipe_while_another_one_scans_with_other_settings(index: Index, path: Path) -> None:
    index.note_recipe(BY_RECIPE)
    with Index(path) as other:
        assert other.recipe_identity == "max_side=64", "that of the last scan, before its own"
        other.note_recipe(Recipe())
        assert (other.recipe_identity, index.recipe_identity) == ("", "max_side=64")
