"""The exit code and the last line of a push of which something cannot be uploaded."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from astica_sync.cli.exit_codes import DONE, SOME_FAILED
from astica_sync.cli.render.push_output import exit_code_of, push_lines
from astica_sync.core.model import Problem
from astica_sync.sync.push.push import PushResult
from tests.harness.mount_namespace import Ground
from tests.harness.shell import Shell

LAYERS = b"8BPS" + bytes(64)


def test_images_of_another_format_are_no_failure_and_the_last_line_says_so(shell: Shell, store: Path) -> None:
    for folder in ("Can", "Bottle"):
        for image in (store / folder).iterdir():
            image.write_bytes(LAYERS)
    ran = shell("push", "--store", store)
    assert ran.code == 0, ran.err
    assert "5 files cannot be uploaded; for the reasons: astica-sync status" in ran.out
    assert ran.out.splitlines()[-1].endswith("The service is in sync with all that can be uploaded.")


@pytest.mark.long
def test_a_class_that_is_unmounted_fails_a_push_and_is_named(shell: Shell, store: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    shutil.copytree(store / "Can", disk)
    shutil.rmtree(store / "Can")
    (store / "Can").mkdir()
    shell.environ["COLUMNS"] = "300"
    with contextlib.closing(Ground()) as ground:
        ground.run(["mount", "--bind", disk, store / "Can"])
        assert shell.finish(shell.start("push", "--store", store, under=ground.under)).code == 0
        ground.run(["umount", store / "Can"])
        for words in (["push"], ["push", "--dry-run"]):
            ran = shell.finish(shell.start(*words, "--store", store, under=ground.under))
            assert ran.code == 3, ran.out
        ran = shell.finish(shell.start("push", "--store", store, under=ground.under))
    assert "Class 'Can' cannot be synced: files are missing since a disk was mounted or unmounted here" in ran.out
    assert "file cannot be uploaded" not in ran.out


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_class_that_cannot_be_read_fails_a_push(shell: Shell, store: Path) -> None:
    (store / "Can").chmod(0)
    try:
        ran = shell("push", "--store", store)
    finally:
        (store / "Can").chmod(0o755)
    assert ran.code == 3 and "Class 'Can' cannot be synced: cannot be read" in ran.out


@pytest.mark.parametrize(
    ("path", "reason", "code"),
    [
        ("Can", "cannot be read: Permission denied; chmod u+rx Can", SOME_FAILED),
        ("Can/a.jpg", "cannot be read: Permission denied; chmod u+r a.jpg", DONE),
        ("notes.txt", "not in a class folder", DONE),
    ],
)
def test_a_class_alone_fails_a_push(path: str, reason: str, code: int) -> None:
    pushed = PushResult(problems=[Problem(path, reason)])
    assert exit_code_of(pushed) == code
    text = "\n".join(push_lines(pushed, None))
    assert ("Class 'Can' cannot be synced" in text) is (code == SOME_FAILED)
    assert (f"{path} cannot be uploaded" in text) is (code == DONE)
