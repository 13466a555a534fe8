"""Who gets an answer: each line of the page's security list, attacked by raw requests."""

import contextlib
import http.client
import json
from pathlib import Path

import pytest

from astica_sync.page.access.access_gate import CSP
from tests.harness.page_client import PageClient, running_page

PLACES = ["/", "/api/store", "/api/gallery", "/api/gallery/rows", "/static/style.css", "/thumbnails/" + "0" * 32]


def ask(
    page: PageClient, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b""
) -> http.client.HTTPResponse:
    """One request with exactly these headers."""
    host, _, port = page.host.partition(":")
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        with contextlib.closing(answer):
            answer.read()
        return answer


def cookie(page: PageClient) -> tuple[str, str]:
    return "Cookie", "; ".join(f"{name}={value}" for name, value in page.http.cookies.items())


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "127.0.0.1:{port}.evil.example",
        "127.0.0.1.nip.io:{port}",
        "[::1]:{port}",
        "0.0.0.0:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "",
    ],
)
def test_a_name_that_is_not_on_the_list_gets_nothing(page: PageClient, host: str) -> None:
    port = page.host.partition(":")[2]
    for path in PLACES:
        answer = ask(page, "GET", path, [("Host", host.format(port=port)), cookie(page)])
        assert answer.status in (400, 421), path


def test_the_names_on_the_list_are_served(page: PageClient) -> None:
    port = page.host.partition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert ask(page, "GET", "/api/store", [("Host", host), cookie(page)]).status == 200


def test_two_names_or_none_are_refused(page: PageClient) -> None:
    assert ask(page, "GET", "/api/store", [("Host", page.host), ("Host", page.host), cookie(page)]).status in (400, 421)
    assert ask(page, "GET", "/api/store", [cookie(page)]).status in (400, 421)


@pytest.mark.parametrize("path", PLACES)
def test_without_the_cookie_there_is_nothing(page: PageClient, path: str) -> None:
    for headers in ({}, {"Cookie": "astica_page_1=x"}, {"Cookie": f"astica_page_{page.host.partition(':')[2]}=x"}):
        answer = page.raw.get(path, headers=headers)
        assert answer.status_code == 401
        assert "Open the address" in answer.json()["hint"]


def test_a_token_works_once_and_the_next_one_is_announced(page: PageClient) -> None:
    replayed = page.raw.get(page.address)
    assert replayed.status_code == 403
    assert "set-cookie" not in replayed.headers
    for token in ("", "x", "é", "%00", "a" * 10_000):
        assert page.raw.get("/", params={"token": token}).status_code == 403
    assert len(page.announced) == 1
    entered = page.raw.get(page.announced[0])
    assert (entered.status_code, entered.headers["location"]) == (303, "/")


def test_the_cookie_is_for_this_port_and_for_no_script(page: PageClient) -> None:
    entered = page.raw.get(page.announced[0])
    header = entered.headers["set-cookie"]
    assert header.startswith(f"astica_page_{page.host.partition(':')[2]}=")
    assert "HttpOnly" in header and "SameSite=Strict" in header
    assert entered.headers["referrer-policy"] == "no-referrer"


def test_a_used_address_opens_the_page_in_the_browser_that_used_it(page: PageClient) -> None:
    again = page.http.get(page.address)
    assert (again.status_code, again.headers["location"]) == (303, "/")


def test_every_answer_has_the_security_headers(page: PageClient) -> None:
    answers = [page.get(path) for path in [*PLACES, "/api/nothing", "/no/page"]]
    answers += [page.raw.get(path) for path in PLACES]
    answers += [page.raw.get("/", headers={"Host": "evil.example"}), page.raw.post("/api/changes")]
    for answer in answers:
        assert answer.headers["content-security-policy"] == CSP
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "other"])
def test_a_change_that_another_page_asks_for_is_refused(page: PageClient, site: str) -> None:
    headers = {"X-Astica-Page": "1", "Sec-Fetch-Site": site}
    assert page.http.post("/api/changes", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Astica-Page": "1"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "X-Astica-Page": "0"},
        {"X-Astica-Page": "1", "Origin": "http://evil.example"},
        {"X-Astica-Page": "1", "Origin": "null"},
        {"X-Astica-Page": "1", "Origin": "https://{host}"},
        {"X-Astica-Page": "1", "Origin": "http://{host}.evil.example"},
        {"X-Astica-Page": "1", "Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_change_without_the_pages_own_headers_is_refused(page: PageClient, headers: dict[str, str]) -> None:
    headers = {name: value.format(host=page.host) for name, value in headers.items()}
    for body in ({"json": {}}, {"data": {"kind": "delete"}}, {"files": {"file": b"x"}}):
        answer = page.http.post("/api/changes", headers=headers, **body)  # type: ignore[arg-type]
        assert answer.status_code == 403


def test_a_picture_of_the_page_is_not_for_other_pages(page: PageClient) -> None:
    content = page.rows()[0]["content"]
    for site in ("cross-site", "same-site"):
        answer = page.http.get(f"/thumbnails/{content}", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"])
def test_other_methods_are_refused(page: PageClient, method: str) -> None:
    answer = ask(page, method, "/api/store", [("Host", page.host), cookie(page), ("X-Astica-Page", "1")])
    assert answer.status in (400, 405)


def test_a_page_on_another_port_wants_its_own_cookie(page: PageClient, photo_store: Path) -> None:
    with running_page(photo_store) as other:
        assert other.host != page.host
        assert other.raw.get("/api/store", headers=dict([cookie(page)])).status_code == 401


def test_paths_out_of_the_static_folder_are_not_served(page: PageClient) -> None:
    for path in ("/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static//etc/passwd"):
        answer = ask(page, "GET", path, [("Host", page.host), cookie(page)])
        assert answer.status == 404, path


def test_ids_are_no_paths(page: PageClient) -> None:
    for image in ("..%2f..%2fastica-sync.toml", "%00", "0" * 15, "g" * 16, "con", "-1", "1_0", "0x1234", "a" * 10_000):
        for path in (f"/api/images/{image}", f"/images/{image}/large", f"/thumbnails/{image}"):
            answer = ask(page, "GET", path, [("Host", page.host), cookie(page)])
            assert answer.status == 404, path


def test_a_wrong_number_is_reported(page: PageClient) -> None:
    view = page.json("/api/gallery")["view"]
    for wrong in ("x", "1e3", "٣", "9" * 30, ""):
        answer = page.get("/api/gallery/rows", view=view, start=wrong)
        assert answer.status_code == 400
        assert json.loads(answer.text)["error"].startswith("start is not a number")
