"""Wrong input: the message names the fix, and nothing is lost or half done."""

import json
import math
import os
import re
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill, in_store, on_service

DAMAGED = Path(__file__).parents[2] / "fixtures" / "damaged"


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], str]]:
    """``answering(200, b"hello")``: the address of something that answers every POST with that."""
    servers = []

    def start(status: int, body: bytes, location: str = "") -> str:
        class OtherServer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), OtherServer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# The key and the address.


def test_a_missing_key_is_reported_with_the_ways_to_set_one(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    del shell.environ["ASTICA_API_KEY"]
    for command in (("push", "--store", store), ("pull-status", "--store", store), ("models",)):
        ran = shell(*command)
        assert ran.code == 1
        assert ran.err.startswith("astica-sync: no API key\n") and "ASTICA_API_KEY" in ran.err
        assert len(ran.err.splitlines()) == 2
    assert len(sandbox.requests_of("view")) == 1, "the one of init"


def test_a_wrong_key_stops_the_push_at_the_first_answer_and_is_not_printed(
    shell: Shell, sandbox: RunningSandbox, store: Path
) -> None:
    shell.environ["ASTICA_API_KEY"] = "wrong-key-that-is-never-printed"
    sandbox.clear_log()
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert "refused the API key" in ran.err and "Check ASTICA_API_KEY" in ran.err
    assert len(sandbox.log) == 1
    for path in [*store.rglob("*"), *shell.home.rglob("*")]:
        assert not path.is_file() or b"wrong-key-that" not in path.read_bytes(), path
    assert "wrong-key-that" not in ran.err + ran.out


def test_the_file_of_a_refused_key_is_named(shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "the key"
    file.write_text("wrong-key-that-is-never-printed")
    file.chmod(0o600)
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(file)
    for command in (("push", "--store", store), ("models",)):
        ran = shell(*command)
        assert ran.code == 1
        assert f"Check the key in {file}; keys are made on" in ran.err, ran.err
        assert "ASTICA_API_KEY" not in ran.err


def test_a_revoked_key_stops_the_push_before_an_upload(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    fill(pushed, {"Dose": 30}, start=60)
    key, sandbox_key = shell.environ["ASTICA_API_KEY"], sandbox.key
    sandbox.set_limit(1, 0.001)
    sandbox.set_key("another")
    assert shell("push", "--store", pushed).code == 1
    sandbox.set_key(sandbox_key)
    assert key == sandbox_key
    assert len(sandbox.requests_of("upload")) == 0


def test_a_key_file_that_others_can_read_is_refused_with_the_command_that_fixes_it(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(shell.environ.pop("ASTICA_API_KEY") + "\n")
    file.chmod(0o644)
    shell.environ["ASTICA_API_KEY_FILE"] = str(file)
    ran = shell("pull-status", "--store", store)
    assert ran.code == 1
    assert f"chmod 600 {file}" in ran.err
    file.chmod(0o600)
    assert shell("pull-status", "--store", store).code == 0


def test_a_host_that_cannot_be_reached_leaves_nothing_behind(shell: Shell, photos: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    shell.environ["ASTICA_TRAIN_URL"] = f"http://127.0.0.1:{port}"
    before = tree(photos)
    for options in (("--model", "7"), ("--create", "Cans", "--type", "image", "--purpose", "sort")):
        ran = shell("init", photos, *options)
        assert ran.code == 1
        assert "cannot be reached" in ran.err and "Check the network and the address" in ran.err
    assert tree(photos) == before


@pytest.mark.parametrize(
    "url", ["http://train.example.com", "http://192.168.1.7:8777", "ftp://host", "train.astica.ai"]
)
def test_an_address_that_would_expose_the_key_is_refused_before_any_request(
    shell: Shell, photos: Path, url: str
) -> None:
    shell.environ["ASTICA_TRAIN_URL"] = url
    ran = shell("init", photos, "--model", "7")
    assert ran.code == 1
    assert url in ran.err and "https://" in ran.err and "ASTICA_TRAIN_URL" in ran.err
    assert ".astica-sync" not in tree(photos)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"<html>Sign in</html>", "a web page instead of the service's JSON"),
        (200, b'{"status": "OK", "dataset"', "something other than the service's JSON"),
        (200, b"[]", "something other than the service's JSON"),
        (403, b"<html>No</html>", "A proxy or a firewall"),
        (302, b"", "redirects to"),
        (500, b"oops", "answered 500"),
        (200, b'{"status": "OK"}', "it has no dataset"),
    ],
)
def test_an_answer_of_another_server_is_reported_and_no_store_is_made(
    shell: Shell,
    photos: Path,
    answering: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    message: str,
) -> None:
    monkeypatch.setattr("astica_sync.remote.rate_limited_client.READ_TRIES", 1)
    shell.environ["ASTICA_TRAIN_URL"] = answering(status, body, "http://127.0.0.1:1/other")
    ran = shell("init", photos, "--model", "7")
    assert ran.code == 1
    assert message in ran.err
    assert 1 < len(ran.err.splitlines()) <= 2, ran.err
    assert ".astica-sync" not in tree(photos)


def test_settings_with_another_service_than_that_of_the_store_send_nothing(
    shell: Shell, store: Path, sandbox: RunningSandbox, answering: Callable[..., str]
) -> None:
    shell.environ["ASTICA_TRAIN_URL"] = answering(200, b"")
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert sandbox.url in ran.err and "ASTICA_TRAIN_URL says" in ran.err
    # The id of this store's model is that of another model there, or of none.
    assert "astica-sync models lists: astica-sync init --model ID --rebind" in ran.err
    del shell.environ["ASTICA_TRAIN_URL"]
    assert shell("push", "--store", store).code == 0, "the store knows its service"


# The store and its place.


def test_a_model_that_does_not_exist_leaves_nothing_behind(shell: Shell, sandbox: RunningSandbox, photos: Path) -> None:
    ran = shell("init", photos, "--model", "99")
    assert ran.code == 1
    assert "Model not found" in ran.err and "astica-sync models" in ran.err
    assert ".astica-sync" not in tree(photos)


def test_a_model_that_was_removed_elsewhere_stops_the_push(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    sandbox.remove_model(model_id)
    ran = shell("push", "--store", pushed)
    assert ran.code == 1
    assert "Model not found" in ran.err
    assert [request.call for request in sandbox.log] == ["view"]


def test_a_folder_that_is_not_a_store_is_reported_with_the_command_that_makes_one(shell: Shell, tmp_path: Path) -> None:
    for command in ("push", "pull-status", "log"):
        ran = shell(command, "--store", tmp_path)
        assert ran.code == 1
        assert "astica-sync init" in ran.err
    assert shell("init", tmp_path / "nowhere", "--model", "1").code == 1


def test_a_store_inside_or_around_another_store_is_refused(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    other = str(sandbox.add_model("Other"))
    inside = shell("init", store / "Can", "--model", other)
    assert inside.code == 1 and "is inside the store" in inside.err
    around = shell("init", store.parent, "--model", other)
    assert around.code == 1 and "contains the store" in around.err
    assert not (store / "Can" / ".astica-sync").exists() and not (store.parent / ".astica-sync").exists()


def test_a_store_of_another_model_is_bound_again_only_with_rebind(
    shell: Shell, sandbox: RunningSandbox, store: Path
) -> None:
    other = str(sandbox.add_model("Other"))
    ran = shell("init", store, "--model", other)
    assert ran.code == 1 and "already the store of model" in ran.err
    assert shell("init", store, "--model", other, "--rebind").code == 0


def test_a_copy_of_a_store_writes_nothing_before_init(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(pushed, tmp_path / "copy"))
    (copy / "Can" / "000.png").unlink()
    ran = shell("push", "--yes", "--store", copy)
    assert ran.code == 1
    assert "copied" in ran.err and "astica-sync init" in ran.err
    assert not sandbox.log
    [(model_id, _)] = sandbox.models()
    assert shell("init", copy, "--model", str(model_id)).code == 0
    assert shell("push", "--store", copy).code == 0
    assert on_service(sandbox, model_id) == in_store(copy)


def test_a_store_without_its_sentinel_removes_nothing(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    (pushed / ".astica-sync" / "store.json").unlink()
    shutil.rmtree(pushed / "Can")
    ran = shell("push", "--yes", "--store", pushed)
    assert ran.code == 1
    assert "check that the disk is mounted" in ran.err
    assert len(sandbox.samples(model_id)) == 5


def test_a_store_with_no_class_is_in_sync_with_an_empty_model(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert shell("init", empty, "--model", str(sandbox.add_model())).code == 0
    status = shell("pull-status", "--exit-code", "--store", empty)
    assert status.code == 0 and "one folder for each class" in status.out
    assert shell("push", "--store", empty).code == 0


@pytest.mark.parametrize("name", ["index.db", "journal.db"])
def test_a_database_of_a_newer_version_is_refused_before_any_request(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, name: str
) -> None:
    with closing(sqlite3.connect(pushed / ".astica-sync" / name)) as connection:
        connection.execute("PRAGMA user_version = 99")
    ran = shell("push", "--store", pushed)
    assert ran.code == 1
    assert "newer version" in ran.err and "upgrade astica-sync" in ran.err
    assert not sandbox.log


@pytest.mark.parametrize("name", ["index.db", "journal.db"])
def test_a_damaged_database_loses_no_sample(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, name: str
) -> None:
    file = pushed / ".astica-sync" / name
    file.write_bytes(b"this is no database" * 500)
    ran = shell("push", "--store", pushed)
    if name == "journal.db":
        assert ran.code == 1
        assert "move it away" in ran.err
        file.rename(file.with_name("away"))
        ran = shell("push", "--store", pushed)
    assert ran.code == 0, ran.err
    assert {request.call for request in sandbox.log} == {"view"}
    assert len(sandbox.samples(model_id)) == 5


def test_an_offline_status_says_how_old_the_view_is(shell: Shell, store: Path) -> None:
    assert shell("push", "--store", store).code == 0
    assert "View  " not in shell("pull-status", "--store", store).out
    last, columns = (store / ".astica-sync" / f"last-view.{end}" for end in ("json", "columns"))
    head, _, body = last.read_bytes().partition(b"\n")
    for age, shown in ((3 * 3600 + 300, r", 3 h 5 min ago"), (-86_400, ""), (1e12, ""), (math.inf, ""), (math.nan, "")):
        columns.unlink(missing_ok=True)
        fields = {**json.loads(head), "asked_at": time.time() - age}
        last.write_bytes(json.dumps(fields).encode() + b"\n" + body)
        printed = shell("pull-status", "--offline", "--store", store).out
        listed = shell("pull-status", "--offline", "--json", "--store", store).json
        assert listed["asked_at"] == (fields["asked_at"] if math.isfinite(fields["asked_at"]) else None)
        assert re.search(rf"^View     of [-0-9: unkow]+{shown}; nothing was asked now", printed, re.MULTILINE), printed


def test_offline_needs_a_readable_observation(shell: Shell, sandbox: RunningSandbox, store: Path) -> None:
    sandbox.clear_log()
    never = shell("pull-status", "--offline", "--store", store)
    assert never.code == 1 and "has not been observed yet" in never.err
    assert shell("push", "--store", store).code == 0
    del shell.environ["ASTICA_API_KEY"]
    sandbox.clear_log()
    assert shell("pull-status", "--offline", "--exit-code", "--store", store).code in (0, 5)
    last = store / ".astica-sync" / "last-view.json"
    whole = last.read_bytes()
    (store / ".astica-sync" / "last-view.columns").unlink()
    for broken in (b"", b"{}", whole[:-20], whole.replace(b"asked_at", b"ask_at"), b"\xff" + whole, b"[]\n[]"):
        last.write_bytes(broken)
        ran = shell("pull-status", "--offline", "--store", store)
        assert ran.code == 1
        assert "without --offline" in ran.err, broken
    assert not sandbox.log


# The files.


CONVERTED = ("gif.png", "webp.jpg", "bmp.png", "tiff.jpg")


def test_files_that_are_not_images_are_problems_and_the_others_are_uploaded(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    verdicts = json.loads((DAMAGED / "verdicts.json").read_text())
    # What is of another format is converted.
    bad = {name: one["reason"] for name, one in verdicts.items() if one["reason"] and name not in CONVERTED}
    good = verdicts.keys() - bad.keys()
    for name in verdicts:
        shutil.copy(DAMAGED / name, store / "Can" / name)
    ran = shell("push", "--json", "--store", store)
    assert ran.code == 3, ran.err
    reasons = {entry["path"]: entry["reason"] for entry in ran.json["failed"] + ran.json["problems"]}
    for name, reason in bad.items():
        assert reason in reasons[f"Can/{name}"], name
    contents = {(DAMAGED / name).read_bytes() for name in good}
    assert len(sandbox.samples(model_id)) == 5 + len(contents)
    sandbox.clear_log()
    again = shell("push", "--json", "--store", store)
    assert again.code == 3
    assert again.json["failed"], "what failed stays listed"
    assert [request.call for request in sandbox.log] == ["view"], "and is not tried again"
    status = shell("pull-status", "--json", "--store", store).json
    assert {entry["path"] for entry in status["problems"]} == set(reasons)
    for name in verdicts:
        assert (store / "Can" / name).read_bytes() == (DAMAGED / name).read_bytes()


def test_a_refused_sample_is_tried_again_only_with_retry(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    new = draw(pushed / "Can" / "new.png", 41)
    sandbox.set_switches(repeated_uids="refuse")
    sandbox_uid = shell("pull-status", "--json", "--store", pushed).json["plan"]["upload"][0]["uid"]
    elsewhere = sandbox.add_model("Other")
    stray = sandbox.add_sample(elsewhere, "Can", new.read_bytes(), sandbox_uid)
    first = shell("push", "--json", "--store", pushed)
    assert first.code == 3
    assert "already exists" in first.json["failed"][0]["reason"]
    sandbox.remove_sample(stray)
    sandbox.clear_log()
    assert shell("push", "--store", pushed).code == 3
    assert not sandbox.requests_of("upload")
    assert shell("push", "--retry", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_repaired_image_is_uploaded_without_retry(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    shutil.copy(DAMAGED / "cut-in-half.png", pushed / "Can" / "new.png")
    assert shell("push", "--store", pushed).code == 3
    draw(pushed / "Can" / "new.png", 42)
    assert shell("push", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_one_class_in_two_unicode_forms_is_one_class(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    fill(store, {"B\u00fcchse": 2}, start=30)
    fill(store, {"Bu\u0308chse": 2}, start=31)
    assert shell("push", "--store", store).code == 0
    status = shell("pull-status", "--json", "--store", store).json
    assert status["in_sync"] and status["local"] == {"classes": 3, "samples": 8}
    assert [title for _, title in sandbox.classes(model_id)].count("B\u00fcchse") == 1
    assert on_service(sandbox, model_id) == in_store(store)


def test_files_of_any_name_are_uploaded_and_printed_without_control_characters(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    names = ["new\nline", "tab\there", "quote'\"", "-rf", "\u202etxt.gnp", "a" * 200, "\U0001f37a", " outer "]
    for number, name in enumerate(names):
        draw(store / "Can" / f"{name}.png", 70 + number)
    status = shell("pull-status", "--store", store)
    assert "\u202e" not in status.out and "\t" not in status.out
    assert "Can/new\\nline.png" in status.out
    assert shell("push", "--store", store).code == 0
    assert len(sandbox.samples(model_id)) == 5 + len(names)
    assert on_service(sandbox, model_id) == in_store(store)


def test_a_name_that_is_not_utf8_is_uploaded_and_printed_escaped(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    draw(store / "Can" / os.fsdecode(b"caf\xe9.png"), 44)
    status = shell("pull-status", "--json", "--store", store)
    assert "Can/caf\\xe9.png" in [entry["path"] for entry in status.json["plan"]["upload"]]
    assert "caf\\xe9" in shell("pull-status", "--store", store).out
    assert shell("push", "--store", store).code == 0
    assert len(sandbox.samples(model_id)) == 6


def test_class_titles_of_the_service_make_no_file_and_are_printed_without_control_characters(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    titles = [".", "..", "../../escape", "a/b", "/etc", "CON", "x" * 300, "red\x1b[31m", "\u202erl", "nul"]
    for title in titles:
        sandbox.add_sample(model_id, title, b"made elsewhere", "uid\x1b[2J")
    before = tree(tmp_path)
    for ran in (
        shell("pull-status", "--store", pushed),
        shell("push", "--store", pushed),
        shell("models", "show", str(model_id)),
        shell("backup", "restore", "--store", pushed, "--to", tmp_path / "restored"),
    ):
        assert ran.code == 0
        assert "\x1b" not in ran.out and "\u202e" not in ran.out
    appeared = {name for name in tree(tmp_path) - before if not name.startswith(("home", "restored"))}
    assert appeared == set()
    assert {path.name for path in (tmp_path / "restored").iterdir()} == {"Bottle", "Can"}
    assert len(sandbox.samples(model_id)) == 5 + len(titles)


def test_a_folder_name_that_cannot_be_a_class_title_is_a_problem(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    draw(pushed / " " / "a.png", 45)
    draw(pushed / "control\x07" / "a.png", 46)
    draw(pushed / "latin\udcfc" / "a.png", 48)
    draw(pushed / "loose.png", 47)
    (pushed / "Can" / "link.png").symlink_to(pushed / "Can" / "000.png")
    ran = shell("push", "--json", "--store", pushed)
    assert [request.call for request in sandbox.log] == ["view"]
    reasons = {entry["path"]: entry["reason"] for entry in ran.json["problems"]}
    assert len(reasons) == 5
    assert "nothing but spaces" in reasons[" "]
    assert "control character" in reasons["control\x07"]
    assert "not UTF-8" in reasons["latin\\xfc"]
    assert len({reasons[name] for name in (" ", "control\x07", "latin\\xfc")}) == 3
    assert "not in a class folder" in reasons["loose.png"]
    assert "symbolic link" in reasons["Can/link.png"]
    assert "\x07" not in shell("pull-status", "--store", pushed).out


# Settings and flags.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quarantin = 3", "Did you mean 'quarantine'?"),
        ("colour = 'red'", "which is not a setting"),
        ("limit = 'many'", "Set it to a whole number from 1"),
        ("limit = 0", "Set it to a whole number from 1"),
        ("max_remove = 2", "Set it to a share such as 10%"),
        ("class_remove = 'perhaps'", "Set it to true or false"),
        ("train_url = 'http://elsewhere.example'", "plain http would show your key"),
        ("limit = ", "Fix or remove it"),
    ],
)
def test_an_invalid_settings_file_is_reported_with_its_error(
    shell: Shell, sandbox: RunningSandbox, store: Path, text: str, message: str
) -> None:
    sandbox.clear_log()
    (store / "astica-sync.toml").write_text(text)
    ran = shell("push", "--store", store)
    assert ran.code == 1
    assert message in ran.err and "astica-sync.toml" in ran.err
    assert not sandbox.log


def test_a_key_in_the_settings_file_of_a_store_is_refused(shell: Shell, store: Path) -> None:
    (store / "astica-sync.toml").write_text("api_key = 'secret-in-a-file'")
    ran = shell("push", "--store", store)
    assert ran.code == 1 and "secret-in-a-file" not in ran.err


@pytest.mark.parametrize(
    "command",
    [
        ("psuh",),
        ("push", "--max-remove", "some"),
        ("push", "--max-remove", "101%"),
        ("push", "--max-remove", "-1"),
        ("push", "--nonsense"),
        ("push", "extra"),
        ("init",),
        ("init", "--model", "0"),
        ("init", "--model", "1", "--create", "x"),
        ("init", "--create", "x"),
        ("backup", "verify", "--part", "3/2"),
        ("log", "-n", "0"),
        ("sandbox", "--switch", "titles=odd"),
        ("sandbox", "--fault", "nonsense"),
        ("sandbox", "--host", "0.0.0.0"),
    ],
)
def test_wrong_usage_exits_with_2_and_explains(shell: Shell, command: tuple[str, ...]) -> None:
    ran = shell(*command)
    assert ran.code == 2
    assert "Error: " in ran.err and ran.out == ""


def test_an_internal_error_prints_a_traceback_only_with_debug(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("something unexpected")

    monkeypatch.setattr("astica_sync.sync.plan.find_status.scan_store", broken)
    ran = shell("pull-status", "--store", store)
    assert ran.code == 1
    assert "something unexpected" in ran.err and "--debug" in ran.err
    assert "Traceback" not in ran.err
    debugged = shell("--debug", "pull-status", "--store", store)
    assert debugged.code == 1
    assert debugged.err.startswith("Traceback") and "RuntimeError: something unexpected" in debugged.err
    assert debugged.err.endswith(ran.err), "the message is at the end"
