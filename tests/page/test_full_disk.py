"""A disk that is full: nothing is lost, and what needs no room still works."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell
from tests.page.test_changes import change, tree, undo, upload


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def full_page(small_disk: Path, photo_store: Path, shell: Shell) -> Iterator[PageClient]:
    store = Path(shutil.copytree(photo_store, small_disk / "store", ignore=shutil.ignore_patterns(".astica-sync")))
    assert shell("init", store, "--model", "1001", "--rebind").code == 0
    with running_page(store) as page:
        assert len(page.rows()) == 8
        yield page


def fill_up(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_disk_loses_nothing(full_page: PageClient, small_disk: Path) -> None:
    store = small_disk / "store"
    fill_up(small_disk)
    before = tree(store)
    noise = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(noise, "PNG")
    answer = upload(full_page, noise.getvalue(), "noise.png")
    assert answer.status_code == 507, answer.text
    assert "disk" in answer.json()["error"] and answer.json()["hint"]
    assert tree(store) == before
    row = full_page.row("Can", "001.jpg")
    refused = full_page.post("/api/changes", {"kind": "delete", "items": [[row["id"], row["content"]]]})
    if refused.status_code == 507:
        # The history cannot be written, so nothing is done that could not be undone.
        assert refused.json()["hint"] and tree(store) == before
    (small_disk / "filler").unlink()
    full_page.post("/api/refresh")
    if refused.status_code == 200:
        undo(full_page)
    assert change(full_page, "delete", [full_page.row("Can", "001.jpg")])["done"] == 1
    undo(full_page)
    assert tree(store) == before
    assert upload(full_page, noise.getvalue(), "noise.png").status_code == 200
