"""A disk that is full or read-only: nothing is lost and nothing is half-done."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync.local.layout import Layout
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

Mount = Callable[[str], None]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Path, Mount]]:
    """A folder on a disk of one megabyte, and a function that mounts it again with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode != 0:
            pytest.skip("mounting is not allowed here")

    mount("size=1m")
    try:
        yield folder, mount
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_stops_the_push_which_continues_after_space_is_freed(
    shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount]
) -> None:
    folder, _ = small
    store = fill(folder / "store", {"Can": 3})
    model_id = sandbox.add_model()
    assert shell("init", store, "--model", str(model_id)).code == 0
    assert shell("push", "--store", store).code == 0
    for number in range(3):
        draw(store / "Can" / f"large{number}.png", 40 + number)
        with (store / "Can" / f"large{number}.png").open("ab") as file:
            file.write(os.urandom(60_000))
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - 20_000)))
    before = in_store(store)
    full = shell("push", "--store", store)
    assert full.code == 1, full.out + full.err
    assert "space" in full.err
    assert "Traceback" not in full.err
    assert in_store(store) == before
    assert all(sample in before for sample in on_service(sandbox, model_id))
    ballast.unlink()
    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == before


def test_a_completely_full_disk_sends_nothing(shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount]) -> None:
    folder, _ = small
    store = fill(folder / "store", {"Can": 3})
    model_id = sandbox.add_model()
    assert shell("init", store, "--model", str(model_id)).code == 0
    ballast = folder / "ballast"
    with pytest.raises(OSError, match="space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "space" in ran.err
    assert sandbox.samples(model_id) == []
    assert not sandbox.requests_of("upload")


def test_a_read_only_store_has_a_status_and_sends_nothing(
    shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount]
) -> None:
    folder, mount = small
    store = fill(folder / "store", {"Can": 3})
    model_id = sandbox.add_model()
    assert shell("init", store, "--model", str(model_id)).code == 0
    assert shell("push", "--store", store).code == 0
    draw(store / "Can" / "new.png", 50)
    (store / "Can" / "000.png").unlink()
    sandbox.clear_log()
    mount("remount,ro")
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "rights" in ran.err or "Read-only" in ran.err or "read-only" in ran.err
    assert {request.call for request in sandbox.log} <= {"view"}
    mount("remount,rw")
    assert shell("push", "--store", store).code == 0
    assert on_service(sandbox, model_id) == in_store(store)


def test_a_read_only_store_that_was_never_pushed_has_a_status(
    shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount]
) -> None:
    folder, mount = small
    store = fill(folder / "store", {"Can": 3})
    assert shell("init", store, "--model", str(sandbox.add_model())).code == 0
    mount("remount,ro")
    for command in (["pull-status"], ["push", "--dry-run"]):
        ran = shell(*command, "--store", store)
        assert ran.code == 0, ran.err
        assert "A push would send 5 requests" in ran.out
    for command in (["log"], ["versions"]):
        assert shell(*command, "--store", store).code == 0
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "read-only" in ran.err
    assert sandbox.requests_of("upload") == []
    assert "mount -o remount,rw" in " ".join(ran.err.split())
    doctor = shell("doctor", "--store", store)
    assert doctor.code == 1 and "nothing can be written to" in doctor.out and "mount -o remount,rw" in doctor.out


def test_a_read_only_folder_cannot_become_a_store(
    shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount]
) -> None:
    folder, mount = small
    photos = fill(folder / "photos", {"Can": 1})
    mount("remount,ro")
    ran = shell("init", photos, "--model", str(sandbox.add_model()))
    assert ran.code == 1
    assert str(photos) in ran.err
    assert "mounted read-only: findmnt -T " in ran.err and "chmod" not in ran.err


def test_a_store_on_a_disk_that_is_not_mounted_removes_nothing(
    shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount], tmp_path: Path
) -> None:
    folder, _ = small
    fill(folder, {"Can": 3})
    model_id = sandbox.add_model()
    assert shell("init", folder, "--model", str(model_id)).code == 0
    assert shell("push", "--store", folder).code == 0
    subprocess.run(["umount", str(folder)], check=True)
    ran = shell("push", "--yes", "--store", folder)
    assert ran.code == 1
    assert "is its disk mounted?" in ran.err and "init" not in ran.err
    assert len(sandbox.samples(model_id)) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_class_that_cannot_be_read_keeps_its_samples_on_the_service(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    (pushed / "Can").chmod(0)
    try:
        ran = shell("push", "--yes", "--json", "--store", pushed)
    finally:
        (pushed / "Can").chmod(0o755)
    assert ran.json["removed"] == 0
    assert len(sandbox.samples(model_id)) == 5


@pytest.mark.long
def test_a_disk_that_disappears_during_a_push_removes_nothing(
    shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount]
) -> None:
    folder, _ = small
    fill(folder, {"Can": 3})
    model_id = sandbox.add_model()
    assert shell("init", folder, "--model", str(model_id)).code == 0
    assert shell("push", "--store", folder).code == 0
    before = on_service(sandbox, model_id)
    (folder / "Can" / "000.png").unlink()
    for number in range(40, 46):
        draw(folder / "Can" / f"{number}.png", number)
    sandbox.set_faults("upload=slow~300ms")
    sandbox.clear_log()
    process = shell.start("push", "--store", folder)
    while not sandbox.requests_of("upload"):
        assert process.poll() is None
    subprocess.run(["umount", "-l", str(folder)], check=True)
    ran = shell.finish(process)
    assert ran.code == 1, ran.out + ran.err
    assert "Traceback" not in ran.err
    assert not sandbox.requests_of("sample_remove")
    assert not before - on_service(sandbox, model_id)


@pytest.mark.parametrize("room", [0, 5000])
def test_without_room_for_the_users_state_nothing_is_sent_too_fast_or_lost(
    shell: Shell, sandbox: RunningSandbox, small: tuple[Path, Mount], store: Path, model_id: int, room: int
) -> None:
    folder, _ = small
    shell.environ["XDG_STATE_HOME"] = str(folder / "state")
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))
    with (folder / "ballast").open("r+b") as ballast:
        ballast.truncate(max(0, ballast.seek(0, os.SEEK_END) - room))
    before = in_store(store)
    full = shell("push", "--store", store)
    assert "Traceback" not in full.err and "fault of the program" not in full.err
    assert full.code == 1, full.out + full.err
    assert str(folder / "state") in full.err and "space" in full.err, full.err
    assert not sandbox.requests_of("upload") and not sandbox.requests_of("sample_remove")
    (folder / "ballast").unlink()
    again = shell("push", "--store", store)
    assert again.code == 0, again.err
    assert on_service(sandbox, model_id) == before


def test_an_observation_that_cannot_be_stored_names_its_file(shell: Shell, pushed: Path) -> None:
    view = Layout(pushed).last_view
    view.unlink()
    (view / "in the way").mkdir(parents=True)
    ran = shell("status", "--store", pushed)
    assert ran.code == 0, ran.err
    assert f"cannot store the observation for --offline in {view}: " in ran.err
