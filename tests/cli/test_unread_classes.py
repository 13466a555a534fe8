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
from tests.harness.shell import Shell, draw

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
    assert ran.code == 3 and "Class 'Can' cannot be synced: its folder cannot be read (Permission denied). " in ran.out


@pytest.mark.parametrize(
    ("path", "reason", "code"),
    [
        ("Can", "cannot be read: Permission denied; chmod u+rx Can", SOME_FAILED),
        ("Can/link.jpg", "symbolic link, not followed", DONE),
        ("notes.txt", "not in a class folder", DONE),
    ],
)
def test_a_class_that_cannot_be_read_fails_a_push_and_a_file_that_is_no_sample_does_not(
    path: str, reason: str, code: int
) -> None:
    pushed = PushResult(problems=[Problem(path, reason)])
    assert exit_code_of(pushed) == code
    text = "\n".join(push_lines(pushed, None))
    assert ("Class 'Can' cannot be synced" in text) is (code == SOME_FAILED)
    assert (f"{path} cannot be uploaded" in text) is (code == DONE)


def test_a_file_that_cannot_be_read_fails_a_push_and_is_listed() -> None:
    unread = Problem("Can/a.jpg", "cannot be read: Permission denied; chmod u+r a.jpg")
    pushed = PushResult(problems=[unread, Problem("notes.txt", "not in a class folder")])
    assert exit_code_of(pushed) == SOME_FAILED
    text = "\n".join(push_lines(pushed, None))
    assert "Could not be read (1):" in text and "! Can/a.jpg  (cannot be read: Permission denied" in text
    assert "notes.txt cannot be uploaded; for the reason" in text


@pytest.mark.parametrize(("folder", "shown"), [("B\udce4ume", "B\\xe4ume"), ("Ta\nnen", "Ta\\nnen"), ("  ", "  ")])
def test_a_folder_whose_name_cannot_be_a_class_fails_a_push_and_stops_a_training(
    shell: Shell, pushed: Path, folder: str, shown: str
) -> None:
    shell.environ["COLUMNS"] = "300"
    draw(pushed / folder / "1.png", 4001)
    draw(pushed / folder / "2.png", 4002)
    for words in (["push"], ["push", "--dry-run"]):
        assert shell(*words, "--store", pushed).code == SOME_FAILED
    ran = shell("push", "--store", pushed)
    assert f"Class '{shown}' cannot be synced: the folder name" in ran.out and "cannot be uploaded" not in ran.out
    refused = shell("train", "--store", pushed)
    assert refused.code == 1 and f"a folder is left out: {shown} (the folder name " in refused.err
    assert "rename the folder" in refused.err and "astica-sync status" in refused.err
    assert shell("train", "--anyway", "--store", pushed).code == 0
    (pushed / folder).rename(pushed / "Tree")
    assert shell("push", "--store", pushed).code == 0 and shell("train", "--store", pushed).code == 0


def test_a_link_that_holds_a_removal_fails_a_push_and_a_training_names_it(shell: Shell, pushed: Path) -> None:
    shell.environ["COLUMNS"] = "300"
    (pushed / "Can" / "dead.jpg").symlink_to("/nowhere")
    assert shell("push", "--store", pushed).code == 0
    words = "a part of the store could not be read: Can/dead.jpg (symbolic link, not followed; replace it by the file"
    refused = shell("train", "--store", pushed)
    assert refused.code == 1 and words in refused.err and "astica-sync push" not in refused.err
    sorted((pushed / "Can").glob("*.png"))[0].unlink()
    for words_of in (["push"], ["push", "--dry-run"]):
        assert shell(*words_of, "--store", pushed).code == SOME_FAILED
    refused = shell("train", "--store", pushed)
    assert "1 held (not removed for now) in 'Can'" in refused.err and words in refused.err
    assert "To see why: astica-sync status" in refused.err and "astica-sync push" not in refused.err
