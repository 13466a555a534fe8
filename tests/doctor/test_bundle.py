"""``doctor --bundle``: nothing private is in it, looked for with names that stand nowhere else."""

import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.config import SETTINGS, Setting, _checked, find_key
from astica_sync.doctor.bundle import PUBLIC, PUBLIC_VALUES, make_bundle
from astica_sync.doctor.check_budget import number_to_set
from astica_sync.doctor.check_store import WRITER
from astica_sync.doctor.redaction import Redactor
from astica_sync.doctor.report import Report
from astica_sync.doctor.section import Section
from astica_sync.errors import ConfigError, StoreError
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from astica_sync.mirror.mirror_status import read_record, write_record
from astica_sync.system.error_record import FILE_NAME, MOST_KEPT, read_errors, record_error
from astica_sync.system.redact_message import LEFT_OUT, keep_known, message_template
from astica_sync.system.refusal_record import LimitRefusals
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


PLACES = (
    f"../{CANARY} Corp/Jane {CANARY}",
    f"{CANARY}",
    f"Jane {CANARY}",
    f"/data/Jane {CANARY}",
    f"/data/a (b)/{CANARY}, {CANARY}",
    f"~/{CANARY} Doe/nas",
    f"./{CANARY}",
    f"C:\\{CANARY} x",
    f"\\\\{CANARY}\\share",
    f"file:///{CANARY} a/b",
    f"s3://{CANARY}/a b/{CANARY}",
    f"anna@{CANARY}:/nas/{CANARY}",
    f"{CANARY}.example.org:5432",
    f"https://train.astica.ai/ {CANARY}",
    f"https://{CANARY}.example.org (default) {CANARY}",
    f"<store>/{CANARY}",
    f"<store> {CANARY}",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_of_any_form_is_in_no_fact_and_no_finding(place: str) -> None:
    names = {
        "settings": [*(one.name for one in SETTINGS if one.name.endswith("url") or one.name == "budget"), "key"],
        "machine": ["state folder", "temporary folder", "HTTPS_PROXY", "no_proxy"],
        "service": ["facts in"],
        "request budget": ["counted on", "counted in"],
        "store": ["folder", "service", "mirror", "a fact of tomorrow"],
    }
    texts = (place, f"{place} (default)", f"from {place}", f"0.1 ({place})")
    sections = []
    for title, facts in names.items():
        for text in texts:
            section = Section(title, dict.fromkeys(facts, text))
            section.note(f"the last copy to the mirror failed: {text}", f"try again: astica-sync backup mirror {text}")
            section.problem(text, text)
            sections.append(section)
    for number in range(len(texts)):
        parts = parts_of(make_bundle(Report(None, tuple(sections[number :: len(texts)])), None, {}))
        assert CANARY not in str(parts), texts[number]
        assert "the last copy to the mirror failed: " in parts["doctor.json"]


def test_each_text_of_a_report_is_public_or_a_word(shell: Shell, private_store: Path, tmp_path: Path) -> None:
    """Every fact of a real report, with a place in it: what is left is named as public, one by one."""
    shell.environ |= {"ASTICA_BUDGET": "", "ASTICA_LIMIT": "80"}
    report = shell("doctor", "--store", private_store, "--json").json
    texts = {
        (title.replace("_", " "), name)
        for title, facts in report.items()
        if title not in ("findings", "program", "packages")
        for name, fact in facts.items()
        if isinstance(fact, str)
    }
    assert len(texts) > 25
    shown = set()
    for title, name in sorted(texts - {("store", WRITER)}):
        made = make_bundle(Report(None, (Section(title, {name: PLACES[0]}),)), None, {})
        if CANARY in parts_of(made)["doctor.json"]:
            shown.add((title, name))
    assert shown <= {(title, name) for title, names in PUBLIC.items() for name in names}


def test_a_relative_mirror_is_recorded_whole_and_is_not_in_the_bundle(
    shell: Shell, private_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (private_store / "astica-sync.toml").unlink()
    monkeypatch.chdir(private_store)
    mirror = Path("..", f"{CANARY} Corp", f"Jane {CANARY}")
    mirror.mkdir(parents=True)
    assert shell("backup", "mirror", mirror).code == 0
    whole = str(private_store / mirror)
    assert shell("doctor", "--json").json["store"]["mirror"] == whole
    mirror.rename(mirror.with_name("moved"))
    shell("backup", "mirror", mirror)
    # The record has a seal of the commands' state folder.
    monkeypatch.setenv("XDG_STATE_HOME", shell.environ["XDG_STATE_HOME"])
    layout = Layout(private_store)
    record = read_record(layout)
    assert record is not None
    for place in (whole, str(mirror), f"s3://{CANARY}/x y"):
        write_record(layout, replace(record, place=place, error=f"no {place}"))
        (tmp_path / "report.zip").unlink(missing_ok=True)
        shell("doctor", "--bundle", tmp_path / "report.zip")
        parts = parts_of((tmp_path / "report.zip").read_bytes())
        assert CANARY not in str(parts)
        assert json.loads(parts["doctor.json"])["store"]["mirror"].startswith("<")


def test_class_titles_and_the_address_of_a_cluster_in_settings_are_not_in_the_bundle(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    (store / "astica-sync.toml").write_text(f'owns = ["Can", "{CANARY}-box (new)"]\n')
    shell.environ["ASTICA_EXECUTOR"] = f"dask://{CANARY}.example.org:8786"
    shell("doctor", "--store", store, "--bundle", tmp_path / "report.zip")
    parts = parts_of((tmp_path / "report.zip").read_bytes())
    assert CANARY not in "".join(parts.values())
    settings = json.loads(parts["doctor.json"])["settings"]
    assert settings["owns"] == "<left out> (<store>/astica-sync.toml)"
    assert settings["executor"] == "<ASTICA_EXECUTOR> (ASTICA_EXECUTOR)"


def test_no_part_of_the_path_of_settings_is_in_the_bundle_however_it_is_spelled(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    place = store.rename(store.with_name(f"{CANARY} (of anna) (2026)"))
    (place / "astica-sync.toml").write_text('limit = 20\nquarantine = 90\ntrain_url = "https://train.astica.ai"\n')
    shell("doctor", "--store", place, "--bundle", tmp_path / "report.zip")
    parts = parts_of((tmp_path / "report.zip").read_bytes())
    assert CANARY not in "".join(parts.values()) and "anna" not in "".join(parts.values())
    settings = json.loads(parts["doctor.json"])["settings"]
    assert (settings["limit"], settings["max_side"]) == ("20 (<store>/astica-sync.toml)", "0 (default)")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_a_setting_whose_value_is_in_the_bundle_takes_no_text_of_the_user(setting: Setting) -> None:
    if setting.name in PUBLIC_VALUES:
        for value in (CANARY, [CANARY], {CANARY: CANARY}, f"5 {CANARY}"):
            with pytest.raises(ValueError):
                setting.parse(value)


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
    assert [one["at"] for one in read_errors(folder)] == [float(number) for number in range(3, MOST_KEPT + 3)]
    assert {one["template"] for one in read_errors(folder)} == {LEFT_OUT}, "no words of this program"
    assert (folder / FILE_NAME).stat().st_mode & 0o077 == 0
    try:
        json.loads("{")
    except ValueError as error:
        record_error(error, "push", 1.0, "0")
    assert (read_errors(folder)[-1]["error"], read_errors(folder)[-1]["template"]) == ("j_s_o_n_decode_error", "")
    (folder / FILE_NAME).write_bytes(b"\xff{[\n" + b'{"at": "x"}\n[1]\n')
    record_error(PermissionError(13, "the secret is denied", "/secret"), "push", 2.0, "0")
    assert [one.get("template") for one in read_errors(folder)] == [None, "Permission denied"]
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).mkdir()
    record_error(ConfigError("nowhere"), "push", 3.0, "0")
    assert read_errors(folder) == []


def test_a_key_in_the_wrong_place_is_in_no_record_and_no_bundle(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)
    key, odd = "Sk4pQ7zvK2mWx9TbN8rJ", "zqx/Sk4pQ7zvK2mWx9Tb+N8rJ=="
    wrong: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"ASTICA_API_KEY": "", "ASTICA_API_KEY_FILE": key}, ("push",)),
        ({"ASTICA_API_KEY": "", "ASTICA_API_KEY_FILE": odd}, ("push",)),
        ({"ASTICA_API_KEY": "", "ASTICA_API_KEY_FILE": f"/{odd}"}, ("push",)),
        ({"ASTICA_API_KEY": "", "ASTICA_API_KEY_FILE": f"/{key}"}, ("push",)),
        ({"ASTICA_API_KEY": "", "ASTICA_API_KEY_FILE": key * 20}, ("push",)),
        ({"ASTICA_LIMIT": key}, ("status",)),
        ({"ASTICA_QUARANTINE": odd}, ("status",)),
        ({"ASTICA_TRAIN_URL": f"https://x.invalid/{key}"}, ("push",)),
        ({"ASTICA_TRAIN_URL": f"https://{key}.example"}, ("push",)),
        ({"ASTICA_TRAIN_URL": f"https://x.invalid/?tkn={key}"}, ("push",)),
        ({}, ("detect", key)),
        ({}, ("detect", odd)),
        ({}, ("status", "--store", key)),
        ({}, ("init", key)),
        ({}, ("evaluate", key)),
        ({}, ("import", f"{key}.zip")),
        ({}, ("snapshot", "diff", key, "@2")),
        ({}, ("backup", "restore", f"Can/{key}.png")),
        ({}, ("backup", "mirror", f"s3://{key}")),
    ]
    before = dict(shell.environ)
    usual, secrets = len(read_errors(shell.home / "state" / "astica-sync")), (key, odd, key.lower())
    for number, (changes, words) in enumerate(wrong):
        shell.environ.update(changes)
        ran = shell(*words)
        assert ran.code == 1, (words, ran)
        if "ASTICA_API_KEY_FILE" in changes:
            assert ran.err.startswith("astica-sync: ASTICA_API_KEY_FILE names no file\n"), ran.err
            assert not any(secret in ran.out + ran.err for secret in secrets), ran.err
        if changes:
            shell("doctor", "--bundle", tmp_path / f"{number}.zip")
        shell.environ = dict(before)
    # Without the variable that has the key, when nothing but the record could have it.
    shell("doctor", "--bundle", tmp_path / "last.zip")
    for file in tmp_path.glob("*.zip"):
        assert not any(secret in str(parts_of(file.read_bytes())) for secret in secrets), file
    folder = shell.home / "state" / "astica-sync"
    assert not any(secret in (folder / FILE_NAME).read_text() for secret in secrets)
    kept = [one["template"] for one in read_errors(folder)][usual:]
    assert [text for text in kept if "names no file" in text] == ["ASTICA_API_KEY_FILE names no file"] * 5
    assert f"{LEFT_OUT} is {LEFT_OUT} in ASTICA_LIMIT" in kept and f"no such file: {LEFT_OUT}" in kept


def test_the_names_of_what_is_missing_are_not_in_the_bundle(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)
    for words in (
        ("evaluate", f"{CANARY}HeldOut"),
        ("detect", f"{CANARY}.jpg"),
        ("detect", f"{CANARY}\nno such file: {CANARY}"),
        ("import", f"{CANARY}.zip"),
        ("snapshot", "diff", f"{CANARY}Version", "@2"),
        ("status", "--store", f"{CANARY}Store"),
    ):
        assert shell(*words).code == 1
    other = tmp_path / "other"
    other.mkdir()
    for number, place in enumerate((store, other, Path(f"{CANARY}Nowhere"))):
        shell("doctor", "--store", place, "--bundle", tmp_path / f"{number}.zip")
        parts = parts_of((tmp_path / f"{number}.zip").read_bytes())
        assert CANARY not in str(parts)
        texts = [one["text"] for one in json.loads(parts["errors.json"])]
        assert texts[-6:] == [
            f"no such folder: {LEFT_OUT}",
            f"no such file: {LEFT_OUT}",
            # A name that has words of the program in it.
            f"no such file: {LEFT_OUT}no such file: {LEFT_OUT}",
            f"{LEFT_OUT} cannot be read: No such file or directory",
            f"no version {LEFT_OUT} is known",
            f"no such folder: {LEFT_OUT}",
        ]
    assert f"no such folder: {LEFT_OUT}" in parts["doctor.json"]


def test_a_line_of_another_program_gives_the_bundle_no_text(shell: Shell, store: Path, tmp_path: Path) -> None:
    record = shell.home / "state" / "astica-sync" / FILE_NAME
    line = {"at": CANARY, "command": f"push {CANARY}", "error": f"/{CANARY}", "text": CANARY, "where": [f"/{CANARY}"]}
    record.write_text(json.dumps(line) + "\n")
    shell("doctor", "--store", store, "--bundle", tmp_path / "report.zip")
    assert CANARY not in str(parts_of((tmp_path / "report.zip").read_bytes()))


@given(st.text("ab \n", max_size=40), st.lists(st.text("ab \n", max_size=4), max_size=4))
def test_nothing_stays_of_a_message_but_whole_texts_of_the_program(text: str, known: list[str]) -> None:
    parts = keep_known(text, known).split(LEFT_OUT)
    for part in parts:
        places = {0}
        for end in range(1, len(part) + 1):
            if any(end - len(one) in places and part[:end].endswith(one) for one in known if one):
                places.add(end)
        assert len(part) in places
    assert keep_known(text, []) == (LEFT_OUT if text else "")


def test_the_words_of_an_error_are_found_where_it_was_made() -> None:
    """By a helper that has returned before it was raised; from another error; from a reason of the system."""
    try:
        try:
            find_key({"ASTICA_API_KEY_FILE": f"/{CANARY}"})
        except ConfigError as error:
            raise StoreError(f"{CANARY} {error}") from error
    except StoreError as error:
        assert message_template(error) == f"{LEFT_OUT}ASTICA_API_KEY_FILE names no file"
    text = f"the API key from {LEFT_OUT} contains white space or control characters"
    assert message_template(checked(CANARY)) == text


def checked(source: str) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        _checked("a b", source)
    return raised.value.with_traceback(None)


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


def test_the_numbers_of_findings_are_in_the_bundle_and_those_of_names_are_not() -> None:
    section = Section("request budget")
    refusals = LimitRefusals(1.0e9, 1.0e9, 27, 90, 60.0, 41)
    refused = "the service refused 27 requests because of its rate limit, the last one at "
    section.note(f"{refused}2026-11-30 19:48", number_to_set(refusals))
    section.note("the last copy to the mirror failed: 4711 and 030123456 images", "1,234 objects are not in the mirror")
    section.note("the last copy to the mirror failed: 2023 images/7 samples of anna", "export ASTICA_LIMIT=5550199")
    findings = json.loads(parts_of(make_bundle(Report(None, (section,)), None, {}))["doctor.json"])["findings"]
    assert findings[0]["text"] == f"{refused}{LEFT_OUT}"
    assert "In the 60 s before" in findings[0]["hint"] and "41 of this machine's requests went" in findings[0]["hint"]
    assert "export ASTICA_LIMIT=41" in findings[0]["hint"]
    assert findings[1]["hint"] == "1,234 objects are not in the mirror"
    assert not any(secret in str(findings) for secret in ("4711", "030123456", "2023", "anna", "5550199"))
