"""What ``doctor`` says of a key that the service has refused."""

import json
import zipfile
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.system.refusal_record import FORGET_SECONDS, RefusedKey, read_refused_keys, record_refused_key
from tests.harness.shell import Shell, fill


@pytest.fixture
def store(shell: Shell, tmp_path: Path) -> Path:
    store = fill(tmp_path / "photos", {"Can": 2})
    assert shell("init", store, "--create", "Cans", "--purpose", "test").code == 0
    return store


def refusals(shell: Shell, *arguments: str | Path) -> list[tuple[str, str]]:
    found = shell("doctor", *arguments, "--json").json["findings"]
    return [(one["text"], one["hint"]) for one in found if "refused the API key" in one["text"]]


def test_a_refused_key_is_a_problem_until_it_is_replaced(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    assert refusals(shell, "--store", store) == []
    right, shell.environ["ASTICA_API_KEY"] = shell.environ["ASTICA_API_KEY"], "a-wrong-key"
    assert shell("push", "--store", store).code == 1
    ran = shell("doctor", "--store", store)
    [(text, hint)] = refusals(shell, "--store", store)
    assert ran.code == 1 and "a-wrong-key" not in ran.out
    assert text.startswith(f"127.0.0.1:{sandbox.url.rpartition(':')[2]} refused the API key from ASTICA_API_KEY, ")
    assert "the last time at 20" in text
    assert "the ASTICA_API_KEY that it was started with, or the one that it printed; set it: export" in hint
    assert f"astica-sync status --store {store}" in hint
    shell.environ["ASTICA_API_KEY"] = right
    assert refusals(shell, "--store", store) == [] and shell("doctor", "--store", store).code == 0
    assert shell("doctor", "--store", store, "--json").json["settings"]["last refused key"] == "from ASTICA_API_KEY"


def test_the_file_of_a_refused_key_is_named_and_left_out_of_a_bundle(shell: Shell, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "of mallory"
    file.touch(0o600)
    file.write_text("a-wrong-key\n")
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(file)
    assert shell("status", "--store", store).code == 1
    [(text, hint)] = refusals(shell, "--store", store)
    assert f"from the file {file}, " in text and f"write it, and nothing else, to '{file}'" in hint
    shell("doctor", "--store", store, "--bundle", tmp_path / "report.zip")
    with zipfile.ZipFile(tmp_path / "report.zip") as opened:
        packed = {name: opened.read(name).decode() for name in opened.namelist()}
    assert "mallory" not in str(packed)
    assert json.loads(packed["doctor.json"])["settings"]["last refused key"] == "from a file"


def test_a_key_that_is_accepted_again_is_no_problem(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    right, shell.environ["ASTICA_API_KEY"] = shell.environ["ASTICA_API_KEY"], "a-wrong-key"
    shell("models")
    [(_, hint)] = refusals(shell)
    assert hint.endswith("then try it: astica-sync models")
    record = shell.home / "state" / "astica-sync" / "refused-keys.json"
    assert "a-wrong-key" not in record.read_text()
    # As after a change on the service: the same key is accepted.
    shell.environ["ASTICA_API_KEY"] = right
    name, refused = next(iter(read_refused_keys(record.parent).items()))
    shell("doctor", "--probe", "--yes")
    assert refusals(shell) == []
    from astica_sync.open_session import name_in_budget, settings_for

    with pytest.MonkeyPatch.context() as patch:
        for variable, value in shell.environ.items():
            patch.setenv(variable, value)
        own = name_in_budget(settings_for(None))
    record_refused_key(record.parent, own, refused)
    assert len(refusals(shell)) == 1
    assert shell("models").code == 0
    assert refusals(shell) == [] and [*read_refused_keys(record.parent)] == [name]


def test_a_watcher_records_that_its_key_is_refused(shell: Shell, store: Path) -> None:
    shell.environ["ASTICA_API_KEY"] = "a-wrong-key"
    assert shell("watch", store, "--once").code == 1
    assert len(refusals(shell, "--store", store)) == 1


def test_a_record_that_cannot_be_read_or_written_is_none(tmp_path: Path) -> None:
    file = tmp_path / "refused-keys.json"
    for text in ("", "[]", "null", '{"a": 1}', '{"a": {"at": "x", "host": "", "source": ""}}', "[" * 100_000):
        file.write_text(text)
        assert read_refused_keys(tmp_path) == {}
    record_refused_key(tmp_path, "old", RefusedKey(1.0, "host", "ASTICA_API_KEY"))
    record_refused_key(tmp_path, "new", RefusedKey(2.0 + FORGET_SECONDS, "host", "ASTICA_API_KEY"))
    assert [*read_refused_keys(tmp_path)] == ["new"]
    assert file.stat().st_mode & 0o077 == 0
    record_refused_key(tmp_path / "none", "new", RefusedKey(2.0, "host", "ASTICA_API_KEY"))
