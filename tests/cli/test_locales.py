"""The class of a file does not depend on the locale: titles are the UTF-8 of the folder's bytes."""

import codecs
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from astica_sync.core.model import make_scope
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill, in_store, on_service

pytestmark = pytest.mark.long

OLD = {
    "C": "ascii",
    "de_DE.ISO-8859-1": "iso8859-1",
    "tr_TR.ISO-8859-9": "iso8859-9",
    "ru_RU.KOI8-R": "koi8-r",
    "bg_BG.CP1251": "cp1251",
    "ja_JP.EUC-JP": "euc_jp",
    "zh_CN.GB18030": "gb18030",
    "zh_TW.BIG5": "big5",
}
"""Locales, and the name that Python gives to their encoding."""


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled locales."""
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not installed")
    return tmp_path_factory.mktemp("locales")


@pytest.fixture(params=OLD)
def old_locale(request: pytest.FixtureRequest, shell: Shell) -> str:
    """Commands that are started have a locale that is not UTF-8, and a Python that does not change that by itself. The
    name of its encoding."""
    name: str = request.param
    shell.environ |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": name}
    if name != "C":
        folder: Path = request.getfixturevalue("locales")
        language, _, encoding = name.partition(".")
        subprocess.run(["localedef", "-i", language, "-f", encoding, folder / name], check=False, capture_output=True)
        if not (folder / name).is_dir():
            pytest.skip("the sources of the locale are not installed")
        shell.environ["LOCPATH"] = str(folder)
    return OLD[name]


def names(shell: Shell) -> str:
    """The encoding of file names in a Python that is started now."""
    code = "import sys; print(sys.getfilesystemencoding())"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **shell.environ}, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def test_a_class_is_the_same_in_every_locale(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, old_locale: str
) -> None:
    assert codecs.lookup(names(shell)).name == codecs.lookup(old_locale).name
    fill(
        store,
        {"g\u00e4bel": 2, "\u0130\u0131\u015f\u0131k": 1, "\u043a\u043e\u0448\u043a\u0430": 1, "\u732b": 1},
        start=30,
    )
    for command in ("push", "pull-status"):
        ran = shell.finish(shell.start(command, "--store", store, errors="replace"))
        assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)
    assert {sample.class_title for sample in sandbox.samples(model_id)} == {
        *("Bottle", "Can", "g\u00e4bel", "\u0130\u0131\u015f\u0131k", "\u043a\u043e\u0448\u043a\u0430", "\u732b")
    }
    sandbox.clear_log()
    assert shell("push", "--store", store).code == 0
    assert [request.call for request in sandbox.log] == ["view"]
    (store / "g\u00e4bel" / "000.png").unlink()
    (store / "Can" / "000.png").rename(store / "g\u00e4bel" / "moved.png")
    ran = shell.finish(shell.start("push", "--store", store, errors="replace"))
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(store)


RARE_NAMES = "Gl\u00f6\u00dfe", "\U0001f944 l\u00f6ffel"
"""Names with characters that no old encoding has, or only some."""


def lines_of(shell: Shell, *arguments: str | Path) -> list[dict[str, Any]]:
    """The JSON lines that a command prints, from its bytes."""
    ran = shell.finish(shell.start(*arguments, "--json", encoding="latin-1"))
    assert ran.code in (0, 3), ran.err
    return [json.loads(line) for line in ran.out.encode("latin-1").decode("utf-8").splitlines()]


def test_json_is_the_same_in_every_locale(shell: Shell, store: Path, old_locale: str) -> None:
    assert codecs.lookup(names(shell)).name == codecs.lookup(old_locale).name
    fill(store, {RARE_NAMES[0]: 1, RARE_NAMES[1]: 1}, start=30)
    (store / "Can" / os.fsdecode(b"f\xf6.psd")).write_bytes(b"8BPS")
    [status] = lines_of(shell, "status", "--store", store)
    assert {entry["class"] for entry in status["plan"]["upload"]} >= set(RARE_NAMES)
    assert [entry["path"] for entry in status["problems"]] == ["Can/f\\xf6.psd"]
    [watched] = lines_of(shell, "watch", store, "--once")
    assert [entry["path"] for entry in watched["problems"]] == ["Can/f\\xf6.psd"]
    entries = lines_of(shell, "log", "--store", store)
    assert {entry["path"] for entry in entries} >= {f"{name}/000.png" for name in RARE_NAMES}


@pytest.mark.parametrize("name", [b"g\xc3\xa4bel", b"ga\xcc\x88bel"])
def test_a_title_is_the_utf8_of_the_bytes(name: bytes) -> None:
    assert class_title_of(os.fsdecode(name)) == "g\u00e4bel"


def test_a_name_that_is_not_utf8_is_no_title() -> None:
    assert class_title_of(os.fsdecode(b"g\xe4bel")) is None


def test_a_sample_that_another_locale_sent_to_a_wrong_class_leaves_it(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    """What an earlier version left behind: a mark of a class that no folder has, at a path whose file is there."""
    fill(pushed, {"g\u00e4bel": 1}, start=30)
    assert shell("push", "--store", pushed).code == 0
    wrong = "g\u00c3\u00a4bel"
    [sample] = [one for one in sandbox.samples(model_id) if one.class_title == "g\u00e4bel"]
    uid = f"{sample.uid[:32]}-{make_scope(model_id, wrong)}"
    sandbox.add_sample(model_id, wrong, sample.image, uid)
    with sqlite3.connect(pushed / ".astica-sync" / "journal.db") as journal:
        row = (uid, wrong, "g\u00e4bel/000.png".encode())
        journal.execute("INSERT INTO mark VALUES (?, ?, 'agreed', 1.0, 'earlier', ?, NULL)", row)
        journal.execute("UPDATE meta SET value = '\"changed\"' WHERE key = 'marks_name'")
    ran = shell("push", "--store", pushed)
    assert ran.code == 0, ran.out + ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_no_veto_lasts_for_ever(shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int) -> None:
    """The index has another image at a path than the disk: the second look finds out, and the next scan reads it."""
    path = pushed / "Can" / "000.png"
    with sqlite3.connect(pushed / ".astica-sync" / "index.db") as index:
        other = index.execute("SELECT content FROM file WHERE name = ?", (b"001.png",)).fetchone()[0]
        changed = index.execute(
            "UPDATE file SET content = ? WHERE name = ? AND folder_id = (SELECT id FROM folder WHERE path = ?)",
            (other, path.name.encode(), b"Can"),
        )
        assert changed.rowcount == 1
    assert shell("push", "--store", pushed).code == 3
    ran = shell("push", "--store", pushed)
    assert ran.code == 0, ran.out + ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)
