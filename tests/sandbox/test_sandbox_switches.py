"""Each switch has its documented effect, and the sandbox works with every setting."""

import unicodedata

import httpx
import pytest

from astica_sync.sandbox.embedded import running
from astica_sync.sandbox.options import Options
from astica_sync.sandbox.switches import Switches
from tests.harness.sandbox_images import draw, encode


@pytest.mark.switches
def test_an_upload_is_in_the_view_with_every_switch(sandbox, switches, post, upload):
    model = sandbox.add_model()
    uid = "0123456789abcdef" * 2 + "-01234567"
    assert upload(model, "Can", uid).json() == {"status": "OK"}
    sandbox.set_switches(view_lag=0.0)
    dataset = post("/model/view", model_id=model).json()["dataset"]
    assert (int(dataset["numClass"]), int(dataset["numSample"])) == (1, 1)
    (one,) = dataset["class_list"]
    (sample,) = one["samples"]
    assert one["title"] == "Can"
    assert sample["uid"] == uid[: switches.uid_length]
    assert post("/model/sample_remove", sample_id=sample["id"], sample_uid="").json() == {"status": "OK"}
    assert sandbox.samples(model) == []


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/model/list", {"tkn": "wrong"}, 401),
        ("/model/view", {"model_id": 7}, 404),
        ("/model/create", {}, 400),
        ("/model/sample_remove", {"sample_id": 7}, 404),
        ("/model/upload", {"model_id": 1001, "model_class": "Can", "input": "AAAA"}, 400),
        ("/model/model_train", {"model_id": 1001}, 409),
    ],
)
def test_an_error_has_its_own_status_with_the_switch(sandbox, post, path, fields, status):
    sandbox.add_model()
    plain = post(path, **fields)
    sandbox.set_switches(error_status="4xx")
    strict = post(path, **fields)
    assert (plain.status_code, strict.status_code) == (200, status)
    assert plain.json() == strict.json()


@pytest.mark.parametrize(("setting", "left"), [("allow", ["1", "2"]), ("refuse", ["1"]), ("replace", ["2"])])
def test_a_repeated_uid_is_handled_according_to_the_switch(sandbox, upload, setting, left):
    sandbox.set_switches(repeated_uids=setting)
    one, other = sandbox.add_model(), sandbox.add_model()
    upload(one, "1", "same")
    answer = upload(other, "2", "same").json()
    assert answer["status"] == ("ERROR" if setting == "refuse" else "OK")
    stored = sandbox.samples(one) + sandbox.samples(other)
    assert [sample.class_title for sample in stored] == left


@pytest.mark.parametrize("setting", ["refuse", "replace"])
def test_the_uid_of_a_removed_sample_is_free(sandbox, upload, setting):
    sandbox.set_switches(repeated_uids=setting)
    model = sandbox.add_model()
    upload(model, "Can", "u")
    sandbox.remove_sample(sandbox.samples(model)[0].sample_id)
    assert upload(model, "Can", "u").json() == {"status": "OK"}
    assert len(sandbox.samples(model)) == 1


def test_samples_without_uid_never_repeat(sandbox, upload):
    sandbox.set_switches(repeated_uids="refuse")
    model = sandbox.add_model()
    for _ in range(2):
        assert upload(model, "Can", "").json() == {"status": "OK"}


@pytest.mark.parametrize(("setting", "left"), [("stays", ["Can", "Bottle"]), ("goes", ["Bottle"])])
def test_an_empty_class_stays_or_is_removed(sandbox, post, upload, setting, left):
    sandbox.set_switches(empty_class=setting)
    model = sandbox.add_model()
    for title in ("Can", "Can", "Bottle"):
        upload(model, title)
    first, second, _ = sandbox.samples(model)
    post("/model/sample_remove", sample_id=first.sample_id)
    assert len(sandbox.classes(model)) == 2
    post("/model/sample_remove", sample_id=second.sample_id)
    assert [title for _, title in sandbox.classes(model)] == left
    shown = post("/model/view", model_id=model).json()["dataset"]
    assert shown["numClass"] == len(shown["class_list"]) == len(left)


def test_a_removed_class_is_added_again_with_a_new_id(sandbox, upload):
    sandbox.set_switches(empty_class="goes")
    model = sandbox.add_model()
    upload(model, "Can")
    (old,) = sandbox.classes(model)
    sandbox.remove_sample(sandbox.samples(model)[0].sample_id)
    upload(model, "Can")
    (new,) = sandbox.classes(model)
    assert new != old


@pytest.mark.parametrize(
    ("setting", "titles"),
    [
        ("exact", ["Grün", "grün ", "Gru\u0308n"]),
        ("fold", ["Grün"]),
        ("nfc", ["Grün", "grün "]),
        ("nfd", ["Gru\u0308n", "gru\u0308n "]),
    ],
)
def test_titles_are_compared_according_to_the_switch(sandbox, upload, setting, titles):
    sandbox.set_switches(titles=setting)
    model = sandbox.add_model()
    for title in ("Grün", "grün ", "Gru\u0308n"):
        assert upload(model, title).json() == {"status": "OK"}
    assert [title for _, title in sandbox.classes(model)] == titles
    assert all(unicodedata.is_normalized(setting.upper(), title) for title in titles if setting.startswith("nf"))


def test_folded_titles_are_stored_without_outer_spaces(sandbox, upload):
    sandbox.set_switches(titles="fold")
    model = sandbox.add_model()
    for title in (" Can ", "can"):
        upload(model, title)
    assert [title for _, title in sandbox.classes(model)] == ["Can"]


def test_uploads_are_added_to_the_oldest_class_of_a_title(sandbox, upload, post):
    model = sandbox.add_model()
    older, _ = sandbox.add_class(model, "Can"), sandbox.add_class(model, "Can")
    upload(model, "Can")
    first, second = post("/model/view", model_id=model).json()["dataset"]["class_list"]
    assert (first["id"], len(first["samples"]), len(second["samples"])) == (older, 1, 0)


def test_the_lists_of_a_view_are_behind_its_counts_by_the_seconds_of_the_switch():
    time = [1_700_000_000.0]
    with running(now=lambda: time[0], switches=Switches(sample_list_lag=5)) as box, httpx.Client() as client:
        model = box.add_model()
        time[0] += 60
        box.add_sample(model, "Can", draw())
        for seconds, listed in ((0, 0), (4, 0), (2, 1)):
            time[0] += seconds
            answer = client.post(f"{box.url}/model/view", json={"tkn": box.key, "model_id": model})
            dataset = answer.json()["dataset"]
            assert (dataset["numClass"], dataset["numSample"]) == (1, 1)
            assert [len(one["samples"]) for one in dataset["class_list"]] == [1] * listed


def test_a_view_lags_by_the_seconds_of_the_switch_and_agrees_with_its_counts():
    time = [1_700_000_000.0]
    with running(now=lambda: time[0], switches=Switches(view_lag=5)) as running_sandbox, httpx.Client() as client:

        def count() -> tuple[int, int, int]:
            answer = client.post(
                f"{running_sandbox.url}/model/view", json={"tkn": running_sandbox.key, "model_id": model}
            )
            dataset = answer.json()["dataset"]
            assert dataset["numClass"] == len(dataset["class_list"])
            assert dataset["numSample"] == sum(len(one["samples"]) for one in dataset["class_list"])
            return dataset["numClass"], dataset["numSample"], len(running_sandbox.samples(model))

        model = running_sandbox.add_model()
        sample = running_sandbox.add_sample(model, "Can", draw())
        time[0] += 4.9
        assert count() == (0, 0, 1)
        time[0] += 0.1
        assert count() == (1, 1, 1)
        running_sandbox.remove_sample(sample)
        assert count() == (1, 1, 0)
        time[0] += 5
        assert count() == (1, 0, 0)


def test_a_list_lags_by_its_own_switch():
    time = [1_700_000_000.0]
    with running(now=lambda: time[0], switches=Switches(list_lag=5)) as running_sandbox, httpx.Client() as client:
        model = running_sandbox.add_model()
        body = {"tkn": running_sandbox.key}
        assert client.post(f"{running_sandbox.url}/model/list", json=body).json()["dataset_list"] == []
        time[0] += 5
        (shown,) = client.post(f"{running_sandbox.url}/model/list", json=body).json()["dataset_list"]
        assert shown["id"] == model


def test_integers_are_strings_with_the_switch(sandbox, post, upload):
    sandbox.set_switches(integers="string")
    model = sandbox.add_model()
    upload(model, "Can", "u")
    dataset = post("/model/view", model_id=model).json()["dataset"]
    (one,) = dataset["class_list"]
    for name in ("id", "numClass", "numSample", "trained", "date_trained", "date_created"):
        assert isinstance(dataset[name], str), name
    assert isinstance(one["id"], str)
    assert isinstance(one["samples"][0]["id"], str)
    assert isinstance(dataset["total_size"], float)


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("empty", {"trained": 0, "model_version": "", "date_trained": 0}),
        ("missing", {}),
        ("null", {"trained": 0, "model_version": None, "date_trained": None}),
    ],
)
def test_the_version_of_an_untrained_model_follows_the_switch(sandbox, post, setting, shown):
    sandbox.set_switches(untrained=setting)
    sandbox.add_model()
    (model,) = post("/model/list").json()["dataset_list"]
    names = ("trained", "model_version", "date_trained")
    assert {name: model[name] for name in names if name in model} == shown


def test_a_list_may_have_no_counts(sandbox, post):
    sandbox.set_switches(list_counts="missing")
    model = sandbox.add_model()
    (shown,) = post("/model/list").json()["dataset_list"]
    assert not {"numClass", "numSample"} & shown.keys()
    assert post("/model/view", model_id=model).json()["dataset"]["numSample"] == 0


def test_the_model_list_may_be_unknown_while_the_view_still_lists(sandbox, post):
    sandbox.set_switches(model_list="unknown")
    assert post("/model/list").status_code == 404
    assert post("/model/view").json()["dataset_list"] == []


@pytest.mark.parametrize("length", [3, 41])
def test_a_long_uid_is_cut_and_can_still_be_removed(sandbox, post, upload, length):
    sandbox.set_switches(uid_length=length)
    model = sandbox.add_model()
    uid = "abcdefgh" * 6
    upload(model, "Can", uid)
    assert [sample.uid for sample in sandbox.samples(model)] == [uid[:length]]
    assert post("/model/sample_remove", sample_id="", sample_uid=uid).json() == {"status": "OK"}


def test_the_text_for_an_invalid_image_can_be_chosen(sandbox, upload):
    sandbox.set_switches(invalid_image="Unable to process input")
    assert upload(sandbox.add_model(), "Can", content=b"?").json()["error"] == "Unable to process input"


def test_switches_are_parsed_from_texts():
    read = Switches.from_texts({"titles": "fold", "view-lag": "2.5", "uid_length": "40", "invalid-image": "no"})
    assert read == Switches(titles="fold", view_lag=2.5, uid_length=40, invalid_image="no")
    assert Switches.from_texts({"uid-length": "none"}) == Switches()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"colour": "red"}, "no switch 'colour'; there are confidence, "),
        ({"titles": "upper"}, "switch titles is one of exact, fold, nfc, nfd, html, not 'upper'"),
        ({"view-lag": "soon"}, "switch view_lag is a number, not 'soon'"),
        ({"view-lag": "-1"}, "a lag cannot be negative"),
        ({"uid-length": "0"}, "switch uid_length is at least 1"),
    ],
)
def test_an_invalid_switch_is_refused_with_the_choices(texts, message):
    with pytest.raises(ValueError, match="^" + message):
        Switches.from_texts(texts)


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"window": 0}, {"key": ""}])
def test_an_invalid_option_is_refused(wrong):
    with pytest.raises(ValueError, match=r"limit|key"):
        Options(**wrong)


def test_the_largest_image_and_the_longest_side_are_those_of_the_switches(sandbox, post):
    model = sandbox.add_model()

    def send(image):
        fields = {"model_id": model, "model_class": "Can", "input": encode(image)}
        return post("/model/upload", **fields).json().get("error", "")

    wide = draw(size=(40, 10))
    assert send(wide) == ""
    sandbox.set_switches(largest_side=39)
    assert send(wide) == "Image is too large: more than 39 pixels"
    sandbox.set_switches(largest_side=40, largest_image=len(wide) - 1)
    assert send(wide).startswith("Image is too large: more than")
    sandbox.set_switches(largest_image=len(wide))
    assert send(wide) == ""


@pytest.mark.parametrize("name", ["largest_side", "largest_image"])
def test_a_bound_of_an_image_is_at_least_1(name):
    assert getattr(Switches.from_texts({name: "7"}), name) == 7
    for wrong in ("0", "-1", "many"):
        with pytest.raises(ValueError, match=name):
            Switches.from_texts({name: wrong})
