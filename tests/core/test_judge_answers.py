"""Facts about the forms of answers, from answers that a test writes."""

from dataclasses import replace
from typing import Any

import pytest

from astica_sync.core.service_facts.fact import MEANINGS
from astica_sync.core.service_facts.judge import judge
from astica_sync.core.service_facts.probe_log import Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import title_of
from tests.harness.probe_logs import TOKEN, UPLOADS, dataset, error, fact, lost, refused, sent, uid, value, view

TITLE = title_of(TOKEN)
ECHO = f"Invalid image (class {UPLOADS['junk'].title}, uid {uid('junk')})"


def listed(step: str, *models: dict[str, Any], path: str = "/model/list") -> Exchange:
    return Exchange(step, path, 1.0, 1.1, 200, {}, {"status": "OK", "dataset_list": list(models)})


def test_of_an_empty_log_every_fact_is_unknown_with_a_reason() -> None:
    facts = judge(ProbeLog(), TOKEN)
    assert list(facts) == list(MEANINGS)
    assert {name: one for name, one in facts.items() if one.value is not None or not one.note} == {}


@pytest.mark.parametrize(
    ("answer", "status", "note"),
    [
        (refused("junk", "Invalid image"), 200, "with status ERROR"),
        (refused("junk", "Invalid image", 422), 422, "with status ERROR"),
        (sent("junk"), None, "a text file was accepted"),
        (lost("junk"), None, "no answer came"),
        (Exchange("junk", "", status=500, taken_as="OutcomeUnknown"), None, "HTTP status 500 without status ERROR"),
    ],
)
def test_the_status_of_an_error(answer: Exchange, status: int | None, note: str) -> None:
    found = fact("error_status", answer)
    assert found.value == status and note in found.note


@pytest.mark.parametrize(
    ("text", "repeats", "own"),
    [
        ("Invalid image", False, "Invalid image"),
        (ECHO, True, "Invalid image"),
        (f"no (image)!: {UPLOADS['junk'].title}", True, "no (image)!"),
        (f"bad {UPLOADS['junk'].title} image", True, "bad"),
    ],
)
def test_an_error_that_repeats_what_was_sent(text: str, repeats: bool, own: str) -> None:
    answer = refused("junk", text)
    assert (value("error_repeats", answer), value("invalid_image", answer)) == (repeats, own)


def test_an_error_without_a_text_says_nothing() -> None:
    answer = Exchange("junk", "", status=200, body={"status": "error"}, taken_as="Refused")
    assert value("error_repeats", answer) is value("invalid_image", answer) is None
    assert value("error_repeats", replace(answer, body={"status": "ERROR", "message": "bad"})) is False


@pytest.mark.parametrize(
    ("answer", "found", "note"),
    [
        (
            refused(ProbeStep.MISSING_MODEL, "Model not found", 404, "NoSuchModel"),
            "404 Model not found",
            "removed before",
        ),
        (refused(ProbeStep.MISSING_MODEL, "Nope"), "200 Nope", "does not recognise"),
        (lost(ProbeStep.MISSING_MODEL), None, "no answer"),
        (view(ProbeStep.MISSING_MODEL, dataset({})), "OK", "a view of a removed model"),
        (view(ProbeStep.MISSING_MODEL, {"status": "OK"}), "OK", "without a model"),
    ],
)
def test_the_answer_for_a_model_that_is_gone(answer: Exchange, found: str | None, note: str) -> None:
    assert value("missing_model", answer) == found
    assert note in fact("missing_model", answer).note


def limited(status: int = 429, text: str = "", taken_as: str = "RateLimited", **headers: str) -> Exchange:
    body = error(text) if text else None
    return Exchange(ProbeStep.LIMIT, "/model/view", 50.0, 50.1, status, headers, body, taken_as)


SERVED = Exchange(ProbeStep.LIMIT, "/model/view", 49.0, 49.1, 200, {}, {"status": "OK"})


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (limited(), "429"),
        (limited(**{"retry-after": "17"}), "429-retry-after"),
        (limited(200, "Too many requests"), "error-text"),
        (limited(400, "monthly limit", "QuotaExceeded"), "quota-text"),
        (limited(429, "monthly limit", "QuotaExceeded"), "429"),
        (limited(200, "Come back", "Refused"), "error-text"),
    ],
)
def test_a_refusal_over_the_limit(answer: Exchange, found: str) -> None:
    seen = fact("limit_refusal", SERVED, answer)
    assert seen.value == found and "1 were answered in the minute before" in seen.note
    assert ("does not recognise" in seen.note) is (answer.taken_as == "Refused")


def test_a_limit_that_was_not_reached() -> None:
    seen = fact("limit_refusal", SERVED, replace(SERVED, started=58.0, ended=59.0))
    assert seen.value is None and seen.note == "2 requests in 10 s were all served"


def test_a_refusal_in_another_step_counts() -> None:
    assert value("limit_refusal", replace(limited(), step="first")) == "429"


def test_the_limit_in_a_header() -> None:
    assert value("limit_header", SERVED) == "hidden"
    named = fact("limit_header", SERVED, replace(SERVED, headers={"ratelimit-policy": "q=90;w=60"}))
    assert (named.value, named.note) == ("shown", "RateLimit-Policy: q=90;w=60")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (listed(ProbeStep.CREATE), "known"),
        (refused(ProbeStep.CREATE, "Unknown endpoint", 404, path="/model/list"), "unknown"),
        (view(ProbeStep.CREATE, {"status": "OK"}), None),
        (lost(ProbeStep.CREATE, "/model/list"), None),
    ],
)
def test_whether_the_list_exists(answer: Exchange, found: str | None) -> None:
    assert value("model_list", answer) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (listed(ProbeStep.LIST_BY_VIEW, path="/model/view"), "lists"),
        (refused(ProbeStep.LIST_BY_VIEW, "Missing model_id", path="/model/view"), "refused"),
        (lost(ProbeStep.LIST_BY_VIEW, "/model/view"), None),
    ],
)
def test_a_view_without_an_id(answer: Exchange, found: str | None) -> None:
    assert value("view_without_id", answer) == found


@pytest.mark.parametrize(
    ("model", "counts", "untrained"),
    [
        ({"title": TITLE, "numClass": 0, "numSample": 0, "model_version": ""}, "shown", "empty"),
        ({"title": TITLE, "numClass": 0, "model_version": None}, "missing", "null"),
        ({"title": TITLE}, "missing", "missing"),
        ({"title": TITLE, "model_version": "none"}, "missing", "other"),
        ({"title": "another"}, None, None),
    ],
)
def test_the_entry_of_the_model_in_a_list(model: dict[str, Any], counts: str | None, untrained: str | None) -> None:
    answer = listed(ProbeStep.CREATE, {"title": "x"}, model)
    assert (value("list_counts", answer), value("untrained", answer)) == (counts, untrained)


def test_the_version_of_an_untrained_model_in_its_view() -> None:
    assert value("untrained", view(ProbeStep.FIRST_VIEW, dataset({}, model_version=None))) == "null"


@pytest.mark.parametrize(
    ("fields", "found"),
    [({"numClass": 1}, "int"), ({"numClass": "1"}, "mixed"), ({"id": "1", "numSample": "0"}, "string")],
)
def test_how_integers_are_written(fields: dict[str, Any], found: str) -> None:
    assert value("integers", view(ProbeStep.FIRST_VIEW, dataset({}, **fields))) == found
