"""Facts about uids, sizes, images and classes, from views that a test writes."""

from typing import Any

import pytest

from astica_sync.core.service_facts.judge_samples import shows_size, why_not_go_on
from astica_sync.core.service_facts.probe_log import Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import (
    FIRST,
    find_foreign,
    title_of,
    token_in,
    uid_for,
)
from astica_sync.core.service_facts.read_answer import ShownSample
from tests.harness.probe_logs import TOKEN, dataset, fact, lost, refused, sample, sent, uid, value, view


def first_view(shown_uid: object, size: object = 0.007028) -> Exchange:
    return view(ProbeStep.FIRST_VIEW, dataset({"Caf\u00e9 & co": [{"id": 1, "uid": shown_uid, "size": size}]}))


@pytest.mark.parametrize(
    ("shown", "kept", "reason"),
    [
        (uid("first"), "all", ""),
        (uid("first")[:36], 36, ""),
        (uid("first")[:12], 12, ""),
        (uid("first")[:11], 11, "uids are not kept (of 41; the rest is cut off)"),
        ("", 0, "uids are not kept (the uid came back as '')"),
        ("7", 0, "uids are not kept (the uid came back as '7')"),
    ],
)
def test_how_much_of_a_uid_is_kept(shown: str, kept: object, reason: str) -> None:
    assert value("uid_length", first_view(shown)) == kept
    assert why_not_go_on(ProbeLog([first_view(shown)]), TOKEN) == reason


def test_an_upload_that_is_not_shown_is_the_last_one() -> None:
    assert why_not_go_on(ProbeLog(), TOKEN) == "the first upload is not shown"


def settled(*samples: dict[str, Any], **classes: list[dict[str, Any]]) -> Exchange:
    return view(ProbeStep.SETTLED, dataset({"Encore": list(samples), **classes}))


AGAIN, REPEATED = sent("again", 7028), sent("repeated", 12_417)


@pytest.mark.parametrize(
    ("exchanges", "found"),
    [
        ([AGAIN], None),
        ([lost("again"), REPEATED], None),
        ([AGAIN, refused("repeated", "exists")], "refuse"),
        ([AGAIN, lost("repeated"), settled(sample("again"))], None),
        ([AGAIN, REPEATED], None),
        ([AGAIN, REPEATED, settled()], None),
        ([AGAIN, REPEATED, view(ProbeStep.SETTLED, dataset({"Encore": [sample("again")]}, numSample=2))], None),
        ([AGAIN, REPEATED, settled(sample("again"), sample("again", 2))], "allow"),
        ([AGAIN, REPEATED, settled(sample("again", 1, 0.007028))], "ignore"),
        ([AGAIN, REPEATED, settled(sample("again", 9, 0.012417))], "replace"),
        ([AGAIN, REPEATED, settled(sample("again", 3, None), Alone=[sample("alone", 8)])], "ignore"),
        ([AGAIN, REPEATED, settled(sample("again", 3, 0.5), Other=[sample("other form", 2)])], "replace"),
    ],
)
def test_an_upload_with_a_uid_that_exists(exchanges: list[Exchange], found: str | None) -> None:
    assert value("repeated_uids", *exchanges) == found


@pytest.mark.parametrize(
    ("size", "decimals"), [(0.007028, 9), (0.0070, 4), (0.01, 2), (0.0, 0), (0.5, 0), (7028 / (1 << 20), 9)]
)
def test_the_decimals_of_a_size(size: float, decimals: int) -> None:
    assert shows_size(size, 7028) == decimals


@pytest.mark.parametrize(
    ("size", "found"), [(0.007028, "as sent"), (0.01, "rounded"), (0.3, "changed"), (None, "missing")]
)
def test_the_sizes_that_a_view_shows(size: object, found: str) -> None:
    assert value("sizes", sent("first"), first_view(uid("first"), size)) == found


@pytest.mark.parametrize(
    ("sample_shown", "found"),
    [
        ([sample("tagged", 4, 0.00077)], "kept"),
        ([sample("tagged", 4, 0.00069)], "changed"),
        ([sample("tagged", 4, None)], None),
        ([], None),
    ],
)
def test_what_a_jpeg_with_a_tag_becomes(sample_shown: list[dict[str, Any]], found: str | None) -> None:
    assert value("tagged_jpeg", sent("tagged", 770), settled(Sizes=sample_shown)) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (sent("smallest"), "accepted"),
        (refused("smallest", "too small"), "refused"),
        (Exchange("smallest", "", status=413, taken_as="Refused"), "refused"),
        (Exchange("smallest", "", status=502, taken_as="OutcomeUnknown"), None),
        (lost("smallest"), None),
    ],
)
def test_whether_an_image_is_taken(answer: Exchange, found: str | None) -> None:
    assert value("smallest", answer) == found
    assert value("side_16000", answer) is None


@pytest.mark.parametrize(
    ("exchanges", "found", "note"),
    [
        ([sent("20 MiB", 20_971_520)], 20_971_520, "an image of 20 MiB was accepted"),
        ([refused("20 MiB", "large"), sent("20 MB", 20_000_000)], 20_000_000, "one of 20 MiB was not"),
        ([refused("20 MiB", "large"), refused("20 MB", "large")], 0, "of 20 MB was refused"),
        ([refused("20 MiB", "large"), lost("20 MB")], None, "no answer"),
    ],
)
def test_the_largest_image(exchanges: list[Exchange], found: int | None, note: str) -> None:
    seen = fact("largest_image", *exchanges)
    assert seen.value == found and note in seen.note


@pytest.mark.parametrize(
    ("exchanges", "found"),
    [
        ([refused("url", "URL inputs are disabled")], "refused"),
        ([refused("url", "Unable to fetch the input: URLError")], None),
        ([lost("url")], None),
        ([sent("url"), settled(Sizes=[sample("url", 3)])], "fetched"),
        ([sent("url"), settled()], None),
    ],
)
def test_an_address_as_input(exchanges: list[Exchange], found: str | None) -> None:
    assert value("urls", *exchanges) == found


REMOVED = Exchange(ProbeStep.REMOVE_SAMPLE, "/model/sample_remove", status=200, body={"status": "OK"})


def after(**classes: list[dict[str, Any]]) -> Exchange:
    return view(ProbeStep.AFTER_REMOVAL, dataset(classes))


@pytest.mark.parametrize(
    ("exchanges", "found"),
    [
        ([REMOVED, after(Alone=[])], "stays"),
        ([REMOVED, after(Other=[])], "goes"),
        ([REMOVED, after(Alone=[sample("alone")])], None),
        ([REMOVED], None),
        ([refused(ProbeStep.REMOVE_SAMPLE, "Sample not found"), after(Other=[])], None),
    ],
)
def test_a_class_without_samples(exchanges: list[Exchange], found: str | None) -> None:
    assert value("empty_class", *exchanges) == found


def test_only_the_uploads_of_the_probe_are_its_own() -> None:
    def shown(text: str) -> ShownSample:
        return ShownSample(1, "Can", 1, text, None)

    mine = [shown(uid("again")), shown(uid("alone")[:14])]
    foreign = [shown(""), shown("can-1"), shown(uid_for("ffffffffffff", FIRST))]
    assert find_foreign(TOKEN, [*mine, *foreign]) == foreign


def test_the_token_of_a_title() -> None:
    assert token_in(title_of(TOKEN)) == TOKEN
    assert token_in(f"{title_of(TOKEN)} two") is token_in("astica-sync probe") is None


def test_whether_a_step_was_served_is_what_its_last_request_says() -> None:
    log = ProbeLog([sent("again"), lost("alone"), sent("alone")])
    assert log.served("again") and log.served("alone")
    assert not log.served("repeated") and not ProbeLog([sent("again"), lost("again")]).served("again")
