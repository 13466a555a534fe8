"""Every number, date and text of an answer is bounded where it enters."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.clock import local_time
from astica_sync.core.model import ModelInfo, Observation, make_scope, make_uid
from astica_sync.core.observation.value_bounds import LATEST, LONGEST_TEXT, bounded_date, bounded_size, bounded_text
from astica_sync.errors import NotAnObservation
from astica_sync.remote.responses import parse_dates, parse_detection, parse_models, parse_status, parse_view

LONG = "x" * 10_000_000
DATES_OF_NONE = {
    "a huge one": "1e300",
    "a huge integer": "1" + "0" * 300,
    "an integer of 400 digits": "1" * 400,
    "in the year 99999": "3093527980800",
    "in the year 0": "-62167219200",
    "in milliseconds": "1685421180000",
    "negative": "-1",
    "zero": "0",
    "true": "true",
    "a huge text": '"1e300"',
    "infinity in a text": '"Infinity"',
    "not a number in a text": '"nan"',
    "an underscore in a text": '"1_685_421_180"',
    "other digits in a text": '"١٦٨٥٤٢١١٨٠"',
    "a hexadecimal text": '"0x64747cfc"',
    "a date in a text": '"2023-05-30T04:33:00Z"',
    "a very long text": '"' + "9" * 5000 + '"',
    "empty": '""',
    "null": "null",
}


def models(**fields: str) -> list[ModelInfo]:
    """The models of a list whose fields are these, as JSON."""
    body = ", ".join(f'"{name}": {value}' for name, value in {"id": "3", **fields}.items())
    return parse_models(f'{{"status": "OK", "dataset_list": [{{{body}}}]}}'.encode())


def view(title: str, uid: str, **dataset: Any) -> Observation:
    classes = [{"id": 11, "title": title, "samples": [{"id": 5, "uid": uid}]}]
    body = {"status": "OK", "dataset": {"id": 3, "numClass": 1, "numSample": 1, "class_list": classes, **dataset}}
    return parse_view(json.dumps(body).encode(), 3, 0.0)


@pytest.mark.parametrize("kind", DATES_OF_NONE)
def test_what_is_no_date_is_unknown(kind: str) -> None:
    model = models(date_trained=DATES_OF_NONE[kind], date_created=DATES_OF_NONE[kind])[0]
    assert model.trained_at is None
    assert model.created_at is None


@pytest.mark.parametrize("written", ["1685421180", '"1685421180"', "1685421180.0", '" 1685421180 "', "1.68542118e9"])
def test_a_date_is_read_in_every_form(written: str) -> None:
    assert models(date_trained=written)[0].trained_at == 1685421180


@pytest.mark.parametrize("written", ["-1", "1e300", '"nan"', '"inf"', "true", '"-5"', '"5,04"', "1" * 400])
def test_what_is_no_size_is_unknown(written: str) -> None:
    assert models(total_size=written)[0].size_mb is None
    classes = f'[{{"id": 1, "title": "A", "samples": [{{"id": 5, "uid": "u", "size": {written}}}]}}]'
    body = f'{{"status": "OK", "dataset": {{"id": 3, "numClass": 1, "numSample": 1, "class_list": {classes}}}}}'
    assert [sample.size for sample in parse_view(body.encode(), 3, 0.0).samples] == [0.0]


@pytest.mark.parametrize("written", ["2", "-1", "1e300", "0.5", '"maybe"', '""'])
def test_what_is_neither_trained_nor_untrained_is_unknown(written: str) -> None:
    assert models(trained=written)[0].trained is None


@pytest.mark.parametrize("written", ["-1", "1.5", "true", '"-1"', '"1.5"', "1e300", '"1e3"', '"٣"', "[]", "null"])
def test_what_is_no_count_makes_a_view_unusable(written: str) -> None:
    body = f'{{"dataset": {{"id": 3, "numClass": 0, "numSample": {written}, "class_list": []}}}}'
    with pytest.raises(NotAnObservation):
        parse_view(body.encode(), 3, 0.0)


@pytest.mark.parametrize(
    "written",
    [
        "0",
        "-5",
        "true",
        "5.5",
        '"5.0"',
        '"five"',
        "1" + "0" * 400,
        '"1' + "0" * 400 + '"',
        "9223372036854775808",
        "1e300",
    ],
)
@pytest.mark.parametrize("level", ["model", "class", "sample"])
def test_what_is_no_id_makes_a_view_unusable(level: str, written: str) -> None:
    ids = {"model": "3", "class": "1", "sample": "5", level: written}
    classes = f'[{{"id": {ids["class"]}, "title": "Can", "samples": [{{"id": {ids["sample"]}, "uid": "u"}}]}}]'
    body = f'{{"dataset": {{"id": {ids["model"]}, "numClass": 1, "numSample": 1, "class_list": {classes}}}}}'
    with pytest.raises(NotAnObservation):
        parse_view(body.encode(), 3, 0.0)


@pytest.mark.parametrize("name", ["title", "type", "purpose", "tags", "model_version"])
def test_a_text_of_ten_megabytes_is_cut_with_a_sign_of_it(name: str) -> None:
    attribute = {"model_version": "version"}.get(name, name)
    cut = getattr(models(**{name: json.dumps(LONG)})[0], attribute)
    assert len(cut) < 300
    assert "10,000,000" in cut


def test_many_long_tags_are_cut() -> None:
    assert len(models(tags=json.dumps(["tag" * 9] * 100_000))[0].tags) < 300


def test_two_long_texts_that_differ_at_the_end_stay_different() -> None:
    assert bounded_text(LONG + "a") != bounded_text(LONG + "b")
    assert bounded_text(LONG + "a") == bounded_text(LONG + "a")


@given(st.text(max_size=30), st.text(max_size=30))
def test_cut_texts_are_equal_only_where_the_texts_are(first: str, second: str) -> None:
    fill = "y" * LONGEST_TEXT
    assert (bounded_text(fill + first) == bounded_text(fill + second)) == (first == second)
    assert bounded_text(bounded_text(fill + first)) == bounded_text(fill + first)


def test_an_over_long_title_of_samples_made_elsewhere_is_cut() -> None:
    found = view(LONG, "made elsewhere")
    assert len(found.classes[0].title) < 300
    assert found.samples[0].class_title == found.classes[0].title


def test_an_over_long_uid_is_cut_and_not_ours() -> None:
    ours = make_uid("0" * 32, make_scope(3, "Can"))
    for uid in (LONG, ours + LONG):
        found = view("Can", uid).samples[0]
        assert len(found.uid) < 300
        assert found.uid != ours


@pytest.mark.parametrize("title", [LONG, "Can\0", "y" * (LONGEST_TEXT + 1)])
@pytest.mark.parametrize("length", [32, 36, 41])
def test_a_sample_of_ours_under_a_title_that_no_folder_can_have_makes_a_view_unusable(title: str, length: int) -> None:
    """It would otherwise be in the wrong class, and be removed."""
    with pytest.raises(NotAnObservation, match="title that no folder can have") as caught:
        view(title, make_uid("0" * 32, make_scope(3, "Can"))[:length])
    assert len(str(caught.value)) < 300


def test_a_long_answer_of_a_version_is_cut() -> None:
    found = parse_detection(json.dumps({"status": "OK", "output": LONG, "confidence": 1}).encode())
    assert found is not None
    assert len(found.label) < 300


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "OK", "dataset": NaN}',
        b'{"status": "OK", "dataset": Infinity}',
        b'{"status": "OK", "dataset": {"id": 1e999}}',
        b'{"status": "OK", "dataset": {"id": 1' + b"0" * 5000 + b"}}",
        b'{"status": "OK", "dataset": {"id": 3, "title": "\\ud800"}}',
        b'{"status": "OK", "dataset": {"id": 3, "title": "\\udc00\\ud800"}}',
        b'{"status": "OK", "dataset": {"id": 3, "title": "\xed\xa0\x80"}}',
        b'{"status": "OK", "dataset": {"id": 3, "title": "\x00\x01"}}',
        b'{"status": "OK", "dataset": ' + b"[" * 200_000,
        b'{"status": "OK", "dataset": ' + b'{"dataset": ' * 200_000,
        b'{"more": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        '{"status": "OK", "dataset": {}}'.encode("utf-16"),
        '{"status": "OK", "dataset": {}}'.encode("utf-32"),
        b'{"status": "OK", "dataset": {"id": 3, "title": "Caf\xe9"}}',
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_an_answer_that_is_no_valid_json_is_refused_by_every_parser(body: bytes) -> None:
    with pytest.raises(NotAnObservation):
        parse_view(body, 3, 0.0)
    with pytest.raises(NotAnObservation):
        parse_models(body)
    assert parse_dates(body) == {}
    parse_status(body)
    parse_detection(body)


@given(st.integers() | st.floats(allow_nan=True) | st.text() | st.none() | st.booleans())
def test_every_bounded_date_can_be_shown(value: object) -> None:
    date, size = bounded_date(value), bounded_size(value)
    assert date is None or 0 < date <= LATEST
    assert date is None or local_time(date) != "unknown"
    assert size is None or 0 <= size <= 1e12


@pytest.mark.parametrize("at", [1e300, -1e300, float("nan"), float("inf"), 0.0, 9e15])
def test_a_date_that_does_not_exist_is_shown_as_unknown(at: float) -> None:
    assert local_time(at) == "unknown"
