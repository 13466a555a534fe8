"""While images come back from the backup, a watcher of the store does nothing with those that are not back yet."""

from pathlib import Path

import pytest

from astica_sync.errors import StoreBusy
from astica_sync.local.backup import restore as restoring
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from tests.harness.shell import Shell

SINCE = ("backup", "restore", "--since", "1h")


@pytest.fixture
def changed(shell: Shell, pushed: Path) -> Path:
    for file in (pushed / "Can").glob("*.png"):
        file.unlink()
    return pushed


@pytest.mark.parametrize(("words", "waits"), [(SINCE, True), ((*SINCE, "--to", "elsewhere"), False)])
def test_the_watcher_waits_until_all_are_back(
    shell: Shell, changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], waits: bool
) -> None:
    real, refused = restoring.restore, []
    monkeypatch.chdir(tmp_path)

    def restore(*args: object, **options: object) -> restoring.Restored:
        try:
            # As a watcher takes it.
            with writer_lock(Layout(changed), patient=False):
                refused.append(False)
        except StoreBusy:
            refused.append(True)
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(restoring, "restore", restore)
    ran = shell(*words, "--store", changed)
    assert (ran.code, refused) == (0, [waits]), ran
    with writer_lock(Layout(changed), patient=False):
        """It is free afterwards."""


def test_a_push_that_has_the_lock_does_not_keep_images_from_coming_back(shell: Shell, changed: Path) -> None:
    with writer_lock(Layout(changed)):
        ran = shell(*SINCE, "--store", changed)
    assert ran.code == 0 and list((changed / "Can").glob("*.png")), ran
