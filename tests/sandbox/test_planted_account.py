"""The folder of a sandbox may have come in an archive: no file outside of it is read, written or removed."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.account import Account
from astica_sync.sandbox.switches import Switches
from astica_sync.sandbox.training.trainer import BackgroundTrainer
from astica_sync.sqlite import Damaged
from tests.test_sqlite import plant_super_journal

MALLORY = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An account with a model, a sample and a version, as it comes out of an archive."""
    folder = tmp_path / "sandbox"
    with opened(folder) as account:
        model = account.add_model("Cans", "image", "", "")
        account.add_sample(model, "Can", "uid", b"image", Switches())
        with account.change() as db:
            db.execute(
                "INSERT INTO versions (model_id, name, state, started) VALUES (?, '1001_1', 'ready', 0)", (model,)
            )
    return folder


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Account]:
    with contextlib.closing(Account(folder, lambda: 0.0)) as account:
        yield account


def run(folder: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(folder / "sandbox.db")) as db, db:
        db.execute(statement, values)


NAMES = ["../../precious", "{outside}", "..", ".", "", "a/b", "a\0b", "-" + "0" * 63, "0" * 65, "A" * 64, b"0" * 64, 7]


@pytest.mark.parametrize("name", [*NAMES, "precious.txt"])
def test_a_planted_name_of_an_image_is_no_path(name: object, folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    run(folder, "UPDATE samples SET image = ?", name.format(outside=precious) if isinstance(name, str) else name)
    with pytest.raises(OSError, match="never writes"):
        Account(folder, lambda: 0.0)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("name", ["../../x", "{outside}", "..", "", "a/b", "a\0b", "x" * 300])
@pytest.mark.parametrize("state", ["training", "ready"])
def test_a_planted_name_of_a_version_is_no_path(name: str, state: str, folder: Path, tmp_path: Path) -> None:
    run(folder, "UPDATE versions SET name = ?, state = ?", name.format(outside=tmp_path / "x"), state)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match="never writes"), opened(folder) as account:
        BackgroundTrainer(account).wait()
    assert sorted(tmp_path.rglob("*")) == before


def test_nor_when_it_is_planted_while_the_sandbox_runs(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    with opened(folder) as account:
        run(folder, "UPDATE samples SET image = ?", str(precious))
        with pytest.raises(OSError, match="never writes"):
            account.remove_model(1001)
        with pytest.raises(OSError, match="never writes"):
            account.images_of(1001)
    assert precious.read_text() == "mine"


def test_a_rollback_journal_of_a_sandbox_deletes_no_other_file(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_bytes(b"mine")
    plant_super_journal(folder / "sandbox.db", precious)
    with pytest.raises(Damaged, match="names another file"):
        Account(folder, lambda: 0.0)
    assert precious.read_bytes() == b"mine"


def test_a_database_of_a_sandbox_with_a_trigger_is_refused(folder: Path) -> None:
    run(folder, "CREATE TRIGGER t AFTER INSERT ON models BEGIN UPDATE samples SET image = '../../x'; END")
    with pytest.raises(Damaged, match="triggers"):
        Account(folder, lambda: 0.0)


@pytest.mark.parametrize("place", ["images", "versions", "images/ab", "versions/1001_2.npz", "versions/1001_2.part"])
def test_a_link_in_the_folder_of_a_sandbox_is_refused(place: str, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    if (folder / place).exists():
        (folder / place).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (folder / place).symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic link"):
        Account(folder, lambda: 0.0)


def test_a_link_in_place_of_the_database_of_a_sandbox_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "sandbox.db").rename(tmp_path / "other.db")
    (folder / "sandbox.db").symlink_to(tmp_path / "other.db")
    with pytest.raises(Damaged, match="symbolic link"):
        Account(folder, lambda: 0.0)


@needs_root
@pytest.mark.parametrize("place", [".", "sandbox.db", "images", "versions"])
def test_the_folder_of_a_sandbox_of_another_user_is_refused(place: str, folder: Path) -> None:
    os.chown(folder / place, MALLORY, MALLORY)
    with pytest.raises(OSError, match="belongs to another user"):
        Account(folder, lambda: 0.0)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_folder_of_a_sandbox_is_for_the_user_alone(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    before = os.umask(umask)
    try:
        with opened(folder) as account:
            model = account.add_model("Cans", "image", "", "")
            account.add_sample(model, "Can", "uid", b"image", Switches())
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert len(modes) == 7
    assert {path: mode for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}
