"""Making a model exactly once, and the look at the very first upload: on the real sandbox, with time as an argument."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.errors import Interrupted, OutcomeUnknown, RemoteError, StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.remote.client import Client
from astica_sync.remote.rate_limiter import RateLimiter
from astica_sync.remote.service import Service
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.secret import Secret
from astica_sync.sync.admin.create_model import ModelRequest, create_model, forget_attempt
from tests.harness.inline_pipeline import OwnClock

WISH = ModelRequest("Cans", "image", "sort cans", "a,b")


class Maker:
    """Wishes for models, again and again, with one file that remembers."""

    def __init__(self, box: RunningSandbox, folder: Path) -> None:
        self.box = box
        self.clock = OwnClock()
        self.intent = folder / "state" / "creating.json"
        self.told: list[str] = []
        self._stack = contextlib.ExitStack()
        client = self._stack.enter_context(contextlib.closing(Client(Secret(box.key), box.url, box.url, self.clock)))
        budget = RateLimiter(folder / "budget.db", name="b", limit=1000, window=60, clock=self.clock)
        self._stack.enter_context(contextlib.closing(budget))
        self.service = Service(client, budget, budget, self.clock)

    def wish(self, wish: ModelRequest = WISH) -> int:
        return create_model(
            self.service,
            wish,
            self.intent,
            fs=FileSystem(),
            clock=self.clock,
            quarantine=60.0,
            tell=self.told.append,
        ).model_id

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def maker(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Maker]:
    with contextlib.closing(Maker(sandbox, tmp_path)) as maker:
        yield maker


def test_the_same_wish_finds_the_same_model_until_it_is_written_down(maker: Maker) -> None:
    first = maker.wish()
    assert maker.wish() == first
    assert len(maker.box.models()) == 1
    forget_attempt(maker.intent, FileSystem())
    assert not maker.intent.parent.exists()
    assert maker.wish() != first


def test_what_was_there_before_is_written_down_before_the_request(maker: Maker) -> None:
    other = maker.box.add_model("Cans")
    maker.box.set_faults("create=lost-before")
    with pytest.raises(RemoteError, match="does not list the new model"):
        maker.wish()
    assert json.loads(maker.intent.read_bytes()) == {"title": "Cans", "before": [other]}
    assert maker.clock.time >= 1060, "a request the service is still at gets the quarantine"


def test_a_model_that_shows_late_is_waited_for(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    maker.box.set_switches(list_lag=3600.0)
    slept = maker.clock.sleep

    def sleep(seconds: float) -> None:
        slept(seconds)
        if maker.clock.time > 1020:
            maker.box.set_switches(list_lag=0.0)

    monkeypatch.setattr(maker.clock, "sleep", sleep)
    assert maker.wish() == maker.box.models()[0][0]
    assert len(maker.box.seen("create")) == 1


def test_no_second_model_is_made_while_the_late_lists_are_lost(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    maker.box.set_switches(list_lag=3600.0)
    with pytest.raises(RemoteError, match="does not list the new model"):
        maker.wish()
    slept, begun = maker.clock.sleep, maker.clock.time

    def sleep(seconds: float) -> None:
        slept(seconds)
        if maker.clock.time > begun + 30:
            maker.box.set_faults("list=lost-before")

    monkeypatch.setattr(maker.clock, "sleep", sleep)
    with pytest.raises(OutcomeUnknown):
        maker.wish()
    monkeypatch.undo()
    maker.box.set_faults()
    maker.box.set_switches(list_lag=0.0)
    assert maker.wish() == maker.box.models()[0][0]
    assert len(maker.box.seen("create")) == 1


def test_a_stop_while_it_waits_is_taken_up_again(maker: Maker) -> None:
    maker.box.set_switches(list_lag=3600.0)
    maker.clock.stop_at = 1010
    with pytest.raises(Interrupted):
        maker.wish()
    maker.box.set_switches(list_lag=0.0)
    maker.clock.stop_at = None
    assert maker.wish() == maker.box.models()[0][0]
    assert len(maker.box.models()) == 1


def test_an_attempt_for_another_title_is_not_mixed_up_with_this_one(maker: Maker) -> None:
    maker.wish()
    with pytest.raises(StoreError, match="'Cans' was interrupted here"):
        maker.wish(ModelRequest("Bottles", "image", "x"))
    assert len(maker.box.seen("create")) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"title": "Cans", "before": "no"}', "\x00"])
def test_a_torn_attempt_makes_no_model(maker: Maker, text: str) -> None:
    maker.intent.parent.mkdir()
    maker.intent.write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        maker.wish()
    assert maker.box.log == []


def test_a_refusal_forgets_the_attempt(maker: Maker) -> None:
    with pytest.raises(RemoteError, match="Missing dataset_purpose"):
        maker.wish(ModelRequest("Cans", "image", " "))
    assert not maker.intent.exists()


def test_a_title_with_outer_spaces_is_found(maker: Maker) -> None:
    assert maker.wish(ModelRequest(" Cans ", "image", "x")) == maker.box.models()[0][0]


@pytest.mark.switches("no model list", "integers are strings", "lists do not count", "all at once")
def test_a_model_is_found_whatever_the_list_looks_like(maker: Maker) -> None:
    maker.box.add_model("Cans")
    assert maker.wish() == maker.box.models()[1][0]
