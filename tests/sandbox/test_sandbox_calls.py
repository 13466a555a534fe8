"""Every documented call has the documented answer with all its fields."""

import json

import httpx
import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sandbox.http.endpoints import PATHS
from tests.harness.sandbox_images import claim_size, draw, encode

OK = {"status": "OK"}
MB = 1_000_000


def error_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"status", "error"}
    assert body["status"] == "ERROR"
    return str(body["error"])


def test_create_answers_ok_and_nothing_else(sandbox, post):
    answer = post(
        "/model/create", dataset_title="Bins", dataset_type="vision", dataset_purpose="sorting", dataset_tags="a,b"
    )
    assert answer.json() == OK
    assert answer.headers["content-type"] == "application/json"
    assert [title for _, title in sandbox.models()] == ["Bins"]


@pytest.mark.parametrize("missing", ["dataset_title", "dataset_type", "dataset_purpose"])
def test_create_needs_its_required_fields(sandbox, post, missing):
    fields = {"dataset_title": "Bins", "dataset_type": "vision", "dataset_purpose": "sorting"}
    fields.pop(missing)
    assert error_of(post("/model/create", **fields)) == f"Missing {missing}"
    assert sandbox.models() == []


@pytest.mark.parametrize("path", ["/model/list", "/model/view"])
def test_a_list_shows_each_model_with_the_documented_fields(sandbox, post, path):
    model = sandbox.add_model("Bins", "vision", "sorting", "a,b")
    sandbox.add_sample(model, "Can", bytes(500_000), "x")
    sandbox.add_model("Other")
    answer = post(path).json()
    assert answer["status"] == "OK"
    assert answer["astica"] == {"request": "dataset", "requestType": "list"}
    first, second = answer["dataset_list"]
    assert isinstance(first.pop("date_created"), int)
    assert first == {
        "id": model,
        "title": "Bins",
        "type": "vision",
        "purpose": "sorting",
        "tags": "a,b",
        "trained": 0,
        "model_version": "",
        "numClass": 1,
        "numSample": 1,
        "total_size": 0.5,
        "date_trained": 0,
    }
    assert second["title"] == "Other"
    assert second["numSample"] == 0


@pytest.mark.parametrize("as_sent", [int, str])
def test_a_view_shows_classes_and_samples_with_the_documented_fields(sandbox, post, as_sent):
    model = sandbox.add_model("Bins")
    sample = sandbox.add_sample(model, "Can", bytes(253_747), "uniqueString_123")
    empty = sandbox.add_class(model, "Bottle")
    answer = post("/model/view", model_id=as_sent(model)).json()
    assert answer["astica"] == {"request": "dataset", "requestType": "view"}
    dataset = answer["dataset"]
    assert (dataset["id"], dataset["numClass"], dataset["numSample"], dataset["total_size"]) == (model, 2, 1, 0.25)
    can, bottle = dataset["class_list"]
    assert can.keys() == {"id", "title", "date_created", "samples", "totalSize"}
    assert (can["title"], can["totalSize"]) == ("Can", 0.25)
    (shown,) = can["samples"]
    assert isinstance(shown.pop("date_created"), str)  # as in the documented example
    assert shown == {"id": sample, "uid": "uniqueString_123", "size": 0.253747}
    assert (bottle["id"], bottle["samples"]) == (empty, [])


@pytest.mark.parametrize("title", ['quote " and \\', "Grün", "日本", "line\nbreak", "\u202eright", "'; DROP TABLE x"])
def test_titles_and_uids_come_back_as_they_were_sent(sandbox, post, upload, title):
    model = sandbox.add_model()
    assert upload(model, title, title).json() == OK
    (shown,) = post("/model/view", model_id=model).json()["dataset"]["class_list"]
    assert shown["title"] == title
    assert shown["samples"][0]["uid"] == title


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:image/jpg;base64,"])
def test_an_upload_keeps_the_bytes_as_they_were_sent(sandbox, post, kind, prefix):
    model = sandbox.add_model()
    content = draw(kind=kind)
    answer = post("/model/upload", model_id=model, model_class="Can", input=prefix + encode(content), uid="u")
    assert answer.json() == OK
    (stored,) = sandbox.samples(model)
    assert (stored.class_title, stored.uid, stored.image) == ("Can", "u", content)


def test_an_upload_without_uid_has_an_empty_one(sandbox, post):
    model = sandbox.add_model()
    assert post("/model/upload", model_id=model, model_class="Can", input=encode(draw())).json() == OK
    assert [stored.uid for stored in sandbox.samples(model)] == [""]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"model_id": ""}, "Missing model_id"),
        ({"model_id": "abc"}, "Invalid model_id"),
        ({"model_id": 4711}, "Model not found"),
        ({"model_class": " "}, "Missing model_class"),
        ({"model_class": "a\0b"}, "Invalid model_class"),
        ({"model_class": "\ud800"}, "Invalid model_class"),
        ({"input": ""}, "Missing input"),
        ({"input": "no base64!"}, "Invalid image"),
        ({"input": encode(b"no image")}, "Invalid image"),
        ({"input": encode(draw(kind="GIF"))}, "Invalid image"),
        ({"input": encode(draw(kind="JPEG", size=(200, 200))[:-300])}, "Invalid image"),
        ({"input": encode(draw(size=(200, 200))[:-30])}, "Invalid image"),
        ({"input": encode(draw(size=(16_001, 1)))}, "Image is too large: more than 16000 pixels"),
        ({"input": "data:image/png,xyz"}, "Invalid input: a data URI must be base64"),
        ({"input": "https://127.0.0.1/a.jpg"}, "URL inputs are disabled in this sandbox: send the image as base64"),
    ],
)
def test_a_bad_upload_is_refused_with_its_reason_and_leaves_nothing(sandbox, client, fields, text):
    model = sandbox.add_model()
    body = {"tkn": sandbox.key, "model_id": model, "model_class": "Can", "input": encode(draw())} | fields
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"{sandbox.url}/model/upload", content=json.dumps(body), headers=headers)
    assert error_of(answer) == text
    assert sandbox.samples(model) == []
    assert sandbox.classes(model) == []


@pytest.mark.long
def test_an_image_over_20_mb_is_refused(sandbox, post):
    model = sandbox.add_model()
    huge = encode(draw() + bytes(20 * MB))
    answer = post("/model/upload", model_id=model, model_class="Can", input=huge)
    assert error_of(answer) == "Image is too large: more than 20 MB"
    answer = post("/model/upload", model_id=model, model_class="Can", input=huge[: 27 * MB] + "A" * 100_000)
    assert error_of(answer) == "Image is too large: more than 20 MB"


def test_the_two_hundred_megapixel_bomb_is_refused(sandbox, post):
    model = sandbox.add_model()
    bomb = claim_size(draw(), 14_000, 14_000)
    answer = post("/model/upload", model_id=model, model_class="Can", input=encode(bomb))
    assert error_of(answer) == "Image is too large: too many pixels"


def test_a_sample_is_removed_by_id_alone(sandbox, post, upload):
    model = sandbox.add_model()
    for uid in ("a", "b"):
        upload(model, "Can", uid)
    first, second = sandbox.samples(model)
    assert post("/model/sample_remove", sample_id=str(first.sample_id), sample_uid="").json() == OK
    assert sandbox.samples(model) == [second]
    assert error_of(post("/model/sample_remove", sample_id=first.sample_id)) == "Sample not found"
    assert sandbox.samples(model) == [second], "its bytes stay for the other sample that has them"


@pytest.mark.parametrize("no_id", [{"sample_id": ""}, {"sample_id": 0}, {"sample_id": None}, {}])
def test_a_sample_is_removed_by_uid_where_no_id_is_given(sandbox, post, upload, no_id):
    model = sandbox.add_model()
    for uid in ("a", "b", "a"):
        upload(model, "Can", uid)
    assert post("/model/sample_remove", sample_uid="a", **no_id).json() == OK
    assert [stored.uid for stored in sandbox.samples(model)] == ["b"]
    assert error_of(post("/model/sample_remove", sample_uid="a", **no_id)) == "Sample not found"


def test_a_removal_that_names_nothing_removes_nothing(sandbox, post, upload):
    model = sandbox.add_model()
    upload(model, "Can", "")
    assert error_of(post("/model/sample_remove", sample_id="", sample_uid="")) == "Missing sample_id or sample_uid"
    assert error_of(post("/model/class_remove", class_id="")) == "Missing class_id"
    assert error_of(post("/model/model_remove", model_id="")) == "Missing model_id"
    assert error_of(post("/model/sample_remove", sample_id=True)) == "Invalid sample_id"
    assert len(sandbox.samples(model)) == 1


def test_a_class_is_removed_with_its_samples_only(sandbox, post, upload):
    model = sandbox.add_model()
    upload(model, "Can", "a")
    upload(model, "Bottle", "b")
    (can, _), _ = sandbox.classes(model)
    assert post("/model/class_remove", class_id=str(can)).json() == OK
    assert [title for _, title in sandbox.classes(model)] == ["Bottle"]
    assert [stored.uid for stored in sandbox.samples(model)] == ["b"]
    assert error_of(post("/model/class_remove", class_id=can)) == "Class not found"


def test_a_model_is_removed_with_everything_in_it(sandbox, post, upload):
    model, other = sandbox.add_model("One"), sandbox.add_model("Other")
    upload(model, "Can", "a")
    upload(other, "Can", "b")
    assert post("/model/model_remove", model_id=model).json() == OK
    assert sandbox.models() == [(other, "Other")]
    assert error_of(post("/model/view", model_id=model)) == "Model not found"
    assert error_of(post("/model/model_remove", model_id=model)) == "Model not found"
    assert error_of(post("/model/sample_remove", sample_uid="a")) == "Sample not found"
    assert len(sandbox.samples(other)) == 1


def test_ids_are_never_used_twice(sandbox, upload):
    model = sandbox.add_model()
    upload(model, "Can")
    (first,) = sandbox.samples(model)
    sandbox.remove_sample(first.sample_id)
    upload(model, "Can")
    (second,) = sandbox.samples(model)
    assert second.sample_id > first.sample_id


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["wrong", "", None, 7])
def test_a_wrong_key_is_refused_by_every_call(sandbox, client, path, key):
    answer = client.post(sandbox.url + path, json={"tkn": key, "model_id": 1})
    assert error_of(answer) == "Invalid API key"


def test_a_revoked_key_is_refused(sandbox, post, client):
    old = sandbox.key
    sandbox.set_key("another")
    assert error_of(client.post(f"{sandbox.url}/model/list", json={"tkn": old})) == "Invalid API key"
    assert post("/model/list").json()["status"] == "OK"


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"{", b"\xff", b"7", b'"text"', b"[" * 100_000],
    ids=["list", "cut", "bytes", "number", "text", "deep"],
)
def test_a_body_that_is_not_a_json_object_is_refused(sandbox, client, body):
    answer = client.post(f"{sandbox.url}/model/list", content=body, headers={"Content-Type": "application/json"})
    assert error_of(answer) == "Invalid request: the body is not a JSON object"


def test_a_form_is_accepted_like_json(sandbox, client):
    model = sandbox.add_model()
    fields = {"tkn": sandbox.key, "model_id": model, "model_class": "Can", "input": encode(draw()), "uid": "u"}
    assert client.post(f"{sandbox.url}/model/upload", data=fields).json() == OK
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert client.post(f"{sandbox.url}/model/upload", content=json.dumps(fields), headers=headers).json() == OK
    plain = {"Content-Type": "text/plain"}
    assert client.post(f"{sandbox.url}/model/upload", content=json.dumps(fields), headers=plain).json() == OK
    assert len(sandbox.samples(model)) == 3


def test_unknown_fields_are_ignored(sandbox, post):
    assert post("/model/list", colour="blue", nested={"a": [1]}).json()["status"] == "OK"


def test_only_post_reaches_a_call(sandbox, client):
    assert client.get(f"{sandbox.url}/model/list").json()["error"] == "Use POST"


def test_an_unknown_address_is_404(sandbox, post):
    answer = post("/model/export")
    assert answer.status_code == 404
    assert answer.json()["status"] == "ERROR"


def test_a_large_view_adds_up(sandbox: RunningSandbox, post):
    model = sandbox.add_model()
    uids = [f"{number:041d}" for number in range(20_000)]
    sandbox.add_many(model, "Can", uids[:15_000], draw())
    sandbox.add_many(model, "Bottle", uids[15_000:], draw())
    dataset = post("/model/view", model_id=model).json()["dataset"]
    assert dataset["numSample"] == 20_000
    assert sorted(sample["uid"] for one in dataset["class_list"] for sample in one["samples"]) == uids


def test_the_log_has_each_request_without_key_and_image(sandbox, post, upload):
    model = sandbox.add_model()
    upload(model, "Can", "u")
    post("/model/view", model_id=7)
    first, second = sandbox.log
    assert (first.endpoint, first.call, first.outcome, first.done) == ("train", "upload", "ok", 1)
    assert first.sent == {"model_id": model, "model_class": "Can", "uid": "u"}
    assert (second.call, second.outcome, second.done) == ("view", "Model not found", 0)
    assert sandbox.requests_of("upload") == [first]
