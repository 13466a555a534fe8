"""Each fault affects the requests of its rule, with the documented effect on client and account."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.sandbox.http.faults import CALLS, FaultKind, FaultRule, Faults, FaultSchedule, parse_range


@pytest.mark.parametrize(
    ("kind", "done"),
    [("lost-before", 0), ("lost-after", 1), ("late~inf", 0), ("cut-connection", 1)],
)
def test_a_lost_answer_is_the_same_before_and_after_the_work(sandbox, upload, kind, done):
    sandbox.set_faults(f"upload={kind}")
    model = sandbox.add_model()
    with pytest.raises(httpx.RemoteProtocolError):
        upload(model, "Can")
    assert len(sandbox.samples(model)) == sandbox.log[0].done == done


@pytest.mark.parametrize(("kind", "status", "done"), [("5xx", 503, 0), ("5xx-after", 502, 1), ("html", 200, 0)])
def test_an_html_page_in_place_of_json(sandbox, upload, kind, status, done):
    sandbox.set_faults(f"upload={kind}")
    model = sandbox.add_model()
    answer = upload(model, "Can")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.text.startswith("<!doctype html>")
    assert len(sandbox.samples(model)) == done


def test_a_connection_may_end_in_the_middle_of_the_answer(sandbox, post):
    sandbox.set_faults("list=cut-connection")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        post("/model/list")


def test_cut_json_has_a_matching_content_length(sandbox, post):
    sandbox.set_faults("list=cut")
    sandbox.add_model()
    answer = post("/model/list")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(answer.content)


def test_a_late_request_is_carried_out_by_run_late(sandbox, upload):
    sandbox.set_faults("upload=late~inf")
    model = sandbox.add_model()
    for uid in ("a", "b"):
        with pytest.raises(httpx.RemoteProtocolError):
            upload(model, "Can", uid)
    assert sandbox.samples(model) == []
    assert sandbox.run_late() == 2
    assert [sample.uid for sample in sandbox.samples(model)] == ["a", "b"]
    assert [(request.outcome, request.done) for request in sandbox.log] == [("late", 1)] * 2
    assert sandbox.run_late() == 0


def test_a_late_request_is_carried_out_after_its_seconds(sandbox, upload, post):
    sandbox.set_faults("upload=late~1ms")
    model = sandbox.add_model()
    with pytest.raises(httpx.RemoteProtocolError):
        upload(model, "Can")
    for _ in range(2000):  # each look is a request, which lets the sandbox's time pass
        if sandbox.samples(model):
            break
        post("/")
    assert len(sandbox.samples(model)) == 1


def test_a_request_with_the_fault_twice_is_answered_once(sandbox, upload):
    sandbox.set_faults("upload=twice")
    model = sandbox.add_model()
    assert upload(model, "Can", "u").json() == {"status": "OK"}
    assert [sample.uid for sample in sandbox.samples(model)] == ["u", "u"]
    assert sandbox.log[0].done == 2


def test_a_refused_second_execution_does_not_change_the_answer(sandbox, upload, post):
    model = sandbox.add_model()
    upload(model, "Can", "u")
    sandbox.set_faults("sample_remove=twice")
    assert post("/model/sample_remove", sample_id="", sample_uid="u").json() == {"status": "OK"}
    assert sandbox.log[-1].done == 1


def test_a_slow_answer_is_complete(sandbox, post):
    sandbox.set_faults("*=slow~1ms", latency="1-2ms")
    assert post("/model/list").json()["dataset_list"] == []


def test_a_partial_view_contradicts_its_counts(sandbox, upload, post):
    model = sandbox.add_model()
    for uid in "abcd":
        upload(model, "Can", uid)
    sandbox.set_faults("view:1=partial")
    dataset = post("/model/view", model_id=model).json()["dataset"]
    assert dataset["numSample"] == 4
    assert [sample["uid"] for sample in dataset["class_list"][0]["samples"]] == ["b", "d"]
    assert len(post("/model/view", model_id=model).json()["dataset"]["class_list"][0]["samples"]) == 4


def test_a_listed_view_is_the_list_of_models(sandbox, post):
    model = sandbox.add_model()
    sandbox.set_faults("view=listed")
    answer = post("/model/view", model_id=model).json()
    assert "dataset" not in answer
    assert answer["dataset_list"][0]["id"] == model
    assert post("/model/view", model_id=model, tkn="wrong").json()["error"] == "Invalid API key"


def test_a_refused_request_has_no_fault(sandbox, post):
    sandbox.set_limit(1, 60)
    sandbox.set_faults("list:2=lost-after")
    post("/model/list")
    assert post("/model/list").status_code == 429
    assert sandbox.log[-1].fault is None


def test_faults_by_number_are_counted_for_each_call(sandbox, upload, post):
    sandbox.set_faults("upload:2-3=5xx", "*:5=html")
    model = sandbox.add_model()
    uploads = [upload(model, "Can").status_code]
    post("/model/list")
    uploads += [upload(model, "Can").status_code for _ in range(2)]
    assert uploads == [200, 503, 503]
    assert upload(model, "Can").text.startswith("<!doctype")
    sandbox.set_faults("upload:1=5xx")
    assert upload(model, "Can").status_code == 503


@given(st.integers(), st.floats(0, 1), st.lists(st.sampled_from(CALLS), max_size=60))
def test_the_same_seed_gives_the_same_faults(seed, share, calls):
    faults = Faults((FaultRule("*", FaultKind.SLOW, share=share, seconds=(0, 9)),), seed, (0.1, 0.3))
    first, second = FaultSchedule(faults), FaultSchedule(faults)
    dealt = [first.next_fault(call) for call in calls]
    assert dealt == [second.next_fault(call) for call in calls]
    for fault in dealt:
        assert 0.1 - 1e-9 <= fault.before + fault.after <= 0.3 + 1e-9
        assert fault.kind is not None or share < 1


def test_faults_have_their_probability():
    schedule = FaultSchedule(Faults.parse("*@10%=lost-after", seed=7))
    lost = sum(schedule.next_fault("upload").kind is FaultKind.LOST_AFTER for _ in range(5000))
    assert 400 < lost < 600


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("upload:3=lost-after", FaultRule("upload", FaultKind.LOST_AFTER, 3, 3)),
        ("upload:3-7=5xx", FaultRule("upload", FaultKind.ERROR_PAGE, 3, 7)),
        ("*@10%=lost-before", FaultRule("*", FaultKind.LOST_BEFORE, share=0.1)),
        ("view@0.05=cut", FaultRule("view", FaultKind.CUT, share=0.05)),
        ("view=slow~0.5-2s", FaultRule("view", FaultKind.SLOW, share=1.0, seconds=(0.5, 2.0))),
        ("model_train:1=5xx-after", FaultRule("model_train", FaultKind.ERROR_PAGE_AFTER, 1, 1)),
        ("*=late~50ms", FaultRule("*", FaultKind.LATE, share=1.0, seconds=(0.05, 0.05))),
        ("*=late", FaultRule("*", FaultKind.LATE, share=1.0, seconds=(5.0, 5.0))),
    ],
)
def test_a_rule_is_parsed_from_its_text(text, rule):
    assert FaultRule.parse(text) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("upload", "not a fault"),
        ("uplaod=5xx", "no call 'uplaod'; there are create, "),
        ("upload=lost", "no fault 'lost'; there are lost-before, "),
        ("upload@150%=5xx", "a probability is between 0 and 1"),
        ("upload=slow~soon", "not a time or a range of times: 'soon'"),
        ("upload=slow~5-2s", "a range needs its lower value first"),
    ],
)
def test_an_invalid_rule_is_refused_with_a_reason(text, message):
    with pytest.raises(ValueError, match=message):
        FaultRule.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("20-50ms", (0.02, 0.05)), ("0.2-2s", (0.2, 2.0)), ("3", (3.0, 3.0)), ("0", (0.0, 0.0))]
)
def test_a_range_is_parsed_from_its_text(text, seconds):
    assert parse_range(text) == pytest.approx(seconds)
