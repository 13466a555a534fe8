"""What happens while the page is open: its events, pushes, trainings, and what other programs do."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.http.faults import Faults
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell, draw, fill, in_store, on_service
from tests.harness.short_pauses import shorten


class EventReader:
    """One stream of events, read in a thread."""

    def __init__(self, page: PageClient) -> None:
        self.events: list[tuple[str, Any]] = []
        self.latest: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._page = page
        self._thread = threading.Thread(target=self._read)
        self.ended = False
        self._thread.start()

    def _read(self) -> None:
        with self._page.http.stream(
            "GET", "/api/events", headers={"Sec-Fetch-Site": "same-origin"}, timeout=60
        ) as stream:
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    data = json.loads(line.removeprefix("data: "))
                    with self._changed:
                        self.events.append((name, data))
                        self.latest[name] = data
                        self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wait(self, name: str, matches: Callable[[Any], bool]) -> Any:
        """The first event of this name, earlier ones included, that matches."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: next((data for kind, data in self.events if kind == name and matches(data)), None), 60
            )
        assert found is not None, self.events[-3:]
        self.events.clear()
        return found

    def wait_shown(self, name: str, matches: Callable[[Any], bool]) -> None:
        """Waits until the last event of this name, which is what a browser shows, matches; it may have come before."""
        with self._changed:
            shown = self._changed.wait_for(lambda: name in self.latest and matches(self.latest[name]), 60)
        assert shown, self.latest.get(name)

    def join(self) -> None:
        self._thread.join(60)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch.setattr)


@pytest.fixture
def reader(page: PageClient) -> Iterator[EventReader]:
    yield EventReader(page)


def act(page: PageClient, action: str) -> Any:
    answer = page.post("/api/push", {"action": action})
    assert answer.status_code == 200, answer.text
    return answer.json()["push"]


def finish(page: PageClient, reader: EventReader, action: str) -> Any:
    """Acts, and waits until the push is not at work any more."""
    number = act(page, action)["number"]
    ended = ("done", "failed", "asking", "paused")
    return reader.wait("push", lambda push: push and push["number"] == number and push["state"] in ended)


def test_a_push_from_the_page_is_the_command_s(
    page: PageClient, reader: EventReader, photo_store: Path, sandbox: RunningSandbox
) -> None:
    push = finish(page, reader, "start")
    assert (push["state"], push["error"], push["done"], push["result"]["in_sync"]) == ("done", None, 8, True)
    assert on_service(sandbox, sandbox.models()[0][0]) == in_store(photo_store)
    reader.wait_shown("store", lambda store: store["totals"]["by_state"] == {"on-service": 8})
    assert reader.wait("push", lambda push: push and push["budget"])["budget"]["limit"] == 90


def test_the_guard_asks_with_the_images_and_holds_no_lock(
    reader: EventReader, page: PageClient, photo_store: Path, shell: Shell, sandbox: RunningSandbox
) -> None:
    model = sandbox.models()[0][0]
    fill(photo_store, {"Many": 30}, 500)
    page.post("/api/refresh")
    assert finish(page, reader, "start")["state"] == "done"
    rows = page.rows(**{"class": "Many"})
    page.post("/api/changes", {"kind": "delete", "items": [[row["id"], row["content"]] for row in rows]})
    draw(photo_store / "Can" / "new.png", 7000)
    page.post("/api/refresh")
    assert page.json("/api/store")["price"]["guard"]
    push = finish(page, reader, "start")
    assert (push["state"], push["result"]["uploaded"]) == ("asking", 1)
    assert (push["question"]["kind"], push["question"]["total"]) == ("guard", 30)
    shown = {tuple(image[1:]) for image in push["question"]["images"]}
    assert shown == {(row["content"], row["name"], "Many") for row in rows}
    for image in push["question"]["images"]:
        assert page.get(f"/thumbnails/{image[1]}").status_code == 200
    assert shell("push", "--store", photo_store, "--dry-run").code == 4, "the lock is free"
    assert len(sandbox.samples(model)) == 39
    assert finish(page, reader, "agree")["state"] == "done"
    assert on_service(sandbox, model) == in_store(photo_store)


def test_the_question_can_be_declined(
    page: PageClient, reader: EventReader, photo_store: Path, sandbox: RunningSandbox
) -> None:
    finish(page, reader, "start")
    for path in photo_store.glob("Can/*.jpg"):
        path.unlink()
    (photo_store / "Can" / "old" / "003.png").unlink()
    page.post("/api/refresh")
    assert finish(page, reader, "start")["state"] == "asking"
    assert act(page, "stop")["state"] == "done"
    assert len(sandbox.samples(sandbox.models()[0][0])) == 8
    assert page.post("/api/push", {"action": "agree"}).status_code == 409


@pytest.mark.parametrize("action", ["pause", "resume", "agree", "stop", "fly", ""])
def test_what_makes_no_sense_is_refused(page: PageClient, action: str) -> None:
    assert page.post("/api/push", {"action": action}).status_code == 409


@pytest.mark.long
def test_a_push_is_paused_and_goes_on(shell: Shell, photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(photo_store, {"Many": 60}, 500)
    with (
        running(faults=Faults.parse(latency="50ms")) as slow,
        running_slow(shell, slow, photo_store, monkeypatch) as page,
    ):
        reader = EventReader(page)
        act(page, "start")
        reader.wait("push", lambda push: push and push["done"] > 3)
        paused = finish(page, reader, "pause")
        assert paused["state"] == "paused" and 3 < paused["done"] < 68
        assert shell("push", "--store", photo_store, "--dry-run").code == 0
        done = finish(page, reader, "resume")
        assert (done["state"], done["done"]) == ("done", 68)
        assert on_service(slow, slow.models()[0][0]) == in_store(photo_store)


def running_slow(shell: Shell, box: RunningSandbox, store: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The store bound to another sandbox, and its page."""
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        shell.environ[name] = box.url
        monkeypatch.setenv(name, box.url)
    shell.environ["ASTICA_API_KEY"] = box.key
    monkeypatch.setenv("ASTICA_API_KEY", box.key)
    ran = shell("init", store, "--model", str(box.add_model("Slow")), "--rebind")
    assert ran.code == 0, ran.err
    return running_page(store)


def test_a_wrong_key_is_said_and_nothing_is_lost(
    page: PageClient, reader: EventReader, sandbox: RunningSandbox
) -> None:
    sandbox.set_key("another-key")
    push = finish(page, reader, "start")
    assert push["state"] == "failed" and push["error"]["hint"]
    answer = page.post("/api/observe")
    assert answer.status_code == 502 and answer.json()["hint"]
    for text in (json.dumps(push), answer.text, page.get("/api/store").text):
        assert "test-key" not in text and sandbox.key not in text


def test_the_key_is_nowhere_in_the_answers(page: PageClient, sandbox: RunningSandbox) -> None:
    image = page.rows()[0]
    for path in ("/api/store", "/api/gallery", f"/api/images/{image['id']}", "/"):
        assert sandbox.key not in page.get(path).text


def test_looking_at_the_service_costs_one_request(page: PageClient, sandbox: RunningSandbox) -> None:
    assert page.json("/api/store")["unknown"]
    sandbox.clear_log()
    store = page.post("/api/observe").json()
    assert (store["unknown"], store["price"]["requests"] > 8) == (None, True)
    assert [request.call for request in sandbox.log] == ["view"]


def test_what_others_do_is_shown(page: PageClient, reader: EventReader, photo_store: Path, shell: Shell) -> None:
    reader.wait_shown("store", lambda store: store["totals"]["images"] == 8)
    draw(photo_store / "Can" / "added.png", 8000)
    reader.wait_shown("store", lambda store: store["totals"]["images"] == 9)
    (photo_store / "Can" / "added.png").rename(photo_store / "Bottle" / "added.png")
    reader.wait_shown("store", lambda store: {one["title"]: one["images"] for one in store["classes"]}["Bottle"] == 4)
    assert shell("push", "--store", photo_store).code == 0
    assert shell("status", "--store", photo_store).code == 0
    reader.wait_shown("store", lambda store: store["totals"]["by_state"] == {"on-service": 9})


def test_where_nothing_changed_the_gallery_stays(page: PageClient) -> None:
    # Files that were written just now are read a second time.
    page.post("/api/refresh")
    revision = page.post("/api/refresh").json()["revision"]
    for _ in range(3):
        assert page.post("/api/refresh").json()["revision"] == revision


def test_the_streams_end_with_the_page(photo_store: Path) -> None:
    with running_page(photo_store) as page:
        reader = EventReader(page)
        reader.wait("store", bool)
        began = time.monotonic()
    reader.join()
    assert reader.ended and reader.events[-1][0] == "closing"
    assert time.monotonic() - began < 30


def test_a_training_from_the_page(page: PageClient, reader: EventReader, sandbox: RunningSandbox) -> None:
    assert page.post("/api/train").status_code == 200
    failed = reader.wait("training", lambda training: training and training["state"] == "failed")
    assert failed["error"]["hint"], "the service has nothing to train on yet"
    finish(page, reader, "start")
    page.post("/api/train")
    done = reader.wait("training", lambda training: training and training["state"] in ("done", "failed"))
    assert (done["state"], done["error"]) == ("done", None)
    assert sandbox.versions(sandbox.models()[0][0]) == [done["version"]]
