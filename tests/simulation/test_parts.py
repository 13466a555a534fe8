"""The simulated parts behave like what they stand for, where a walk relies on it."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from astica_sync.local.filesystem import FileSystem
from tests.simulation.databases import Databases, installed
from tests.simulation.filesystem import SimFileSystem, SimVolume
from tests.simulation.world import Crash, Process, World


class Idle(Process):
    """A process that is only there to be asked about effects."""


@pytest.fixture(params=["real", "simulated"])
def fs(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    if request.param == "real":
        return FileSystem(), tmp_path
    world = World()
    volume = SimVolume(world, 1)
    volume.make_folder("/sim")
    return SimFileSystem(volume, Idle(world, "p")), Path("/sim")


def read(fs: Any, path: Path) -> bytes:
    with fs.open_read(path) as file:
        return b"".join(fs.chunks(file))


def test_a_written_file_reads_back_and_replaces_the_old_one(fs: tuple[Any, Path]) -> None:
    door, root = fs
    door.make_folder(root / "a" / "b")
    door.write_synced(root / "a" / "b" / "f", [b"one"])
    door.write_synced(root / "a" / "b" / "f", [b"two", b"more"])
    assert read(door, root / "a" / "b" / "f") == b"twomore"
    assert [name for name, _ in door.scan_folder(root / "a" / "b")] == ["f"]


def test_appended_bytes_follow_the_old_ones(fs: tuple[Any, Path]) -> None:
    door, root = fs
    door.append_synced(root / "log", b"one\n")
    door.append_synced(root / "log", b"two\n")
    assert read(door, root / "log") == b"one\ntwo\n"


def test_a_copy_is_another_file_with_the_same_bytes(fs: tuple[Any, Path]) -> None:
    door, root = fs
    door.write_synced(root / "source", [b"bytes"])
    door.copy_synced(root / "source", root / "temp")
    door.publish(root / "temp", root / "target")
    assert read(door, root / "target") == b"bytes"
    assert door.lstat(root / "target").st_ino != door.lstat(root / "source").st_ino
    assert sorted(name for name, _ in door.scan_folder(root)) == ["source", "target"]


def test_missing_files_raise_the_same_errors(fs: tuple[Any, Path]) -> None:
    door, root = fs
    door.write_synced(root / "file", [b""])
    for path, error in ((root / "none", FileNotFoundError), (root / "file" / "below", NotADirectoryError)):
        with pytest.raises(error):
            door.lstat(path)
        with pytest.raises(error):
            door.open_read(path)
    with pytest.raises(FileNotFoundError):
        list(door.scan_folder(root / "none"))
    with pytest.raises(NotADirectoryError):
        list(door.scan_folder(root / "file"))
    with pytest.raises(OSError, match="not a regular file"):
        door.open_read(root)
    door.remove(root / "none")


def test_a_power_cut_keeps_what_was_synced_and_may_take_what_was_not() -> None:
    lost = 0
    for seed in range(40):
        world = World()
        volume = SimVolume(world, 1)
        volume.make_folder("/sim")
        door = SimFileSystem(volume, Idle(world, "p"))
        door.write_synced(Path("/sim/kept"), [b"kept"])
        volume.change(volume.find("/sim"), ("late", volume.find("/sim/kept")))
        volume.cut_power(random.Random(seed))
        assert read(door, Path("/sim/kept")) == b"kept"
        lost += volume.get("/sim/late") is None
    assert 0 < lost < 40


def test_a_commit_of_a_killed_process_is_rolled_back_or_kept() -> None:
    for at, kept in ((1, 0), (2, 1)):
        with closing(Databases()) as databases, installed(databases):
            keeper = databases.keeper("/db")
            keeper.execute("CREATE TABLE IF NOT EXISTS t (a)")
            keeper.execute("DELETE FROM t")
            world = World()
            process = Idle(world, "p")
            process.due[at] = lambda process, _: process.kill()

            def work(databases: Databases = databases) -> None:
                connection = databases.connect("/db")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO t VALUES (1)")
                connection.execute("COMMIT")

            process.start(work)
            world.run_while(lambda: True)
            assert process.dead
            assert keeper.execute("SELECT count(*) FROM t").fetchone() == (kept,)


def test_a_dead_process_does_nothing_any_more() -> None:
    world = World()
    process = Idle(world, "p")
    process.dead = True
    with pytest.raises(Crash):
        process.effect("anything")


def test_processes_sleep_in_parallel_in_virtual_time() -> None:
    world = World()
    received: list[str] = []
    for name, pause in (("slow", 5.0), ("quick", 2.0)):
        process = Idle(world, name)

        def work(process: Process = process, name: str = name, pause: float = pause) -> None:
            for _ in range(2):
                process.wait(world.time + pause)
                received.append(name)

        process.start(work)
    start = world.time
    world.run_while(lambda: True)
    assert received == ["quick", "quick", "slow", "slow"]
    assert world.time == start + 10.0


def test_a_fault_of_a_commit_is_sqlites_own_error() -> None:
    with closing(Databases()) as databases, installed(databases):
        databases.keeper("/faulty").execute("CREATE TABLE IF NOT EXISTS t (a)")
        world = World()
        process = Idle(world, "p")

        def fail(process: Process, what: str) -> None:
            error = sqlite3.OperationalError("full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        process.due[1] = fail

        def work() -> None:
            connection = databases.connect("/faulty")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")

        process.start(work)
        world.run_while(lambda: True)
        assert isinstance(process.error, sqlite3.OperationalError)
