"""Stores and restores on a real file system that does not distinguish case (NTFS by FUSE)."""

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

pytestmark = pytest.mark.long


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The mount point of an empty disk of 32 MB."""
    tools = [shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") for name in ("mkntfs", "lowntfs-3g")]
    make, mount = (tool or "" for tool in tools)
    if not (make and mount):
        pytest.skip("needs mkntfs and lowntfs-3g")
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    image.touch()
    os.truncate(image, 32 << 20)
    folder.mkdir()
    subprocess.run([make, "-F", "-q", str(image)], check=True, capture_output=True)
    mounted = subprocess.run([mount, "-o", "ignore_case", str(image), str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_two_names_that_are_one_there_are_not_restored_over_each_other(
    shell: Shell, store: Path, model_id: int, disk: Path
) -> None:
    draw(store / "Can" / "Photo.png", 60)
    draw(store / "Can" / "photo.png", 61)
    assert shell("push", "--store", store).code == 0
    restored = shell("backup", "restore", "--to", disk / "back", "--store", store)
    assert restored.code == 3 and "6 files written" in restored.out, restored.out + restored.err
    [found] = [path for path in (disk / "back" / "Can").iterdir() if path.name.lower() == "photo.png"]
    kept = {(store / "Can" / name).read_bytes() for name in ("Photo.png", "photo.png")}
    assert found.read_bytes() in kept
    assert "hoto.png" in restored.out + restored.err
    others = {path.name for path in (disk / "back" / "Can").iterdir()} - {found.name}
    assert others == {path.name for path in (store / "Can").iterdir() if path.name.lower() != "photo.png"}


def test_a_restore_without_room_ends_with_an_error_and_leaves_no_partial_file(
    shell: Shell, store: Path, model_id: int, disk: Path
) -> None:
    Image.frombytes("RGB", (300, 300), random.Random(1).randbytes(270_000)).save(store / "Can" / "large.png")
    assert shell("push", "--store", store).code == 0
    for size in (1 << 20, 4096, 512):
        with contextlib.suppress(OSError), (disk / f"filler {size}").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(size))
    restored = shell("backup", "restore", "--to", disk / "back", "--store", store)
    assert restored.code == 1, restored.out + restored.err
    assert "disk" in restored.err or "space" in restored.err
    whole = {path.read_bytes() for path in store.glob("*/*.png")}
    assert all(path.read_bytes() in whole for path in (disk / "back").rglob("*.png"))


def test_a_class_whose_case_changes_is_a_rename_and_loses_nothing(
    shell: Shell, sandbox: RunningSandbox, model_id: int, disk: Path
) -> None:
    folder = fill(disk / "photos", {"can": 2, "Bottle": 1})
    assert shell("init", folder, "--model", str(model_id)).code == 0
    assert shell("push", "--store", folder).code == 0
    (folder / "can").rename(folder / "Can")
    ran = shell("push", "--yes", "--store", folder)
    assert ran.code == 0, ran.out + ran.err
    assert on_service(sandbox, model_id) == in_store(folder)
    assert sum(in_store(folder).values()) == 3
