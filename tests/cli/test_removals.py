"""The guard: what is removed without confirmation, what is refused, and what a confirmation allows."""

import os
import pty
import select
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service


@pytest.fixture
def many(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A pushed store of forty samples in two classes."""
    folder = fill(tmp_path / "many", {"Bottle": 20, "Can": 20})
    assert shell("init", folder, "--model", str(sandbox.add_model())).code == 0
    assert shell("push", "--store", folder).code == 0
    sandbox.clear_log()
    return folder


def drop(store: Path, title: str, count: int) -> None:
    for file in sorted((store / title).iterdir())[:count]:
        file.unlink()


def test_ten_removals_need_no_confirmation_and_eleven_do(shell: Shell, sandbox: RunningSandbox, many: Path) -> None:
    drop(many, "Can", 11)
    refused = shell("push", "--json", "--store", many)
    assert refused.code == 4
    assert refused.json["refusals"][0]["reason"].startswith("11 samples of 40 would be removed; at most 10")
    assert len(refused.json["refusals"][0]["samples"]) == 11
    assert refused.json["removed"] == 0 and refused.json["in_sync"] is False
    assert not sandbox.requests_of("sample_remove") + sandbox.requests_of("class_remove")
    draw(many / "Can" / "000.png", 20)
    assert shell("push", "--json", "--store", many).json["removed"] == 10


def test_a_refusal_lists_the_files_removes_nothing_and_allows_uploads(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    shutil.rmtree(many / "Can")
    draw(many / "Bottle" / "new.png", 90)
    [(model_id, _)] = sandbox.models()
    ran = shell("push", "--store", many)
    assert ran.code == 4
    assert "Nothing was removed: class 'Can' is missing or empty in the store." in ran.out
    assert "Can/000.png" in ran.out and "and 10 more" in ran.out
    assert "astica-sync push --yes" in ran.out
    assert "Uploaded 1, removed 0" in ran.out
    assert len(sandbox.samples(model_id)) == 41
    status = shell("pull-status", "--exit-code", "--store", many)
    assert status.code == 5 and "A push would remove nothing" in status.out


def test_a_refusal_of_overwritten_images_says_so_and_where_the_former_ones_are(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    for number in range(11):
        draw(many / "Can" / f"{number:03}.png", 100 + number)
    ran = shell("push", "--store", many)
    assert ran.code == 4 and "its file is another image now)" in ran.out
    assert "brings the former images back: astica-sync backup restore --since 1d --overwritten --dry-run" in ran.out
    listed = shell("backup", "restore", "--since", "1d", "--overwritten", "--dry-run", "--store", many)
    assert listed.code == 0 and "11 files would be written" in listed.out


def test_a_refusal_of_moves_and_deletions_names_what_undoes_each(shell: Shell, many: Path) -> None:
    for file in sorted((many / "Can").iterdir())[:9]:
        file.rename(many / "Bottle" / f"moved-{file.name}")
    drop(many, "Bottle", 3)
    ran = shell("push", "--store", many)
    assert ran.code == 4
    assert f"backup restore --since 1d --move-back --store {many}" in " ".join(ran.out.split())
    assert f"backup restore --since 1d --dry-run --store {many}" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--yes",), 0),
        (("--max-remove", "15"), 0),
        (("--max-remove", "14"), 4),
        (("--max-remove", "38%"), 0),
        (("--max-remove", "30%"), 4),
        (("--max-remove", "0"), 4),
    ],
)
def test_the_flags_of_the_user_allow_removals(
    shell: Shell, sandbox: RunningSandbox, many: Path, flags: tuple[str, ...], code: int
) -> None:
    drop(many, "Can", 15)
    ran = shell("push", "--store", many, *flags)
    assert ran.code == code, ran.out
    [(model_id, _)] = sandbox.models()
    assert (on_service(sandbox, model_id) == in_store(many)) is (code == 0)


def test_settings_of_the_store_change_what_is_allowed(shell: Shell, sandbox: RunningSandbox, many: Path) -> None:
    drop(many, "Can", 3)
    (many / "astica-sync.toml").write_text("min_remove = 0\nmax_remove = '5%'\n")
    assert shell("push", "--store", many).code == 4
    (many / "astica-sync.toml").write_text("min_remove = 3\n")
    assert shell("push", "--store", many).code == 0


def test_an_emptied_store_removes_nothing_even_where_a_number_allows_it(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    shutil.rmtree(pushed / "Can")
    shutil.rmtree(pushed / "Bottle")
    ran = shell("push", "--max-remove", "100", "--store", pushed)
    assert ran.code == 4
    assert "the store has no samples" in ran.out
    assert len(sandbox.samples(model_id)) == 5
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert sandbox.samples(model_id) == []


def test_a_dry_run_that_would_be_refused_says_so_with_its_exit_code(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    shutil.rmtree(many / "Can")
    assert shell("push", "--dry-run", "--store", many).code == 4
    assert shell("push", "--dry-run", "--yes", "--store", many).code == 0
    assert [request.call for request in sandbox.log] == ["view", "view"]


def test_a_sample_with_a_damaged_backup_is_not_removed(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    (pushed / "Can" / "000.png").unlink()
    [entry] = shell("pull-status", "--json", "--store", pushed).json["plan"]["remove"]
    content = entry["uid"][:32]
    [broken] = (pushed / ".astica-sync" / "backup" / "objects").rglob(f"{content}*")
    broken.chmod(0o644)
    broken.write_bytes(b"damaged")
    ran = shell("push", "--json", "--store", pushed)
    assert ran.code == 3
    assert "its backup copy is damaged" in ran.json["failed"][0]["reason"]
    assert len(sandbox.samples(model_id)) == 5


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 20), ("n\n", 4, 40), ("\n", 4, 40)])
def test_on_a_terminal_the_question_lists_the_files(
    shell: Shell, sandbox: RunningSandbox, many: Path, answer: str, code: int, left: int
) -> None:
    shutil.rmtree(many / "Can")
    shown, ended = at_terminal(shell, ("push", "--store", str(many)), answer)
    assert "Remove them from the service? The backup has their images. [y/N]" in shown
    assert "Can/000.png" in shown
    assert ended == code
    [(model_id, _)] = sandbox.models()
    assert len(sandbox.samples(model_id)) == left


def test_a_sample_added_to_a_class_just_before_its_removal_keeps_the_class(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    shutil.rmtree(many / "Can")
    [(model_id, _)] = sandbox.models()
    _, code = at_terminal(
        shell,
        ("push", "--store", str(many)),
        "y\n",
        meanwhile=lambda: sandbox.add_sample(model_id, "Can", b"made at the last moment"),
    )
    assert code == 0
    assert not sandbox.requests_of("class_remove")
    assert len(sandbox.requests_of("sample_remove")) == 20
    assert [one.image for one in sandbox.samples(model_id) if one.class_title == "Can"] == [b"made at the last moment"]


def test_a_class_folder_that_is_restored_just_before_its_removal_stays(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    (many / "Can").rename(many.parent / "away")
    [(model_id, _)] = sandbox.models()
    _, code = at_terminal(
        shell,
        ("push", "--store", str(many)),
        "y\n",
        meanwhile=lambda: (many.parent / "away").rename(many / "Can"),
    )
    assert code != 1
    assert not sandbox.requests_of("class_remove") + sandbox.requests_of("sample_remove")
    assert shell("push", "--json", "--store", many).json["in_sync"] is True
    assert len(sandbox.samples(model_id)) == 40


@pytest.mark.parametrize("kind", ["lost-after", "lost-before", "5xx", "late~0.1s"])
def test_a_lost_answer_to_the_removal_of_a_class_is_resolved(
    shell: Shell, sandbox: RunningSandbox, many: Path, kind: str
) -> None:
    shutil.rmtree(many / "Can")
    sandbox.set_faults(f"class_remove:1={kind}")
    ran = shell("push", "--yes", "--json", "--store", many)
    assert ran.code == 0, ran.err
    assert ran.json["removed"] == 20 and ran.json["in_sync"] is True
    [(model_id, _)] = sandbox.models()
    assert on_service(sandbox, model_id) == in_store(many)


def test_with_class_remove_off_a_class_is_removed_sample_by_sample(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    (many / "astica-sync.toml").write_text("class_remove = false\n")
    shutil.rmtree(many / "Can")
    assert shell("push", "--yes", "--store", many).code == 0
    assert len(sandbox.requests_of("sample_remove")) == 20 and not sandbox.requests_of("class_remove")


def at_terminal(
    shell: Shell, command: tuple[str, ...], answer: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[str, int]:
    """Runs a command on a terminal of its own and answers its question; what was shown, and its exit code.
    ``meanwhile`` happens after the question and before the answer. The answer ``"\\x03"`` interrupts it."""
    master, slave = pty.openpty()
    process = shell.start(*command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    shown = b""
    answered = False
    give_up = time.monotonic() + 20
    try:
        while time.monotonic() < give_up:
            if not select.select([master], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
            if not answered and b"[y/N]" in shown:
                meanwhile()
                if answer == "\x03":
                    # The terminal is not the one that controls the process.
                    process.send_signal(signal.SIGINT)
                else:
                    os.write(master, answer.encode())
                answered = True
        return shown.decode("utf-8", "replace"), process.wait(10)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        os.close(master)


def test_an_interrupt_at_the_question_ends_the_push_at_once(shell: Shell, many: Path) -> None:
    shutil.rmtree(many / "Can")
    shown, code = at_terminal(shell, ("push", "--store", str(many)), "\x03")
    assert code == 130 and "stops immediately" not in shown


def test_with_a_limit_of_one_request_a_class_is_removed_sample_by_sample(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    assert shell("push", "--store", store).code == 0
    sandbox.clear_log()
    shutil.rmtree(store / "Can")
    # A view just before the removal would use the one request of the window.
    shell.environ |= {"ASTICA_LIMIT": "1", "ASTICA_LIMIT_WINDOW": "0.05"}
    ran = shell("push", "--yes", "--json", "--store", store)
    assert ran.json["removed"] == 3, ran.out + ran.err
    assert len(sandbox.requests_of("sample_remove")) == 3
    assert not sandbox.requests_of("class_remove")
    assert on_service(sandbox, model_id) == in_store(store)


def test_a_few_removals_in_each_push_reach_the_limit_of_a_day(
    shell: Shell, sandbox: RunningSandbox, many: Path
) -> None:
    """The guard remembers a day: 10 of 40 samples are removed in small pushes, then no more."""
    removed = 0
    for _ in range(6):
        drop(many, "Can", 3)
        ran = shell("push", "--json", "--store", many)
        removed += ran.json["removed"]
        if ran.code == 4:
            break
    assert ran.code == 4 and removed == 9
    assert "after 9 removals in the last 24 hours" in ran.json["refusals"][0]["reason"]
    assert len(sandbox.requests_of("sample_remove")) == 9

    # What the user allows does not count: the next day of small removals begins with an empty account.
    assert shell("push", "--yes", "--json", "--store", many).json["removed"] == 3
    drop(many, "Bottle", 1)
    assert shell("push", "--json", "--store", many).json["removed"] == 1


def test_moves_and_edited_images_do_not_count_for_later_removals(shell: Shell, many: Path) -> None:
    for number in range(8):
        (many / "Can" / f"{number:03}.png").rename(many / "Bottle" / f"moved{number}.png")
    assert shell("push", "--json", "--store", many).json["removed"] == 8
    for number in range(10, 18):
        draw(many / "Can" / f"{number:03}.png", 5000 + number)
    assert shell("push", "--json", "--store", many).json["removed"] == 8
    drop(many, "Bottle", 5)
    assert shell("push", "--json", "--store", many).json["removed"] == 5


def test_a_class_that_is_gone_on_both_sides_has_no_row(shell: Shell, pushed: Path) -> None:
    shutil.rmtree(pushed / "Can")
    assert "\nCan " in shell("status", "--store", pushed).out
    assert shell("push", "--yes", "--store", pushed).code == 0
    ran = shell("status", "--store", pushed)
    assert "\nBottle " in ran.out and "\nCan " not in ran.out and "in sync" in ran.out
    shutil.rmtree(pushed / "Bottle")
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert "No samples in the store or on the service" in shell("status", "--store", pushed).out


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 sample of class 'Can' stays"), (2, "2 samples of class 'Can' stay")]
)
def test_a_push_says_which_samples_stay_and_for_which_file(shell: Shell, pushed: Path, count: int, text: str) -> None:
    (pushed / "Can" / "k.jpg").symlink_to("nowhere")
    drop(pushed, "Can", count)
    ran = shell("push", "--store", pushed)
    assert ran.code == 3 and "removed 0" in ran.out
    assert f"{text} on the service for now: part of its class could not be read" in ran.out
    assert "could not be read: Can/k.jpg; for the files: " in ran.out
    assert "astica-sync status" in ran.out
    held = shell("status", "--store", pushed).out.partition(f"Held: not removed for now ({count}):")[2]
    assert held.split("\n")[1].endswith("(part of its class could not be read: Can/k.jpg)")
    (pushed / "Can" / "l\udcfc.jpg").symlink_to("nowhere")
    one, *_ = shell("push", "--json", "--store", pushed).json["held"]
    assert one["class"] == "Can" and one["reason"].endswith(": Can/k.jpg and 1 more")
    (pushed / "Can" / "k.jpg").unlink()
    assert shell("push", "--json", "--store", pushed).json["held"][0]["reason"].endswith(": Can/l\\xfc.jpg")
    (pushed / "Can" / "l\udcfc.jpg").unlink()
    assert shell("push", "--json", "--store", pushed).json["removed"] == count


def test_a_training_after_a_refused_push_names_what_sends_it(shell: Shell, pushed: Path) -> None:
    (pushed / "astica-sync.toml").write_text("min_remove = 0\n")
    for path in sorted(pushed.glob("*/*.png"))[:3]:
        path.unlink()
    assert shell("push", "--store", pushed).code == 4
    refused = " ".join(shell("train", "--store", pushed).err.split())
    assert "store and service differ" in refused and "astica-sync push --yes" in refused, refused
    assert "Run: astica-sync push." not in refused


def test_the_column_of_a_version_is_named_after_it(shell: Shell, pushed: Path) -> None:
    assert shell("train", "--store", pushed).code == 0
    assert "class   @1  service" in shell("push", "--as", "@1", "--dry-run", "--store", pushed).out


def test_a_status_of_the_view_before_the_push_tells_what_it_is(shell: Shell, pushed: Path) -> None:
    draw(pushed / "Can" / "after.png", 4242)
    assert shell("push", "--store", pushed).code == 0
    shown = " ".join(shell("status", "--offline", "--store", pushed).out.split())
    assert "and 1 sample that the service has confirmed since" in shown and "in sync" in shown, shown


def test_the_one_file_that_cannot_be_uploaded_is_named(shell: Shell, store: Path) -> None:
    (store / "LICENSE.txt").write_text("x")
    ran = shell("push", "--store", store)
    assert "LICENSE.txt cannot be uploaded; for the reason: astica-sync status" in ran.out
    (store / "Can/notes.png").write_text("x")
    ran = shell("push", "--store", store)
    assert "2 files cannot be uploaded; for the reasons: astica-sync status" in ran.out
