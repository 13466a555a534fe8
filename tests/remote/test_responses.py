"""Promise 14: every form of a view is parsed, and only a complete one is an observation."""

import json
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import Observation, RemoteClass, RemoteSample, make_scope, make_uid
from astica_sync.core.versions.confidence_unit import Confidence
from astica_sync.errors import NotAnObservation
from astica_sync.remote.responses import Detection, parse_detection, parse_models, parse_status, parse_view

DATASET = {
    "id": 3,
    "title": "My first model",
    "numClass": 2,
    "numSample": 3,
    "total_size": 5.04,
    "date_trained": 1685421180,
    "date_created": 1690573749,
    "class_list": [
        {
            "id": 11,
            "title": "Can",
            "date_created": 1685253130,
            "samples": [
                {"id": 132727, "uid": "a", "size": 0.253747, "date_created": "1685253132"},
                {"id": 132726, "uid": "b", "size": 0.25, "date_created": "1685253132"},
            ],
            "totalSize": 8.47,
        },
        {"id": 12, "title": "Dog", "samples": [{"id": 5, "uid": "a"}], "totalSize": 1},
    ],
}


def view(change: Callable[[dict[str, Any]], object] = lambda dataset: None) -> bytes:
    """The documented view, after a change of its dataset."""
    dataset = json.loads(json.dumps(DATASET))
    change(dataset)
    about = {"request": "dataset", "requestType": "view"}
    return json.dumps({"status": "OK", "astica": about, "dataset": dataset}).encode()


def read(body: bytes) -> Observation:
    return parse_view(body, 3, 1000.0)


def test_the_documented_view_is_an_observation() -> None:
    found = read(view())
    assert found.asked_at == 1000.0
    assert (found.model.model_id, found.model.title, found.model.size_mb) == (3, "My first model", 5.04)
    assert (found.model.trained_at, found.model.created_at) == (1685421180, 1690573749)
    assert found.classes == (RemoteClass(11, "Can", 2), RemoteClass(12, "Dog", 1))
    assert found.samples == (
        RemoteSample("a", 5, 12, "Dog"),
        RemoteSample("a", 132727, 11, "Can"),
        RemoteSample("b", 132726, 11, "Can"),
    )


def as_strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_strings(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_strings(item) for item in value]
    return str(value)


def test_numbers_may_be_strings() -> None:
    assert read(view(lambda dataset: dataset.update(as_strings(dataset)))) == read(view())


def test_whole_numbers_may_be_written_as_fractions() -> None:
    assert read(view(lambda dataset: dataset.update(id=3.0, numSample=3.0))) == read(view())


def test_unknown_keys_are_ignored() -> None:
    def add(dataset: dict[str, Any]) -> None:
        dataset["more"] = {"deep": [1, {"er": None}]}
        dataset["class_list"][0]["more"] = []
        dataset["class_list"][0]["samples"][0]["more"] = "x"

    assert read(view(add)) == read(view())


def test_a_byte_order_mark_and_spaces_around_are_ignored() -> None:
    assert read(b"\xef\xbb\xbf\n " + view() + b"\r\n") == read(view())


@pytest.mark.parametrize("field", ["title", "total_size", "date_trained", "date_created"])
@pytest.mark.parametrize("how", ["missing", "null"])
def test_optional_fields_may_be_missing_or_null(field: str, how: str) -> None:
    found = read(view(lambda dataset: dataset.pop(field) if how == "missing" else dataset.update({field: None})))
    assert found.samples == read(view()).samples


@pytest.mark.parametrize("uid", [None, ""])
def test_a_sample_without_a_uid_has_an_empty_one(uid: str | None) -> None:
    found = read(view(lambda dataset: dataset["class_list"][1]["samples"][0].update(uid=uid)))
    assert found.samples[0] == RemoteSample("", 5, 12, "Dog")


def test_titles_and_uids_may_be_numbers() -> None:
    def change(dataset: dict[str, Any]) -> None:
        dataset["class_list"][1].update(title=7, samples=[{"id": 5, "uid": 41}])

    assert RemoteSample("41", 5, 12, "7") in read(view(change)).samples


@pytest.mark.parametrize(
    ("written", "shown"), [("2.0", "2"), ("-0.0", "0"), ("2e0", "2"), ("2.5", "2.5"), ("1e17", "1e+17")]
)
def test_a_title_that_comes_as_a_whole_number_with_a_fraction_is_the_integer(written: str, shown: str) -> None:
    """JSON has one kind of numbers, and a program may write the class 2 as 2.0."""
    detection = parse_detection(f'{{"status": "success", "output": {written}, "confidence": 90}}'.encode())
    assert detection is not None and detection.label == shown
    [entry] = [
        one
        for one in read(view(lambda dataset: dataset["class_list"][1].update(title=float(written)))).classes
        if one.class_id == 12
    ]
    assert entry.title == shown


@pytest.mark.parametrize("empty", [[], None, "missing"])
def test_a_model_without_classes_is_an_observation(empty: Any) -> None:
    def change(dataset: dict[str, Any]) -> None:
        dataset.update(numClass=0, numSample=0, class_list=empty)
        if empty == "missing":
            del dataset["class_list"]

    assert read(view(change)).classes == ()


@pytest.mark.parametrize("empty", [[], None, "missing"])
def test_a_class_may_have_no_samples(empty: Any) -> None:
    def change(dataset: dict[str, Any]) -> None:
        dataset["class_list"][1]["samples"] = empty
        if empty == "missing":
            del dataset["class_list"][1]["samples"]
        dataset["numSample"] = 2

    assert RemoteClass(12, "Dog", 0) in read(view(change)).classes


def test_two_classes_may_have_the_same_title() -> None:
    found = read(view(lambda dataset: dataset["class_list"][1].update(title="Can")))
    assert [(one.class_id, one.title) for one in found.classes] == [(11, "Can"), (12, "Can")]


@pytest.mark.parametrize("length", [32, 33, 40])
def test_a_cut_uid_is_completed(length: int) -> None:
    uid = make_uid("0" * 32, make_scope(3, "Dog"))
    cut = view(lambda dataset: dataset["class_list"][1]["samples"][0].update(uid=uid[:length]))
    assert RemoteSample(uid, 5, 12, "Dog") in read(cut).samples


def without(field: str) -> Callable[[dict[str, Any]], object]:
    return lambda dataset: dataset.pop(field)


def with_sample(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda dataset: dataset["class_list"][1]["samples"][0].update(changes)


def with_class(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda dataset: dataset["class_list"][1].update(changes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda dataset: dataset.update(id=4), "about model 4"),
        (lambda dataset: dataset.update(id=None), "a model has no id"),
        (lambda dataset: dataset.update(numClass=3), "counts 3 classes and lists 2"),
        (lambda dataset: dataset.update(numSample=4), "counts 4 samples and lists 3"),
        (lambda dataset: dataset["class_list"].pop(), "counts 2 classes and lists 1"),
        (lambda dataset: dataset["class_list"][0]["samples"].pop(), "counts 3 samples and lists 2"),
        (lambda dataset: dataset.update(class_list=None), "counts 2 classes and lists 0"),
        (without("numClass"), "no counts"),
        (without("numSample"), "no counts"),
        (lambda dataset: dataset.update(numSample=None), "no counts"),
        (lambda dataset: dataset.update(numSample="many"), "no counts"),
        (lambda dataset: dataset.update(numSample=-3), "no counts"),
        (with_sample(id=132726), "contains a sample id twice"),
        (with_sample(id=None), "a sample has no id"),
        (with_sample(id=0), "a sample has no id"),
        (with_sample(id=-5), "a sample has no id"),
        (with_sample(id=True), "a sample has no id"),
        (with_sample(id=5.5), "a sample has no id"),
        (with_sample(id=2**63), "a sample has no id"),
        (with_sample(id="9" * 5000), "a sample has no id"),
        (with_sample(uid=["a"]), "wrong type"),
        (with_class(id=11), "contains a class id twice"),
        (with_class(id=""), "a class has no id"),
        (with_class(title=None), "class 12 has no title"),
        (with_class(samples={"0": {"id": 5}}), "wrong type"),
        (with_class(samples="none"), "wrong type"),
        (lambda dataset: dataset.update(class_list={}), "wrong type"),
    ],
)
def test_an_incomplete_view_is_no_observation(change: Callable[[dict[str, Any]], object], reason: str) -> None:
    with pytest.raises(NotAnObservation, match=reason):
        read(view(change))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"status": "OK", "dataset_list": []}', "list of models"),
        (b'{"status": "OK", "dataset_list": [{"id": 3, "title": "My first model"}]}', "list of models"),
        (b'{"status": "OK"}', "no dataset"),
        (b'{"status": "OK", "dataset": null}', "no dataset"),
        (b'{"status": "OK", "dataset": []}', "wrong type"),
        (b"", "cut off"),
        (b"<html>Please log in</html>", "cut off or not JSON"),
        (b"[" * 100_000, "wrong type"),
        (b'{"more": ' + b"[" * 100_000, "cut off"),
        (b'{"dataset": {"id": 3, "title": "\xff"}}', "cut off"),
    ],
)
def test_another_answer_is_no_observation(body: bytes, reason: str) -> None:
    with pytest.raises(NotAnObservation, match=reason):
        read(body)


def test_a_view_cut_anywhere_is_no_observation() -> None:
    whole = view()
    for length in range(len(whole)):
        with pytest.raises(NotAnObservation):
            read(whole[:length])


def test_an_error_about_a_view_does_not_refer_to_its_content() -> None:
    with pytest.raises(NotAnObservation) as caught:
        read(view(with_sample(uid=["a"])))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.long
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_the_parsers_accept_or_refuse_any_bytes(body: bytes) -> None:
    for parse in (read, parse_models):
        with pytest.raises(NotAnObservation):
            parse(body)
    parse_status(body)
    parse_detection(body)


@given(st.randoms(use_true_random=False))
def test_a_damaged_view_is_no_observation_or_the_same_samples(chance: random.Random) -> None:
    """One byte is changed. Where the counts still agree, no sample may have been added or removed."""
    body = bytearray(view())
    body[chance.randrange(len(body))] = chance.randrange(256)
    try:
        found = read(bytes(body))
    except NotAnObservation:
        return
    assert len(found.samples) == 3
    assert len(found.classes) == 2


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["dataset", "class", "sample"]), st.data())
def test_any_value_in_any_field_is_parsed_or_refused(level: str, data: st.DataObject) -> None:
    dataset = json.loads(json.dumps(DATASET))
    target = {"dataset": dataset, "class": dataset["class_list"][0], "sample": dataset["class_list"][0]["samples"][0]}
    field = data.draw(st.sampled_from(sorted(target[level])))
    target[level][field] = data.draw(json_values)
    body = json.dumps({"status": "OK", "dataset": dataset}).encode()
    try:
        found = read(body)
    except NotAnObservation:
        return
    assert len(found.samples) == 3


def test_the_documented_list_gives_the_models() -> None:
    body = json.dumps(
        {
            "status": "OK",
            "astica": {"request": "dataset", "requestType": "list"},
            "dataset_list": [
                {"id": 19241, "title": "My first model", "numClass": 3, "numSample": 231, "total_size": 5.04},
                {
                    "id": "23854",
                    "title": "Another",
                    "trained": "1",
                    "model_version": "20230710_212503",
                    "type": "vision",
                    "purpose": "p",
                    "tags": ["a", "b"],
                },
            ],
        }
    ).encode()
    first, second = parse_models(body)
    assert (first.model_id, first.classes, first.samples, first.trained, first.version) == (19241, 3, 231, None, None)
    assert (second.model_id, second.trained, second.version, second.tags) == (23854, True, "20230710_212503", "a, b")
    assert second.classes is None


@pytest.mark.parametrize("listed", ["[]", "null"])
def test_an_account_may_have_no_models(listed: str) -> None:
    assert parse_models(f'{{"status": "OK", "dataset_list": {listed}}}'.encode()) == []


@pytest.mark.parametrize(
    "body", [b'{"status": "OK"}', b'{"dataset_list": [{"title": "x"}]}', b'{"dataset_list": [{"id": 1}, {"id": "1"}]}']
)
def test_a_list_without_ids_or_with_one_twice_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnObservation):
        parse_models(body)


@pytest.mark.parametrize(
    ("value", "trained"),
    [("0", False), ("1", True), ('"0"', False), ('"1"', True), ("true", True), ("null", None), ('"yes?"', None)],
)
def test_trained_is_read_in_every_form(value: str, trained: bool | None) -> None:
    assert parse_models(f'{{"dataset_list": [{{"id": 1, "trained": {value}}}]}}'.encode())[0].trained is trained


@pytest.mark.parametrize("written", ['"97.5"', "97.5", '"97.5%"', '" 97.5 % "'])
def test_a_confidence_is_read_in_every_form(written: str) -> None:
    found = parse_detection(f'{{"status": "OK", "output": "Dog", "confidence": {written}}}'.encode())
    assert found == Detection("Dog", Confidence(97.5, percent_sign="%" in written))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("100", 100),
        ("0", 0),
        ("0.97", 0.97),
        ("100.5", None),
        ("250", None),
        ("-3", None),
        ("null", None),
        ('"sure"', None),
        ('"nan"', None),
        ('"Infinity"', None),
        ("1e400", None),
        ("true", None),
        ("[97]", None),
        ('{"value": 97}', None),
        ('""', None),
        ('"97,5"', None),
    ],
)
def test_a_confidence_that_is_no_number_from_0_to_100_is_none_and_is_not_made_one(
    written: str, value: float | None
) -> None:
    found = parse_detection(f'{{"output": 7, "confidence": {written}}}'.encode())
    assert found == Detection("7", None if value is None else Confidence(value))


@pytest.mark.parametrize(
    "answer",
    [
        b'{"status": "OK"}',
        b'{"output": null}',
        b'{"output": ""}',
        b'{"output": "  "}',
        b'{"output": []}',
        b'{"output": ["Dog"]}',
        b'{"output": {"label": "Dog"}}',
        b'{"output": false}',
    ],
)
def test_an_answer_without_the_title_of_a_class_is_an_answer_without_a_label(answer: bytes) -> None:
    found = parse_detection(answer)
    assert found is not None and found.label == ""


def test_what_is_cut_off_is_no_answer() -> None:
    assert parse_detection(b'{"status": "OK", "output": "Do') is None


def test_a_large_view_is_in_memory_once() -> None:
    """In addition to the answer there are only the observation and the parser's objects of one class."""
    classes, each = 40, 500
    found = [
        {
            "id": number + 1,
            "title": f"Class {number}",
            "samples": [
                {"id": number * each + k + 1, "uid": f"{number:016x}{k:016x}-00000000", "size": 0.25, "more": "x" * 400}
                for k in range(each)
            ],
        }
        for number in range(classes)
    ]
    dataset = {"id": 3, "numClass": classes, "numSample": classes * each, "class_list": found}
    body = json.dumps({"status": "OK", "dataset": dataset}).encode()
    tracemalloc.start()
    try:
        observation = read(body)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(observation.samples) == classes * each
    # The uids alone take 0.18 of it.
    assert most < len(body) * 0.4


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0.25, 0.25), ("0.25", 0.25), (1, 1.0), (0, 0.0), (None, 0.0), ("big", 0.0), (-1, 0.0), (1e300, 0.0), (True, 0.0)],
)
def test_the_size_of_a_sample_is_a_number_of_megabytes_or_unknown(size: object, shown: float) -> None:
    found = read(view(lambda dataset: dataset["class_list"][1]["samples"][0].update(size=size)))
    assert [sample.size for sample in found.samples] == [shown, 0.253747, 0.25]
    assert found.size_decimals == 6
    assert not read(
        view(lambda dataset: dataset["class_list"].pop(0) and dataset.update(numClass=1, numSample=1))
    ).size_decimals
