"""``split`` moves samples of the store and nothing else, also where others wrote its list or exchange folders."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from astica_sync.errors import StoreError
from astica_sync.local import move_file as move_file_module
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.move_file import NotMoved, move_file
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.move_held_out import SPLIT_FILE, Split, make_split
from tests.harness.digits import write_digits
from tests.harness.shell import Shell

MALLORY = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    folder = write_digits(tmp_path / "pictures" / "digits", 10)
    assert shell("init", folder, "--model", str(sandbox.add_model("Digits"))).code == 0
    return folder


@pytest.fixture
def held_out(store: Path) -> Path:
    folder = store.parent / "held-out"
    folder.mkdir()
    return folder


def plant(held_out: Path, store: Path, *paths: str) -> None:
    fields = {"store": str(store), "share": 0.2, "seed": 0, "done": False, "paths": paths}
    (held_out / SPLIT_FILE).write_text(json.dumps(fields))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".astica-sync" not in path.parts and path.name != SPLIT_FILE
    }


@pytest.mark.parametrize(
    "path",
    [
        "../precious.txt",
        "astica-sync.toml/x.png",
        "{outside}",
        "one/../../precious.txt",
        "astica-sync.toml",
        ".astica-sync/store.json",
        "one/.hidden.png",
        "one//000.png",
        "./one/000.png",
        "one/000.png\0",
        "",
        "one/",
        "notes/a.txt",
        "one/none.png",
    ],
)
def test_a_planted_list_moves_and_removes_no_file_that_is_no_sample(
    path: str, shell: Shell, store: Path, held_out: Path
) -> None:
    precious = store.parent / "precious.txt"
    precious.write_text("mine")
    (store / "notes").mkdir()
    (store / "notes" / "a.txt").write_text("no image")
    (store / "one" / ".hidden.png").write_bytes((store / "one" / "000.png").read_bytes())
    plant(held_out, store, path.format(outside=precious))
    before = files_of(store.parent)
    ran = shell("split", "--to", held_out, "--yes", "--store", store)
    assert ran.code == 1, ran.out
    assert files_of(store.parent) == before


@pytest.mark.parametrize("link", ["one", "one/deep", "one/000.png", "."])
def test_a_planted_link_in_the_held_out_folder_is_not_followed(
    link: str, shell: Shell, store: Path, held_out: Path
) -> None:
    elsewhere = store.parent / "elsewhere"
    elsewhere.mkdir()
    (store / "one" / "deep").mkdir()
    (store / "one" / "000.png").rename(store / "one" / "deep" / "000.png")
    shutil.copy(store / "one" / "deep" / "000.png", store / "one" / "000.png")
    plant(held_out, store, "one/000.png", "one/deep/000.png")
    if link == ".":
        # The whole folder leads back into the folder of the store's owner.
        shutil.rmtree(held_out)
        held_out.symlink_to(store, target_is_directory=True)
    else:
        (held_out / link).parent.mkdir(exist_ok=True)
        (held_out / link).symlink_to(elsewhere)
    before = sorted(files_of(store.parent).values())
    assert shell("split", "--to", held_out, "--yes", "--store", store).code == 1
    assert list(elsewhere.iterdir()) == []
    assert sorted(files_of(store.parent).values()) == before


@needs_root
@pytest.mark.parametrize("foreign", ["folder", "list", "link"])
def test_a_held_out_folder_or_list_of_another_user_is_refused(
    foreign: str, shell: Shell, store: Path, held_out: Path
) -> None:
    plant(held_out, store, "one/000.png")
    target = held_out
    if foreign == "link":
        target = held_out.with_name("link")
        target.symlink_to(held_out)
    os.chown(
        {"folder": held_out, "list": held_out / SPLIT_FILE, "link": target}[foreign],
        MALLORY,
        MALLORY,
        follow_symlinks=False,
    )
    before = files_of(store.parent)
    ran = shell("split", "--to", target, "--yes", "--store", store)
    assert ran.code == 1
    assert f"belongs to user id {MALLORY}" in ran.err
    assert files_of(store.parent) == before


@pytest.fixture
def exchanged(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder of a class that another user may exchange, and a private folder with a file of the same name."""
    private = tmp_path / "private"
    (tmp_path / "store" / "m").mkdir(parents=True)
    private.mkdir()
    (tmp_path / "store" / "m" / "a.png").write_bytes(b"sample")
    (private / "a.png").write_bytes(b"private")
    yield tmp_path / "store", private
    assert (private / "a.png").read_bytes() == b"private"


@pytest.mark.parametrize("same_bytes", [False, True])
@pytest.mark.parametrize("kind", ["folder is a link", "file is a link", "another file", "pipe"])
def test_what_is_exchanged_while_the_question_is_open_is_not_moved(
    kind: str, same_bytes: bool, exchanged: tuple[Path, Path], tmp_path: Path
) -> None:
    store, private = exchanged
    content = xxhash.xxh3_128_hexdigest(b"private" if same_bytes else b"sample")

    def content_of(path: str) -> str:
        if kind == "folder is a link":
            (store / "m").rename(store / ".old")
            (store / "m").symlink_to(private)
        else:
            (store / path).unlink()
            if kind == "file is a link":
                (store / path).symlink_to(private / "a.png")
            elif kind == "another file":
                (store / path).write_bytes(b"another")
            else:
                os.mkfifo(store / path)
        return content

    with pytest.raises(StoreError, match="was not moved"):
        make_split(Split(tmp_path / "out", store, ("m/a.png",), 0.2, 0), FileSystem(), content_of)
    assert not (tmp_path / "out" / "m" / "a.png").exists()


def test_a_split_file_and_its_folder_stay_as_private_as_they_were(tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    (store / "m").mkdir(parents=True, mode=0o700)
    (store / "open").mkdir(mode=0o755)
    for path, mode in (("m/a.png", 0o600), ("open/a.png", 0o644)):
        (store / path).write_bytes(b"image")
        (store / path).chmod(mode)
    content = xxhash.xxh3_128_hexdigest(b"image")
    before = os.umask(0)
    try:
        assert make_split(Split(out, store, ("m/a.png", "open/a.png"), 0.2, 0), FileSystem(), lambda _: content) == 2
    finally:
        os.umask(before)
    modes = {path: (out / path).stat().st_mode & 0o777 for path in ("m", "m/a.png", "open", "open/a.png")}
    assert modes == {"m": 0o700, "m/a.png": 0o600, "open": 0o755, "open/a.png": 0o644}


@pytest.mark.parametrize("path", ["../precious.png", "m/../../precious.png", "precious.png", ".m/a.png"])
def test_a_split_made_in_python_moves_no_file_that_is_no_sample(path: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for place in ("m/a.png", ".m/a.png", "precious.png", "../precious.png"):
        (store / place).parent.mkdir(parents=True, exist_ok=True)
        (store / place).write_bytes(b"image")
    before = files_of(tmp_path)
    content = xxhash.xxh3_128_hexdigest(b"image")
    with pytest.raises(StoreError, match="was not moved"):
        make_split(Split(tmp_path / "out", store, (path,), 0.2, 0), FileSystem(), lambda _: content)
    assert files_of(tmp_path) == before


def test_a_different_image_of_the_same_content_hash_in_the_held_out_folder_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two such images are made in no time: XXH3-128 is not cryptographic."""
    monkeypatch.setattr(move_file_module, "_hash", lambda file: "0" * 32)
    old, new = tmp_path / "old", tmp_path / "new"
    for root, data in ((old, b"the only copy"), (new, b"another image")):
        (root / "Can").mkdir(parents=True)
        (root / "Can" / "1.png").write_bytes(data)
    with pytest.raises(NotMoved, match="a different file of that name exists"):
        move_file(old, new, "Can/1.png", "0" * 32)
    assert (old / "Can" / "1.png").read_bytes() == b"the only copy"
    for longer in (b"the only copy and more", b"the only"):
        (new / "Can" / "1.png").write_bytes(longer)
        with pytest.raises(NotMoved):
            move_file(old, new, "Can/1.png", "0" * 32)
    (new / "Can" / "1.png").write_bytes(b"the only copy")
    assert move_file(old, new, "Can/1.png", "0" * 32)
    assert not (old / "Can" / "1.png").exists()


def test_a_moved_image_keeps_its_time(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "Can").mkdir(parents=True)
    new.mkdir()
    (old / "Can" / "1.png").write_bytes(b"image")
    os.utime(old / "Can" / "1.png", ns=(10**18, 10**18 + 7))
    assert move_file(old, new, "Can/1.png", xxhash.xxh3_128_hexdigest(b"image"))
    assert (new / "Can" / "1.png").stat().st_mtime_ns == 10**18 + 7
