"""A file that is there and is no good image is not absent: its sample stays on the service (promise 3)."""

import contextlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.parameters import rest_long
from tests.harness.shell import Shell, draw, fill, on_service

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


def make_sparse(path: Path) -> None:
    """As a placeholder of OneDrive or Dropbox shows to a program that must not wake the client: the size, no blocks."""
    size = path.stat().st_size
    path.unlink()
    with path.open("wb") as file:
        file.truncate(size)
    assert path.stat().st_blocks == 0


def replace_head_by_zeros(path: Path) -> None:
    """As a preallocated download that began in the middle."""
    data = path.read_bytes()
    path.write_bytes(bytes(len(data) // 2) + data[len(data) // 2 :])


def replace_by_nextcloud_placeholder(path: Path) -> None:
    path.unlink()
    path.with_name(f"{path.name}.nextcloud").write_bytes(b" ")


def replace_by_owncloud_placeholder(path: Path) -> None:
    path.unlink()
    path.with_name(f"{path.name}.owncloud").write_bytes(b" ")


def replace_by_resilio_placeholder(path: Path) -> None:
    """As Resilio Sync leaves it with Selective Sync."""
    path.unlink()
    path.with_name(f"{path.name}.rsls").write_bytes(b"")


def replace_by_resilio_connect_placeholder(path: Path) -> None:
    path.unlink()
    path.with_name(f"{path.name}.rsl~").write_bytes(b"")


def replace_by_odrive_placeholder(path: Path) -> None:
    """As odrive leaves it after "unsync"."""
    path.unlink()
    path.with_name(f"{path.name}.cloud").write_bytes(b"")


def replace_by_annex_link(path: Path) -> None:
    """As "git annex drop" leaves it: a link to an object that is not here."""
    path.unlink()
    path.symlink_to("../.git/annex/objects/xJ/2v/SHA256E-s12--4d7a.png/SHA256E-s12--4d7a.png")


def replace_by_annex_pointer(path: Path) -> None:
    path.write_bytes(b"/annex/objects/SHA256E-s12345--4d7a4d7a.png\n")


def replace_by_dvc_pointer(path: Path) -> None:
    path.write_bytes(b"outs:\n- md5: 4d7a4d7a4d7a4d7a\n  size: 12345\n  path: 001.png\n")


def replace_by_link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("/mnt/not-mounted/001.png")


def replace_by_link_to_an_image(path: Path) -> None:
    path.rename(path.parents[2] / "moved away.png")
    path.symlink_to(path.parents[2] / "moved away.png")


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
        listener.bind(path.name)


def replace_by_device(path: Path) -> None:
    path.unlink()
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("devices are made by root")


def replace_by_layers(path: Path) -> None:
    path.write_bytes(b"8BPS" + bytes(500))


def replace_by_jpeg_xl(path: Path) -> None:
    path.write_bytes(b"\xff\x0a" + bytes(500))


def replace_by_error_of_a_cloud(path: Path) -> None:
    path.write_bytes(b'{"error": {"code": 403, "message": "User rate limit exceeded"}}')


def replace_by_apple_double(path: Path) -> None:
    """The half of a file that macOS writes beside it, copied over it."""
    path.write_bytes(b"\0\x05\x16\x07\0\x02\0\0Mac OS X        " + bytes(82))


def replace_by_archive(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(200))


UNUSABLE = [
    empty,
    fill_with_zeros,
    make_sparse,
    replace_head_by_zeros,
    replace_by_lfs_pointer,
    replace_by_annex_link,
    replace_by_annex_pointer,
    replace_by_dvc_pointer,
    replace_by_placeholder,
    replace_by_nextcloud_placeholder,
    replace_by_owncloud_placeholder,
    replace_by_resilio_placeholder,
    replace_by_resilio_connect_placeholder,
    replace_by_odrive_placeholder,
    replace_by_link_to_nowhere,
    replace_by_link_to_an_image,
    replace_by_pipe,
    replace_by_socket,
    replace_by_device,
    replace_by_web_page,
    replace_by_error_of_a_cloud,
    replace_by_layers,
    replace_by_jpeg_xl,
    replace_by_apple_double,
    replace_by_archive,
]


def placeholders(file: Path) -> list[Path]:
    return [path for path in file.parent.iterdir() if path.name.endswith(("cloud", ".rsls", ".rsl~"))]


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

    for placeholder in placeholders(file):
        placeholder.unlink()
    file.unlink(missing_ok=True)
    file.write_bytes(good)
    ran = shell("push", "--store", pushed, "--json")
    assert (ran.json["removed"], ran.json["uploaded"], ran.json["in_sync"]) == (0, 0, True)


@pytest.mark.parametrize("spoil", rest_long(6, UNUSABLE))
def test_deleting_that_file_removes_its_sample(
    spoil: Callable[[Path], None], shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    file = pushed / "Can" / "001.png"
    spoil(file)
    assert shell("push", "--store", pushed, "--json").json["removed"] == 0
    file.unlink(missing_ok=True)
    for placeholder in placeholders(file):
        placeholder.unlink()

    assert shell("push", "--store", pushed, "--json").json["removed"] == 1
    assert len(sandbox.samples(model_id)) == 4


def test_a_file_that_cannot_be_read_keeps_its_sample(
    shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    draw(pushed / "Can" / "001.png", 4711)
    (pushed / "Can" / "001.png").chmod(0)
    # Root reads everything unless this is taken from it.
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if without and shutil.which(without[0]) is None:
        pytest.skip("setpriv is missing")

    ran = shell.finish(shell.start("push", "--store", pushed, "--json", under=without))

    assert (ran.json["removed"], ran.json["uploaded"], ran.json["in_sync"]) == (0, 0, False), ran.err
    reason = ran.json["problems"][0]["reason"]
    assert reason == f"cannot be read: Permission denied; fix the permissions: chmod u+r {pushed}/Can/001.png"
    assert on_service(sandbox, model_id) == before


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")
def test_what_another_user_keeps_to_themselves_names_who_can_help(shell: Shell, sandbox: RunningSandbox) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing")
    without = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"]
    if subprocess.run([*without, sys.executable, "-c", "import astica_sync.cli.main"]).returncode:
        pytest.skip("another user cannot run the program from here")
    model = str(sandbox.add_model("Cans"))
    # The folders above that of a test may be entered by their owner alone.
    with tempfile.TemporaryDirectory() as top:
        store = fill(Path(top, "store"), {"Can": 1, "Bottle": 1})
        for place in (Path(top), *Path(top).rglob("*")):
            os.chown(place, 54321, 54321)
        shell.environ |= {"HOME": top, "XDG_STATE_HOME": f"{top}/state", "XDG_CONFIG_HOME": f"{top}/config"}
        ran = shell.finish(shell.start("init", store, "--model", model, under=without))
        assert ran.code == 0, ran.err
        for place in (store / "Can" / "000.png", store / "Bottle"):
            os.chown(place, 2, 2)
            place.chmod(0o700)
        ran = shell.finish(shell.start("status", "--store", store, "--json", under=without))
        assert ran.code == 0, ran.err
        reasons = {each["path"]: each["reason"] for each in ran.json["problems"]}
    name = pwd.getpwuid(2).pw_name
    assert f"it belongs to {name}: sudo chmod a+r {store}/Can/000.png, or ask {name}" in reasons["Can/000.png"]
    assert f"it belongs to {name}: sudo chmod a+rx {store}/Bottle, or ask {name}" in reasons["Bottle"]


def test_a_folder_in_place_of_a_file_shows_that_the_file_is_gone(
    shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    file = pushed / "Can" / "001.png"
    file.unlink()
    draw(file / "another.png", 4711)
    ran = shell("push", "--store", pushed, "--json")
    assert (ran.json["removed"], ran.json["uploaded"], ran.json["in_sync"]) == (1, 1, True)


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


def save_larger_than_20_mb(path: Path, number: int) -> None:
    draw(path, number, "JPEG")
    path.write_bytes(path.read_bytes() + bytes(20 * 1024 * 1024))


def test_no_other_try_is_offered_for_an_image_over_the_limits(
    shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    shell.environ["COLUMNS"] = "300"
    save_larger_than_20_mb(pushed / "Can" / "huge.jpg", 900)
    # The service may have a smaller limit than its documentation says.
    sandbox.set_switches(largest_side=20)
    Image.new("RGB", (30, 30), "red").save(pushed / "Can" / "wide.png")
    ran = shell("push", "--store", pushed)
    assert ran.code == 3
    assert "--retry" not in ran.out + ran.err and "20 MB: set max_side = 16000 in astica-sync.toml" in ran.out
    assert "The same image is refused again: save it smaller, or list it in .astica-ignore" in ran.out
    status = shell("status", "--store", pushed)
    assert "--retry" not in status.out and "Failed before; not tried again until the file changes (2):" in status.out
    assert "save it smaller, or list it in .astica-ignore" in status.out
    assert "set max_side = 16000 in astica-sync.toml" in status.out
    reasons = [each["reason"] for each in shell("status", "--json", "--store", pushed).json["problems"]]
    assert all("or list it in .astica-ignore" in reason for reason in reasons) and len(reasons) == 2
    before = on_service(sandbox, model_id)
    for file in ("huge.jpg", "wide.png"):
        draw(pushed / "Can" / file, 901 + len(file))
    assert shell("push", "--store", pushed).code == 0
    assert len(on_service(sandbox, model_id)) == len(before) + 2
