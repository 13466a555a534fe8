"""Real file systems, each mounted for a test; one that cannot be mounted here is skipped with the reason."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

ODD_FUSE = Path(__file__).with_name("odd_fuse.py")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass
class Disk:
    """A mounted file system. ``keeps_inodes`` is what is expected of it."""

    name: str
    folder: Path
    image: Path
    keeps_inodes: bool
    programs: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def mount(self) -> None:
        _MOUNTS[self.name](self)

    def unmount(self) -> None:
        for _ in range(50):
            done = subprocess.run(["umount", str(self.folder)], capture_output=True, text=True, check=False)
            if done.returncode == 0 or "not mounted" in done.stderr:
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)
        for program in self.programs:
            program.wait(20)
        self.programs.clear()

    def close(self) -> None:
        """Unmounts it, and what it lies on."""
        self.unmount()
        if self.name == "NFS" and self.below.exists():
            subprocess.run(["exportfs", "-u", f"127.0.0.1:{self.below}"], env={**os.environ, "PATH": PATH}, check=False)
        if os.path.ismount(self.below):
            subprocess.run(["umount", "--lazy", str(self.below)], check=False)

    def mount_again(self) -> None:
        self.unmount()
        self.mount()

    @property
    def below(self) -> Path:
        """Where a file system that lies on another one keeps its files."""
        return self.image.with_name("below")


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool, path=PATH) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env={**os.environ, "PATH": PATH}, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"{command[0]} does not work here: {done.stderr.strip()[-200:]}")


def _formatted(disk: Disk, megabytes: int, *command: str) -> None:
    if not disk.image.exists():
        need(command[0])
        disk.image.touch()
        os.truncate(disk.image, megabytes << 20)
        run(*command, disk.image)


def _by_loop(megabytes: int, *make: str) -> Callable[[Disk], None]:
    def mount(disk: Disk) -> None:
        _formatted(disk, megabytes, *make)
        run("mount", "-o", "loop", disk.image, disk.folder)

    return mount


def _by_program(megabytes: int, make: Sequence[str], *mount_command: str) -> Callable[[Disk], None]:
    def mount(disk: Disk) -> None:
        need(mount_command[0])
        _formatted(disk, megabytes, *make)
        run(*mount_command, disk.image, disk.folder)

    return mount


def _by_program_and_loop(megabytes: int, make: Sequence[str], *mount_command: str) -> Callable[[Disk], None]:
    """For programs that mount block devices alone."""

    def mount(disk: Disk) -> None:
        need(mount_command[0], "losetup")
        _formatted(disk, megabytes, *make)
        losetup = shutil.which("losetup", path=PATH) or "losetup"
        device = subprocess.run([losetup, "-f", "--show", disk.image], capture_output=True, text=True, check=False)
        if device.returncode != 0:
            pytest.skip(f"losetup does not work here: {device.stderr}")
        try:
            run(*mount_command, device.stdout.strip(), disk.folder)
        finally:
            # It is freed when it is no longer mounted.
            subprocess.run([losetup, "-d", device.stdout.strip()], check=False)

    return mount


def _tmpfs(disk: Disk) -> None:
    if not disk.below.exists():
        disk.below.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk.folder)
    else:
        pytest.skip("a tmpfs ends with its mount")


def _overlay(disk: Disk) -> None:
    if not disk.below.exists():
        # An overlay cannot lie on another one, as the disk of a container may be.
        disk.below.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk.below)
    for name in ("lower", "upper", "work"):
        (disk.below / name).mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={disk.below}/lower,upperdir={disk.below}/upper,workdir={disk.below}/work"
    run("mount", "-t", "overlay", "-o", layers, "overlay", disk.folder)


def _bindfs(disk: Disk) -> None:
    need("bindfs")
    disk.below.mkdir(exist_ok=True)
    run("bindfs", disk.below, disk.folder)


def _odd_fuse(disk: Disk) -> None:
    if find_spec("mfusepy") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs mfusepy and /dev/fuse")
    disk.below.mkdir(exist_ok=True)
    with (disk.image.parent / "fuse.log").open("a") as log:
        program = subprocess.Popen([sys.executable, str(ODD_FUSE), str(disk.below), str(disk.folder)], stderr=log)
    disk.programs.append(program)
    for _ in range(200):
        if os.path.ismount(disk.folder):
            return
        if program.poll() is not None:
            break
        time.sleep(0.05)
    pytest.skip(f"the FUSE program does not start: {(disk.image.parent / 'fuse.log').read_text()[-300:]}")


def _volume(disk: Disk) -> None:
    """A folder of this system, as a container gets it."""
    disk.below.mkdir(exist_ok=True)
    run("mount", "--bind", disk.below, disk.folder)


def _nfs(disk: Disk) -> None:
    """By the server and the client of this kernel, over loopback."""
    need("exportfs", "mount.nfs")
    known = Path("/proc/filesystems").read_text().split()
    missing = [name for name in ("nfsd", "nfs4") if name not in known]
    if missing:
        pytest.skip(f"this kernel has no {' and no '.join(missing)}, and loads none")
    disk.below.mkdir(exist_ok=True)
    run("exportfs", "-o", "rw,sync,no_root_squash,no_subtree_check,fsid=4242", f"127.0.0.1:{disk.below}")
    run("rpc.nfsd", "2")
    run("mount", "-t", "nfs4", f"127.0.0.1:{disk.below}", disk.folder)


_MOUNTS: dict[str, Callable[[Disk], None]] = {
    "ext4": _by_loop(64, "mkfs.ext4", "-q", "-F"),
    "xfs": _by_loop(320, "mkfs.xfs", "-q"),
    "btrfs": _by_loop(128, "mkfs.btrfs", "-q"),
    "vfat": _by_loop(64, "mkfs.vfat", "-F", "32"),
    "exfat": _by_loop(64, "mkfs.exfat"),
    "exfat by FUSE": _by_program_and_loop(64, ("mkfs.exfat",), "mount.exfat-fuse"),
    "ntfs by FUSE": _by_program(32, ("mkntfs", "-F", "-q"), "lowntfs-3g"),
    "tmpfs": _tmpfs,
    "overlay": _overlay,
    "bindfs": _bindfs,
    "odd FUSE": _odd_fuse,
    "NFS": _nfs,
    "volume of a container": _volume,
}
KEEPING = {"ext4", "xfs", "btrfs", "tmpfs", "volume of a container"}


@pytest.fixture(params=list(_MOUNTS))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """An empty disk of each kind."""
    home = tmp_path / "disk"
    (home / "mounted").mkdir(parents=True)
    made = Disk(request.param, home / "mounted", home / "image", request.param in KEEPING)
    try:
        made.mount()
        yield made
    finally:
        made.close()
