"""Whole pushes to a service whose errors repeat what was sent, and to one whose quota is used up."""

from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.sandbox_images import draw
from tests.harness.shell import Shell, fill


@pytest.mark.parametrize("title", ["Throttle bodies", "Gateway", "invalid token", "Too many requests"])
def test_a_refusal_that_repeats_a_misleading_title_is_that_samples_failure_alone(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, title: str
) -> None:
    fill(pushed, {title: 1, "Others": 3}, start=500)
    planned = shell("status", "--store", pushed, "--json").json["plan"]["upload"]
    (uid,) = [upload["uid"] for upload in planned if upload["class"] == title]
    # The account has a sample with this uid already, in another model.
    sandbox.add_sample(sandbox.add_model("Another"), "Can", draw(), uid)
    sandbox.set_switches(repeated_uids="refuse", error_texts="repeat")
    sandbox.clear_log()
    ran = shell("push", "--store", pushed, "--json")
    assert ran.code == 3, ran.err
    assert ran.json["uploaded"] == 3
    (failed,) = ran.json["failed"]
    assert (failed["class"], title in failed["reason"]) == (title, True)
    assert [request.sent["uid"] for request in sandbox.requests_of("upload")].count(uid) == 1


def test_a_quota_ends_a_push_without_a_repetition_and_the_next_one_goes_on(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    fill(pushed, {"Others": 12}, start=500)
    sandbox.set_switches(limit_refusal="quota-text", error_texts="repeat")
    sandbox.set_limit(5, 1000.0)
    sandbox.clear_log()
    ran = shell("push", "--store", pushed)
    assert ran.code == 1
    assert "because of the account's quota: You have exceeded your monthly limit of requests" in ran.err
    uids = [request.sent["uid"] for request in sandbox.requests_of("upload")]
    assert len(uids) == len(set(uids))
    sandbox.set_limit(10_000, 1.0)
    again = shell("push", "--store", pushed, "--json")
    assert again.code == 0, again.err
    assert again.json["failed"] == []
    assert again.json["in_sync"]
