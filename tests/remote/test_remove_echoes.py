"""Promise 9: an error is read by the service's own words. What was sent decides nothing, however it is repeated."""

import html
import json
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.errors import BadKey, NoSuchModel, OutcomeUnknown, QuotaExceeded, RateLimited, Refused, RemoteError
from astica_sync.remote.http_exchange import Answer
from astica_sync.remote.outcome import classify
from astica_sync.remote.remove_echoes import ONLY_KEY, plain, redact_key, without_echoes, without_key
from astica_sync.secret import Secret

MISLEADING = [
    "Throttle bodies",
    "Gateway",
    "invalid token",
    "Rate limit signs",
    "Too many requests",
    "Server error screens",
    "Unauthorized persons",
    "no such model",
    "Overloaded trucks",
    "Temporary fences & walls",
    "Try again <labels>",
    "Datenbank/Database \\ diagrams",
    "Über-Timeout „groß“",
    "monthly request quota forms",
]
ECHOES = {
    "as it is": lambda title: title,
    "in quotes": lambda title: f"'{title}'",
    "in typographic quotes": lambda title: f"“{title}”",
    "for HTML": lambda title: html.escape(title),
    "for HTML, in numbers": lambda title: "".join(f"&#{ord(char)};" for char in title),
    "for URLs": quote,
    "for URLs, with plus signs": quote_plus,
    "for JSON": lambda title: json.dumps(title)[1:-1],
    "escaped twice": lambda title: html.escape(html.escape(title)),
    "in capitals": str.upper,
    "in small letters": str.lower,
    "with underscores": lambda title: title.replace(" ", "_"),
    "cut": lambda title: f"{title[:-2]}…",
    "cut in quotes": lambda title: f'"{title[:-2]}"',
    "cut with dots": lambda title: f"{title[:9]}...",
    "cut in the middle": lambda title: f"{title[:5]}...{title[-5:]}",
    "without a space inside": lambda title: title.replace(" ", "\u00a0"),
}
FRAMES = ["Cannot add a sample to class {}", "{}: the class is full", "Class {} is not allowed here, sorry"]


def judge(text: object, *sent: str, status: int = 200, **more: object) -> RemoteError | None:
    body = json.dumps({"status": "ERROR", "error": text, **more}).encode()
    return classify(Answer(status, {}, body), host="h", key=Secret("canary-key"), now=0.0, sent=sent)


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("title", MISLEADING)
def test_a_title_in_an_error_decides_nothing_in_any_form(title: str, echo: str) -> None:
    for frame in FRAMES:
        text = frame.format(ECHOES[echo](title))
        assert type(judge(text, "3", title, "0" * 32)) is Refused, text


@pytest.mark.parametrize("title", MISLEADING)
def test_a_title_cut_at_the_end_of_the_text_decides_nothing(title: str) -> None:
    assert type(judge(f"Cannot add a sample to the class {title[:-1]}", title)) is Refused


@pytest.mark.parametrize(
    ("text", "title", "kind"),
    [
        ("Throttle bodies: too many requests", "Throttle bodies", RateLimited),
        ("Class 'Gateway': rate limit exceeded", "Gateway", RateLimited),
        ("Invalid API key for class invalid token", "invalid token", BadKey),
        ("Internal error while adding to Gateway", "Gateway", OutcomeUnknown),
        ("Model not found (class 'Model')", "Model", NoSuchModel),
        ("Bad Gateway: the service is unavailable", "Gateway", OutcomeUnknown),
    ],
)
def test_the_services_own_words_decide_next_to_a_title(text: str, title: str, kind: type) -> None:
    assert type(judge(text, title)) is kind


@pytest.mark.parametrize("title", ["Limit", "rate", "Key", "api", "Requests", "model", "e", "Error", "not"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Rate limit exceeded", RateLimited),
        ("Too many requests, please try again later", RateLimited),
        ("Rate limit exceeded: too many requests, please try again later", RateLimited),
        ("Invalid API key", BadKey),
        ("Model not found", NoSuchModel),
        ("Internal error", OutcomeUnknown),
    ],
)
def test_a_short_title_does_not_hide_an_error_of_the_service(text: str, kind: type, title: str) -> None:
    assert type(judge(text, title)) is kind


def test_a_letter_of_a_title_is_not_taken_out_of_a_word() -> None:
    assert type(judge("The server is overloaded", "e", "load", "over")) is OutcomeUnknown


@pytest.mark.parametrize("sent", ["1234", "deadbeef" * 4 + "-01234567", "28941_20913", "too many requests"])
def test_ids_uids_and_versions_are_taken_out_as_well(sent: str) -> None:
    assert without_echoes(f"Version {sent} is not there", [sent]) == "version \ufffc is not there"


def test_an_image_that_is_repeated_is_no_text() -> None:
    image = "iVBORw0KGgo/busy/" + "A" * 90
    assert type(judge(f"Bad input data:image/png;base64,{image}")) is Refused


def test_the_key_decides_nothing() -> None:
    body = json.dumps({"status": "ERROR", "error": "Nothing for throttle-gateway-key"}).encode()
    assert type(classify(Answer(200, {}, body), host="h", key=Secret("throttle-gateway-key"), now=0.0)) is Refused


@pytest.mark.parametrize("status", [200, 403, 429])
@pytest.mark.parametrize(
    "text",
    [
        "You have exceeded your monthly limit of requests",
        "exceeded your monthly limit of requests",
        "Daily request limit reached",
        "Your plan allows 1000 requests per month",
        "Limit of 5000 requests per day exceeded",
        "Quota exceeded",
        "You exceeded your current quota, please check your plan and billing details",
        "Insufficient credits",
        "You have run out of credits",
        "Not enough API credits left",
        "Payment required",
        "Your free trial has expired",
        "Upgrade your plan to send more requests",
    ],
)
def test_a_quota_is_not_a_rate(text: str, status: int) -> None:
    error = judge(text, status=status)
    assert type(error) is QuotaExceeded
    assert error.stops_run
    assert "quota" in str(error)
    assert "plan" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'",
        "Limit of 90 requests per minute exceeded",
        "Rate limit exceeded, see your plan",
    ],
)
def test_a_limit_per_minute_is_a_rate(text: str) -> None:
    assert type(judge(text)) is RateLimited


@pytest.mark.parametrize(
    ("more", "status", "kind"),
    [
        ({}, 402, QuotaExceeded),
        ({}, 401, BadKey),
        ({}, 429, RateLimited),
        ({"code": 429}, 200, RateLimited),
        ({"code": "401"}, 200, BadKey),
        ({"code": 402}, 400, QuotaExceeded),
        ({"code": "rate_limit_exceeded"}, 200, RateLimited),
        ({"code": "insufficient_quota"}, 429, QuotaExceeded),
        ({"code": "quota_exceeded"}, 200, QuotaExceeded),
        ({"code": "invalid_api_key"}, 200, BadKey),
        ({"code": 17}, 200, Refused),
        ({"code": ["x"]}, 200, Refused),
        ({"code": None}, 200, Refused),
        ({"code": True}, 200, Refused),
    ],
)
def test_a_status_or_a_code_decides_before_the_text(more: dict[str, object], status: int, kind: type) -> None:
    assert type(judge("The request was refused", status=status, **more)) is kind


def test_401_and_402_decide_before_a_text_about_the_limit() -> None:
    assert type(judge("Rate limit exceeded", status=401)) is BadKey
    assert type(judge("Rate limit exceeded", status=402)) is QuotaExceeded


@pytest.mark.parametrize(
    ("error", "kind", "shown"),
    [
        ({"message": "Invalid image", "limit": 90, "requests": 12, "exceeded": "no"}, Refused, "Invalid image"),
        ({"type": "rate_limit_error", "message": "Slower, please"}, RateLimited, ""),
        ({"code": 401, "message": "No"}, BadKey, "No"),
        ({"reason": "Invalid image"}, Refused, "Invalid image"),
        ([{"message": "Invalid image"}, {"message": "Too dark"}], Refused, "Invalid image Too dark"),
        ({"a": {"b": {"c": ["Too many requests"]}}}, RateLimited, ""),
    ],
)
def test_names_of_fields_in_an_error_decide_nothing(error: object, kind: type, shown: str) -> None:
    found = judge(error)
    assert type(found) is kind
    assert shown in str(found)


def test_a_message_serves_where_there_is_no_error() -> None:
    assert type(judge(None, message="Rate limit exceeded")) is RateLimited


@pytest.mark.parametrize(
    "text",
    [
        "the key is canary-key",
        "the key is CANARY-KEY",
        "tkn=canary%2Dkey".replace("%2D", "-"),
        "the key is canary-…",
        "canary-k*** is wrong",
        "***ary-key is wrong",
    ],
)
def test_the_key_is_shown_in_no_form(text: str) -> None:
    shown = without_key(text, "canary-key").lower()
    assert "canary" not in shown
    assert "ary-key" not in shown


@pytest.mark.parametrize("key", ["a&b<c>d'e\"f", "a b+c%d/e", "schlüssel-ß"])
@pytest.mark.parametrize("echo", ["as it is", "for HTML", "for URLs", "for URLs, with plus signs", "for JSON"])
def test_a_key_with_special_characters_is_shown_in_no_form(key: str, echo: str) -> None:
    assert without_key(f"no: {ECHOES[echo](key)}!", key) == "no: (the key)!"


@given(st.text(max_size=30), st.lists(st.text(max_size=8), max_size=4))
def test_any_text_is_read_with_anything_sent(text: str, sent: list[str]) -> None:
    without_echoes(text, sent)
    assert plain(plain(text)) == plain(plain(plain(text)))


@given(st.text(min_size=1, max_size=20).filter(lambda title: any(char.isalnum() for char in plain(title))))
def test_nothing_is_left_of_a_title_alone(title: str) -> None:
    assert not any(char.isalnum() for char in without_echoes(title, [title]))


def test_a_text_of_ten_megabytes_is_read_in_part() -> None:
    error = judge("Invalid image " + "&amp;" * 2_000_000, "x" * 10_000_000)
    assert type(error) is Refused
    assert len(str(error)) < 300


def test_a_part_of_a_very_long_key_is_taken_out_too() -> None:
    key = "0123456789abcdef" * 1000
    assert without_key(f"unknown key {key[:20]}... and {'x' * 3000}", key).startswith("unknown key (the key)... and")


@pytest.mark.parametrize(
    "form",
    [
        "&#75;EY-1234567890", "\\u004bEY-1234567890", "%4bEY-1234567890", "KEY\u200b-1234567890",
        "\uff2b\uff25\uff39-1234567890", "S0VZLTEyMzQ1Njc4OTA=", "4b45592d31323334353637383930",
    ],
)  # fmt: skip
def test_the_key_is_hidden_in_every_way_of_writing(form: str) -> None:
    shown = without_key(f"unknown: {form} is not known", "KEY-1234567890")
    assert "1234567890" not in shown and form.rstrip("=") not in shown


@pytest.mark.parametrize("length", [30, 16_000])
def test_a_text_with_the_middle_of_the_key_is_not_shown(length: int) -> None:
    key = "".join(f"{number:05}" for number in range(length // 5))
    assert without_key(f"no account for ..{key[2:-2][:3000]}.. here", key) == ONLY_KEY
    assert without_key(f"no account for ..{key[2:8]}.. here", key) != ONLY_KEY


def test_the_key_is_taken_out_of_an_answer_before_it_is_stored() -> None:
    key = 'K"EY-1234567890'
    body = json.dumps({"title": f"class of {key}", "other": "text"}).encode() + key.encode()
    redacted = redact_key(body, key)
    assert b"1234567890" not in redacted and b'"other": "text"' in redacted
    assert redact_key(b"nothing of it", key) == b"nothing of it"


CANARY = "sk/live/canary123"


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        CANARY.replace("/", "\\/"),
        "\\u0073k/live/canary123",
        "\\u0053K\\u002Flive\\/CANARY123",
        "".join(f"\\u{ord(char):04X}" for char in CANARY),
        CANARY.upper(),
        CANARY.title(),
    ],
)
@pytest.mark.parametrize("before", [0, (1 << 20) - 9, (1 << 20) - 60])
def test_the_key_is_taken_out_of_answers_however_json_writes_it(form: str, before: int) -> None:
    body = b'{"title": "' + b"x" * before + form.encode() + b' Can\\u00e9"}'
    redacted = redact_key(body, CANARY)
    assert redacted == body.replace(form.encode(), b"(the key)")
    assert "canary" not in json.loads(redacted)["title"].casefold()


@pytest.mark.parametrize("key", ['with"quote\\and more', "schlüssel-größe", "astral-\U0001f511-key"])
def test_keys_with_odd_characters_are_taken_out_in_both_ways_of_json(key: str) -> None:
    for body in (json.dumps({"title": key}), json.dumps({"title": key}, ensure_ascii=False)):
        assert json.loads(redact_key(body.encode(), key)) == {"title": "(the key)"}


@pytest.mark.parametrize("key", ["photo", "k", "Can", "0123456"])
def test_a_key_that_is_a_word_changes_no_data_and_only_whole_words_of_errors(key: str) -> None:
    body = json.dumps({"title": key, "uid": f"a{key}b"}).encode()
    assert redact_key(body, key) == body
    assert without_key(f"the {key}graph of {key} is wrong", key) == f"the {key}graph of (the key) is wrong"


@pytest.mark.parametrize("sign", ["...", '"'])
@pytest.mark.parametrize("title", ["a" * 890, "a..." * 220])
def test_a_text_of_many_cuts_is_read_in_linear_time(sign: str, title: str) -> None:
    text, calls = sign.join(["aaa"] * 990), 0

    def count(frame: object, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "c_call"

    sys.setprofile(count)
    try:
        without_echoes(text, [title])
    finally:
        sys.setprofile(None)
    # Each length of each cut would be more than a million.
    assert calls < 100_000
