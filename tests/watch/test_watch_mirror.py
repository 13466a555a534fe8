"""A watcher that copies the backup to a mirror meanwhile."""

from pathlib import Path

import pytest

from tests.harness.shell import Shell, draw
from tests.harness.watch_process import Start, wait_until

pytestmark = pytest.mark.long


def objects(folder: Path) -> int:
    return len(list(folder.glob("backup/objects/*/*")))


def test_a_watcher_copies_the_backup_and_goes_on_without_the_mirror(
    shell: Shell, watch: Start, store: Path, tmp_path: Path
) -> None:
    assert shell("push", "--store", store).code == 0
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    watching = watch(store, flags=["--mirror", str(mirror)])
    wait_until(lambda: watching.reported("mirrored"))
    assert objects(mirror) == objects(store / ".astica-sync") > 0
    assert watching.stop() == 130
    mirror.rename(tmp_path / "unplugged")
    (store / ".astica-sync" / "mirror.json").unlink()
    again = watch(store, flags=["--mirror", str(mirror)])
    wait_until(lambda: again.reported("failed", "is not there"))
    draw(store / "Can" / "new.png", 900)
    wait_until(lambda: again.reported("uploaded", "new.png"))
    assert not mirror.exists()


def test_a_mirror_is_for_one_store(shell: Shell, store: Path) -> None:
    ran = shell("watch", "--once", "--mirror", "x", store)
    assert ran.code == 2
    assert "astica-sync backup mirror" in ran.err
