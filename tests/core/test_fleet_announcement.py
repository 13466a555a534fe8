"""What is read of the record of another machine, and which processes count as being there."""

import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.core.fleet.announcement import (
    HERE_SECONDS,
    LONGEST_SECONDS,
    MOST_CHARACTERS,
    MOST_COUNT,
    MOST_NAME,
    MOST_WORD,
    Announcement,
    LimitSetting,
    announcement_of,
    as_data,
    clean_text,
)
from astica_sync.core.fleet.fleet import fleet_of
from astica_sync.remote.fleet.fleet_board import BoardRecord, fleet_on, text_of

GOOD: dict[str, Any] = {
    "machine": "line-2",
    "pid": 71,
    "version": "0.2.0",
    "doing": "watch",
    "store": "Bottles",
    "model": 1495,
    "running": 60.0,
    "requests": 12,
    "waits": 5.0,
    "ended": False,
    "limit": 90,
    "window": 60.0,
    "share": 0.1,
}
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.lists(st.text(), max_size=2)
)


def said(**changes: Any) -> Announcement:
    found = announcement_of({**GOOD, **changes}, changes.get("seen", 1.0))
    assert found is not None
    return found


def test_what_is_written_is_read_back() -> None:
    found = said()
    assert announcement_of(json.loads(text_of(found)), 1.0) == found
    assert as_data(found) == GOOD
    without = said(limit="many")
    assert without.setting is None and not as_data(without).keys() & {"limit", "window", "share"}


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), VALUES), VALUES | st.just(1.0))
def test_whatever_is_written_is_bounded_and_can_be_shown(changes: dict[str, Any], seen: object) -> None:
    found = announcement_of({**GOOD, **changes}, seen)
    if found is None:
        return
    task = found.task
    for text, most in (
        (found.machine, MOST_NAME),
        (found.version, MOST_WORD),
        (task.doing, MOST_WORD),
        (task.store, MOST_NAME),
    ):
        assert len(text) <= most
        assert all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in text)
    for count in (found.pid, found.requests, task.model, found.setting.limit if found.setting else None):
        assert count is None or (type(count) is int and 0 <= count <= MOST_COUNT)
    for seconds in (found.running, found.seen, found.waits, found.setting.window if found.setting else 0.0):
        assert math.isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS
    assert 0 <= (found.setting.share if found.setting else 0.0) <= 1
    assert len(text_of(found)) <= MOST_CHARACTERS


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '"line-2"', "null", "[" * 900, '{"machine": 7}', '{"machine": "\\u200b"', '{"machine": " "}'],
)
def test_what_is_no_announcement_is_left_out(text: str) -> None:
    good = BoardRecord(json.dumps(GOOD), "1.0")
    assert [one.machine for one in fleet_on([BoardRecord(text, "1.0"), good]).here] == ["line-2"]
    assert fleet_on([BoardRecord(json.dumps(GOOD), seen) for seen in ("nan", "-1", "1e999", "x", None, [])]).here == ()


def test_a_text_is_one_line_without_signs_that_a_terminal_obeys() -> None:
    assert clean_text("\x1b[2Jcam\r\n\u202e2\u2028", 48) == "\ufffd[2Jcam\ufffd\ufffd\ufffd2\ufffd"
    assert clean_text("हिन्दी", 48) == "हिन्दी"
    assert clean_text("a" + "\u0300" * 40, 48).count("\ufffd") > 30
    assert clean_text("\ud800", 48) == "\ufffd"
    assert clean_text(b"line", 48) == ""


def test_a_process_is_here_until_it_has_said_nothing_for_long_or_that_it_has_ended() -> None:
    assert said(seen=HERE_SECONDS).is_here
    assert not said(seen=HERE_SECONDS + 0.1).is_here
    assert not said(ended=True).is_here
    assert said(waits=5.0, seen=2.0).waits_now == 3.0
    assert said(waits=5.0, seen=7.0).waits_now == 0.0
    assert said(waits=5.0, ended=True).waits_now == 0.0


def test_of_what_was_last_seen_the_newest_word_is_shown_and_none_where_the_same_is_here() -> None:
    fleet = fleet_of(
        [
            said(seen=500.0, doing="push"),
            said(seen=300.0, doing="push", ended=True),
            said(seen=900.0),
            said(seen=2.0),
            said(seen=3.0, machine="line-1"),
            said(seen=4000.0, machine="line-9"),
        ]
    )
    assert [one.machine for one in fleet.here] == ["line-1", "line-2"]
    assert fleet.machines == 2
    assert [(one.machine, one.task.doing, one.seen) for one in fleet.gone] == [
        ("line-2", "push", 300.0),
        ("line-9", "watch", 4000.0),
    ]


def test_a_watcher_of_several_stores_is_one_process() -> None:
    stores = [said(store=name) for name in ("a", "b", "c")]
    fleet = fleet_of([*stores, said(pid=72), said(machine="line-1"), said(pid=None), said(pid=None, store="b")])
    assert (len(fleet.here), fleet.processes, fleet.machines) == (7, 5, 2)


def test_machines_with_another_limit_are_named_once() -> None:
    fleet = fleet_of(
        [said(), said(machine="b", limit=60), said(machine="b", limit=60, pid=8), said(machine="c", limit=0)]
    )
    assert [one.machine for one in fleet.other_limits(LimitSetting(90, 60.0))] == ["b"]
    assert {one.machine for one in fleet.other_limits(LimitSetting(90, 30.0))} == {"line-2", "b"}


def test_the_longest_names_fit_into_a_record() -> None:
    wide = "\U0001f600" * 500
    found = announcement_of(
        {
            **GOOD,
            "machine": wide,
            "store": wide,
            "doing": wide,
            "version": wide,
            "pid": MOST_COUNT,
            "model": MOST_COUNT,
        },
        1.0,
    )
    assert found is not None
    assert len(text_of(found)) <= MOST_CHARACTERS
    assert announcement_of(json.loads(text_of(found)), 1.0) == found
