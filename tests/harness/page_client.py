"""A running page on a real port, and a browser's part of it: cookie, headers, and the answers as data."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from astica_sync.page.server import ServerStop, serve


class PageClient:
    """Requests as the page's own scripts send them; ``raw`` is a client without cookie and headers."""

    def __init__(self, address: str, announced: list[str]) -> None:
        self.address = address
        self.announced = announced
        self.base = address.partition("/?")[0]
        self.host = self.base.removeprefix("http://")
        self.raw = httpx.Client(base_url=self.base, timeout=60)
        self.http = httpx.Client(base_url=self.base, timeout=60)
        entered = self.http.get(address)
        assert entered.status_code == 303, entered.text

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query, headers={"Sec-Fetch-Site": "same-origin"})

    def json(self, path: str, **query: Any) -> Any:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self.http.post(path, json=body or {}, params=query, headers=self.change_headers)

    @property
    def change_headers(self) -> dict[str, str]:
        return {"X-Astica-Page": "1", "Sec-Fetch-Site": "same-origin"}

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        """All images of a filter, with the names of their classes and states."""
        store = self.json("/api/store")
        view = self.json("/api/gallery", **wanted)
        found = self.json("/api/gallery/rows", view=view["view"])["rows"]
        assert len(found) == view["total"]
        return [
            {
                "id": row[0],
                "class": store["classes"][row[1]]["title"],
                "state": store["states"][row[2]]["name"],
                "name": row[3],
                "content": row[4],
                "size": row[5],
            }
            for row in found
        ]

    def row(self, title: str, name: str) -> dict[str, Any]:
        return next(row for row in self.rows() if (row["class"], row["name"]) == (title, name))

    def row_of(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The image of a name among those of a filter."""
        return next(row for row in self.rows(**wanted) if row["name"] == name)


@contextlib.contextmanager
def running_page(store: Path | None, port: int = 0, held_out: Sequence[Path] = ()) -> Iterator[PageClient]:
    """The page of a store, served in a thread of this process; the environment is that of this process."""
    addresses: list[str] = []
    announced: list[str] = []
    ready, stop, failed = threading.Event(), ServerStop(), list[BaseException]()

    def run() -> None:
        try:
            serve(
                store,
                port,
                lambda address: (addresses.append(address), ready.set())[0],
                announced.append,
                stop,
                held_out=held_out,
            )
        except BaseException as error:  # noqa: BLE001 - raised where the page was started
            failed.append(error)
        finally:
            ready.set()

    clients = contextlib.ExitStack()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60)
        if failed:
            raise failed[0]
        client = PageClient(addresses[0], announced)
        # A stream that is read ends with the page, not before.
        clients.callback(client.raw.close)
        clients.callback(client.http.close)
        yield client
    finally:
        stop.set()
        thread.join(60)
        clients.close()
    assert not thread.is_alive()
    if failed:
        raise failed[0]


@contextlib.contextmanager
def page_of_program(program: str, store: Path) -> Iterator[PageClient]:
    """The page of a store, served by an installed program; the environment is that of this process, without this
    checkout."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [program, "page", "--store", str(store), "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            printed = process.stdout.readline()
            assert printed.startswith("The page is at "), printed
            client = PageClient(printed.split()[-1], [])
            with contextlib.closing(client.raw), contextlib.closing(client.http):
                yield client
        finally:
            process.terminate()
