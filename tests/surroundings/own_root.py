"""Commands in a root like that of a container: mount, process and user name spaces of their own, read-only, without
machine id and without an entry for the user; new ones for each command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.shell import Ran, Shell

CODE = Path(__file__).parents[2]
START = """
set -e
# chroot is not in the path of each user.
PATH=$PATH:/usr/sbin:/sbin
mount -t tmpfs tmpfs /mnt
mkdir /mnt/new
mount --rbind / /mnt/new
mount -t tmpfs tmpfs /mnt/new/etc
mount -t tmpfs tmpfs /mnt/new/tmp
echo "passwd: files" > /mnt/new/etc/nsswitch.conf
: > /mnt/new/etc/passwd
[ ! -d /mnt/new/var/lib/dbus ] || mount -t tmpfs tmpfs /mnt/new/var/lib/dbus
for folder in {volume} {code}; do
  mkdir -p /mnt/new$folder
  mount --rbind $folder /mnt/new$folder
done
mount -t proc proc /mnt/new/proc
mount -o remount,ro,bind /mnt/new/etc
mount -o remount,ro,bind /mnt/new
# They name files of a folder that is another one here.
unset SSL_CERT_FILE SSL_CERT_DIR
exec chroot /mnt/new "$@"
"""
UNDER = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"]


class OwnRoot:
    """Runs commands as ``Shell`` does, each in a root of its own; ``volume`` is what all of them see."""

    def __init__(self, shell: Shell, volume: Path) -> None:
        self._shell = shell
        self._start = START.format(volume=volume, code=CODE)

    def __call__(self, *arguments: str | Path) -> Ran:
        self._shell.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        under = [*UNDER, "sh", "-c", self._start, "sh"]
        ran = self._shell.finish(self._shell.start(*arguments, under=under, cwd="/"))
        if "mount:" in ran.err or "unshare:" in ran.err or "chroot:" in ran.err:
            pytest.skip(f"no root of its own can be made here: {ran.err[-300:]}")
        assert "Traceback" not in ran.err and "internal error" not in ran.err, ran.err
        return ran

    def sees(self) -> str:
        """What a shell sees in such a root: the user's entry, the machine id, and whether ``/`` can be written."""
        script = "cat /etc/passwd /etc/machine-id /var/lib/dbus/machine-id; touch /x /etc/x; echo $$"
        command = [*UNDER, "sh", "-c", self._start, "sh", "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


Runner = Shell | OwnRoot
