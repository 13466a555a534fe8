"""Files of the program with random damage: a clear error or a repair, and never a traceback, a removal, a lost image or
a request to another address."""

import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync.cli.exit_codes import EXIT_CODES
from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.digits import write_digits
from tests.harness.mutations import mutate_bytes, mutate_database, mutate_text
from tests.harness.shell import Ran, Shell

pytestmark = pytest.mark.long

STATE, MODEL = ".astica-sync", 1001
READING = ("pull-status", "push")
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "catalog": (f"{STATE}/backup/catalog.jsonl", ("backup list", "backup verify", *READING)),
    "adopted": (f"{STATE}/backup/adopted.jsonl", ("versions", *READING)),
    "versions": (f"{STATE}/backup/versions.jsonl", ("versions", "snapshot list", "push")),
    "last view": (f"{STATE}/last-view.json", ("pull-status --offline", *READING)),
    "last view in columns": (f"{STATE}/last-view.columns", ("pull-status --offline", *READING)),
    "mounts": (f"{STATE}/mounts.json", READING),
    "lock note": (f"{STATE}/lock-holder.json", READING),
    "key file": ("../key", READING),
}
DATABASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "journal": (f"{STATE}/journal.db", ("log", *READING)),
    "index": (f"{STATE}/index.db", READING),
    "detections": (f"{STATE}/detections.db", ("detect one/000.png",)),
    "inspect cache": (f"{STATE}/inspect.db", ("inspect",)),
}
MUTATIONS, SHORT, PART = 500, 12, 50
PARTS = [
    pytest.param(range(SHORT), id="a few"),
    *(
        pytest.param(range(start, min(start + PART, MUTATIONS)), id=f"{start}-", marks=pytest.mark.long)
        for start in range(SHORT, MUTATIONS, PART)
    ),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[RunningSandbox, Path]]:
    """A pushed and trained store with a sample that was made elsewhere and adopted, and its sandbox."""
    with running(limit=1_000_000) as box:
        yield box, write_digits(tmp_path / "digits", 3)


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that something in this process connects to."""
    met: list[Any] = []
    connect: Callable[..., socket.socket] = socket.create_connection

    def noted(address: Any, *rest: Any, **named: Any) -> socket.socket:
        met.append(address)
        return connect(address, *rest, **named)

    monkeypatch.setattr(socket, "create_connection", noted)
    return met


@pytest.fixture
def prepared(
    tmp_path: Path,
    store: tuple[RunningSandbox, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    box, folder = store
    shell = Shell(tmp_path / "home", box.url, box.key, capsys, monkeypatch)
    shell.environ |= {"ASTICA_LIMIT": "1000000", "ASTICA_QUARANTINE": "0.05"}
    assert box.add_model("Digits") == MODEL
    box.add_sample(MODEL, "one", (folder / "one" / "000.png").read_bytes(), "000.png_4711")
    assert shell("init", folder, "--model", str(MODEL)).code == 0
    monkeypatch.chdir(folder)
    for command in (
        "adopt --yes", "push", "train", "pull-status", "pull-status --offline", "detect one/000.png", "inspect",
    ):  # fmt: skip
        ran = run(shell, command, folder)
        assert ran.code == 0, (command, ran.err, ran.out)
    (folder / STATE / "lock-holder.json").write_text('{"pid": 4711, "command": "push", "host": "here", "since": 1e9}')
    (folder / STATE / "mounts.json").write_text('{"one": "1f-2", "two/inner": "1f-0"}')
    assert all((folder / one).exists() for one, _ in (FILES | DATABASES).values() if one != "../key")
    (tmp_path / "key").write_text(f"{box.key}\n")
    (tmp_path / "key").chmod(0o600)
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(tmp_path / "key")
    return shell


def run(shell: Shell, command: str, folder: Path) -> Ran:
    return shell(*command.split(), *([folder] if command == "inspect" else ["--store", folder]))


def objects(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / STATE / "backup" / "objects").rglob("*.png")}


def check(
    shell: Shell,
    store: tuple[RunningSandbox, Path],
    addresses: list[Any],
    file: tuple[str, tuple[str, ...]],
    mutate: Callable[[Path, random.Random], None],
    seeds: range,
) -> None:
    box, folder = store
    path, commands = file
    saved = folder.parent / "saved"
    shutil.copytree(folder / STATE, saved)
    key = (folder.parent / "key").read_bytes()
    images = {one: one.read_bytes() for one in folder.glob("*/*.png")}
    backed_up = objects(folder)
    held = {sample.sample_id: sample.image for sample in box.samples(MODEL)}
    for seed in seeds:
        box.clear_log()
        addresses.clear()
        mutate(folder / path, random.Random(seed))
        for command in commands:
            ran = run(shell, command, folder)
            story = f"mutation {seed}, {command}: {ran.err[-2000:]}{ran.out[-500:]}"
            assert ran.code in EXIT_CODES, story
            assert "Traceback" not in ran.err and "fault of the program" not in ran.err, story
            assert "192.0.2.1" not in {str(address[0]) for address in addresses}, story
            assert not box.requests_of("sample_remove") and not box.requests_of("class_remove"), story
        assert {host for host, _ in addresses} <= {"127.0.0.1", "localhost"}
        assert {one: one.read_bytes() for one in folder.glob("*/*.png")} == images, seed
        assert objects(folder).items() >= backed_up.items(), seed
        now = {sample.sample_id: sample.image for sample in box.samples(MODEL)}
        assert now.items() >= held.items(), seed
        shutil.rmtree(folder / STATE)
        shutil.copytree(saved, folder / STATE)
        (folder.parent / "key").write_bytes(key)
        (folder.parent / "key").chmod(0o600)
        if len(now) > len(held):
            for extra in now.keys() - held.keys():
                box.remove_sample(extra)


@pytest.mark.parametrize("seeds", PARTS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_an_error_or_repaired_and_removes_nothing(
    prepared: Shell, store: tuple[RunningSandbox, Path], addresses: list[Any], name: str, seeds: range
) -> None:
    def mutate(path: Path, dice: random.Random) -> None:
        path.write_bytes((mutate_bytes if "key" in name else mutate_text)(path.read_bytes(), dice))

    check(prepared, store, addresses, FILES[name], mutate, seeds)


@pytest.mark.parametrize("seeds", PARTS)
@pytest.mark.parametrize("name", DATABASES)
def test_a_damaged_database_is_an_error_or_repaired_and_removes_nothing(
    prepared: Shell, store: tuple[RunningSandbox, Path], addresses: list[Any], name: str, seeds: range
) -> None:
    check(prepared, store, addresses, DATABASES[name], mutate_database, seeds)
