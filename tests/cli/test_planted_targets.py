"""What a command writes goes where the user said: not through a planted link, not into the folder of another user, and
for no other user to read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash

from astica_sync.cli.watch.watch_metrics import WatchMetrics
from astica_sync.core.watch.watch_status import WatchStatus
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.restore import restore
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.target_folder import write_user_file
from tests.harness.shell import Shell

MALLORY = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")


@pytest.mark.parametrize("planted", ["link", "dangling link", pytest.param("folder of another user", marks=needs_root)])
def test_a_planted_folder_next_to_the_store_gets_no_restored_file(planted: str, shell: Shell, pushed: Path) -> None:
    target = pushed.with_name(f"{pushed.name}-restored")
    elsewhere = pushed.with_name("elsewhere")
    if planted != "dangling link":
        elsewhere.mkdir()
    if planted == "folder of another user":
        elsewhere.rename(target)
        os.chown(target, MALLORY, MALLORY)
        target.chmod(0o777)
    else:
        target.symlink_to(elsewhere)
    ran = shell("backup", "restore", "--store", pushed)
    assert ran.code == 1, ran.out
    assert str(target) in ran.err and "--to" in ran.err
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == []
    assert not target.is_dir() or list(target.iterdir()) == []


@needs_root
@pytest.mark.parametrize("by_link", [False, True])
@pytest.mark.parametrize("command", ["backup", "snapshot"])
def test_a_target_of_another_user_is_refused(command: str, by_link: bool, shell: Shell, pushed: Path) -> None:
    target = pushed.with_name("target")
    target.mkdir()
    os.chown(target, MALLORY, MALLORY)
    named = target
    if by_link:
        named = pushed.with_name("link")
        named.symlink_to(target)
    if command == "snapshot":
        assert shell("train", "--store", pushed).code == 0
        ran = shell("snapshot", "restore", "@1", "--to", named, "--store", pushed)
    else:
        ran = shell("backup", "restore", "--to", named, "--store", pushed)
    assert ran.code == 1, ran.out
    assert f"belongs to user id {MALLORY}" in ran.err
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("store_mode", [None, 0o700, 0o755])
def test_restored_files_are_for_the_user_alone(tmp_path: Path, umask: int, store_mode: int | None) -> None:
    backup = Backup(tmp_path / "backup", FileSystem())
    data = b"\xff\xd8\xff private"
    content = xxhash.xxh3_128_hexdigest(data)
    (tmp_path / "source").write_bytes(data)
    backup.put(tmp_path / "source", content)
    backup.add_samples([("Can", "Can/deep/a.jpg", content)], at=0)
    out = tmp_path / "out"
    if store_mode is not None:
        (out / ".astica-sync").mkdir(parents=True)
        out.chmod(store_mode)
    before = os.umask(umask)
    try:
        assert restore(backup, out, FileSystem()).written == 1
    finally:
        os.umask(before)
    folder = 0o700 if store_mode is None else store_mode & ~umask
    assert (out / "Can" / "deep").stat().st_mode & 0o777 == folder
    assert (out / "Can" / "deep" / "a.jpg").stat().st_mode & 0o777 == folder & 0o666
    if store_mode is None:
        assert out.stat().st_mode & 0o777 == 0o700


def write_metrics(file: Path) -> None:
    metrics = WatchMetrics(
        [WatchStatus("store", 1, 0.0)], port=None, file=file, wall=lambda: 1e9, budget=lambda _: None
    )
    metrics.write()


WRITERS: dict[str, Callable[[Path], None]] = {
    "report, completion, unit": lambda file: write_user_file(file, b"new"),
    "metrics": write_metrics,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("dangling", [False, True])
def test_no_output_file_is_written_through_a_link(writer: str, dangling: bool, tmp_path: Path) -> None:
    target, file = tmp_path / ".bashrc", tmp_path / "out.prom"
    if not dangling:
        target.write_bytes(b"mine")
    file.symlink_to(target)
    WRITERS[writer](file)
    assert not file.is_symlink() and file.stat().st_size
    assert not target.exists() if dangling else target.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"out.prom"} | (set() if dangling else {".bashrc"})


@pytest.mark.parametrize("kind", ["pipe", "link to a device", "folder"])
def test_a_device_or_pipe_is_no_output_file(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(os.devnull)
    before = file.lstat()
    with pytest.raises(OSError, match="not a regular file"):
        write_user_file(file, b"new")
    assert os.path.samestat(file.lstat(), before)


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_a_completion_script_is_not_written_through_a_link(shell_name: str, shell: Shell, tmp_path: Path) -> None:
    home = tmp_path / "home-of-user"
    for folder in (".local/share/astica-sync", ".config/fish/completions"):
        (home / folder).mkdir(parents=True)
    mine = home / "mine"
    mine.write_text("mine")
    places = [home / ".local/share/astica-sync" / f"completion.{name}" for name in ("bash", "zsh")]
    places.append(home / ".config/fish/completions/astica-sync.fish")
    for place in places:
        place.symlink_to(mine)
    shell.environ |= {"HOME": str(home)}
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        shell.environ.pop(name, None)
    ran = shell("completion", shell_name, "--install")
    assert ran.code == 0, ran.err
    assert mine.read_text() == "mine"
    assert sum(not place.is_symlink() for place in places) == 1
