"""``doctor --probe`` as a user runs it: the question, the files, interruptions, and what it leaves in an account."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astica_sync.doctor.probe import probe_requests
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sandbox.http.request_log import DETECT, TRAIN
from tests.harness.screen import Terminal
from tests.harness.shell import Shell

REFUSED = "was not confirmed; none was sent"


@pytest.fixture
def record(shell: Shell) -> Callable[[], list[Path]]:
    """The records of probes that have not ended."""
    return lambda: sorted((shell.home / "state" / "astica-sync").glob("probe-*.json"))


def wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_without_a_terminal_it_wants_yes(shell: Shell, sandbox: RunningSandbox) -> None:
    for arguments in ([], ["--json"], ["--with", "limit"]):
        ran = shell("doctor", "--probe", *arguments)
        assert ran.code == 4 and REFUSED in ran.err and "Add --yes." in ran.err
    assert sandbox.log == []


def test_its_options_belong_to_it(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    for arguments in (["--yes"], ["--with", "limit"], ["--out", "x"], ["--probe", "--bundle", tmp_path / "x.zip"]):
        assert shell("doctor", *arguments).code == 2
    assert sandbox.log == []


def test_the_result_is_printed_and_written(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    other = sandbox.add_model("astica-sync probe 0123456789ab")
    sandbox.add_sample(other, "Can", b"image", "can-1")
    out = tmp_path / "service.json"
    ran = shell("doctor", "--probe", "--yes", "--json", "--out", out)
    assert ran.code == 0, ran.err
    assert ran.json["facts"]["repeated_uids"]["value"] == "allow"
    assert ran.json["requests"] == len(sandbox.log) == probe_requests.BASIC_COST.usual
    written = json.loads(out.read_text())
    assert {**written, "files": ran.json["files"]} == ran.json
    assert [json.loads(Path(file).read_text()) for file in ran.json["files"]] == [written, written]
    assert sandbox.models() == [(other, "astica-sync probe 0123456789ab")]
    assert [sample.uid for sample in sandbox.samples(other)] == ["can-1"]
    text = shell("doctor", "--probe", "--yes", "--out", out)
    assert text.code == 0 and "characters of a uid kept" in text.out and shell.environ["ASTICA_API_KEY"] not in text.out


@pytest.mark.long
def test_a_file_that_is_another_one_is_left_alone(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    out = tmp_path / "notes.json"
    out.write_text("{}")
    for target in (out, tmp_path / "missing" / "x.json"):
        ran = shell("doctor", "--probe", "--yes", "--out", target)
        assert ran.code == 1 and str(target) in ran.err
    assert out.read_text() == "{}" and sandbox.log == []


@pytest.mark.long
@pytest.mark.parametrize("requests", [2, 3, 6, 12, 19, 22])
def test_killed_the_model_is_removed_by_the_next_one(
    shell: Shell, sandbox: RunningSandbox, record: Callable[[], list[Path]], requests: int
) -> None:
    kept = sandbox.add_model("Cans")
    # The answer of each request comes so late that the process is killed before it.
    sandbox.set_faults(f"*:{requests}=slow~30s")
    process = shell.start("doctor", "--probe", "--yes")
    wait_for(lambda: len(sandbox.log) >= requests and bool(sandbox.log[-1].done or sandbox.log[-1].outcome))
    process.kill()
    shell.finish(process)
    assert len(sandbox.models()) == 1 + (sandbox.log[-1].call != "model_remove")
    assert record()
    sandbox.set_faults()
    noted = shell("doctor", "--json").json["findings"]
    assert any("a probe was interrupted" in one["text"] for one in noted)
    ran = shell("doctor", "--probe", "--yes")
    assert ran.code == 0, ran.err
    assert sandbox.models() == [(kept, "Cans")]
    assert record() == []


@pytest.mark.long
def test_a_creation_that_is_carried_out_after_the_kill_is_found(
    shell: Shell, sandbox: RunningSandbox, record: Callable[[], list[Path]]
) -> None:
    sandbox.set_faults("create:1=late~inf", "list:2-100=slow~30s")
    process = shell.start("doctor", "--probe", "--yes")
    wait_for(lambda: len(sandbox.requests_of("list")) == 2)
    process.kill()
    shell.finish(process)
    assert sandbox.run_late() == 1
    sandbox.set_faults()
    assert len(sandbox.models()) == 1
    assert shell("doctor", "--probe", "--yes").code == 0
    assert sandbox.models() == [] and record() == []


@pytest.mark.long
def test_a_model_that_is_listed_late_is_waited_for(
    shell: Shell, sandbox: RunningSandbox, record: Callable[[], list[Path]]
) -> None:
    sandbox.set_switches(list_lag=4.0)
    sandbox.set_faults("create:1=slow~30s")
    process = shell.start("doctor", "--probe", "--yes")
    wait_for(lambda: bool(sandbox.models()))
    process.kill()
    shell.finish(process)
    sandbox.set_faults()
    shell.environ |= {"ASTICA_QUARANTINE": "8"}
    assert shell("doctor", "--probe", "--yes").code == 0
    assert sandbox.models() == [] and record() == []


@pytest.mark.long
@pytest.mark.parametrize("call", ["create", "upload", "view", "sample_remove", "model_remove"])
def test_with_lost_answers_it_ends_and_leaves_nothing(
    shell: Shell, sandbox: RunningSandbox, record: Callable[[], list[Path]], call: str
) -> None:
    sandbox.set_faults(f"{call}:1=lost-after")
    ran = shell("doctor", "--probe", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert sandbox.models() == [] and record() == []
    assert ran.json["facts"]["titles_case"]["value"] == "other class"


@pytest.mark.long
def test_ctrl_c_removes_the_model(shell: Shell, sandbox: RunningSandbox, record: Callable[[], list[Path]]) -> None:
    sandbox.set_faults(latency="100ms")
    process = shell.start("doctor", "--probe", "--yes")
    wait_for(lambda: len(sandbox.requests_of("upload")) >= 3)
    process.send_signal(signal.SIGINT)
    ran = shell.finish(process)
    assert ran.code == 130 and "The probe's model is removed, and nothing was written." in ran.err
    assert sandbox.models() == [] and record() == []
    assert len(sandbox.requests_of("upload")) < 8


@pytest.mark.long
def test_a_second_probe_waits_for_the_first(shell: Shell, sandbox: RunningSandbox) -> None:
    sandbox.set_faults("upload:3=slow~2s")
    process = shell.start("doctor", "--probe", "--yes")
    wait_for(lambda: len(sandbox.requests_of("upload")) >= 3)
    ran = shell("doctor", "--probe", "--yes")
    assert ran.code == 1 and "is under way" in ran.err
    assert len(sandbox.models()) == 1
    assert shell.finish(process).code == 0
    assert sandbox.models() == []


@pytest.mark.long
@pytest.mark.parametrize(("accepted", "found"), [(30_000_000, 20_971_520), (20_000_000, 20_000_000), (19_999_999, 0)])
def test_the_largest_image_is_found(shell: Shell, sandbox: RunningSandbox, accepted: int, found: int) -> None:
    sandbox.set_switches(largest_image=accepted)
    ran = shell("doctor", "--probe", "--yes", "--json", "--with", "large")
    assert ran.code == 0 and ran.json["facts"]["largest_image"]["value"] == found
    assert sandbox.models() == []


@pytest.mark.long
@pytest.mark.parametrize("length", [1, 8, 11])
def test_nothing_more_is_uploaded_where_a_uid_is_cut_short(shell: Shell, sandbox: RunningSandbox, length: int) -> None:
    sandbox.set_switches(uid_length=length, repeated_uids="replace")
    ran = shell("doctor", "--probe", "--yes", "--json")
    assert ran.code == 0 and ran.json["facts"]["uid_length"]["value"] == length
    assert "Nothing more is tried, since uids are not kept" in ran.err
    assert len(sandbox.requests_of("upload")) == 1 and sandbox.models() == []


@pytest.mark.long
@pytest.mark.parametrize(
    "more", [[], *(pytest.param(["--with", name], marks=pytest.mark.long) for name in ("large", "training"))]
)
def test_without_the_option_for_it_the_limit_is_never_exceeded(
    shell: Shell, sandbox: RunningSandbox, more: list[str]
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "6", "ASTICA_LIMIT_WINDOW": "1"}
    for endpoint in (TRAIN, DETECT):
        sandbox.set_limit(6, 1.0, endpoint)
    ran = shell("doctor", "--probe", "--yes", "--json", *more)
    assert ran.code == 0, ran.err
    assert ran.json["requests"] == len(sandbox.log) > 6
    assert [request for request in sandbox.log if request.outcome == "limited"] == []
    assert sandbox.max_in_any_window() == 6
    assert sandbox.max_in_any_window(DETECT) <= 6


@pytest.mark.long
def test_a_limit_that_is_not_enforced_is_exceeded_once(shell: Shell, sandbox: RunningSandbox) -> None:
    shell.environ |= {"ASTICA_LIMIT": "30"}
    sandbox.set_limit(1000, 60.0)
    ran = shell("doctor", "--probe", "--yes", "--json", "--with", "limit")
    assert ran.code == 0, ran.err
    fact = ran.json["facts"]["limit_refusal"]
    assert fact["value"] is None and "were all served" in fact["note"]
    assert sandbox.max_in_any_window() == 30 + probe_requests.OVER_LIMIT


@pytest.mark.long
def test_a_limit_that_machines_share_is_not_exceeded(shell: Shell, sandbox: RunningSandbox) -> None:
    shell.environ |= {"ASTICA_BUDGET": "redis://127.0.0.1:9/0"}
    ran = shell("doctor", "--probe", "--yes", "--with", "limit")
    assert ran.code == 1 and "the setting budget shares it with others" in ran.err and "ASTICA_BUDGET" in ran.err
    assert sandbox.log == []


@pytest.mark.long
def test_what_another_client_added_is_not_removed(
    shell: Shell, sandbox: RunningSandbox, record: Callable[[], list[Path]]
) -> None:
    sandbox.set_faults("upload:5=slow~2s")
    process = shell.start("doctor", "--probe", "--yes")
    wait_for(lambda: len(sandbox.requests_of("upload")) >= 5)
    model_id = sandbox.models()[0][0]
    sandbox.add_sample(model_id, "Mine", b"image", "mine-1")
    ran = shell.finish(process)
    assert ran.code == 4 and "1 sample that the probe did not upload" in ran.err
    assert sandbox.models() and record()
    # As the hint says.
    count = len(sandbox.samples(model_id))
    assert f"--lose-unmanaged {count}" in shell("models", "remove", str(model_id), "--yes").err
    assert shell("models", "remove", str(model_id), "--lose-unmanaged", str(count), "--yes").code == 0
    record()[0].unlink()
    assert sandbox.models() == []


@pytest.mark.long
@pytest.mark.parametrize("text", ["", "{", "[]", '{"title": "Cans", "before": []}', '{"title": 3}'])
def test_a_record_that_cannot_be_read_is_named(
    shell: Shell, sandbox: RunningSandbox, record: Callable[[], list[Path]], text: str
) -> None:
    sandbox.set_faults("create:1=slow~30s")
    process = shell.start("doctor", "--probe", "--yes")
    wait_for(lambda: bool(sandbox.models()))
    process.kill()
    shell.finish(process)
    (file,) = record()
    file.write_text(text)
    sandbox.clear_log()
    ran = shell("doctor", "--probe", "--yes")
    assert ran.code == 1 and "is about a probe that was interrupted, and cannot be read" in ran.err
    assert f"rm {file}" in ran.err and sandbox.log == []


@pytest.mark.long
def test_no_more_than_the_announced_requests_are_sent(
    shell: Shell, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_requests, "FIRST_PAUSES", (0.0,) * 100)
    # Each view is lost, so that it is asked for again and again.
    sandbox.set_faults("view@100%=5xx")
    ran = shell("doctor", "--probe", "--yes")
    assert ran.code == 1 and "is still in the account; the next doctor --probe removes it" in ran.err
    assert 50 <= len(sandbox.log) <= 60
    sandbox.set_faults()
    assert shell("doctor", "--probe", "--yes").code == 0
    assert sandbox.models() == []


@pytest.mark.long
def test_a_wrong_key_ends_it_at_once(shell: Shell, sandbox: RunningSandbox) -> None:
    sandbox.set_key("another")
    ran = shell("doctor", "--probe", "--yes")
    assert ran.code == 1 and "refused the API key" in ran.err
    assert len(sandbox.log) <= 2


@pytest.mark.long
def test_the_question_is_asked_on_a_terminal(shell: Shell, sandbox: RunningSandbox) -> None:
    with Terminal(shell, "doctor", "--probe", columns=80) as terminal:
        picture = terminal.until(lambda seen: "Start? [y/N]" in seen)
        assert "about 24 requests, 60 at most" in picture
        terminal.type("n\r")
        assert terminal.end() == 4
    assert sandbox.log == []


def test_the_question_says_that_the_limit_is_exceeded_on_purpose_and_by_how_much(
    shell: Shell, sandbox: RunningSandbox
) -> None:
    with Terminal(shell, "doctor", "--probe", "--with", "limit", columns=80) as terminal:
        words = " ".join(terminal.until(lambda seen: "Start? [y/N]" in seen).split())
        assert "At its end it exceeds your limit of 90 requests on purpose, by up to 5" in words
        assert "about 119 requests, 155 at most" in words
        terminal.type("n\r")
        assert terminal.end() == 4
    assert sandbox.log == []


def facts_file(shell: Shell, sandbox: RunningSandbox, out: Path, **changes: Any) -> Path:
    """A file of facts of which a test changes some."""
    if not out.exists():
        assert shell("doctor", "--probe", "--yes", "--out", out).code == 0
    data = json.loads(out.read_text())
    for name, value in changes.items():
        data["facts"][name] = value
    for file in (out, *(shell.home / "state" / "astica-sync").glob("service-*.json")):
        file.write_text(json.dumps(data))
    return out


@pytest.mark.long
def test_the_client_uses_the_file(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    out = facts_file(
        shell,
        sandbox,
        tmp_path / "x.json",
        view_lag={"value": 45.5},
        sample_list_lag={"value": 0},
        uid_length={"value": 20},
    )
    asked = shell("doctor", "--json").json
    texts = [one["text"] for one in asked["findings"]]
    assert any("keeps 20 characters of a uid" in text for text in texts)
    assert any("views show a change after up to 45.5 s" in text for text in texts)
    facts_file(shell, sandbox, out, uid_length={"value": 32}, repeated_uids={"value": "refuse"})
    texts = [one["text"] for one in shell("doctor", "--json").json["findings"]]
    assert any("an image that moved to another class is refused" in text for text in texts)
    del shell.environ["ASTICA_QUARANTINE"]
    quarantine = shell("doctor", "--json").json["settings"]["quarantine"]
    assert quarantine.startswith("91.0 ") and "service-" in quarantine
    for text in ("{", "[]", '{"format": "astica-sync-service-facts", "version": 2}'):
        for file in (shell.home / "state" / "astica-sync").glob("service-*.json"):
            file.write_text(text)
        asked = shell("doctor", "--json").json
        assert any("has no facts about a service" in one["text"] for one in asked["findings"])
        assert asked["settings"]["quarantine"] == "60.0 (default)"
        out.write_text(text)
        ran = shell("sandbox", "--like", out, "--port", "0")
        assert ran.code == 1 and "has no facts about a service" in ran.err
    ran = shell("sandbox", "--like", tmp_path / "none.json", "--port", "0")
    assert ran.code == 1 and "does not exist" in ran.err


@pytest.mark.long
def test_texts_of_the_service_are_harmless(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    sandbox.set_switches(invalid_image="bad \ud800 \x1b[31m text\r\n" + "x" * 10_000)
    out = tmp_path / "x.json"
    ran = shell("doctor", "--probe", "--yes", "--out", out)
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.out and "\r" not in ran.out
    assert max(map(len, ran.out.splitlines())) < 1000
    again = shell("doctor", "--probe", "--yes", "--json", "--out", out)
    assert again.code == 0, again.err
    assert again.json["facts"]["invalid_image"]["value"].startswith("bad \ud800 \x1b[31m text")
    assert shell("doctor").code in (0, 1)
