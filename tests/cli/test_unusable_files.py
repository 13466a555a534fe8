"""A file that is there and is no good image is not absent: its sample stays on the service (promise 3)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, on_service

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 12345\n"


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def replace_by_lfs_pointer(path: Path) -> None:
    path.write_bytes(LFS_POINTER)


def replace_by_web_page(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html><html><body>Quota exceeded</body></html>")


def replace_by_placeholder(path: Path) -> None:
    path.unlink()
    path.with_name(f".{path.name}.icloud").write_bytes(b"bplist00")


UNUSABLE = [empty, fill_with_zeros, replace_by_lfs_pointer, replace_by_web_page, replace_by_placeholder]


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_a_file_without_a_good_image_keeps_its_sample(
    spoil: Callable[[Path], None], shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    file = pushed / "Can" / "001.png"
    good = file.read_bytes()
    spoil(file)

    status = shell("pull-status", "--store", pushed, "--json").json
    assert not status["in_sync"]
    assert status["plan"]["remove"] == []
    assert [entry["class"] for entry in status["waiting"]] == ["Can"]
    assert "Can/001.png" in shell("pull-status", "--store", pushed).out

    ran = shell("push", "--store", pushed, "--json")
    assert (ran.json["removed"], ran.json["uploaded"], ran.json["in_sync"]) == (0, 0, False)
    assert on_service(sandbox, model_id) == before

    for placeholder in file.parent.glob(".*.icloud"):
        placeholder.unlink()
    file.write_bytes(good)
    ran = shell("push", "--store", pushed, "--json")
    assert (ran.json["removed"], ran.json["uploaded"], ran.json["in_sync"]) == (0, 0, True)


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_deleting_that_file_removes_its_sample(
    spoil: Callable[[Path], None], shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    file = pushed / "Can" / "001.png"
    spoil(file)
    assert shell("push", "--store", pushed, "--json").json["removed"] == 0
    file.unlink(missing_ok=True)
    for placeholder in file.parent.glob(".*.icloud"):
        placeholder.unlink()

    assert shell("push", "--store", pushed, "--json").json["removed"] == 1
    assert len(sandbox.samples(model_id)) == 4


def test_a_copy_that_broke_off_keeps_the_old_sample_until_a_whole_one_is_there(
    shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    file = pushed / "Can" / "001.png"
    other = draw(pushed.parent / "other.png", 4711).read_bytes()
    file.write_bytes(other[: len(other) // 2])

    for _ in range(2):
        ran = shell("push", "--store", pushed, "--json")
        assert ran.code == 3, ran.err
        assert (ran.json["removed"], ran.json["uploaded"]) == (0, 0)
        assert [failed["path"] for failed in ran.json["failed"]] == ["Can/001.png"]
        assert on_service(sandbox, model_id) == before

    file.write_bytes(other)
    ran = shell("push", "--store", pushed, "--json")
    assert (ran.json["removed"], ran.json["uploaded"], ran.json["in_sync"]) == (1, 1, True)
    assert other in {image for _, image in on_service(sandbox, model_id)}


def test_an_image_edited_in_place_is_uploaded_before_the_old_one_is_removed(
    shell: Shell, pushed: Path, sandbox: RunningSandbox
) -> None:
    draw(pushed / "Can" / "001.png", 4711)

    ran = shell("push", "--store", pushed, "--json")

    assert (ran.json["removed"], ran.json["uploaded"], ran.json["in_sync"]) == (1, 1, True)
    calls = [request.call for request in sandbox.log if request.call in ("upload", "sample_remove")]
    assert calls == ["upload", "sample_remove"]
