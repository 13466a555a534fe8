"""The page where there is no store: it completes folders, and makes a store by the command init."""

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from astica_sync.errors import AsticaSyncError
from astica_sync.page import app, server
from astica_sync.page.setup import own_sandbox, run_init
from astica_sync.page.setup.folder_names import complete_folder
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.digits import write_digits
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell


@pytest.fixture
def folder(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images that is no store, and a place without a store to run the command in."""
    for name in ("ASTICA_API_KEY", "ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        monkeypatch.setenv(name, "")
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return write_digits(here / "digits", 2, names=("zero", "one"))


WANTED = {"title": "Digits", "purpose": "to sort"}


def make(page: PageClient, folder: Path, **wanted: Any) -> Any:
    return page.post("/api/setup", {"folder": str(folder), **WANTED, **wanted})


@pytest.mark.long
def test_a_store_is_made_and_opened(folder: Path, sandbox: RunningSandbox) -> None:
    with running_page(None) as page:
        assert page.json("/api/setup") == {"folder": str(folder.parent), "has_key": True}
        assert page.get("/api/store").status_code == 404
        answer = make(page, folder)
        assert answer.status_code == 200, answer.text
        # The same browser goes on in the page of the store.
        store = page.json("/api/store")
        assert (store["store"]["path"], store["totals"]["images"]) == (str(folder), 4)
        assert page.get("/api/setup").status_code == 404
        assert [title for _, title in sandbox.models()] == ["Digits"]
    with running_page(folder) as page:
        assert page.json("/api/store")["totals"]["images"] == 4


@pytest.mark.long
def test_a_folder_that_is_a_store_is_opened(folder: Path, sandbox: RunningSandbox, shell: Shell) -> None:
    assert shell("init", folder, "--model", str(sandbox.add_model("Cans"))).code == 0
    with running_page(None) as page:
        answer = page.post("/api/setup", {"folder": "digits/"})
        assert answer.status_code == 200, answer.text
        assert page.json("/api/store")["store"]["path"] == str(folder)
    assert len(sandbox.models()) == 1


@pytest.mark.long
def test_what_the_command_refuses_is_said_in_its_words(folder: Path, sandbox: RunningSandbox, tmp_path: Path) -> None:
    with running_page(None) as page:
        for wanted, words in (
            ({"folder": str(tmp_path / "nowhere")}, "nowhere"),
            ({"model": 999_999}, "Model not found"),
            ({"key": "a wrong key"}, "white space"),
            ({"key": "wrong-key-of-nobody"}, "key"),
        ):
            answer = page.post("/api/setup", {"folder": str(folder), **WANTED, **wanted})
            assert answer.status_code == 422, answer.text
            assert words in answer.text
            assert "wrong-key-of-nobody" not in answer.text
        split = write_digits(tmp_path / "split" / "train", 1, names=("zero", "one")).parent
        write_digits(split / "val", 1, start=3, names=("zero", "one"))
        answer = make(page, split, key=sandbox.key)
        assert answer.status_code == 422 and "--yes" in answer.text
        assert not (split / ".astica-sync").exists()
        assert make(page, split, key=sandbox.key, anyway=True).status_code == 200


def test_the_key_is_not_in_the_environment_of_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(
        "import os, sys\n"
        "environ = open('/proc/self/environ').read()\n"
        "key = open(os.environ['ASTICA_API_KEY_FILE']).read()\n"
        "file = os.environ['ASTICA_API_KEY_FILE']\n"
        "sys.exit(f'{key == chr(107) * 20} {key in environ}; Check the key in {file};')\n"
    )
    monkeypatch.setattr(run_init, "COMMAND", [sys.executable, str(tmp_path / "show.py")])
    monkeypatch.setenv("ASTICA_API_KEY", "")
    with pytest.raises(AsticaSyncError) as caught:
        run_init.StoreMaker(own_sandbox.OwnSandbox()).make(run_init.WantedStore(tmp_path, "T", key="k" * 20))
    assert str(caught.value) == "True False; Check the key;"


@pytest.mark.long
def test_a_sandbox_needs_no_key_and_ends_with_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ASTICA_API_KEY", "ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(own_sandbox, "SANDBOX_PORT", 0)
    with running_page(None) as page:
        assert page.json("/api/setup")["has_key"] is False
        answer = make(page, folder, sandbox=True)
        assert answer.status_code == 200, answer.text
        store = page.json("/api/store")
        assert store["service"]["sandbox"] is True
        assert store["service"]["address"] == os.environ["ASTICA_TRAIN_URL"]
    [key] = Path(os.environ["XDG_STATE_HOME"]).glob("**/sandbox.key")
    assert key.stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_a_sandbox_keeps_its_port_and_is_shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(own_sandbox, "SANDBOX_PORT", taken.getsockname()[1])
        with contextlib.closing(own_sandbox.OwnSandbox()) as first:
            found = first.start()
            assert found["ASTICA_TRAIN_URL"] != f"http://127.0.0.1:{taken.getsockname()[1]}"
            with contextlib.closing(own_sandbox.OwnSandbox()) as second:
                assert second.start() == found
            assert httpx.get(found["ASTICA_TRAIN_URL"]).status_code < 500, "the second page ended it"
    with contextlib.closing(own_sandbox.OwnSandbox()) as again:
        assert again.is_at(found["ASTICA_TRAIN_URL"])
        assert again.start() == found
    port = int(found["ASTICA_TRAIN_URL"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), contextlib.closing(own_sandbox.OwnSandbox()) as hindered:
        with pytest.raises(AsticaSyncError, match="cannot start") as raised:
            hindered.start()
        assert str(port) in raised.value.hint


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"folder": ""},
        {"folder": 7},
        {"folder": "digits\0"},
        {"folder": "digits", "title": "only a title"},
        {"folder": "digits", "title": "t", "purpose": "p", "model": "7"},
        {"folder": "digits", "title": "t", "purpose": "p", "model": -1},
        {"folder": "digits", "title": "t", "purpose": "x" * 5000},
    ],
)
def test_an_incomplete_wish_is_refused(folder: Path, body: dict[str, Any]) -> None:
    with running_page(None) as page:
        answer = page.post("/api/setup", body)
        assert answer.status_code == 400
        assert answer.json()["hint"]
    assert not (folder / ".astica-sync").exists()


def test_no_other_user_sees_the_folders_of_the_machine(folder: Path) -> None:
    with running_page(None) as page:
        assert page.raw.get("/api/setup/folders", params={"text": "/"}).status_code == 401
        assert page.raw.get("/").status_code == 401
        cross = {"Sec-Fetch-Site": "cross-site"}
        assert page.http.get("/api/setup/folders", params={"text": "/"}, headers=cross).status_code == 403
        assert page.http.post("/api/setup", json={"folder": "digits"}, headers=cross).status_code == 403
        assert page.http.get("/api/setup", headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.long
def test_an_installation_without_the_page_says_so(
    folder: Path, sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASTICA_SYNC_WITHOUT_PAGE=1 builds one."""
    for module in (app, server):
        monkeypatch.setattr(module, "STATIC", tmp_path / "nothing")
    with running_page(None) as page:
        answer = page.get("/")
        assert (answer.status_code, answer.json()["error"]) == (404, "this installation has no page")
        assert make(page, folder).status_code == 200
        # The page of a store says the same.
        assert page.get("/").json() == answer.json()


def test_paths_are_completed(tmp_path: Path) -> None:
    for name in ("photos", "Photos of cats", "other", ".hidden", "store"):
        (tmp_path / name).mkdir()
    (tmp_path / "store" / ".astica-sync").mkdir()
    (tmp_path / "photo.png").write_bytes(b"")

    def names(text: str) -> list[str]:
        return [Path(one.path).name for one in complete_folder(text, tmp_path)]

    assert names("") == ["Photos of cats", "other", "photos", "store"]
    assert names("pho") == names(f"{tmp_path}/PHO") == ["Photos of cats", "photos"]
    assert names(".h") == [".hidden"]
    assert names("photos/") == names("nowhere/x") == names("photo.png/") == names("a\0b") == names("x" * 5000) == []
    assert [one.is_store for one in complete_folder("sto", tmp_path)] == [True]
    for number in range(40):
        (tmp_path / "other" / f"{number}").mkdir()
    assert len(names("other/")) == 12
