"""``backup prune``, the only command that deletes bytes: what it deletes, and what it keeps."""

import contextlib
import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.retention import Claim, Claims, StoredObject, find_claim
from astica_sync.errors import StorageFull, StoreError, Unworkable
from astica_sync.local.backup.backup import Backup
from astica_sync.local.db.journal import Event, Journal
from astica_sync.local.filesystem import AnyPath, FileSystem
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Ran, Shell, draw
from tests.harness.terminal import converse

YEAR = 365 * 86_400


def kept(store: Path) -> set[str]:
    """The content hashes in the backup."""
    return {path.stem for path in (store / ".astica-sync" / "backup" / "objects").glob("*/*")}


def age(store: Path) -> None:
    """Makes everything the backup and the history know a year older."""
    catalog = store / ".astica-sync" / "backup" / "catalog.jsonl"
    lines = [json.loads(line) for line in catalog.read_text("utf-8").splitlines()]
    for line in lines:
        line["added_at"] = line["added_at"].replace(line["added_at"][:4], str(int(line["added_at"][:4]) - 1), 1)
    catalog.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with sqlite3.connect(store / ".astica-sync" / "journal.db") as journal:
        journal.execute("UPDATE history SET at = at - ?", (YEAR,))
    journal.close()


def prune(shell: Shell, store: Path, *more: str) -> Ran:
    return shell("backup", "prune", "--store", store, "--older-than", "90d", *more)


@pytest.fixture
def gone(shell: Shell, pushed: Path) -> Path:
    """A store from which two images went a year ago, and from the service too."""
    for number in range(2):
        (pushed / "Can" / f"00{number}.png").unlink()
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("push", "--store", pushed).code == 0
    # The next observation shows them gone, and their marks are forgotten.
    assert shell("push", "--store", pushed).code == 0
    age(pushed)
    return pushed


def test_prune_frees_what_was_removed_as_soon_as_the_service_shows_that(shell: Shell, pushed: Path) -> None:
    (pushed / "Can" / "000.png").unlink()
    shell.environ["ASTICA_QUARANTINE"] = "60"
    assert shell("push", "--store", pushed).code == 0
    age(pushed)
    before = kept(pushed)
    ran = prune(shell, pushed, "--yes")
    assert ran.code == 0, ran.err
    assert len(before - kept(pushed)) == 1


def test_prune_keeps_what_a_late_upload_may_bring_back(shell: Shell, pushed: Path) -> None:
    (pushed / "Can" / "000.png").unlink()
    shell.environ["ASTICA_QUARANTINE"] = "60"
    assert shell("push", "--store", pushed).code == 0
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync" / "journal.db")) as journal, journal:
        changed = journal.execute("UPDATE mark SET removed = '0,' || removed WHERE state = 'removed'").rowcount
    assert changed == 1
    age(pushed)
    assert prune(shell, pushed, "--yes", "--json").json["staying"]["mark"] == 1


def test_prune_removes_unneeded_objects_and_their_catalog_lines(
    shell: Shell, sandbox: RunningSandbox, gone: Path
) -> None:
    before = kept(gone)
    ran = prune(shell, gone, "--yes")
    assert ran.code == 0, ran.err
    assert "Removed 2 images" in ran.out
    assert len(before - kept(gone)) == 2
    verified = shell("backup", "verify", "--json", "--store", gone)
    assert (verified.code, verified.json) == (0, {"good": 6, "repaired": [], "broken": []})
    assert "6 samples" in shell("backup", "list", "--store", gone).out
    log = shell("log", "--store", gone, "--json").out
    assert sum(json.loads(line)["action"] == "prune" for line in log.splitlines()) == 2
    assert shell("push", "--json", "--store", gone).json["in_sync"] is True


@pytest.mark.parametrize("allowed", [(), ("--yes",)], ids=" ".join)
def test_prune_frees_what_pushes_within_the_quarantine_have_removed(
    shell: Shell, pushed: Path, allowed: tuple[str, ...]
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "3600"
    before = kept(pushed)
    (pushed / "Can" / "000.png").unlink()
    for _ in range(2):
        assert shell("push", "--store", pushed, *allowed).code == 0
    age(pushed)
    ran = prune(shell, pushed, "--yes", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["objects"], ran.json["staying"]) == (1, {"store": len(before) - 1})
    assert len(before - kept(pushed)) == 1
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True


def test_a_dry_run_lists_objects_and_removes_nothing(shell: Shell, gone: Path) -> None:
    before = kept(gone)
    ran = prune(shell, gone, "--dry-run")
    assert ran.code == 0
    assert "- Can/000.png" in ran.out
    assert kept(gone) == before
    data = prune(shell, gone, "--dry-run", "--json").json
    assert (data["objects"], data["removed"], data["staying"]) == (2, False, {"store": 6})


def test_prune_needs_confirmation_and_a_second_one_finds_nothing(shell: Shell, gone: Path) -> None:
    before = kept(gone)
    for more in ((), ("--json",)):
        refused = prune(shell, gone, *more)
        assert refused.code == 4
        assert "removing 2 images permanently was not confirmed" in refused.err
        assert "--yes" in refused.err
    assert kept(gone) == before
    assert prune(shell, gone, "--yes").code == 0
    again = prune(shell, gone, "--yes", "--json").json
    assert (again["objects"], again["removed"]) == (0, False)


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 6), ("n", 4, 8)])
def test_on_a_terminal_prune_asks(shell: Shell, gone: Path, answer: str, code: int, left: int) -> None:
    ran = converse(shell, "There is no undo.", answer, "backup", "prune", "--store", gone, "--older-than", "90d")
    assert ran.code == code, ran.out
    assert len(kept(gone)) == left


def test_prune_keeps_objects_with_recent_events(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    (pushed / "Can" / "000.png").unlink()
    for _ in range(2):
        assert shell("push", "--store", pushed).code == 0
    assert prune(shell, pushed, "--yes", "--json").json["staying"] == {"store": 7, "age": 1}


def test_prune_keeps_objects_that_the_history_names(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    age(pushed)
    (pushed / "Can" / "000.png").unlink()
    for _ in range(2):
        assert shell("push", "--store", pushed).code == 0
    assert prune(shell, pushed, "--yes", "--json").json["staying"] == {"store": 7, "age": 1}
    (pushed / ".astica-sync" / "journal.db").unlink()
    assert prune(shell, pushed, "--yes", "--json").json["objects"] == 1


def test_prune_keeps_marked_samples(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    (pushed / "Can" / "000.png").unlink()
    sandbox.set_faults("sample_remove:1=lost-before")
    shell.environ["ASTICA_QUARANTINE"] = "3600"
    process = shell.start("push", "--store", pushed)
    while not sandbox.requests_of("sample_remove"):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    shell.finish(process)
    age(pushed)
    assert prune(shell, pushed, "--yes", "--json").json["staying"] == {"store": 7, "mark": 1}


def test_prune_keeps_what_the_service_has_even_without_marks(shell: Shell, pushed: Path) -> None:
    age(pushed)
    (pushed / ".astica-sync" / "journal.db").unlink()
    (pushed / "Can" / "000.png").unlink()
    assert prune(shell, pushed, "--yes", "--json").json["staying"] == {"store": 7, "service": 1}


def test_prune_keeps_what_a_snapshot_names(shell: Shell, gone: Path) -> None:
    lost = sorted(kept(gone) - {entry["content"] for entry in in_store(shell, gone)})
    manifest = gone / ".astica-sync" / "backup" / "some" / "manifest.jsonl"
    manifest.parent.mkdir()
    # The name may lie across two pieces of a reading.
    manifest.write_text(" " * ((1 << 20) - 10) + json.dumps({"content": lost[0]}) + "\n")
    assert prune(shell, gone, "--yes", "--json").json["staying"] == {"store": 6, "snapshot": 1}
    assert lost[0] in kept(gone)
    assert lost[1] not in kept(gone)


def test_prune_keeps_the_data_of_versions(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("train", "--store", pushed).code == 0
    (pushed / "Can" / "000.png").unlink()
    for _ in range(2):
        assert shell("push", "--store", pushed).code == 0
    age(pushed)
    assert prune(shell, pushed, "--yes", "--json").json["staying"] == {"store": 7, "snapshot": 1}


def flip(path: Path) -> None:
    """Changes one hex digit of the first content hash."""
    data = path.read_bytes()
    at = data.index(b'"content": "') + 12
    path.write_bytes(data[:at] + (b"1" if data[at : at + 1] == b"0" else b"0") + data[at + 1 :])


def misspell(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"snapshot", b"snaqshot"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("snapshots/*.jsonl", flip),
        ("snapshots/*.jsonl", Path.unlink),
        ("snapshots/*.jsonl", lambda path: path.rename(path.with_name("renamed.jsonl"))),
        ("snapshots/*.jsonl", lambda path: path.write_bytes(path.read_bytes()[:-40])),
        ("versions.jsonl", misspell),
        ("versions.jsonl", lambda path: path.write_bytes(path.read_bytes()[:-20])),
        (
            "versions.jsonl",
            lambda path: path.write_bytes(path.read_bytes().replace(b'"snapshot": "', b'"snapshot": "0')),
        ),
    ],
    ids=["flipped", "missing", "renamed", "cut", "misspelled", "half a line", "no hash"],
)
def test_prune_removes_nothing_while_a_snapshot_or_its_record_is_damaged(
    shell: Shell, pushed: Path, file: str, damage: Callable[[Path], object]
) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("train", "--store", pushed).code == 0
    (pushed / "Can" / "000.png").unlink()
    for _ in range(2):
        assert shell("push", "--store", pushed).code == 0
    age(pushed)
    before = kept(pushed)
    [path] = (pushed / ".astica-sync" / "backup").glob(file)
    damage(path)
    ran = prune(shell, pushed, "--yes")
    assert ran.code == 1
    assert "unknown which images are still needed" in ran.err
    assert "astica-sync backup verify" in ran.err
    assert kept(pushed) == before


def test_prune_removes_nothing_while_the_data_of_a_running_training_is_missing(shell: Shell, pushed: Path) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("train", "--store", pushed).code == 0
    backup = pushed / ".astica-sync" / "backup"
    [manifest] = (backup / "snapshots").iterdir()
    training = {"snapshot": manifest.stem, "samples": 8, "asked_at": 1.0, "answered": True, "name": "", "trained_at": 0}
    with contextlib.closing(sqlite3.connect(pushed / ".astica-sync" / "journal.db")) as journal, journal:
        journal.execute("INSERT OR REPLACE INTO meta VALUES ('training', ?)", (json.dumps(training),))
    (backup / "versions.jsonl").unlink()
    manifest.unlink()
    ran = prune(shell, pushed, "--yes")
    assert (ran.code, "missing in the backup" in ran.err) == (1, True), ran.err


def in_store(shell: Shell, store: Path) -> list[dict[str, str]]:
    entries = [json.loads(line) for line in shell("backup", "list", "--json", "--store", store).out.splitlines()]
    return [entry for entry in entries if (store / entry["path"]).exists()]


def test_prune_removes_nothing_while_part_of_the_store_is_unreadable(shell: Shell, gone: Path) -> None:
    before = kept(gone)
    (gone / "Bottle" / "link.png").symlink_to("000.png")
    ran = prune(shell, gone, "--yes")
    assert ran.code == 1
    assert "could not be read" in ran.err
    assert kept(gone) == before


def test_prune_removes_nothing_without_an_answer_of_the_service(
    shell: Shell, sandbox: RunningSandbox, gone: Path
) -> None:
    before = kept(gone)
    sandbox.set_faults("view=partial")
    assert prune(shell, gone, "--yes").code == 1
    assert kept(gone) == before


def test_prune_removes_nothing_while_another_process_writes(shell: Shell, gone: Path, tmp_path: Path) -> None:
    before = kept(gone)
    hold = (
        "from pathlib import Path; from astica_sync.local.layout import Layout;"
        "from astica_sync.local.lock import writer_lock; import sys\n"
        "with writer_lock(Layout(Path(sys.argv[1])), now=None): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(gone)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert prune(shell, gone, "--yes").code == 1
    holder.communicate()
    assert kept(gone) == before


def test_prune_uses_the_file_time_of_objects_without_a_catalog_line(shell: Shell, gone: Path) -> None:
    (gone / ".astica-sync" / "backup" / "catalog.jsonl").unlink()
    assert prune(shell, gone, "--yes", "--json").json["staying"] == {"store": 6, "age": 2}
    for path in (gone / ".astica-sync" / "backup" / "objects").glob("*/*"):
        os.utime(path, (time.time() - YEAR,) * 2)
    assert prune(shell, gone, "--yes", "--json").json["objects"] == 2


def test_an_image_added_again_after_a_prune_is_uploaded_and_backed_up(shell: Shell, gone: Path) -> None:
    assert prune(shell, gone, "--yes").code == 0
    draw(gone / "Can" / "again.png", 2)
    assert shell("push", "--store", gone).code == 0
    assert len(kept(gone)) == 7
    assert shell("backup", "verify", "--store", gone).code == 0


@pytest.mark.parametrize("wrong", ["0d", "90", "-1d", "1.5y", "soon"])
def test_an_invalid_age_is_wrong_usage(shell: Shell, gone: Path, wrong: str) -> None:
    assert shell("backup", "prune", "--store", gone, f"--older-than={wrong}", "--yes").code == 2
    assert shell("backup", "prune", "--store", gone, "--yes").code == 2


def test_prune_keeps_what_may_be_on_a_model_that_the_store_had_before(
    shell: Shell, sandbox: RunningSandbox, gone: Path
) -> None:
    """The observation is of the present model, and shows nothing of the first one."""
    first, second = json.loads((gone / ".astica-sync" / "store.json").read_text())["model_id"], sandbox.add_model("Two")
    lost = (gone / "Can" / "002.png").read_bytes()
    (gone / "Can" / "002.png").unlink()
    assert shell("init", gone, "--model", str(second), "--rebind").code == 0
    for _ in range(2):
        assert shell("push", "--store", gone).code == 0
    age(gone)
    ran = prune(shell, gone, "--yes", "--json")
    assert ran.code == 0, ran.err
    # The two that were removed from the first model before, and the answer confirmed it, are not needed.
    assert (ran.json["objects"], ran.json["staying"]) == (2, {"store": 5, "other_model": 1})
    assert any(sample.image == lost for sample in sandbox.samples(first))
    assert xxhash.xxh3_128_hexdigest(lost) in kept(gone)
    assert "1 sent to another model, and not known to be removed from it" in prune(shell, gone, "--dry-run").out
    assert shell("init", gone, "--model", str(first), "--rebind", "--yes").code == 0
    for _ in range(2):
        assert shell("push", "--store", gone).code == 0


@pytest.mark.parametrize(
    ("events", "stays"),
    [
        ([("upload", "done", None, "")], True),
        ([("upload", "unknown", None, "no answer")], True),
        ([("upload", "refused", None, "too large")], False),
        ([("adopt", "done", 1, "")], True),
        ([("upload", "done", None, ""), ("remove", "done", 1, "its file is gone")], False),
        ([("upload", "done", None, ""), ("remove-class", "done", 1, "its file is gone")], False),
        ([("upload", "done", None, ""), ("remove", "unknown", 1, "its file is gone: no answer")], True),
        ([("upload", "done", None, ""), ("remove", "done", 2, "it is there more than once")], True),
        ([("upload", "done", None, ""), ("remove", "done", 2, "by hand")], True),
        ([("upload", "done", None, ""), ("forget", "done", None, "")], True),
        ([("upload", "done", None, ""), ("remove", "done", 1, "its file is gone"), ("upload", "done", None, "")], True),
        (
            [
                ("upload", "done", None, ""),
                ("remove", "refused", 1, "its file is gone: busy"),
                ("remove", "done", 2, "its file is gone"),
            ],
            True,
        ),
        (
            [
                ("upload", "done", None, ""),
                ("remove", "unknown", 1, "its file is gone: no answer"),
                ("remove", "done", 1, "its file is gone"),
            ],
            False,
        ),
    ],
)
def test_what_the_history_says_of_a_sample_of_another_model(
    shell: Shell, gone: Path, events: list[tuple[str, str, int | None, str]], stays: bool
) -> None:
    content = xxhash.xxh3_128_hexdigest(b"an image of another model")
    place = gone / ".astica-sync" / "backup" / "objects" / content[:2] / f"{content}.png"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"an image of another model")
    os.utime(place, (time.time() - YEAR,) * 2)
    with Journal(gone / ".astica-sync" / "journal.db") as journal:
        journal.record(
            Event(1.0, "run", action, "Can", f"{content}-00000000", "Can/x.png", number, outcome, reason)
            for action, outcome, number, reason in events
        )
    ran = prune(shell, gone, "--yes", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["staying"].get("other_model", 0) == stays
    assert place.exists() == stays


CONTENTS = [f"{number:032x}" for number in range(6)]
SOME = st.frozensets(st.sampled_from(CONTENTS))


@given(SOME, SOME, SOME, SOME, st.lists(st.floats(), min_size=6, max_size=6), st.floats())
def test_an_object_is_removed_only_when_no_store_claims_it(
    store: frozenset[str],
    marks: frozenset[str],
    service: frozenset[str],
    snapshots: frozenset[str],
    times: list[float],
    before: float,
) -> None:
    claims = Claims(store, marks, service, snapshots, before)
    objects = [StoredObject(content, 1, at) for content, at in zip(CONTENTS, times, strict=True)]
    gone = {stored.content for stored in objects if find_claim(stored, claims) is None}
    assert not gone & (store | marks | service | snapshots)
    for entry in objects:
        if entry.content in gone:
            assert entry.last_at < before
        elif find_claim(entry, claims) is Claim.AGE:
            assert not entry.last_at < before


class Refusing(FileSystem):
    """A disk on which one kind of step fails."""

    def __init__(self, step: str) -> None:
        self._step = step

    def open_read(self, path: AnyPath) -> BinaryIO:
        if self._step == "read" and str(path).endswith("manifest.jsonl"):
            raise OSError(errno.EIO, "Input/output error")
        return super().open_read(path)

    def write_synced(self, path: Path, chunks: Iterable[bytes]) -> None:
        if self._step == "write":
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write_synced(path, chunks)

    def remove(self, path: Path) -> None:
        if self._step == "remove":
            raise OSError(errno.EROFS, "Read-only file system")
        super().remove(path)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, list[str]]:
    """A backup of two images, and their contents."""
    contents = []
    backup = Backup(tmp_path / "backup", FileSystem())
    for number in range(2):
        image = draw(tmp_path / f"{number}.png", number)
        contents.append(xxhash.xxh3_128_hexdigest(image.read_bytes()))
        backup.put(image, contents[-1])
        backup.add_samples([("Can", f"Can/{number}.png", contents[-1])], 1e9)
    return tmp_path / "backup", contents


@pytest.mark.parametrize(
    ("step", "error", "lines"),
    [("write", StorageFull, 2), ("remove", Unworkable, 1)],
)
def test_a_prune_that_fails_never_leaves_a_line_without_its_object(
    two: tuple[Path, list[str]], step: str, error: type[StoreError], lines: int
) -> None:
    root, contents = two
    with pytest.raises(error):
        Backup(root, Refusing(step)).prune({contents[0]})
    backup = Backup(root, FileSystem())
    assert sorted(backup.objects()) == sorted(contents)
    assert len(list(backup.samples())) == lines
    assert all(checked.reason is None for checked in backup.verify())
    assert backup.prune({contents[0]}) > 0
    assert list(backup.objects()) == [contents[1]]
    assert backup.prune({contents[0]}) == 0, "what is gone already costs nothing"
    assert backup.time_of(contents[0]) == 0.0


def test_a_prune_leaves_every_other_line_as_it_is(two: tuple[Path, list[str]]) -> None:
    root, contents = two
    torn = b'{"class": "Can", "path": "Can/torn'
    catalog = root / "catalog.jsonl"
    first, second = catalog.read_bytes().splitlines(keepends=True)
    catalog.write_bytes(first + b"not json\n" + second + torn)
    Backup(root, FileSystem()).prune({contents[0]})
    assert catalog.read_bytes() == b"not json\n" + second + torn + b"\n"


def test_a_manifest_that_cannot_be_read_stops_a_prune(two: tuple[Path, list[str]]) -> None:
    root, contents = two
    (root / "manifest.jsonl").write_text(contents[0])
    assert Backup(root, FileSystem()).referenced_contents() >= {contents[0]}
    with pytest.raises(StoreError, match=r"manifest\.jsonl of the backup cannot be read"):
        Backup(root, Refusing("read")).referenced_contents()
