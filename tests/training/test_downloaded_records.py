"""What a downloaded store says of versions: its cached answers do not count, and its versions and scores are named as
made elsewhere."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from astica_sync.api import Store
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

# Seconds of real trainings for each test.
pytestmark = pytest.mark.long
LINE = "records of versions and scores came with the folder: made elsewhere, not checked"


@pytest.fixture
def held_out(store: Path, tmp_path: Path) -> Path:
    """Images of Can that are held out as Bottle, so that right answers count as wrong."""
    folder = tmp_path / "held-out"
    for number in range(4):
        draw(folder / "Bottle" / f"{number}.png", 900 + number)
    return folder


@pytest.fixture
def downloaded(shell: Shell, store: Path, held_out: Path, tmp_path: Path) -> Path:
    """The trained store of another user, with all its answers made right in the cache, as an archive brings it."""
    assert shell("train", "--store", store).code == 0
    assert shell("evaluate", held_out, "--leaks", "--store", store).code == 0
    with contextlib.closing(sqlite3.connect(store / ".astica-sync" / "detections.db")) as cache, cache:
        assert cache.execute("UPDATE detection SET label = 'Bottle', confidence = 99.9").rowcount == 4
    folder = tmp_path / "downloaded"
    shutil.copytree(store, folder)
    shell.environ |= {"XDG_STATE_HOME": str(tmp_path / "other state"), "HOME": str(tmp_path)}
    return folder


def test_answers_in_the_cache_of_a_downloaded_store_do_not_count_and_are_asked_again(
    shell: Shell, sandbox: RunningSandbox, downloaded: Path, held_out: Path
) -> None:
    (downloaded / ".astica-sync" / "scores.jsonl").unlink()
    true = shell("detect", held_out / "Bottle", "--json", "--store", downloaded)
    assert "4 cached answers were not made by you on this machine" in true.err
    right = true.out.count('"output": "Bottle"')
    sandbox.clear_log()
    ran = shell("evaluate", held_out, "--leaks", "--json", "--store", downloaded)
    assert (ran.json["versions"][0]["right"], ran.json["versions"][0]["shown"]) == (right, 4)
    assert ran.json["versions"][0]["accuracy"] < 1
    assert ran.json["made_elsewhere"] is True
    assert not sandbox.requests_of("detect") and "cached" not in ran.err, "the answers of this user are cached"
    assert LINE in shell("evaluate", held_out, "--leaks", "--store", downloaded).out


def test_versions_and_scores_of_a_downloaded_store_are_named_as_made_elsewhere_until_init_takes_them_over(
    shell: Shell, sandbox: RunningSandbox, downloaded: Path
) -> None:
    for options in ((), ("--offline",)):
        assert LINE in shell("versions", *options, "--store", downloaded).out
    assert shell("versions", "--json", "--store", downloaded).json["made_elsewhere"] is True
    refused = shell("push", "--as", "@1", "--store", downloaded)
    assert refused.code == 1 and "moved to another disk or copied" in refused.err
    asked = shell("init", downloaded)
    assert asked.code == 4
    assert "has a backup of 5 images, 1 version and 1 score that you have not made on this machine" in asked.err
    assert "Versions and scores that are recorded there count as yours" in asked.err
    assert shell("init", downloaded, "--yes").code == 0
    assert shell("versions", "--json", "--store", downloaded).json["made_elsewhere"] is False
    assert LINE not in shell("versions", "--store", downloaded).out


def test_init_asks_about_records_also_where_the_backup_has_no_image(
    shell: Shell, sandbox: RunningSandbox, downloaded: Path
) -> None:
    shutil.rmtree(downloaded / ".astica-sync" / "backup" / "objects")
    asked = shell("init", downloaded)
    assert asked.code == 4
    assert "has a backup of 1 version and 1 score that you have not made on this machine" in asked.err


def test_the_versions_of_an_own_store_are_this_users(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert shell("train", "--store", store).code == 0
    assert LINE not in shell("versions", "--store", store).out
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    with Store(store) as opened:
        assert opened.versions(offline=True).made_elsewhere is False
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other state"))
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    with Store(copy) as opened:
        found = opened.versions(offline=True)
        assert found.made_elsewhere is True
        assert "made elsewhere, not checked" in found._repr_html_()
