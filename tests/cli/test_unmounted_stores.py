"""A folder in which a store was, as an unmounted disk leaves it: empty, or not there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.fixtures_cli import push
from tests.harness.shell import Shell

ASKED = "a store was here on "


@pytest.fixture
def unmounted(shell: Shell, sandbox: RunningSandbox, store: Path) -> Iterator[Path]:
    """The empty folder of a store whose disk is not mounted."""
    push(shell, store, sandbox)
    shell.environ["COLUMNS"] = "300"
    disk = store.rename(store.with_name("disk"))
    store.mkdir()
    yield store
    assert disk.exists()


@pytest.mark.parametrize("words", ["push", "status", "watch status", "watch pause", "log"])
@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_a_command_asks_about_the_disk(shell: Shell, unmounted: Path, words: str, there: bool) -> None:
    if not there:
        unmounted.rmdir()
    ran = shell(*words.split(), "--store", unmounted)
    assert ran.code == 1
    assert f"{unmounted} has no store now; {ASKED}" in ran.err and "is its disk mounted?" in ran.err
    assert "Mount it" in ran.err and "init" not in ran.err


@pytest.mark.parametrize("words", [("watch",), ("watch", "--once")])
def test_a_watcher_asks_about_the_disk(shell: Shell, unmounted: Path, words: tuple[str, ...]) -> None:
    ran = shell(*words, unmounted)
    assert ran.code == 1 and ASKED in ran.err and "init" not in ran.err


def test_the_doctor_asks_about_the_disk(shell: Shell, unmounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = shell("doctor", "--store", unmounted)
    assert named.code == 1 and ASKED in named.out
    monkeypatch.chdir(unmounted)
    here = shell("doctor")
    assert here.code == 1 and ASKED in here.out


def test_a_folder_below_is_of_the_same_store(shell: Shell, unmounted: Path) -> None:
    (unmounted / "Can").mkdir()
    assert f"{unmounted} has no store now; {ASKED}" in shell("push", "--store", unmounted / "Can").err


def test_another_folder_has_no_store(shell: Shell, unmounted: Path) -> None:
    other = unmounted.with_name("store of another")
    other.mkdir()
    assert "no store in" in shell("push", "--store", other).err


def test_init_makes_no_other_store_there_unless_it_is_wanted(
    shell: Shell, sandbox: RunningSandbox, unmounted: Path, model_id: int
) -> None:
    for words in (["--model", str(model_id)], []):
        ran = shell("init", unmounted, *words)
        assert ran.code == 4, ran.err
        assert "is its disk mounted?" in ran.err and "add --yes" in ran.err
        assert os.listdir(unmounted) == []
    ran = shell("init", unmounted, "--model", str(model_id), "--yes")
    assert ran.code == 0 and "is its disk mounted?" in ran.err


def test_a_damaged_record_is_not_known(shell: Shell, unmounted: Path) -> None:
    for file in (shell.home / "state" / "astica-sync" / "stores").iterdir():
        file.write_text("{")
    assert "no store in" in shell("push", "--store", unmounted).err


@pytest.mark.parametrize(
    "words",
    ["status", "page --no-open --port 0", "remove-sample 1 --model 1 --yes", "doctor --probe --yes", "doctor"],
)
def test_no_command_goes_on_without_the_store_where_it_cannot_be_seen(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """A link to itself fails as a disk does."""
    (tmp_path / ".astica-sync").symlink_to(".astica-sync")
    monkeypatch.chdir(tmp_path)
    ran = shell(*words.split())
    assert ran.code == 1
    assert f"{tmp_path}/.astica-sync cannot be read: Too many levels of symbolic links" in " ".join(
        (ran.out + ran.err).split()
    )
