"""A store on real file systems: pushes, moves, removals, restores, and another mount."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service
from tests.surroundings.conftest import Disk
from tests.surroundings.own_root import OwnRoot, Runner

pytestmark = pytest.mark.long


@pytest.fixture
def shell(shell: Shell, disk: Disk, tmp_path: Path) -> Runner:
    """Commands in this process, or each in a root like that of a container on the disk that stands for its volume."""
    if disk.name != "volume of a container":
        return shell
    runner = OwnRoot(shell, tmp_path)
    [only] = runner.sees().split()
    assert only == "1", "a root of its own has a user, a machine id or can be written"
    return runner


@pytest.fixture
def mirrored(shell: Runner, sandbox: RunningSandbox, disk: Disk) -> tuple[Path, int]:
    """A pushed store in a folder of the disk, and its model."""
    folder = fill(disk.folder / "photos", {"Bottle": 2, "Can": 3})
    model_id = sandbox.add_model()
    ran = shell("init", folder, "--model", str(model_id))
    assert ran.code == 0, ran.err
    ran = shell("push", "--store", folder)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(folder)
    assert len(in_store(folder)) == 5
    sandbox.clear_log()
    return folder, model_id


def push(shell: Runner, sandbox: RunningSandbox, store: Path, model_id: int) -> None:
    ran = shell("push", "--yes", "--store", store)
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)


def test_what_happens_in_a_folder_happens_on_the_service(
    shell: Runner, sandbox: RunningSandbox, mirrored: tuple[Path, int], tmp_path: Path
) -> None:
    store, model_id = mirrored
    draw(store / "Jar" / "new.png", 50)
    (store / "Can" / "000.png").rename(store / "Bottle" / "moved.png")
    (store / "Can" / "001.png").rename(store / "Can" / "renamed.png")
    kept = (store / "Bottle" / "001.png").read_bytes()
    (store / "Bottle" / "001.png").unlink()
    push(shell, sandbox, store, model_id)
    shutil.copyfile(store / "Can" / "002.png", store / "Jar" / "copied.png")
    draw(store / "Can" / "002.png", 51)
    push(shell, sandbox, store, model_id)
    sandbox.clear_log()
    push(shell, sandbox, store, model_id)
    assert len(sandbox.log) == 1
    assert shell("backup", "verify", "--store", store).code == 0
    ran = shell("backup", "restore", "--store", store, "--to", tmp_path / "restored")
    assert ran.code == 0, ran.err
    assert (tmp_path / "restored" / "Bottle" / "001.png").read_bytes() == kept
    ran = shell("backup", "restore", "--store", store, "--to", store.parent / "restored there")
    assert ran.code == 0, ran.err
    assert (store.parent / "restored there" / "Bottle" / "001.png").read_bytes() == kept


def test_another_mount_goes_on_and_sends_one_request(
    shell: Runner, sandbox: RunningSandbox, mirrored: tuple[Path, int], disk: Disk
) -> None:
    store, model_id = mirrored
    before = store.stat().st_ino
    for number in range(3):
        disk.unmount()
        refused = shell("push", "--store", store)
        assert refused.code == 1, refused.out
        disk.mount()
        # Others are looked up first, where numbers are given in the order of looking.
        sorted(os.scandir(store / "Can"), key=lambda entry: entry.inode())
        draw(store / "Can" / f"after{number}.png", 60 + number)
        push(shell, sandbox, store, model_id)
        sandbox.clear_log()
        push(shell, sandbox, store, model_id)
        assert len(sandbox.log) == 1
    if disk.keeps_inodes:
        assert store.stat().st_ino == before


def test_a_copy_elsewhere_on_the_disk_asks_and_removes_nothing(
    shell: Runner, sandbox: RunningSandbox, mirrored: tuple[Path, int]
) -> None:
    store, model_id = mirrored
    copy = store.with_name("copy of photos")
    subprocess.run(["cp", "-r", store, copy], check=True)
    shutil.rmtree(copy / "Can")
    refused = shell("push", "--yes", "--store", copy)
    assert refused.code == 1, refused.out
    assert "moved to another disk or copied" in refused.err and "astica-sync init" in refused.err
    assert on_service(sandbox, model_id) == in_store(store)
    push(shell, sandbox, store, model_id)


def test_a_store_at_the_root_of_a_disk_is_not_that_of_a_backup_disk(
    shell: Runner, sandbox: RunningSandbox, disk: Disk, tmp_path: Path
) -> None:
    store = fill(disk.folder, {"Can": 3})
    model_id = sandbox.add_model()
    ran = shell("init", store, "--model", str(model_id))
    assert ran.code == 0, ran.err
    push(shell, sandbox, store, model_id)
    other = Disk(disk.name, tmp_path / "other" / "mounted", tmp_path / "other" / "image", disk.keeps_inodes)
    other.folder.mkdir(parents=True)
    try:
        other.mount()
        subprocess.run(["cp", "-r", f"{store}/.", other.folder], check=True)
        (other.folder / "Can" / "001.png").unlink()
        refused = shell("push", "--yes", "--store", other.folder)
        assert refused.code == 1, refused.out
        assert "moved to another disk or copied" in refused.err
        assert on_service(sandbox, model_id) == in_store(store)
    finally:
        other.close()
