"""``doctor --bundle``: nothing private is in it, looked for with names that stand nowhere else."""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.doctor.redaction import Redactor
from astica_sync.errors import ConfigError
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from astica_sync.system.error_record import FILE_NAME, MOST_KEPT, read_errors, record_error
from tests.harness.shell import Shell, draw

CANARY = "zqxcanary"


@pytest.fixture
def private_store(shell: Shell, tmp_path: Path, sandbox: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pushed store in which every name is a canary, with a failure, a removal and an odd setting."""
    store = tmp_path / f"{CANARY}-photos of anna"
    for number, title in enumerate((f"{CANARY} Dose", f'{CANARY}\'s "box"', f"{CANARY}-\u00e9\u4e2d")):
        draw(store / title / f"{CANARY}-{number}.png", number)
        draw(store / title / f"{CANARY}-{number}b.png", number + 100)
    (store / f"{CANARY} Dose" / f"{CANARY}-broken.png").write_bytes(b"no image")
    shell.environ |= {
        "USER": f"{CANARY}user",
        "XDG_CACHE_HOME": f"/{CANARY}/cache",
        "HTTPS_PROXY": f"http://{CANARY}:secret@{CANARY}.example.org:3128",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    assert shell("init", store, "--create", f"{CANARY} model", "--purpose", f"{CANARY} purpose").code == 0
    assert shell("push", "--store", store).code in (0, 3)
    (store / f"{CANARY} Dose" / f"{CANARY}-0.png").unlink()
    assert shell("push", "--store", store, "--yes").code in (0, 3)
    (store / "astica-sync.toml").write_text(f'detect_url = "https://{CANARY}.example.org/{CANARY}"\n')
    return store


def parts_of(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


def test_no_canary_is_in_the_bundle(shell: Shell, private_store: Path, tmp_path: Path) -> None:
    (private_store / "astica-sync.toml").rename(private_store / "aside.toml")
    ran = shell("push", "--store", private_store, "--key", CANARY)
    assert ran.code == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(shell.environ, "ASTICA_API_KEY", f"{CANARY}-wrong")
        assert shell("push", "--store", private_store).code == 1
    for wrong in (f'{CANARY} = "{CANARY}"', f'limit = "{CANARY}"', f"{CANARY}'"):
        (private_store / "astica-sync.toml").write_text(wrong)
        assert shell("status", "--store", private_store).code == 1
    (private_store / "aside.toml").replace(private_store / "astica-sync.toml")
    assert shell("import", tmp_path / f"{CANARY} \"x' {CANARY}", "--store", private_store).code == 1
    with writer_lock(Layout(private_store), now=1.8e9, command=f"push --new-class {CANARY} anna/({CANARY})"):
        shell("doctor", "--store", private_store, "--bundle", tmp_path / "report.zip")
    parts = parts_of((tmp_path / "report.zip").read_bytes())
    assert json.loads(parts["doctor.json"])["store"]["written to by"] == f"process {os.getpid()}"
    assert set(parts) == {"README.txt", "doctor.json", "errors.json", "events.json", "watcher.json"}
    for name, text in parts.items():
        decoded = text + json.dumps(json.loads(text), ensure_ascii=False) if name.endswith("json") else text
        assert CANARY not in decoded, name
        assert shell.environ["ASTICA_API_KEY"] not in decoded
        assert "anna" not in decoded
        assert str(tmp_path) not in decoded
    events = json.loads(parts["events.json"])
    assert {event["action"] for event in events} >= {"upload", "remove"}
    assert {event["class"][:6] for event in events if event["class"]} == {"class-"}
    assert json.loads(parts["doctor.json"])["packages"]["xxhash"]
    errors = json.loads(parts["errors.json"])
    assert [(one["command"], one["error"]) for one in errors][-5:] == [
        ("push", "bad_key"),
        *[("status", "config_error")] * 3,
        ("import", "astica_sync_error"),
    ]
    assert "refuse" in errors[-5]["text"] and any(
        "http_exchange" in frame or "client" in frame for frame in errors[-5]["where"]
    )


def test_a_bundle_is_no_file_of_the_store(shell: Shell, store: Path) -> None:
    for name in ("report.zip", "Can/../report.zip"):
        ran = shell("doctor", "--store", store, "--bundle", store / name)
        assert (ran.code, (store / "report.zip").exists()) == (1, False)
        assert "would be a file of the store" in ran.err and "--bundle ~/report.zip" in ran.err


def test_the_errors_of_the_last_commands_are_kept_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "astica-sync"
    record_error(ConfigError("nowhere"), "push", 0.0, "0")
    assert not folder.exists()
    folder.mkdir()
    for number in range(MOST_KEPT + 3):
        record_error(ConfigError(f"number {number}"), "push", float(number), "0")
    assert [one["text"] for one in read_errors(folder)] == [f"number {number}" for number in range(3, MOST_KEPT + 3)]
    assert (folder / FILE_NAME).stat().st_mode & 0o077 == 0
    try:
        json.loads("{")
    except ValueError as error:
        record_error(error, "push", 1.0, "0")
    assert (read_errors(folder)[-1]["error"], read_errors(folder)[-1]["text"]) == ("j_s_o_n_decode_error", "")
    (folder / FILE_NAME).write_bytes(b"\xff{[\n" + b'{"at": "x"}\n[1]\n')
    record_error(PermissionError(13, "denied", "/secret"), "push", 2.0, "0")
    assert [one.get("text") for one in read_errors(folder)] == [None, "denied"]
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).mkdir()
    record_error(ConfigError("nowhere"), "push", 3.0, "0")
    assert read_errors(folder) == []


def test_the_name_of_a_wrong_setting_stays(tmp_path: Path) -> None:
    redactor = Redactor({"/data/photos": "<store>", "/home/anna": "<HOME>"})
    for path in ("<store>/astica-sync.toml", "<HOME>/.config/astica-sync/config.toml"):
        text = f"{path} sets 'limitt', which is not a setting"
        given = text.replace("<store>", "/data/photos").replace("<HOME>", "/home/anna")
        assert redactor.text(given) == text
    assert redactor.text("/data/photos/a sets b.png, c") == "<store>/..., c"


@pytest.mark.long
def test_the_canaries_can_be_found(shell: Shell, private_store: Path) -> None:
    assert CANARY in shell("doctor", "--store", private_store, "--json").out


@pytest.mark.long
def test_the_same_report_gives_a_bundle_of_its_owner_alone_and_overwrites_nothing(
    shell: Shell, private_store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "report.zip"
    shell("doctor", "--store", private_store, "--bundle", file)
    assert file.stat().st_mode & 0o077 == 0
    before = file.read_bytes()
    again = shell("doctor", "--store", private_store, "--bundle", file)
    assert again.code == 1
    assert "exists" in again.err
    assert file.read_bytes() == before


@pytest.mark.long
def test_a_damaged_store_has_a_bundle(shell: Shell, private_store: Path, tmp_path: Path) -> None:
    Layout(private_store).journal_db.write_bytes(b"no database")
    shell("doctor", "--store", private_store, "--bundle", tmp_path / "report.zip")
    parts = parts_of((tmp_path / "report.zip").read_bytes())
    assert CANARY not in str(parts)
    assert json.loads(parts["events.json"]) == []


@given(st.lists(st.text("abcé /.-'\"", min_size=1, max_size=8).filter(str.strip), max_size=4), st.text())
def test_no_name_stays_where_it_stands_alone(names: list[str], around: str) -> None:
    redactor = Redactor(dict.fromkeys(names, "<name>"))
    for name in names:
        assert f"({name})" not in redactor.text(f"{around} ({name}) {around}").replace("(<name>)", "")


def test_words_that_only_contain_a_name_stay() -> None:
    redactor = Redactor({"Can": "class-1"}, ["https://train.astica.ai"])
    shown = redactor.text(
        "Cannot read Can/a b.png in /home/anna/Can; asks https://x.example/y, not https://train.astica.ai"
    )
    assert shown == "Cannot read class-1/...; asks <address>, not https://train.astica.ai"
