"""The command ``astica-sync page`` as a user runs it."""

import os
import re
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell


def cookie_of(page: PageClient) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in page.http.cookies.items())}


@pytest.mark.long
def test_the_command_prints_an_address_and_ends_with_ctrl_c(shell: Shell, photo_store: Path) -> None:
    process = shell.start("page", "--store", photo_store, "--port", "0", "--no-open")
    assert process.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", process.stdout.readline())
        assert found
        entered = httpx.get(found[0])
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert httpx.get(found[0]).status_code == 403
    finally:
        process.send_signal(signal.SIGINT)
    ran = shell.finish(process)
    assert (ran.code, ran.err) == (0, "")
    assert "For another browser: http://127.0.0.1:" in ran.out


@pytest.mark.long
def test_the_address_is_no_argument_of_the_browser(shell: Shell, photo_store: Path, tmp_path: Path) -> None:
    """Every user of the machine can read the process list, and would be let in first."""
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    os.mkfifo(opened)
    browser.write_text(f'#!/bin/sh\n{{ printf "%s\\n" "$@"; env; }} >{opened}\n')
    browser.chmod(0o700)
    shell.environ["BROWSER"] = str(browser)
    process = shell.start("page", "--store", photo_store, "--port", "0")
    assert process.stdout is not None
    try:
        arguments, *environment = opened.read_text().splitlines()
        token = re.search(r"\?token=(\S+)", process.stdout.readline())
        assert token and token[1] not in arguments and not any(token[1] in one for one in environment)
        assert not any(one.startswith("ASTICA_") for one in environment)
        file = Path(arguments.removeprefix("file://"))
        assert arguments.startswith("file://") and file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        address = re.search(r'url=([^"]+)"', file.read_text())
        assert address and address[1].endswith(token[0])
        # A browser names the file's page another site, and would follow a redirect without the new cookie.
        entered = httpx.get(address[1], headers={"Sec-Fetch-Site": "cross-site"})
        assert entered.status_code == 200 and "url=/" in entered.text
        assert httpx.get(address[1]).status_code == 403
        cookie = entered.headers["set-cookie"].partition(";")[0]
        host = address[1].partition("/?")[0]
        assert httpx.get(f"{host}/api/store", headers={"Cookie": cookie}).status_code == 200
        assert not file.exists()
    finally:
        process.send_signal(signal.SIGINT)
    ran = shell.finish(process)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.long
def test_the_file_for_the_browser_ends_with_the_page(shell: Shell, photo_store: Path, tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    os.mkfifo(opened)
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >{opened}\nexit 1\n')
    browser.chmod(0o700)
    shell.environ["BROWSER"] = str(browser)
    process = shell.start("page", "--store", photo_store, "--port", "0")
    file = Path(opened.read_text().strip().removeprefix("file://"))
    assert file.is_file()
    process.send_signal(signal.SIGINT)
    assert shell.finish(process).code == 0
    assert not file.exists()


def test_a_port_that_is_taken_is_said(shell: Shell, photo_store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = shell("page", "--store", photo_store, "--port", str(taken.getsockname()[1]), "--no-open")
    assert ran.code == 1
    assert "--port" in ran.err


def test_without_the_extra_the_command_says_which_one(
    shell: Shell, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("astica_sync.page")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = shell("page", "--store", photo_store, "--no-open")
    assert ran.code == 1
    assert "uvicorn" in ran.err and "pip install 'astica-sync[page]'" in ran.err


def test_without_a_store_the_command_says_what_to_do(shell: Shell, tmp_path: Path) -> None:
    ran = shell("page", "--store", tmp_path, "--no-open")
    assert ran.code == 1 and "astica-sync init" in ran.err


def test_a_cookie_opens_nothing_after_a_restart(photo_store: Path) -> None:
    """Who listened at the port in between, and got the cookie of an open tab, cannot use it."""
    with running_page(photo_store) as first:
        port, kept = int(first.host.partition(":")[2]), cookie_of(first)
    with running_page(photo_store, port) as again:
        assert again.raw.get("/api/store", headers=kept).status_code == 401
