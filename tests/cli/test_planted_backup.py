"""A hidden folder that came with a data set may have other images under the hashes of the user's own: a removal must
not rely on them."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from astica_sync.core.plan.plan import Adopt
from astica_sync.errors import Collision
from astica_sync.local.backup.backup import Backup
from astica_sync.local.filesystem import FileSystem
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sync.apply.adoption import back_up_adopted
from tests.harness.shell import Shell, in_store, on_service


@pytest.fixture
def downloaded(shell: Shell, pushed: Path, tmp_path: Path) -> Path:
    """The store of another user, with its hidden folder, as an archive brings it to a user who has not made it."""
    folder = tmp_path / "downloaded"
    shutil.copytree(pushed, folder)
    shell.environ |= {"XDG_STATE_HOME": str(tmp_path / "other state"), "HOME": str(tmp_path)}
    return folder


@pytest.mark.parametrize("sentinel", ["with its sentinel", "with the backup alone"])
def test_init_asks_about_a_backup_that_was_not_made_here(
    shell: Shell, sandbox: RunningSandbox, downloaded: Path, model_id: int, sentinel: str
) -> None:
    if sentinel == "with the backup alone":
        for path in (downloaded / ".astica-sync").iterdir():
            if path.name != "backup":
                path.unlink()
    sandbox.clear_log()
    refused = shell("init", downloaded, "--model", str(model_id))
    assert refused.code == 4
    assert "has a backup of 5 images that you have not made on this machine" in refused.err
    assert (
        "astica-sync init --yes" in refused.err
        and f"mv {downloaded}/.astica-sync {downloaded}/.astica-sync-of-others" in refused.err
    )
    assert sandbox.log == [], "it asks before any request"
    taken = shell("init", downloaded, "--model", str(model_id), "--yes")
    assert taken.code == 0, taken.err
    assert "has a backup of 5 images" in taken.err
    again = shell("init", downloaded)
    assert again.code == 0 and again.err == "", "once it is this user's own"
    assert shell("push", "--store", downloaded).code == 0
    assert on_service(sandbox, model_id) == in_store(downloaded)


def test_without_the_hidden_folder_nothing_is_asked_and_the_backup_is_made_from_the_files(
    shell: Shell, sandbox: RunningSandbox, downloaded: Path, model_id: int
) -> None:
    shutil.rmtree(downloaded / ".astica-sync")
    assert shell("init", downloaded, "--model", str(model_id), "--yes").code == 0
    assert shell("push", "--store", downloaded).code == 0
    assert len(list((downloaded / ".astica-sync" / "backup" / "objects").glob("*/*"))) == 5


class WeakHash:
    """The same digest for all bytes of the same length."""

    def __init__(self) -> None:
        self._length = 0

    def update(self, data: bytes, /) -> None:
        self._length += len(data)

    def hexdigest(self) -> str:
        return f"{self._length:032x}"


def test_an_image_is_not_adopted_whose_backup_copy_is_another_image_of_the_same_hash(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name, data in (("forged.png", b"another image"), ("real.png", b"the own image")):
        (store / "Can").mkdir(parents=True, exist_ok=True)
        (store / "Can" / name).write_bytes(data)
    content = f"{len(b'the own image'):032x}"
    backup = Backup(tmp_path / "backup", FileSystem(), WeakHash)
    backup.put(store / "Can" / "forged.png", content)
    local = cast(Any, SimpleNamespace(backup=backup, layout=SimpleNamespace(root=store)))
    adopt = Adopt(f"{content}-00000000", "Can", "Can/real.png", 1)
    with pytest.raises(Collision, match="one content hash"):
        back_up_adopted(local, adopt, from_backup=False)
    back_up_adopted(local, adopt, from_backup=True)
    assert backup.read(content) == b"another image", "nothing was replaced"
