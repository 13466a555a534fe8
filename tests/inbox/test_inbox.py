"""Images go from a machine without a key by an inbox into a store and to the service, each once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, in_store, on_service


def objects(inbox: Path) -> dict[str, bytes]:
    return {path.relative_to(inbox).as_posix(): path.read_bytes() for path in inbox.rglob("*") if path.is_file()}


def images(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.glob("*/*.png"))


def test_images_of_a_camera_reach_the_service_without_its_key(
    shell: Shell, camera: Shell, taken: Path, inbox: Path, store: Path, sandbox: RunningSandbox
) -> None:
    before = {path: path.read_bytes() for path in taken.rglob("*") if path.is_file()}
    ran = camera("watch", "--to", inbox, "--once", taken)
    assert ran.code == 0 and "4 images sent" in ran.out, ran
    assert sorted(objects(inbox).values()) == images(taken)
    assert {path.split("/")[0] for path in objects(inbox)} == {"Can", "Bottle"}
    # The folder of the camera is as it was, and has nothing of a store.
    assert {path: path.read_bytes() for path in taken.rglob("*") if path.is_file()} == before
    ran = shell("watch", "--from", inbox, "--once", store)
    assert ran.code == 0 and "4 images taken in (Bottle 2, Can 2)" in ran.out, ran
    assert set(images(taken)) < set(images(store))
    assert on_service(sandbox, sandbox.models()[0][0]) == in_store(store)
    assert sandbox.key.encode() not in b"".join(objects(inbox).values())
    assert not [path for path in objects(inbox) if sandbox.key in path]


def test_a_second_run_sends_and_takes_nothing(
    shell: Shell, camera: Shell, taken: Path, inbox: Path, store: Path
) -> None:
    camera("watch", "--to", inbox, "--once", taken)
    shell("watch", "--from", inbox, "--once", store)
    before, files = objects(inbox), in_store(store)
    again = camera("watch", "--to", inbox, "--once", "--json", taken).json
    assert (again["sent"], again["there"], again["sent_before"], again["failed"]) == (0, 0, 4, [])
    received, pushed = shell("watch", "--from", inbox, "--once", "--json", store).out.splitlines()
    assert '"taken": {}' in received and '"taken_before": 4' in received and '"uploaded": 0' in pushed
    # What both have recorded may be lost.
    shutil.rmtree(Path(camera.environ["XDG_STATE_HOME"]))
    (store / ".astica-sync" / "inbox.jsonl").unlink()
    again = camera("watch", "--to", inbox, "--once", "--json", taken).json
    assert (again["sent"], again["there"]) == (0, 4)
    assert shell("watch", "--from", inbox, "--once", store).code == 0
    assert objects(inbox) == before and in_store(store) == files


def test_an_image_is_taken_in_once_also_when_it_is_deleted_or_moved_here(
    shell: Shell, camera: Shell, taken: Path, inbox: Path, store: Path
) -> None:
    camera("watch", "--to", inbox, "--once", taken)
    shell("watch", "--from", inbox, "--once", store)
    deleted, moved = sorted(path for path in (store / "Can").iterdir() if len(path.stem) == 32)
    deleted.unlink()
    moved.rename(store / "Bottle" / "moved.png")
    files = in_store(store)
    assert shell("watch", "--from", inbox, "--once", store).code == 0
    assert in_store(store) == files


def test_a_renamed_file_is_not_sent_again_and_a_new_class_is(
    camera: Shell, taken: Path, inbox: Path, shell: Shell, store: Path
) -> None:
    camera("watch", "--to", inbox, "--once", taken)
    first, second = sorted((taken / "Can").iterdir())
    first.rename(first.with_name("renamed.png"))
    second.rename(taken / "Bottle" / "moved.png")
    ran = camera("watch", "--to", inbox, "--once", "--json", taken).json
    assert (ran["sent"], ran["there"], len(objects(inbox))) == (1, 1, 5)
    # The store cannot know which class is meant, as for an import.
    ran_here = shell("watch", "--from", inbox, "--once", store)
    assert ran_here.code == 3 and "the same image is in" in ran_here.err, ran_here
    assert len(images(store)) == 2 + 4


def test_what_is_no_image_is_named_and_stays_here(camera: Shell, taken: Path, inbox: Path) -> None:
    whole = (taken / "Can" / "000.png").read_bytes()
    (taken / "Can" / "half.png").write_bytes(whole[: len(whole) // 2])
    (taken / "Can" / "notes.txt").write_text("twelve cans")
    (taken / "con").mkdir()
    (taken / "loose.png").write_bytes(whole)
    (taken / "Can" / "link.png").symlink_to(taken / "loose.png")
    ran = camera("watch", "--to", inbox, "--once", "--json", taken)
    assert ran.code == 3 and ran.json["sent"] == 4, ran
    reasons = {one["path"]: one["reason"] for one in ran.json["problems"]}
    assert set(reasons) == {"Can/half.png", "Can/notes.txt", "con", "loose.png", "Can/link.png"}
    assert "broken image" in reasons["Can/half.png"] and "text file" in reasons["Can/notes.txt"]
    assert "not in a class folder" in reasons["loose.png"] and "not followed" in reasons["Can/link.png"]
    assert sorted(objects(inbox).values()) == sorted(path.read_bytes() for path in taken.glob("*/00*.png"))
    # Once it is whole it is sent.
    draw(taken / "Can" / "half.png", 77)
    assert camera("watch", "--to", inbox, "--once", "--json", taken).json["sent"] == 1


def test_rules_of_the_ignore_file_hold_for_the_folder_of_a_camera(camera: Shell, taken: Path, inbox: Path) -> None:
    (taken / ".astica-ignore").write_text("Bottle/\n")
    (taken / ".hidden").mkdir()
    draw(taken / ".hidden" / "a.png", 3)
    assert camera("watch", "--to", inbox, "--once", taken).code == 0
    assert {name.split("/")[0] for name in objects(inbox)} == {"Can"}


def test_another_object_of_the_same_name_is_not_overwritten(camera: Shell, taken: Path, inbox: Path) -> None:
    camera("watch", "--to", inbox, "--once", taken)
    name = sorted(objects(inbox))[0]
    (inbox / name).write_bytes(b"of another program")
    shutil.rmtree(Path(camera.environ["XDG_STATE_HOME"]))
    ran = camera("watch", "--to", inbox, "--once", taken)
    assert ran.code == 3 and f"another object of its name, {name}" in ran.err
    assert (inbox / name).read_bytes() == b"of another program"


def test_a_class_that_is_nearly_another_waits_for_an_answer(
    shell: Shell, camera: Shell, taken: Path, inbox: Path, store: Path
) -> None:
    (taken / "Bottle").rename(taken / "bottle")
    camera("watch", "--to", inbox, "--once", taken)
    ran = shell("watch", "--from", inbox, "--once", store)
    assert ran.code == 4 and "class 'bottle' is similar to 'Bottle', so 2 images stay in the inbox" in ran.err, ran
    assert not (store / "bottle").exists() and len(list((store / "Can").iterdir())) == 3
    command = ran.err.partition("mkdir ")[2].split()[0]
    Path(command).mkdir()
    ran = shell("watch", "--from", inbox, "--once", store)
    assert "2 images taken in (bottle 2)" in ran.out and len(list((store / "bottle").iterdir())) == 2


def test_a_taken_name_gets_a_number_as_in_an_import(
    shell: Shell, camera: Shell, taken: Path, inbox: Path, store: Path
) -> None:
    camera("watch", "--to", inbox, "--once", taken)
    name = next(name for name in objects(inbox) if name.startswith("Can/"))
    draw(store / name, 4)
    before = (store / name).read_bytes()
    assert shell("watch", "--from", inbox, "--once", store).code == 0
    assert (store / name).read_bytes() == before
    assert (store / name).with_name(f"{(store / name).stem}-2.png").read_bytes() == objects(inbox)[name]


def test_a_paused_store_takes_nothing_in(shell: Shell, camera: Shell, taken: Path, inbox: Path, store: Path) -> None:
    camera("watch", "--to", inbox, "--once", taken)
    shell("watch", "pause", "--store", store)
    assert shell("watch", "--from", inbox, "--once", store).code == 0
    assert len(images(store)) == 2


def test_an_inbox_that_is_away_stops_no_push(shell: Shell, store: Path, tmp_path: Path) -> None:
    ran = shell("watch", "--from", tmp_path / "away", "--once", store)
    assert ran.code == 1 and "the folder of the inbox" in ran.err and "is not there" in ran.err, ran
    assert "Uploaded 2" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--to", "INBOX", "--poll", "TAKEN"], 2, "--poll is for the watcher of a store"),
        (["--to", "INBOX", "--from", "INBOX", "TAKEN"], 2, "--from is for the watcher of a store"),
        (["--to", "INBOX", "TAKEN", "INBOX"], 2, "--to sends one folder"),
        (["--to", "TAKEN", "--once", "TAKEN"], 1, "overlap"),
        (["--to", "TAKEN/Can", "--once", "TAKEN"], 1, "overlap"),
        (["--to", "INBOX", "--once", "TAKEN/missing"], 1, "cannot be opened"),
        (["--to", "AWAY", "--once", "TAKEN"], 1, "the folder of the inbox"),
        (["--to", "s3://me:canary@box/x", "--once", "TAKEN"], 1, "the address of the inbox has a password"),
    ],
)
def test_wrong_use_is_explained(
    camera: Shell, taken: Path, inbox: Path, arguments: list[str], code: int, text: str
) -> None:
    places = {"INBOX": str(inbox), "TAKEN": str(taken), "AWAY": str(inbox / "away")}
    words = [places.get(word, word).replace("TAKEN/", f"{taken}/") for word in arguments]
    ran = camera("watch", *words)
    assert (ran.code, text in ran.err, "canary" in ran.err) == (code, True, False), ran.err


def test_folders_need_no_extra_package(camera: Shell, taken: Path, inbox: Path) -> None:
    script = (
        "import sys; sys.modules['obstore'] = None; from astica_sync.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    environ = {**os.environ, **camera.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script, "watch", "--to", f"file://{inbox}", "--once", str(taken)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and len(objects(inbox)) == 4, done.stderr


def test_files_that_another_user_takes_in_can_be_read(camera: Shell, taken: Path, inbox: Path) -> None:
    inbox.chmod(0o750)
    before = os.umask(0o022)
    try:
        camera("watch", "--to", inbox, "--once", taken)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in inbox.iterdir()} == {0o750}
    assert {path.stat().st_mode & 0o777 for path in inbox.glob("*/*")} == {0o640}


def test_a_service_of_the_watcher_takes_images_in(shell: Shell, store: Path, inbox: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(shell.environ.pop("ASTICA_API_KEY"))
    key.chmod(0o600)
    shell.environ["ASTICA_API_KEY_FILE"] = str(key)
    ran = shell("watch", "install", "--from", inbox, "--store", store)
    unit = next(shell.home.rglob("*.service")).read_text()
    assert ran.code == 0 and f'"--from" "{inbox}" "{store}"' in unit, (ran, unit)
    ran = shell("watch", "install", "--from", "s3://me:canary@box/x", "--store", store)
    assert ran.code == 1 and "the address of the inbox has a password" in ran.err and "canary" not in ran.err
