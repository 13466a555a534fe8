"""Promise 5: what a failed exchange proves about the request."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.errors import (
    BadKey,
    NoSuchModel,
    NotTheService,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RemoteError,
    Unreachable,
)
from astica_sync.remote.http_exchange import Answer, NoAnswer
from astica_sync.remote.outcome import LONGEST_TEXT, classify, printable
from astica_sync.secret import Secret

KEY = Secret("canary-key")
NOW = 1_700_000_000.0


def judge(outcome: Answer | NoAnswer) -> RemoteError | None:
    return classify(outcome, host="train.astica.ai", key=KEY, now=NOW)


def said(text: object, status: int = 200, **headers: str) -> Answer:
    """The documented error object with an HTTP status."""
    body = json.dumps({"status": "ERROR", "error": text}).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def page(status: int, body: bytes = b"<html>Hello</html>", **headers: str) -> Answer:
    return Answer(status, headers, body)


@pytest.mark.parametrize("body", [b'{"status": "OK"}', b'{"status":"ok","more":[1]}', b'\xef\xbb\xbf{"status": "OK "}'])
def test_ok_is_no_error(body: bytes) -> None:
    assert judge(Answer(200, {}, body)) is None


def test_nothing_sent_is_unreachable() -> None:
    error = judge(NoAnswer(False, "Connection refused"))
    assert type(error) is Unreachable
    assert error.outcome is Outcome.NOT_DONE
    assert "train.astica.ai" in str(error)


def test_what_this_machine_refuses_is_not_explained_by_the_network() -> None:
    error = judge(NoAnswer(False, "Too many open files", "raise the limit"))
    assert type(error) is Unreachable
    assert (error.hint, "Too many open files" in str(error)) == ("Nothing was sent: raise the limit.", True)


def test_no_answer_after_sending_is_unknown() -> None:
    assert type(judge(NoAnswer(True, "timed out"))) is OutcomeUnknown


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500, 503])
@pytest.mark.parametrize(
    "text",
    [
        "Rate limit exceeded",
        "rate-limit reached",
        "Too many requests",
        "Limit of 90 requests per minute exceeded",
        "You have exceeded 90 requests",
        "limit exceeded per minute",
        "Request limit reached, slow down",
        "API requests are limited: limit reached",
        "Throttled",
    ],
)
def test_a_rate_limit_error_is_recognised_by_its_text_with_any_http_status(text: str, status: int) -> None:
    assert type(judge(said(text, status))) is RateLimited


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status": "ERROR", "error": "no"}', b'{"detail": "slow"}'])
def test_429_is_a_rate_limit_error_with_any_body(body: bytes) -> None:
    assert type(judge(Answer(429, {}, body))) is RateLimited


@pytest.mark.parametrize(
    "text",
    [
        "Storage limit exceeded",
        "Sample limit reached for this account",
        "Your account is full",
        "Maximum number of models exceeded",
        "Image exceeds the size limit of 20 MB",
        "Invalid image",
        "A sample with this uid already exists",
        "Missing model_class",
        "Unknown endpoint",
        "Sample not found",
        "Class not found",
        "Invalid model version",
        "Unknown model_version 3",
        "invalid model_class",
        "At least two classes are needed to train the model",
        "",
        None,
        ["a", 1],
    ],
)
@pytest.mark.parametrize("status", [200, 400, 409, 413, 422])
def test_any_other_error_of_the_service_refuses_only_this_request(text: object, status: int) -> None:
    error = judge(said(text, status))
    assert type(error) is Refused
    assert not error.stops_run


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize(
    "text", ["Invalid API key", "invalid api_key", "Unknown token", "tkn missing", "API key expired", "Unauthorized"]
)
def test_a_refused_key_is_recognised_by_its_text_with_any_http_status(text: str, status: int) -> None:
    error = judge(said(text, status))
    assert type(error) is BadKey
    assert error.stops_run
    assert error.host == "train.astica.ai"


def test_401_with_an_error_of_the_service_is_a_refused_key() -> None:
    assert type(judge(said("No", 401))) is BadKey


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    "text",
    ["Model not found", "model_id is unknown", "The dataset does not exist", "Invalid model id", "No such model 3"],
)
def test_a_missing_model_is_recognised_by_its_text_with_any_http_status(text: str, status: int) -> None:
    assert type(judge(said(text, status))) is NoSuchModel


@pytest.mark.parametrize("status", [200, 500, 503])
@pytest.mark.parametrize(
    "text",
    ["Internal error", "Server error", "Service temporarily unavailable", "Please try again", "Database timeout"],
)
def test_after_an_internal_error_the_outcome_is_unknown(text: str, status: int) -> None:
    assert type(judge(said(text, status))) is OutcomeUnknown


def test_a_complete_error_of_the_service_counts_even_with_status_500() -> None:
    assert type(judge(said("Invalid image", 500))) is Refused


@pytest.mark.parametrize("status", [200, 201, 408, 409, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", b"<html>Sorry</html>", b'{"status": "O', b"[]", b'{"status": "MAYBE"}', b"null"])
def test_an_answer_that_is_not_the_services_json_proves_nothing(status: int, body: bytes) -> None:
    assert type(judge(Answer(status, {}, body))) is OutcomeUnknown


def test_the_message_for_a_failing_server_has_its_status() -> None:
    assert "503" in str(judge(page(503)))


def test_ok_with_an_error_status_proves_nothing() -> None:
    assert type(judge(Answer(500, {}, b'{"status": "OK"}'))) is OutcomeUnknown


def test_the_hint_for_a_web_page_names_a_login_page() -> None:
    error = judge(page(200))
    assert error is not None
    assert "web page" in str(error)
    assert "login" in error.hint


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status": "OK"}', b'{"status": "ERROR", "error": "moved"}'])
def test_a_redirect_stops_the_run_and_names_its_target(status: int, body: bytes) -> None:
    error = judge(Answer(status, {"location": "https://elsewhere.example/"}, body))
    assert type(error) is NotTheService
    assert "https://elsewhere.example/" in str(error)
    assert error.stops_run


@pytest.mark.parametrize("status", [401, 403, 407])
def test_403_without_json_stops_the_run(status: int) -> None:
    assert type(judge(page(status))) is NotTheService


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415])
def test_a_4xx_without_json_refuses_this_request(status: int) -> None:
    assert type(judge(page(status))) is Refused


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:00 GMT"}, 40),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0),
        ({"retry-after": "Mon, 01 Jan 2001 00:00:30 GMT", "date": "Mon, 01 Jan 2001 00:00:00 GMT"}, 30),
    ],
)
def test_retry_after_is_read_as_a_number_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    error = judge(Answer(429, headers, b""))
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_a_text_of_the_service_is_escaped() -> None:
    error = judge(said("\x1b[31mred\x1b[0m\r\n\u202eback\0" + "x" * 1000))
    assert str(error).isprintable()
    assert len(str(error)) < LONGEST_TEXT + 40


def test_a_key_in_a_text_of_the_service_is_removed() -> None:
    for outcome in (
        said("Invalid API key: canary-key"),
        said("What is canary-key?"),
        page(302, location="https://x/?tkn=canary-key"),
        NoAnswer(True, "canary-key"),
    ):
        assert "canary-key" not in str(judge(outcome))


@given(st.text())
def test_printable_is_short_printable_and_idempotent(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= LONGEST_TEXT
    assert printable(shown) == shown.strip()


@given(
    st.integers(200, 599),
    st.binary(max_size=40),
    st.dictionaries(st.sampled_from(["location", "retry-after", "date"]), st.text(max_size=30)),
)
def test_only_ok_is_success(status: int, body: bytes, headers: dict[str, str]) -> None:
    if judge(Answer(status, headers, body)) is None:
        assert 200 <= status < 300
        assert json.loads(body)["status"] == "OK"
