"""``astica-sync doctor``: what it shows of a healthy store, and what it says of one that is not."""

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
import tomllib
from pathlib import Path

import pytest

from astica_sync.cli.start.doctor import _table
from astica_sync.clock import SystemClock, local_time
from astica_sync.core.rate_limit import Lane
from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.doctor import check_budget, check_disk, check_program
from astica_sync.local.layout import Layout
from astica_sync.local.lock import watcher_lock, writer_lock
from astica_sync.remote.rate_limiter import limiter_name
from astica_sync.secret import Secret
from tests.harness.shell import Shell, draw

ROOT = Path(__file__).parents[2]
NOTHING_AHEAD = "nothing ahead of uploads"


@pytest.fixture
def store(shell: Shell, photos: Path, sandbox: object) -> Path:
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    assert shell("push", "--store", photos).code == 0
    return photos


def problems(shell: Shell, *arguments: str | Path) -> list[str]:
    found = shell("doctor", "--json", *arguments).json["findings"]
    return [one["text"] for one in found if one["level"] == "problem"]


def test_a_healthy_store_has_no_problem(shell: Shell, store: Path) -> None:
    ran = shell("doctor", "--store", store, "--json")
    assert ran.code == 0, ran.out
    shown = ran.json
    assert (shown["store"]["folder"], shown["store"]["samples sent"]) == (str(store), 8)
    assert (shown["settings"]["key"], shown["settings"]["limit"]) == ("from ASTICA_API_KEY", "90 (default)")
    assert shown["settings"]["class_remove"] == "true (default)"
    assert shown["settings"]["quarantine"] == "0.4 (ASTICA_QUARANTINE)"
    assert shown["disk"]["locks"] is True
    assert shown["request_budget"]["limit"] == 90
    assert shown["watcher"] == {"running": False}
    assert shown["packages"]["xxhash"]


def test_every_extra_is_listed_with_what_it_is_for(shell: Shell, store: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(check_program.EXTRAS) == set(declared)
    shown = shell("doctor", "--store", store, "--json").json["packages"]
    assert {name.removeprefix("extra ") for name in shown if name.startswith("extra ")} == set(declared)


@pytest.mark.long
def test_the_text_says_the_same(shell: Shell, store: Path) -> None:
    ran = shell("doctor", "--store", store)
    assert ran.code == 0
    for words in ("settings", "key         ", "from ASTICA_API_KEY", "locks", "request budget", "samples sent"):
        assert words in ran.out, words
    assert shell.environ["ASTICA_API_KEY"] not in ran.out


def test_an_id_has_no_thousands_separator() -> None:
    assert _table({"model": 1001, "user id": 1000, "samples sent": 1000}) == [
        "  model         1001",
        "  user id       1000",
        "  samples sent  1,000",
    ]


@pytest.mark.long
def test_nothing_is_sent_and_nothing_in_the_store_changes(shell: Shell, store: Path) -> None:
    shell.environ |= {"ASTICA_TRAIN_URL": "http://127.0.0.1:9", "ASTICA_DETECT_URL": "http://127.0.0.1:9"}
    before = {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}
    assert shell("doctor", "--store", store, "--json").code in (0, 1)
    assert {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()} == before


@pytest.mark.long
def test_without_a_store_and_a_key_the_rest_is_shown(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del shell.environ["ASTICA_API_KEY"]
    monkeypatch.chdir(tmp_path)
    ran = shell("doctor", "--json")
    assert ran.code == 1
    assert ran.json["store"] == {}
    assert {one["text"] for one in ran.json["findings"]} >= {
        "no API key",
        "there is no store in this folder or above it",
    }


@pytest.mark.long
def test_a_folder_that_is_no_store_is_a_problem(shell: Shell, tmp_path: Path) -> None:
    assert any(text.startswith("no store in") for text in problems(shell, "--store", tmp_path))


@pytest.mark.long
def test_a_wrong_setting_is_a_problem_and_the_rest_is_shown(shell: Shell, store: Path) -> None:
    (store / "astica-sync.toml").write_text("limmit = 3\n")
    ran = shell("doctor", "--store", store, "--json")
    assert ran.code == 1
    assert "'limmit', which is not a setting" in str(ran.json["findings"])
    assert ran.json["disk"]["locks"] is True


@pytest.mark.long
def test_an_address_in_the_stores_files_is_named(shell: Shell, store: Path) -> None:
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        del shell.environ[name]
    (store / "astica-sync.toml").write_text('detect_url = "https://detect.example.org"\n')
    found = problems(shell, "--store", store)
    assert any("ask to send your API key to https://detect.example.org" in text for text in found)


@pytest.mark.long
@pytest.mark.parametrize("name", ["index.db", "journal.db"])
def test_a_damaged_database_is_named_and_left_as_it_is(shell: Shell, store: Path, name: str) -> None:
    file = Layout(store).state / name
    file.write_bytes(b"SQLite format 3\0" + bytes(5000))
    assert any(name in text for text in problems(shell, "--store", store))
    assert file.read_bytes().endswith(bytes(5000))


@pytest.mark.long
def test_a_copy_of_a_store_is_named(shell: Shell, store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    assert any("copied" in text or "made on another" in text for text in problems(shell, "--store", copy))


@pytest.fixture
def with_failed(shell: Shell, store: Path) -> Path:
    """A store of which two images failed."""
    for name in ("a", "b"):
        # The whole image is decoded by the push alone, which finds its end missing.
        file = draw(store / "Can" / f"{name}.png", ord(name))
        file.write_bytes(file.read_bytes()[:-20])
    assert shell("push", "--store", store).code == 3
    return store


def failed_samples(shell: Shell, store: Path) -> int:
    ran = shell("doctor", "--store", store, "--json")
    assert ran.code == 0
    text = "samples that failed and are not tried again by themselves: "
    count = next((int(each["text"].removeprefix(text)) for each in ran.json["findings"] if text in each["text"]), 0)
    assert count == ran.json["store"]["samples that failed"]
    return count


@pytest.mark.long
def test_failed_samples_are_noted_as_long_as_they_are_in_the_store(shell: Shell, with_failed: Path) -> None:
    assert failed_samples(shell, with_failed) == 2
    (with_failed / "Can" / "a.png").rename(with_failed / "Can" / "c.png")
    shell("status", "--store", with_failed)
    assert failed_samples(shell, with_failed) == 2
    # Ignored, and not even looked at since.
    (with_failed / ".astica-ignore").write_text("c.png\n")
    assert failed_samples(shell, with_failed) == 1
    shell("status", "--store", with_failed)
    assert failed_samples(shell, with_failed) == 1
    (with_failed / "Can" / "b.png").unlink()
    assert failed_samples(shell, with_failed) == 0


@pytest.mark.long
def test_failed_samples_are_known_without_the_index(shell: Shell, with_failed: Path) -> None:
    Layout(with_failed).index_db.unlink()
    assert failed_samples(shell, with_failed) == 2
    (with_failed / ".astica-ignore").write_text("a.png\n")
    assert failed_samples(shell, with_failed) == 1


@pytest.mark.long
def test_a_disk_without_locks_is_a_problem(shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unlockable:
        def acquire(self, timeout: float) -> None:
            raise NotImplementedError("flock is not supported here")

    monkeypatch.setattr(check_disk, "native_lock", lambda file: Unlockable())
    assert any("cannot lock files" in text for text in problems(shell, "--store", store))


@pytest.mark.long
def test_a_missing_or_old_package_is_a_problem(shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = check_program.version_of
    other = {"xxhash": "0.9", "click": None}
    monkeypatch.setattr(check_program, "version_of", lambda name: other.get(name, original(name)))
    assert {"the package click is missing", "the package xxhash is 0.9, older than 3.5"} <= {*problems(shell)}


@pytest.mark.long
def notes(shell: Shell, *arguments: str | Path) -> list[str]:
    found = shell("doctor", "--json", *arguments).json["findings"]
    return [one["text"] for one in found if one["level"] == "note"]


def test_where_no_folder_for_temporary_files_can_be_written_it_names_the_one_that_is_used(
    shell: Shell, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    none = str(tmp_path / "none")
    for variable in ("TMPDIR", "TEMP", "TMP"):
        shell.environ[variable] = none
    own = tempfile._candidate_tempdir_list  # type: ignore[attr-defined]
    # The list of Python ends with the current folder.
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [none, own()[-1]])
    for folder, text in (
        (store, f"temporary files are made in {store}, which is in the store: a folder among them counts as a class"),
        (elsewhere, f"no folder for temporary files can be written, so they are made in the current one, {elsewhere}"),
    ):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        found = [one for one in notes(shell, "--store", store) if "temporary files" in one]
        assert len(found) == 1 and found[0].startswith(text), found
    shell.environ["TMPDIR"] = str(elsewhere)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    assert not [one for one in notes(shell, "--store", store) if "temporary files" in one]


@pytest.mark.parametrize("variable", [True, False])
def test_the_state_folder_is_advised_where_it_is_not_set_already(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    monkeypatch.setattr(check_budget, "is_container", lambda: True)
    if not variable:
        del shell.environ["XDG_STATE_HOME"]
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    found = [one for one in notes(shell, "--store", store) if "requests are counted in" in one]
    assert len(found) == (0 if variable else 1)
    assert all("inside this container" in one for one in found)
    facts = shell("doctor", "--json", "--store", store).json["request_budget"]
    assert facts["shared with all programs of this user"] is False


def test_no_temporary_file_stays(shell: Shell, store: Path) -> None:
    shell("doctor", "--store", store)
    assert not [entry.name for entry in Layout(store).state.iterdir() if "doctor" in entry.name]


@pytest.mark.long
def test_json_is_one_object(shell: Shell, store: Path) -> None:
    json.loads(shell("doctor", "--json", "--store", store).out)


def test_it_names_the_process_that_writes_to_the_store(shell: Shell, store: Path) -> None:
    with writer_lock(Layout(store), now=1_800_000_000.0, command="astica-sync push --store photos"):
        shown = shell("doctor", "--store", store, "--json").json["store"]
    since = local_time(1_800_000_000.0, seconds=True)
    assert shown["written to by"] == f"process {os.getpid()} (astica-sync push --store photos) since {since}"
    assert shown["another command waits for it"] is False
    shown = shell("doctor", "--store", store, "--json").json["store"]
    assert shown["written to by"] == "no process"


def test_a_process_that_was_killed_writes_no_longer(shell: Shell, store: Path) -> None:
    holder = Layout(store).state / "lock-holder.json"
    holder.write_text(json.dumps({"pid": os.getpid(), "command": "astica-sync push", "since": 1.0}))
    assert shell("doctor", "--store", store, "--json").json["store"]["written to by"] == "no process"


def test_it_names_the_processes_that_wait_for_the_budget(shell: Shell, store: Path) -> None:
    budget = shell.home / "state" / "astica-sync" / "budget.db"
    now = SystemClock().ticks()
    rows = [
        ("4711.a.1", "one", Lane.INTERACTIVE, now - 600, now + 600),
        ("4712.b.2", "one", Lane.REMOVAL, now - 1200, now + 600),
        ("4713.c.3", "one", Lane.REMOVAL, now - 600, now - 60),
    ]
    with contextlib.closing(sqlite3.connect(budget)) as opened, opened:
        opened.executemany("INSERT INTO waiting VALUES (?, ?, ?, ?, ?)", rows)
    before = budget.read_bytes()
    shown = shell("doctor", "--store", store, "--json").json["request_budget"]
    assert shown["waiting"] == (
        "process 4711 for 10 min, a view or another single request; process 4712 for 20 min, removals"
    )
    assert budget.read_bytes() == before


def refuse_in_budget(shell: Shell, seconds: float, refusals: int, key: str = "") -> None:
    """What the rate limiter has recorded after the service has refused requests of this key for its limit."""
    key, url = key or shell.environ["ASTICA_API_KEY"], shell.environ["ASTICA_TRAIN_URL"]
    row = (limiter_name(Secret(key), f"train {url}"), SystemClock().ticks(), seconds, refusals)
    with contextlib.closing(sqlite3.connect(shell.home / "state" / "astica-sync" / "budget.db")) as opened, opened:
        opened.execute("INSERT OR REPLACE INTO rest VALUES (?, ?, ?, ?)", row)


def test_the_commands_that_look_say_that_the_service_refuses(shell: Shell, store: Path) -> None:
    refuse_in_budget(shell, 500, 3, key="of-another-user")
    assert shell("doctor", "--store", store, "--json").json["request_budget"]["refused by the service"] is False
    assert "rate limit" not in shell("status", "--offline", "--store", store).out
    refuse_in_budget(shell, 500, 3)
    shown = shell("doctor", "--store", store, "--json").json
    assert shown["request_budget"]["refused by the service"] is True
    text = next(one["text"] for one in shown["findings"] if one["section"] == "request budget")
    assert text.startswith("the service has refused requests 3 times in a row because of its rate limit; the next one")
    offline = " ".join(shell("status", "--offline", "--store", store).out.split())
    assert text[:60] in offline and "lower ASTICA_LIMIT" in offline
    assert "rate limit" not in shell("watch", "status", "--store", store).out
    with watcher_lock(Layout(store)):
        watched = " ".join(shell("watch", "status", "--store", store).out.split())
        assert "a watcher runs, and has written no status yet" in watched and text[:60] in watched
        assert "a watcher runs, and has written no status yet" in shell("status", "--offline", "--store", store).out
    refuse_in_budget(shell, 0, 3)
    assert "rate limit" not in shell("status", "--offline", "--store", store).out


@pytest.mark.parametrize("state", ["stopped", None])
def test_a_watcher_that_has_not_compared_yet_is_not_the_one_before(
    shell: Shell, store: Path, state: str | None
) -> None:
    layout = Layout(store)
    if state is not None:
        status = WatchStatus(str(store), 1, 1.0, WatchState(state), uploaded=17)
        layout.watch_state.write_text(json.dumps(status.as_data()))
    before = shell("watch", "status", "--store", store).out
    assert ("no watcher is running" if state else "no watcher has run here yet") in before
    with watcher_lock(layout):
        ran = shell("watch", "status", "--store", store)
    assert (
        "a watcher runs, and has written no status yet" in ran.out
        and "no watcher" not in ran.out
        and "17" not in ran.out.replace(str(store), "")
    )


def test_a_key_file_that_is_not_used_is_named(shell: Shell, store: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("another")
    (tmp_path / "key").chmod(0o600)
    right, shell.environ["ASTICA_API_KEY_FILE"] = shell.environ["ASTICA_API_KEY"], str(tmp_path / "key")
    shown = shell("doctor", "--store", store, "--json").json
    assert "ASTICA_API_KEY_FILE is set and not used, since ASTICA_API_KEY is set as well" in str(shown["findings"])
    assert shown["settings"]["a key was last refused"] == "not by one of the last commands"
    shell.environ["ASTICA_API_KEY"] = "wrong"
    refused = " ".join(shell("status", "--store", store).err.split())
    assert "unset it to use ASTICA_API_KEY_FILE, which is not used beside it" in refused, refused
    shown = shell("doctor", "--store", store, "--json").json["settings"]
    assert shown["a key was last refused"][:2] == "20" and "key file changed" not in shown
    del shell.environ["ASTICA_API_KEY"]
    (tmp_path / "key").write_text(right)
    shown = shell("doctor", "--store", store, "--json").json
    assert shown["settings"]["key file changed"][:2] == "20" and "is set and not used" not in str(shown["findings"])


@pytest.mark.parametrize(
    ("address", "mode", "noted"),
    [
        ("rediss://:hidden@127.0.0.1:9/0", 0o644, True),
        ("rediss://:hidden@127.0.0.1:9/0", 0o600, False),
        ("rediss://127.0.0.1:9/0", 0o644, False),
    ],
)
def test_a_password_in_a_file_that_others_can_read_is_noted(
    shell: Shell, store: Path, tmp_path: Path, address: str, mode: int, noted: bool
) -> None:
    file = tmp_path / "config" / "astica-sync" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'budget = "{address}"\n')
    file.chmod(mode)
    shell.environ["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    ran = shell("doctor", "--store", store, "--json")
    texts = [one["text"] for one in ran.json["findings"] if one["section"] == "settings"]
    assert texts == ([f"{file} has a password in it, and other users can read it"] if noted else [])
    assert "hidden" not in ran.out


def test_what_several_parts_meet_is_one_finding(shell: Shell, store: Path) -> None:
    (store / "astica-sync.toml").write_text("limitt = 5\n")
    assert len([text for text in problems(shell, "--store", store) if "'limitt'" in text]) == 1
    (store / "astica-sync.toml").unlink()
    shell.environ |= {"ASTICA_API_KEY": "", "ASTICA_API_KEY_FILE": str(store / "nowhere")}
    assert len([text for text in problems(shell, "--store", store) if "nowhere does not exist" in text]) == 1


@pytest.mark.parametrize(
    ("state", "code"), [("idle", 0), ("working", 0), ("paused", 0), ("halted", 1), ("held", 1), ("resting", 1)]
)
def test_the_exit_code_of_watch_status_says_whether_the_watcher_works(
    shell: Shell, store: Path, state: str, code: int
) -> None:
    layout = Layout(store)
    layout.watch_state.write_text(json.dumps(WatchStatus(str(store), 1, 1.0, WatchState(state)).as_data()))
    assert shell("watch", "status", "--exit-code", "--store", store).code == 1
    assert shell("watch", "status", "--store", store).code == 0
    with watcher_lock(layout):
        assert shell("watch", "status", "--exit-code", "--store", store).code == code
        assert shell("watch", "status", "--exit-code", "--json", "--store", store).code == code


def test_an_offline_status_counts_what_the_key_has_used(shell: Shell, store: Path) -> None:
    draw(store / "Can" / "one-more.png", 4711)
    name = limiter_name(Secret(shell.environ["ASTICA_API_KEY"]), f"train {shell.environ['ASTICA_TRAIN_URL']}")
    now = SystemClock().ticks()
    with contextlib.closing(sqlite3.connect(shell.home / "state" / "astica-sync" / "budget.db")) as opened, opened:
        rows = [(name, now, now, now)] * 200
        opened.executemany("INSERT INTO request (budget, sent, answered, lost_at) VALUES (?, ?, ?, ?)", rows)
    assert shell("status", "--offline", "--json", "--store", store).json["plan"]["eta_seconds"] > 20
    del shell.environ["ASTICA_API_KEY"]
    assert shell("status", "--offline", "--json", "--store", store).json["plan"]["eta_seconds"] < 20


def test_without_waiting_processes_it_says_so(shell: Shell, store: Path) -> None:
    assert shell("doctor", "--store", store, "--json").json["request_budget"]["waiting"] == NOTHING_AHEAD
    (shell.home / "state" / "astica-sync" / "budget.db").unlink()
    assert shell("doctor", "--store", store, "--json").json["request_budget"]["waiting"] == NOTHING_AHEAD
