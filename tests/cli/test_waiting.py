"""Who waits sees for what, until when, and a countdown that moves (promise 16): drawn on a clock of ours."""

import io
import re
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from astica_sync.cli.render.live import progress as progress_module
from astica_sync.cli.render.live.progress import Progress, PushProgress
from astica_sync.cli.render.live.progress_picture import fit_name, left_text, picture, plain_line, state_text
from astica_sync.cli.render.progress_state import Activity
from astica_sync.cli.render.text import countdown
from astica_sync.core.plan.decision_table import RemovalReason
from astica_sync.core.plan.plan import Plan, RemoveClass, RemoveSample, Upload
from astica_sync.core.rate_limit import RequestTimes, forecast, next_start
from astica_sync.remote.rate_limiter import WAIT_REASON

REFUSED = "train.astica.ai refused a request because of its rate limit"
WIDTHS = (40, 60, 80, 200)
NAMES = (
    "Can/IMG_2034.jpg",
    "Dosen/瓶子の写真/とても長い名前のファイル-0001.jpg",
    "a" * 250 + ".png",
    "Can/\U0001f9f4.png",
)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def uploads(count: int) -> Plan:
    return Plan(
        uploads=tuple(Upload(f"{number:032x}-00000000", "Can", f"Can/{number:05}.jpg", 1) for number in range(count))
    )


def drawn(activity: Activity, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(picture(activity, width))
    return captured.get().splitlines()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def activity(time: Time) -> Activity:
    return Activity(time, lambda: 1_800_000_000.0 + time.now)


@pytest.mark.parametrize("width", [80, *(pytest.param(w, marks=pytest.mark.long) for w in WIDTHS if w != 80)])
def test_the_screen_of_1999_uploads_at_90_a_minute_changes_every_second(
    activity: Activity, time: Time, width: int
) -> None:
    photos, limit, window, latency = 1999, 90, 60.0, 0.2
    activity.planned(uploads(photos), [], forecast([], photos, limit, window, latency, time.now))
    sent: list[RequestTimes] = []
    before, seconds, done = [""], 0, 0
    while done < photos:
        start = next_start(sent[-limit:], limit, window, time.now, 0.0, 0)
        second_over = 1000.0 + seconds + 1
        if start <= time.now and time.now + latency <= second_over:
            activity.request_sent(1_000_000)
            sent.append(RequestTimes(time.now, time.now + latency, 0.0))
            time.now += latency
            activity.request_ended(1_000_000, answered=True)
            done += 1
            rest = photos - done
            eta = forecast(sent[-limit:], rest, limit, window, latency, time.now)
            activity.uploaded("Can", f"Can/{done:05}.jpg", eta)
            continue
        if start > time.now:
            activity.next_request(start - time.now, WAIT_REASON)
        time.now, seconds = max(time.now, min(second_over, max(start, second_over))), seconds + 1
        now = drawn(activity, width)
        assert now != before, now
        assert all(cell_len(line) <= width for line in now), now
        before = now
    assert seconds > 1300


def test_a_wait_says_for_what_until_when_and_how_long(activity: Activity, time: Time) -> None:
    activity.waits(24.0, WAIT_REASON)
    assert state_text(activity).startswith("waiting 24 s, until ")
    assert state_text(activity).endswith(f": {WAIT_REASON}")
    until = state_text(activity)[18:28]
    time.now += 10.5
    assert state_text(activity).startswith("waiting 14 s") and until in state_text(activity)
    activity.request_sent(0)
    time.now += 7.0
    assert state_text(activity) == "waiting for the service to answer, 7 s"
    activity.request_ended(0, answered=True)
    assert not activity.is_busy()


def test_a_request_of_another_thread_does_not_end_the_countdown_of_those_that_wait(
    activity: Activity, time: Time
) -> None:
    """Each thread of ``detect`` and ``evaluate`` waits by itself, and the one with the last place sends later."""

    def wait() -> None:
        activity.waits(24.0, WAIT_REASON)

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join()
    activity.request_sent(0)
    time.now += 1.0
    assert state_text(activity).startswith("waiting 23 s, until ")
    activity.request_ended(0, answered=True)
    assert state_text(activity).startswith("waiting 23 s, until ")
    time.now += 23.0
    activity.request_sent(0)
    assert state_text(activity).startswith("waiting for the service to answer")


def test_the_end_of_a_wait_that_is_reported_again_does_not_jump(activity: Activity, time: Time) -> None:
    # Just before a second of the day, and then just after it.
    activity.next_request(29.999, WAIT_REASON)
    text = state_text(activity).partition(", ")[2]
    for _ in range(20):
        time.now += 1.0
        activity.next_request(1030.004 - time.now, WAIT_REASON)
        assert state_text(activity).partition(", ")[2] == text


def test_a_request_that_leaves_does_not_end_the_countdown_of_a_backlog(activity: Activity, time: Time) -> None:
    activity.planned(uploads(3), [], 60.0)
    activity.next_request(40.0, WAIT_REASON)
    activity.request_sent(10)
    activity.next_request(40.0, WAIT_REASON)
    assert state_text(activity).startswith("next request in 40 s, at ")


def test_more_done_than_was_planned_is_no_more_than_a_full_bar(activity: Activity) -> None:
    activity.planned(uploads(2), [], 5.0)
    for _ in range(3):
        activity.removed("Can", "", 2, 0.0)
    assert re.fullmatch("━+ 2/2 ?", drawn(activity, 60)[0])


def test_a_scan_shows_its_counts_and_its_seconds(activity: Activity, time: Time) -> None:
    activity.phase("Scanning the store")
    assert drawn(activity, 80) == ["Scanning the store"]
    activity.scanned(12_400, 1_200)
    time.now += 7.9
    assert drawn(activity, 80) == ["Scanning the store: 12,400 files, 1,200 read, 7 s"]
    activity.phase_ended()
    assert not activity.is_busy()


def test_a_stop_says_what_it_waits_for(activity: Activity) -> None:
    activity.planned(uploads(9), [], 60.0)
    activity.request_sent(10)
    activity.request_sent(10)
    activity.stopping = lambda: True
    assert state_text(activity) == "stopping after the 2 requests under way; Ctrl-C again stops immediately"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0 s"),
        (0.2, "1 s"),
        (43.0, "43 s"),
        (99.5, "1 min 40 s"),
        (1278.0, "21 min 18 s"),
        (11_118.0, "3 h 05 min 18 s"),
        (600_000.0, "6 d 22 h 40 min 00 s"),
    ],
)
def test_a_countdown_shows_every_second(seconds: float, text: str) -> None:
    assert countdown(seconds) == text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_name_that_is_cut_says_so_and_keeps_its_end(name: str, width: int) -> None:
    shown = fit_name(name, width)
    assert cell_len(shown) <= width
    assert shown == name or (shown.startswith("…") and name.endswith(shown[1:]))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("planned"), st.integers(0, 100_000)),
            st.tuples(st.just("uploaded"), st.text(max_size=300)),
            st.tuples(st.just("waits"), st.text(min_size=1, max_size=200)),
            st.tuples(st.just("phase"), st.text(min_size=1, max_size=200)),
            st.tuples(st.just("request_sent"), st.integers(0, 10**9)),
            st.tuples(st.just("request_ended"), st.integers(0, 10**9)),
            st.tuples(st.just("pass"), st.floats(0, 10**6)),
        ),
        max_size=12,
    ),
    st.sampled_from(WIDTHS),
)
def test_no_line_is_ever_wider_than_the_terminal(reports: list[tuple[str, object]], width: int) -> None:
    time = Time()
    activity = Activity(time, time)
    for name, value in reports:
        match name, value:
            case "planned", int(count):
                activity.planned(Plan(later=count), [], count / 1.5)
            case "uploaded", str(path):
                activity.uploaded("Can", path, 7.0)
            case "waits", str(why):
                activity.waits(50.0, why)
            case "phase", str(text):
                activity.phase(text)
            case "request_sent", int(size):
                activity.request_sent(size)
            case "request_ended", int(size):
                activity.request_ended(size, answered=True)
            case "pass", float(seconds):
                time.now += seconds
    assert all(cell_len(line) <= width for line in drawn(activity, width))
    assert "\n" not in plain_line(activity)


@pytest.fixture
def off_terminal(time: Time, monkeypatch: pytest.MonkeyPatch) -> Iterator[Progress]:
    """A progress on an output that is no terminal; only the test lets time pass."""
    monkeypatch.setattr(progress_module, "DRAW_EVERY", 3600.0)
    shown = Progress()
    shown.ticks = time
    yield shown
    shown.close()


def test_what_is_left_is_no_shorter_than_the_wait_for_the_limit(
    off_terminal: Progress, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    off_terminal.planned(uploads(40), [], 1.0)
    time.now += 30.0
    off_terminal.next_request(7.0, "the service refused a request because of its rate limit")
    shown = plain_line(off_terminal)
    assert shown.startswith("0 of 40 samples done, 7 s left; next request in 7 s"), shown
    assert shown.endswith("because of its rate limit; if another program uses this key, lower ASTICA_LIMIT")
    off_terminal.waits(12.0, "the service refused a request because of its rate limit")
    assert "lower ASTICA_LIMIT" in capsys.readouterr().err
    off_terminal.waits(20.0, "the request limit of this key")
    assert "; also until " in plain_line(off_terminal)
    time.now += 7.5
    assert "lower ASTICA_LIMIT" not in plain_line(off_terminal)


def test_two_reasons_to_wait_are_shown_both(activity: Activity, time: Time) -> None:
    activity.planned(uploads(40), [], 1.0)
    activity.next_request(90.0, f"{WAIT_REASON}; 3 requests of the last minute were not this command's")
    assert "also until" not in state_text(activity)
    activity.waits(40.0, "the service refused a request because of its rate limit")
    shown = state_text(activity)
    assert re.fullmatch(
        r"waiting 40 s, until \S+: the service refused a request because of its rate limit; if another program uses "
        rf"this key, lower ASTICA_LIMIT; also until \S+: {WAIT_REASON}; 3 requests of the last minute were not this "
        r"command's",
        shown,
    )
    assert plain_line(activity).startswith("0 of 40 samples done, 90 s left; waiting 40 s"), "the later one decides"
    activity.waits(40.0, WAIT_REASON)
    assert "also until" not in state_text(activity), "the same reason is one, whatever it counts"


def test_no_rest_is_shown_once_the_forecast_is_over_and_work_is_left(activity: Activity, time: Time) -> None:
    activity.planned(uploads(2), [], 1.0)
    assert "1 s left" in plain_line(activity)
    time.now += 1.5
    assert plain_line(activity).startswith("0 of 2 samples done; ") and "left" not in plain_line(activity)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_after_a_refusal_what_is_left_goes_by_the_pace(activity: Activity, time: Time, width: int) -> None:
    """The forecast counts on the limit of the settings, and the service has just shown that it allows less."""
    activity.planned(uploads(1200), [], 800.0)
    time.now += 10.0
    for number in range(30):
        activity.uploaded("Can", f"Can/{number:05}.jpg", 2.0)
    activity.waits(50.0, REFUSED)
    seen = []
    for _ in range(60):
        # 30 in a minute: 39 minutes for the other 1,170 from the end of the wait on, and no shorter while it lasts.
        head = drawn(activity, width)[0]
        assert re.fullmatch(r"━*[╸╺]?━* +30/1,200 \d+ min \d\d s left", head), head
        seen.append(head[-15:])
        time.now += 1.0
    assert seen[0] == "39 min 50 s left"[-15:] and len(set(seen)) > 50
    activity.planned(uploads(20), [], 7.0)
    assert drawn(activity, width)[0].endswith(" 0/20 7 s left"), "the next plan has a forecast of its own"


def test_after_a_refusal_the_head_line_keeps_what_is_left_between_two_waits(activity: Activity, time: Time) -> None:
    activity.planned(uploads(30), [], 1.0)
    activity.uploaded("Can", "Can/1.jpg", 0.5)
    activity.waits(2.0, REFUSED)
    time.now += 5.0
    activity.uploaded("Can", "Can/2.jpg", 0.5)
    time.now += 1.0
    assert drawn(activity, 80)[0].endswith(" 2/30 84 s left")


def test_the_end_of_a_wait_does_not_jump_where_its_count_changes(activity: Activity, time: Time) -> None:
    ends = []
    for others in (3, 4):
        activity.next_request(50.2, f"{WAIT_REASON}; {others} requests of the last minute were not this command's")
        wait = activity.current_wait()
        assert wait is not None and f"; {others} requests" in wait.why
        ends.append(wait.until)
        time.now += 0.1
    assert ends[0] == ends[1]


def test_off_a_terminal_a_line_comes_every_few_seconds_and_none_when_quick(
    off_terminal: Progress, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    off_terminal.phase("Scanning the store")
    time.now += 4.0
    off_terminal.tick()
    off_terminal.phase_ended()
    assert capsys.readouterr().err == ""
    off_terminal.planned(uploads(1999), [], 1320.0)
    lines = []
    for _ in range(60):
        time.now += 1.0
        off_terminal.tick()
        if line := capsys.readouterr().err:
            lines.append(line)
    assert len(lines) == 6 and len(set(lines)) == 6
    assert lines[0].startswith("0 of 1,999 samples done, 21 min 55 s left; ")
    off_terminal.close()
    time.now += 60.0
    off_terminal.tick()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("gap", "is_shown"), [(0.1, True), (0.6, False)])
def test_on_a_terminal_short_steps_in_a_row_are_shown_as_a_long_one_is(
    off_terminal: Progress, time: Time, monkeypatch: pytest.MonkeyPatch, gap: float, is_shown: bool
) -> None:
    """A command of many steps, each too short to be shown, would be silent for seconds."""

    class Screen:
        width = 80

        def draw(self, content: object) -> None:
            seen.append(time.now)

        def erase(self) -> None: ...

    seen: list[float] = []
    monkeypatch.setattr(progress_module, "DrawnLines", lambda stream: Screen())
    monkeypatch.setattr(progress_module, "can_draw", lambda stream: True)
    monkeypatch.setattr(off_terminal, "_terminal", True)
    for _ in range(8):
        off_terminal.phase("Scanning the store")
        for _ in range(3):
            time.now += 0.1
            off_terminal.tick()
        off_terminal.phase_ended()
        time.now += gap
        off_terminal.tick()
    assert bool(seen) == is_shown
    assert not seen or seen[0] < 1000.0 + 1.0


def test_off_a_terminal_a_wait_is_said_at_once_and_once(
    off_terminal: Progress, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    off_terminal.waits(24.0, WAIT_REASON)
    off_terminal.waits(24.0, WAIT_REASON)
    assert capsys.readouterr().err == f"waiting 24 s: {WAIT_REASON}\n"
    time.now += 11.0
    off_terminal.tick()
    assert capsys.readouterr().err.startswith("waiting 13 s, until ")


def test_a_quiet_command_shows_nothing(
    off_terminal: Progress, time: Time, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(off_terminal, "_verbosity", progress_module.Verbosity.QUIET)
    off_terminal.waits(24.0, WAIT_REASON)
    off_terminal.phase("Scanning the store")
    for _ in range(60):
        time.now += 1.0
        off_terminal.tick()
    assert capsys.readouterr().err == ""


def test_the_time_left_goes_by_the_answers_of_this_run_where_the_service_is_slow(
    activity: Activity, time: Time
) -> None:
    def ask(size: int) -> None:
        activity.request_sent(size)
        time.now += 2.0
        activity.request_ended(size, answered=True)

    ask(0)
    activity.planned(replace(uploads(33), first_upload_alone=True), [], 1.0)
    # The first one, the view that checks it, and two times sixteen.
    assert left_text(activity) == "8 s left"
    ask(1000)
    activity.uploaded("Can", "Can/0.jpg", 1.0)
    time.now += 1.5
    assert left_text(activity) == "6 s left", "it does not count down while the view is awaited"
    for number in range(1, 33):
        activity.uploaded("Can", f"Can/{number}.jpg", 0.5)
        assert left_text(activity) in ("4 s left", "2 s left", "")


def test_the_time_left_goes_by_the_work_where_the_disk_is_slow(activity: Activity, time: Time) -> None:
    """The waits for the limit are no work: where those alone hold it up, the forecast holds."""
    activity.planned(uploads(40), [], 0.5)
    seen = []
    for number in range(20):
        time.now += 4.0
        activity.uploaded("Can", f"Can/{number}.jpg", 0.5)
        seen.append(left_text(activity))
    assert seen[:3] == ["1 s left", "1 s left", "1 s left"] and seen[3:5] == ["2 min 24 s left", "2 min 20 s left"]
    assert seen[-1] == "80 s left"
    activity.planned(uploads(40), [], 70.0)
    for number in range(20):
        activity.waits(30.0, WAIT_REASON)
        time.now += 30.0
        activity.uploaded("Can", f"Can/{number}.jpg", 35.0)
    assert left_text(activity) == "35 s left"


def test_a_class_that_one_request_removes_takes_no_longer_than_a_sample(activity: Activity, time: Time) -> None:
    activity.request_sent(0)
    time.now += 2.0
    activity.request_ended(0, answered=True)
    gone = RemoveSample("u", "Can", 1, 1, RemovalReason.ABSENT, "Can/1.jpg")
    activity.planned(Plan(class_removals=(RemoveClass("Can", 1, (gone,) * 100),)), [], 4.0)
    assert left_text(activity) == "4 s left"


def test_the_bar_of_a_push_counts_no_image_that_is_known_to_be_unfit(
    time: Time, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "DRAW_EVERY", 3600.0)
    shown = PushProgress()
    shown.ticks = time
    plan = uploads(5)
    shown.rejected = frozenset(upload.uid for upload in plan.uploads[:2])
    shown.planned(plan, [], 5.0)
    assert "To upload: 3 samples" in capsys.readouterr().err
    assert plain_line(shown).startswith("0 of 3 samples done")
    shown.failed("Can", "Can/00000.jpg", "too small")
    assert plain_line(shown).startswith("0 of 3 samples done")
    shown.failed("Can", "Can/00003.jpg", "gone meanwhile")
    assert plain_line(shown).startswith("1 of 3 samples done")
    # It can be sent by now, as after another program was installed.
    shown.uploaded("Can", "Can/00001.jpg", 1.0)
    assert plain_line(shown).startswith("2 of 4 samples done")
    capsys.readouterr()
    shown.rejected = frozenset(upload.uid for upload in plan.uploads)
    shown.planned(plan, [], 0.0)
    assert "To upload: 0 samples, to remove: 0 samples; 5 images cannot be sent" in capsys.readouterr().err
    assert "samples done" not in plain_line(shown)
    shown.close()
