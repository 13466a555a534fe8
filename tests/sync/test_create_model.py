"""Creating a model exactly once: on the real sandbox, with time as an argument."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.errors import Interrupted, OutcomeUnknown, RemoteError, StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.remote.client import ServiceClient
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.remote.rate_limiter import RateLimiter
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.secret import Secret
from astica_sync.sync.admin.create_model import CreationAttempt, ModelRequest, create_model
from tests.harness.inline_pipeline import SleepClock

REQUEST = ModelRequest("Cans", "image", "sort cans", "a,b")


class Maker:
    """Creates models, again and again, with one file that remembers the attempt."""

    def __init__(self, box: RunningSandbox, folder: Path) -> None:
        self.box = box
        self.clock = SleepClock()
        self.attempt = CreationAttempt(folder / "state" / "creating.json", FileSystem())
        self.notes: list[str] = []
        self._stack = contextlib.ExitStack()
        client = self._stack.enter_context(
            contextlib.closing(ServiceClient(Secret(box.key), box.url, box.url, self.clock))
        )
        budget = RateLimiter(folder / "budget.db", name="b", limit=1000, window=60, clock=self.clock)
        self._stack.enter_context(contextlib.closing(budget))
        self.service = RateLimitedClient(client, budget, budget, self.clock)

    def create(self, request: ModelRequest = REQUEST) -> int:
        return create_model(
            self.service,
            request,
            self.attempt,
            clock=self.clock,
            quarantine=60.0,
            note=self.notes.append,
        ).model_id

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def maker(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Maker]:
    with contextlib.closing(Maker(sandbox, tmp_path)) as maker:
        yield maker


def test_the_same_request_finds_the_same_model_until_the_attempt_is_forgotten(maker: Maker) -> None:
    first = maker.create()
    assert maker.create() == first
    assert len(maker.box.models()) == 1
    maker.attempt.forget()
    assert not maker.attempt.path.parent.exists()
    assert maker.create() != first


def test_the_models_of_before_are_recorded_before_the_request(maker: Maker) -> None:
    other = maker.box.add_model("Cans")
    maker.box.set_faults("create=lost-before")
    with pytest.raises(RemoteError, match="does not list the new model"):
        maker.create()
    written = json.loads(maker.attempt.path.read_bytes())
    assert (written["title"], written["before"]) == ("Cans", [other])
    assert maker.clock.time >= 1060, "a request the service is still at gets the quarantine"


def test_a_model_that_is_listed_late_is_waited_for(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    maker.box.set_switches(list_lag=3600.0)
    real_sleep = maker.clock.sleep

    def sleep(seconds: float) -> None:
        real_sleep(seconds)
        if maker.clock.time > 1020:
            maker.box.set_switches(list_lag=0.0)

    monkeypatch.setattr(maker.clock, "sleep", sleep)
    assert maker.create() == maker.box.models()[0][0]
    assert len(maker.box.requests_of("create")) == 1


def test_no_second_model_is_created_while_the_lists_are_lost(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    maker.box.set_switches(list_lag=3600.0)
    with pytest.raises(RemoteError, match="does not list the new model"):
        maker.create()
    real_sleep, began = maker.clock.sleep, maker.clock.time

    def sleep(seconds: float) -> None:
        real_sleep(seconds)
        if maker.clock.time > began + 30:
            maker.box.set_faults("list=lost-before")

    monkeypatch.setattr(maker.clock, "sleep", sleep)
    with pytest.raises(OutcomeUnknown):
        maker.create()
    monkeypatch.undo()
    maker.box.set_faults()
    maker.box.set_switches(list_lag=0.0)
    assert maker.create() == maker.box.models()[0][0]
    assert len(maker.box.requests_of("create")) == 1


def test_the_next_call_continues_after_a_stop_during_the_wait(maker: Maker) -> None:
    maker.box.set_switches(list_lag=3600.0)
    maker.clock.stop_at = 1010
    with pytest.raises(Interrupted):
        maker.create()
    maker.box.set_switches(list_lag=0.0)
    maker.clock.stop_at = None
    assert maker.create() == maker.box.models()[0][0]
    assert len(maker.box.models()) == 1


def test_an_attempt_for_another_title_is_refused(maker: Maker) -> None:
    maker.create()
    with pytest.raises(StoreError, match="'Cans' was interrupted here"):
        maker.create(ModelRequest("Bottles", "image", "x"))
    assert len(maker.box.requests_of("create")) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"title": "Cans", "before": "no"}', "\x00"])
def test_a_damaged_attempt_file_creates_no_model(maker: Maker, text: str) -> None:
    maker.attempt.path.parent.mkdir()
    maker.attempt.path.write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        maker.create()
    assert maker.box.log == []


@pytest.mark.parametrize("place", [None, ["another machine", 1], "", [], {"a": 1}, "another folder"])
def test_an_attempt_from_an_archive_makes_no_model_of_that_title_the_new_one(maker: Maker, place: object) -> None:
    maker.box.add_model("Cans")
    maker.attempt.path.parent.mkdir()
    maker.attempt.write(REQUEST, set())
    record = json.loads(maker.attempt.path.read_bytes())
    if place == "another folder":
        record["place"] = FileSystem().known_stores.seal(str(maker.attempt.path.parent / "other" / "creating.json"))
    elif place is None:
        del record["place"]
    else:
        record["place"] = place
    maker.attempt.path.write_text(json.dumps(record))
    with pytest.raises(StoreError, match="was not made in this folder by this user") as caught:
        maker.create()
    assert f"rm {maker.attempt.path}" in caught.value.hint
    assert maker.box.log == []
    maker.attempt.path.unlink()
    maker.create()
    assert len(maker.box.models()) == 2


def test_a_refusal_forgets_the_attempt(maker: Maker) -> None:
    with pytest.raises(RemoteError, match="Missing dataset_purpose"):
        maker.create(ModelRequest("Cans", "image", " "))
    assert not maker.attempt.path.exists()


def test_a_title_with_outer_spaces_is_found(maker: Maker) -> None:
    assert maker.create(ModelRequest(" Cans ", "image", "x")) == maker.box.models()[0][0]


@pytest.mark.switches("no model list", "integers are strings", "lists do not count", "all at once")
def test_a_model_is_found_whatever_the_list_looks_like(maker: Maker) -> None:
    maker.box.add_model("Cans")
    assert maker.create() == maker.box.models()[1][0]
