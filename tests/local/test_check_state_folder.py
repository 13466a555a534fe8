"""The hidden folder: whose it may be, no links in it, and permissions for its owner alone."""

import contextlib
import grp
import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync import file_owner
from astica_sync.errors import ConfigError, StoreChanged, StoreError
from astica_sync.file_owner import refuse_foreign_file
from astica_sync.local.backup.backup import Backup
from astica_sync.local.check_state_folder import (
    UntrustedOwner,
    check_state_folder,
    foreign_owners,
    tighten_state_folder,
)
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem, write_new
from astica_sync.local.jsonl import append_jsonl
from astica_sync.local.layout import Layout
from astica_sync.local.lock import is_watched, watcher_lock, writer_lock
from astica_sync.local.store_sentinel import check_root
from astica_sync.sync.watch.change_queue import ChangeQueue
from astica_sync.sync.watch.fs_events import PROBE, FsEvents
from tests.harness.parameters import rest_long

OTHER, THIRD = 54_321, 54_322
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs files of another user")


def make(root: Path) -> Layout:
    root.mkdir(parents=True, exist_ok=True)
    return create_store(root, model_id=7, train_url="https://train.example", now=1000.0)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make(tmp_path / "store")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# Owners


def give_root(layout: Layout) -> None:
    os.chown(layout.root, OTHER, OTHER)


def give_state(layout: Layout) -> None:
    os.chown(layout.state, OTHER, OTHER)


def give_sentinel(layout: Layout) -> None:
    os.chown(layout.sentinel_file, OTHER, OTHER)


def give_settings(layout: Layout) -> None:
    (layout.root / "astica-sync.toml").write_text("")
    os.chown(layout.root / "astica-sync.toml", OTHER, OTHER)


def give_journal(layout: Layout) -> None:
    layout.journal_db.write_bytes(b"")
    os.chown(layout.journal_db, OTHER, OTHER)


def give_catalog(layout: Layout) -> None:
    layout.backup.mkdir()
    (layout.backup / "catalog.jsonl").write_bytes(b"")
    os.chown(layout.backup / "catalog.jsonl", OTHER, OTHER)


GIVEN = [give_root, give_state, give_sentinel, give_settings, give_journal, give_catalog]


@needs_root
@pytest.mark.parametrize("give", GIVEN)
def test_files_of_another_user_are_refused_until_that_user_is_trusted(
    layout: Layout, give: Callable[[Layout], None]
) -> None:
    check_state_folder(layout)
    give(layout)
    with pytest.raises(UntrustedOwner, match=f"belongs to user id {OTHER}") as caught:
        check_state_folder(layout)
    assert f"astica-sync trust --owner --store {layout.root}" in caught.value.hint
    assert foreign_owners(layout) == {OTHER}
    with pytest.raises(UntrustedOwner):
        check_state_folder(layout, {THIRD})
    check_state_folder(layout, {OTHER})


@needs_root
def test_root_believes_the_user_who_called_sudo(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    give_root(layout)
    give_state(layout)
    for called_by in ("", "none", str(THIRD), "-1"):
        monkeypatch.setenv("SUDO_UID", called_by)
        with pytest.raises(UntrustedOwner):
            check_state_folder(layout)
    monkeypatch.setenv("SUDO_UID", str(OTHER))
    check_state_folder(layout)


@needs_root
def test_another_user_cannot_claim_to_have_called_sudo(layout: Layout) -> None:
    give_state(layout)
    layout.root.chmod(0o755)
    code = "import os; from astica_sync.file_owner import believed_users; print(*sorted(believed_users()))"
    ran = subprocess.run(
        ["setpriv", "--reuid", str(THIRD), "--clear-groups", sys.executable, "-c", code],
        env={**os.environ, "SUDO_UID": str(OTHER), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split() == ["0", str(THIRD)], ran.stderr


@needs_root
def test_the_files_of_root_are_believed_by_everybody(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    check_state_folder(layout)
    os.chown(layout.root, OTHER, OTHER)
    check_state_folder(layout)
    os.chown(layout.root, THIRD, THIRD)
    with pytest.raises(UntrustedOwner):
        check_state_folder(layout)


# Links

PLACES = [
    "store.json",
    "journal.db",
    "journal.db-journal",
    "index.db",
    "index.db.lock",
    "lock",
    "lock-wanted",
    "lock-holder.json",
    "watch.lock",
    "watch.json",
    "watch-paused",
    "last-view.json",
    "last-view.columns",
    "scores.jsonl",
    "detections.db",
    ".tmp-0123456789abcdef",
    "backup",
    "backup/catalog.jsonl",
    "backup/versions.jsonl",
    "backup/README.txt",
    "backup/objects",
    "backup/objects/ab",
    "backup/snapshots",
    f"backup/snapshots/{'0' * 32}.jsonl",
    "page",
    "page/changes.db",
    "page/changes.db-journal",
    "page/features.db",
    "page/kept",
    "page/kept/0",
    "page/thumbnails/ab",
    "of-a-later-version/file",
]


@pytest.mark.parametrize("to", ["file", "folder", "nothing"])
@pytest.mark.parametrize("place", PLACES)
def test_a_link_in_the_hidden_folder_is_refused_before_anything_is_written(
    layout: Layout, tmp_path: Path, place: str, to: str
) -> None:
    target = tmp_path / "mine"
    if to == "file":
        target.write_bytes(b"my letter")
    elif to == "folder":
        target.mkdir()
    path = layout.state / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    with pytest.raises(StoreError, match="is a symbolic link") as caught:
        check_state_folder(layout)
    assert f"rm {path}" in caught.value.hint
    assert not target.is_file() or target.read_bytes() == b"my letter"
    assert not target.is_dir() or not list(target.iterdir())
    assert target.exists() == (to != "nothing")


def test_a_link_in_place_of_the_hidden_folder_is_refused(layout: Layout, tmp_path: Path) -> None:
    layout.state.rename(tmp_path / "elsewhere")
    layout.state.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a symbolic link"):
        check_state_folder(Layout(layout.root))
    with pytest.raises(StoreError, match="is a symbolic link"):
        make(layout.root)


@needs_root
@pytest.mark.parametrize("planted", ["a link", "another user's file"])
@pytest.mark.parametrize("place", [".", "backup", "backup/objects", "backup/snapshots"])
@pytest.mark.parametrize("permissions", rest_long(1, [0o300, 0o311, 0o100, 0o400, 0o000]))
def test_a_folder_that_cannot_be_listed_is_refused(permissions: int, place: str, planted: str) -> None:
    """An archive may have such a folder, in which files are opened by their names all the same."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        layout = make(Path(top) / "store")
        folder = layout.state / place
        folder.mkdir(parents=True, exist_ok=True)
        (Path(top) / "letter").write_bytes(b"my letter")
        for path in (layout.root, *layout.root.rglob("*")):
            os.chown(path, THIRD, THIRD)
        if planted == "a link":
            (folder / "watch-probe").symlink_to(Path(top) / "letter")
        else:
            (folder / "store.json").write_bytes(b"{}")
            os.chown(folder / "store.json", OTHER, OTHER)
        folder.chmod(permissions)
        code = f"""
import sys
from pathlib import Path
from astica_sync.errors import StoreError
from astica_sync.local.create_store import create_store
from astica_sync.local.layout import Layout
from astica_sync.local.check_state_folder import check_state_folder
from tests.harness.parameters import rest_long
for use in (check_state_folder, lambda layout: create_store(layout.root, model_id=7, train_url="a", now=1.0)):
    try:
        use(Layout(Path({str(layout.root)!r})))
    except StoreError as error:
        print(error, error.hint)
"""
        ran = subprocess.run(
            ["setpriv", "--reuid", str(THIRD), "--regid", str(THIRD), "--clear-groups", sys.executable, "-c", code],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        lines = ran.stdout.splitlines()
        assert len(lines) == 2 and not ran.stderr, ran
        assert all("cannot be listed" in line and f"chmod u+rwx {folder}" in line for line in lines), ran.stdout
        assert (Path(top) / "letter").read_bytes() == b"my letter"
        assert mode(folder) == permissions


@pytest.mark.parametrize(
    "place",
    [
        "journal.db",
        "lock",
        "lock-holder.json",
        "scores.jsonl",
        "backup/catalog.jsonl",
        "page/changes.db",
        "page/changes.db-journal",
        "page/features.db",
        "of-a-later-version/file",
    ],
)
def test_a_second_name_of_a_users_file_is_refused_and_the_hint_helps(
    layout: Layout, tmp_path: Path, place: str
) -> None:
    letter = tmp_path / "letter"
    letter.write_bytes(b"my letter")
    path = layout.state / place
    path.parent.mkdir(exist_ok=True)
    path.hardlink_to(letter)
    with pytest.raises(StoreError, match="hard link") as caught:
        check_state_folder(layout)
    assert letter.read_bytes() == b"my letter"
    subprocess.run(["sh", "-c", caught.value.hint.partition(": ")[2]], check=True)
    check_state_folder(layout)
    path.write_bytes(b"changed")
    assert letter.read_bytes() == b"my letter"


@pytest.mark.parametrize("place", ["overwritten/a.png", "overwritten/Can/a.png", "page/kept/0123", "backup/objects/a"])
def test_a_photo_with_a_second_name_may_be_kept(layout: Layout, tmp_path: Path, place: str) -> None:
    photo = tmp_path / "photo"
    photo.write_bytes(b"my photo")
    path = layout.state / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.hardlink_to(photo)
    check_state_folder(layout)
    path.with_name("link").symlink_to(photo)
    with pytest.raises(StoreError, match="link"):
        check_state_folder(layout)


@pytest.fixture(params=["fifo", "socket"])
def strange(request: pytest.FixtureRequest, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = layout.state / "watch.json"
    if request.param == "fifo":
        os.mkfifo(path)
        yield path
    else:
        monkeypatch.chdir(layout.state)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("watch.json")
            yield path


def test_what_is_neither_a_file_nor_a_folder_is_refused_without_being_opened(layout: Layout, strange: Path) -> None:
    with pytest.raises(StoreError, match="neither a file nor a folder"):
        check_state_folder(layout)


# The same by each writer alone, for what is put there while the program runs.


def by_appending(layout: Layout, path: Path) -> None:
    append_jsonl(FileSystem(), path, [{"a": 1}])


def by_replacing(layout: Layout, path: Path) -> None:
    FileSystem().write_synced(path, [b"new"])


def by_writing(layout: Layout, path: Path) -> None:
    write_new(path, b"new")


def by_journal(layout: Layout, path: Path) -> None:
    with Journal(path) as journal:
        journal.set_meta("a", 1)


def by_index(layout: Layout, path: Path) -> None:
    with Index(path) as index:
        index.set_meta("a", 1)


def by_lock(layout: Layout, path: Path) -> None:
    path.rename(layout.lock_file)
    with writer_lock(layout):
        pass


def by_watcher(layout: Layout, path: Path) -> None:
    path.rename(layout.watch_lock)
    with watcher_lock(layout):
        pass


def by_holder(layout: Layout, path: Path) -> None:
    path.rename(layout.state / "lock-holder.json")
    with writer_lock(layout, command="x"):
        pass


def by_event_probe(layout: Layout, path: Path) -> None:
    path.rename(layout.state / PROBE)
    events = FsEvents(layout, ChangeQueue(lambda: None), lambda: 0.0)
    assert events.start() == "", "the probe arrives where something of its name is in the way"
    events.stop()


WRITERS = [by_appending, by_replacing, by_writing, by_journal, by_index, by_lock, by_watcher, by_holder, by_event_probe]


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("write", WRITERS)
def test_no_writer_follows_a_link(
    layout: Layout, tmp_path: Path, write: Callable[[Layout, Path], None], exists: bool
) -> None:
    target = tmp_path / "letter"
    if exists:
        target.write_bytes(b"my letter")
    link = layout.state / "link"
    link.symlink_to(target)
    with contextlib.suppress(OSError, StoreError):
        write(layout, link)
    assert target.exists() == exists
    assert not exists or target.read_bytes() == b"my letter"


def swap_for_a_link(layout: Layout, other: Path) -> dict[str, bytes]:
    """Puts a link to another store's hidden folder in place of the hidden folder; returns what is in the other one."""
    layout.state.rename(layout.root / "gone")
    layout.state.symlink_to(other)
    return listed(other)


def listed(folder: Path) -> dict[str, bytes]:
    """The files with their contents, and when each folder was changed last: by a temporary file as well."""
    return {
        str(path): path.read_bytes() if path.is_file() else str(path.stat().st_mtime_ns).encode()
        for path in [folder, *sorted(folder.rglob("*"))]
    }


LINKED: dict[str, Callable[[Layout], object]] = {
    "append": lambda layout: append_jsonl(FileSystem(), layout.state / "scores.jsonl", [{"a": 1}]),
    "replace": lambda layout: FileSystem().write_synced(layout.watch_state, [b"new"]),
    "write": lambda layout: write_new(layout.watch_paused, b""),
    "copy": lambda layout: FileSystem().copy_synced(layout.root / "a.png", layout.backup / "objects" / ".tmp-1"),
    "time": lambda layout: FileSystem().time_ns(layout.state),
    "folder": lambda layout: FileSystem().make_folder(layout.backup / "objects"),
    "lock": lambda layout: contextlib.ExitStack().enter_context(writer_lock(layout)),
    "watch": lambda layout: contextlib.ExitStack().enter_context(watcher_lock(layout)),
    "probe": lambda layout: FsEvents(layout, ChangeQueue(lambda: None), lambda: 0.0)._receives_events(),
}


@pytest.mark.parametrize("write", LINKED.values(), ids=LINKED.keys())
def test_no_writer_works_in_a_folder_that_was_exchanged_for_a_link(
    layout: Layout, tmp_path: Path, write: Callable[[Layout], object]
) -> None:
    other = make(tmp_path / "other")
    (layout.root / "a.png").write_bytes(b"an image")
    (other.backup / "objects").mkdir(parents=True)
    other.watch_state.write_bytes(b"{}")
    before = swap_for_a_link(layout, other.state)
    with contextlib.suppress(OSError, StoreError):
        write(layout)
    assert listed(other.state) == before
    assert not is_watched(layout)


def test_a_scan_locks_nothing_in_a_folder_that_was_exchanged_for_a_link(layout: Layout, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    with Index(layout.index_db) as index:
        before = swap_for_a_link(layout, other.state)
        with index.scanning():
            assert listed(other.state) == before
    with pytest.raises(StoreChanged, match="is a symbolic link"):
        check_root(layout)


@pytest.mark.parametrize("write", [by_appending, by_replacing, by_writing, by_holder])
def test_no_writer_changes_a_file_by_its_second_name(
    layout: Layout, tmp_path: Path, write: Callable[[Layout, Path], None]
) -> None:
    letter = tmp_path / "letter"
    letter.write_bytes(b"my letter")
    link = layout.state / "link"
    link.hardlink_to(letter)
    with contextlib.suppress(OSError):
        write(layout, link)
    assert letter.read_bytes() == b"my letter"


@pytest.mark.parametrize("linked", ["backup", "backup/objects", "backup/objects/f6"])
def test_no_object_is_written_through_a_link(layout: Layout, tmp_path: Path, linked: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "image").write_bytes(b"one")
    path = layout.state / linked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path / "elsewhere")
    backup = Backup(layout.backup, FileSystem(), Always)
    with pytest.raises(StoreError):
        backup.put(tmp_path / "image", Always().hexdigest())
    assert list((tmp_path / "elsewhere").iterdir()) == []


class Always:
    """A hash with one value."""

    def update(self, data: bytes, /) -> None:
        pass

    def hexdigest(self) -> str:
        return "f6" * 16


# Permissions


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_written_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "image").write_bytes(b"one")
    before = os.umask(umask)
    try:
        layout = make(tmp_path / "store")
        with Journal(layout.journal_db) as journal, Index(layout.index_db) as index, index.scanning():
            journal.set_meta("a", 1)
        backup = Backup(layout.backup, FileSystem(), Always)
        backup.put(tmp_path / "image", Always().hexdigest())
        backup.add_samples([("Can", "Can/a.png", Always().hexdigest())], at=0)
        write_new(layout.watch_paused, b"")
        with writer_lock(layout), watcher_lock(layout):
            modes = {path: mode(path) for path in (layout.state, *layout.state.rglob("*"))}
    finally:
        os.umask(before)
    assert {path.name for path in modes} >= {"journal.db", "index.db", "lock", "lock-holder.json", "catalog.jsonl"}
    wrong = {str(path): oct(found) for path, found in modes.items() if found != (0o700 if path.is_dir() else 0o600)}
    assert wrong == {}


def test_a_file_of_the_user_keeps_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        FileSystem().write_synced(tmp_path / "split.json", [b"{}"])
        FileSystem().make_folder(tmp_path / "restored" / "Can")
    finally:
        os.umask(before)
    assert mode(tmp_path / "split.json") == 0o644
    assert mode(tmp_path / "restored" / "Can") == 0o755


def test_a_store_of_an_earlier_version_is_tightened(layout: Layout, tmp_path: Path) -> None:
    objects = layout.backup / "objects" / "ab"
    objects.mkdir(parents=True)
    (objects / "object.jpg").write_bytes(b"one")
    (tmp_path / "mine").write_bytes(b"my letter")
    (objects / "named-twice.jpg").hardlink_to(tmp_path / "mine")
    for path in (layout.state, *layout.state.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    layout.root.chmod(0o755)
    check_state_folder(layout)
    assert mode(layout.state) == mode(objects) == 0o700
    assert mode(objects / "object.jpg") == mode(layout.sentinel_file) == 0o600
    assert mode(tmp_path / "mine") == 0o644, "its other name is outside the store"
    assert mode(layout.root) == 0o755, "the images are the user's own matter"


def test_a_file_system_without_permissions_is_tolerated(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    layout.state.chmod(0o777)
    asked: list[Path] = []

    def refuse(path: Path, wanted: int, **options: object) -> None:
        asked.append(path)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    tighten_state_folder(layout)
    monkeypatch.setattr(Path, "chmod", lambda path, wanted, **options: asked.append(path))
    tighten_state_folder(layout)
    assert asked == [layout.state] * 2, "the files are not tried one by one"


@needs_root
def test_files_of_another_user_keep_their_permissions(layout: Layout) -> None:
    layout.state.chmod(0o755)
    give_state(layout)
    check_state_folder(layout, {OTHER})
    assert mode(layout.state) == 0o755


# The user's own folder


def test_the_users_folder_is_private_and_tightened(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    file_owner.make_private_folder(folder)
    assert mode(folder) == 0o700
    folder.chmod(0o755)
    file_owner.make_private_folder(folder)
    assert mode(folder) == 0o700
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="is a symbolic link"):
        file_owner.make_private_folder(folder)


@needs_root
def test_a_users_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"belongs to user id {OTHER}"):
        file_owner.make_private_folder(folder)


@needs_root
def test_under_sudo_the_users_folder_is_made_for_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(OTHER))
    os.chown(tmp_path, OTHER, OTHER)
    file_owner.make_private_folder(tmp_path / "state")
    assert (tmp_path / "state").stat().st_uid == OTHER


def test_a_file_in_place_of_the_users_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        file_owner.make_private_folder(tmp_path / "state")


# Files of the user that a group may write


@pytest.mark.parametrize(
    ("group", "members", "refused"),
    [
        (OTHER, [], False),
        (OTHER, ["anna"], False),
        (OTHER, ["anna", "mallory"], True),
        (THIRD, ["anna"], True),
        (None, [], True),
    ],
)
@pytest.mark.parametrize("name", ["anna", "users"])
def test_a_file_that_a_group_may_write_is_refused_unless_the_group_is_the_owners_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    group: int | None,
    members: list[str],
    refused: bool,
) -> None:
    """The system's lists of users and groups are replaced; ``group`` None: it has no such group."""
    file = tmp_path / "config.toml"
    file.write_text("")
    file.chmod(0o664)
    user = pwd.struct_passwd(("anna", "x", file.stat().st_uid, file.stat().st_gid, "", "/", "/bin/sh"))
    main = file.stat().st_gid if group == OTHER else THIRD

    def find_group(number: int) -> grp.struct_group:
        if group is None:
            raise KeyError(number)
        return grp.struct_group((name, "x", number, members))

    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd((*user[:3], main, *user[4:])))
    monkeypatch.setattr(grp, "getgrgid", find_group)
    if refused or name != "anna":
        with pytest.raises(ConfigError, match="can write your settings file"):
            refuse_foreign_file(file.stat(), file, "your settings file")
        file.chmod(0o644)
    refuse_foreign_file(file.stat(), file, "your settings file")
