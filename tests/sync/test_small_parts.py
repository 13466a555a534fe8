"""The clock, the key, the workers, the settings and the words."""

import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.cli.render.text import duration, first, json_name, number, safe
from astica_sync.clock import Stop, SystemClock, Wake
from astica_sync.config import SETTINGS, load_key, load_settings
from astica_sync.errors import ConfigError, Interrupted
from astica_sync.secret import Secret
from astica_sync.sync.apply.thread_pool import ThreadPool, thread_pool


def test_a_sleep_ends_at_once_when_a_stop_was_asked_for() -> None:
    clock = SystemClock()
    clock.sleep(0.0)
    clock.stopping.set()
    with pytest.raises(Interrupted):
        clock.sleep(3600)


def test_the_clock_never_goes_back() -> None:
    clock = SystemClock()
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(times)


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    key = Secret("the-key-itself")
    shown = [str(key), repr(key), f"{key}", f"{key!s:>20}", "%s" % key, str({"key": key}), str([key])]  # noqa: UP031
    try:
        raise ValueError(key)
    except ValueError as error:
        shown.append("".join(traceback.format_exception(error)))
    assert not [text for text in shown if "the-key-itself" in text]
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert key.reveal() == "the-key-itself"


def test_workers_do_everything_and_hand_errors_back() -> None:
    def fail() -> None:
        raise KeyError("x")

    with thread_pool(3) as workers:
        for place in range(20):
            workers.submit(lambda place=place: place * 2, place)
        workers.submit(fail, "fail")
        done = {found.tag: found for found in (workers.next_done(10) for _ in range(21)) if found}
    assert {tag: found.value for tag, found in done.items() if tag != "fail"} == {n: n * 2 for n in range(20)}
    assert isinstance(done["fail"].error, KeyError)
    assert workers.next_done(0) is None


def test_closed_workers_begin_nothing_more_and_keep_nobody_waiting() -> None:
    begun, go, began = [], threading.Event(), threading.Event()

    def block() -> None:
        began.set()
        go.wait(10)

    workers = ThreadPool(1)
    workers.submit(block, "first")
    began.wait(10)
    workers.submit(lambda: begun.append("second"), "second")
    workers.close()
    go.set()
    found = workers.next_done(10)
    assert found is not None and found.tag == "first"
    assert workers.next_done(0.05) is None and not begun
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("astica-sync-"))


def test_each_source_of_a_setting_beats_the_weaker_ones(tmp_path: Path) -> None:
    user, store = tmp_path / "user.toml", tmp_path / "store.toml"

    def limit(environ: dict[str, str], flag: int | None = None) -> tuple[int, str]:
        found = load_settings(environ, store_file=store, user_file=user, flags={"limit": flag})
        return found.limit, found.sources["limit"]

    assert limit({}) == (90, "default")
    user.write_text("limit = 10")
    assert limit({}) == (10, str(user))
    store.write_text("limit = 20")
    assert limit({}) == (20, str(store))
    assert limit({"ASTICA_LIMIT": "30"}) == (30, "ASTICA_LIMIT")
    assert limit({"ASTICA_LIMIT": "30"}, 40) == (40, "the command line")
    assert limit({"ASTICA_LIMIT": ""}) == (20, str(store)), "an empty variable is none"


@given(name=st.sampled_from([setting.name for setting in SETTINGS]), value=st.text(max_size=20))
def test_any_text_is_a_good_value_or_an_error_that_names_the_setting(name: str, value: str) -> None:
    try:
        load_settings({}, flags={name: value})
    except ConfigError as error:
        assert name in str(error) and error.hint.startswith("Give ")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e400", "0x10", "", "1.5"])
def test_a_limit_is_a_whole_number(value: str) -> None:
    with pytest.raises(ConfigError, match="limit is"):
        load_settings({}, flags={"limit": value})


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://train.astica.ai/", True),
        ("http://localhost:8777", True),
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://127.0.0.1.example.com", False),
        ("https://user:word@host", False),
        ("https://host?x=1", False),
        ("https://", False),
        ("http://[::1", False),
        ("https://host:99999", False),
        ("https://host:port", False),
        ("file:///etc/passwd", False),
    ],
)
def test_addresses(url: str, right: bool) -> None:
    if right:
        assert load_settings({"ASTICA_TRAIN_URL": url}).train_url == url.rstrip("/")
    else:
        with pytest.raises(ConfigError, match="train_url") as caught:
            load_settings({"ASTICA_TRAIN_URL": url})
        assert caught.value.hint.startswith("Give an ")


def test_a_key_comes_from_the_environment_or_a_file_and_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "key"
    assert load_key({"ASTICA_API_KEY": " abc\n"}).reveal() == "abc"
    for wrong in ({"ASTICA_API_KEY": "a b"}, {"ASTICA_API_KEY": "a\x00b"}, {"ASTICA_API_KEY_FILE": str(file)}):
        with pytest.raises(ConfigError) as caught:
            load_key(wrong)
        assert "a b" not in str(caught.value)
    file.write_bytes(b"")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="is empty"):
        load_key({"ASTICA_API_KEY_FILE": str(file)})
    file.write_text("abc\n")
    assert load_key({"ASTICA_API_KEY_FILE": str(file)}).reveal() == "abc"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "under a second"),
        (40, "40 s"),
        (99.7, "100 s"),
        (100, "2 min"),
        (3599, "60 min"),
        (11_100, "3 h 5 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_are_words_for_people() -> None:
    assert (number(1, "sample"), number(1200, "sample"), number(2, "class", "classes")) == (
        "1 sample",
        "1,200 samples",
        "2 classes",
    )


@given(st.text())
def test_a_name_that_is_shown_harms_no_terminal(name: str) -> None:
    shown = safe(name)
    assert shown.isprintable()
    shown.encode("utf-8")


@given(st.binary(max_size=30))
def test_a_name_in_json_is_always_utf8(name: bytes) -> None:
    json_name(name.decode("utf-8", "surrogateescape")).encode("utf-8")


def test_a_long_list_is_cut_and_says_so() -> None:
    lines = [str(place) for place in range(15)]
    assert first(lines, 15)[:-1] == lines[:10]
    assert "5 more" in first(lines, 15)[-1]
    assert first(lines[:10], 10) == lines[:10]


@pytest.mark.parametrize(
    "begin",
    [lambda: ThreadPool(1).next_done, lambda: Wake().wait, lambda: Stop().wait],
    ids=["work", "bell", "stop"],
)
def test_however_short_a_wait_is_it_ends(begin: Callable[[], Callable[[float], object]]) -> None:
    def wait_often() -> None:
        for _ in range(20_000):
            begin()(1e-6)

    thread = threading.Thread(target=wait_often, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


SIGNALLED = """
import random, signal
from astica_sync.clock import Stop, Wake

signal.signal(signal.SIGALRM, lambda *_: (stop.set(), wake.ring()))
for _ in range(4000):
    stop, wake = Stop(), Wake()
    signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-6, 1.5e-4))
    for _ in range(5):
        stop.wait(2e-5)
        wake.wait(2e-5)
    signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_a_signal_at_any_moment_of_a_wait_stops_it() -> None:
    subprocess.run([sys.executable, "-c", SIGNALLED], check=True, timeout=120)
