"""Training uses the uploaded images, and every version can be run later."""

import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from astica_sync.features.descriptor import describe
from astica_sync.sandbox.account import Account
from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.image_input import open_image
from astica_sync.sandbox.training.classifier import CELL, WEIGHTS, Classifier
from tests.harness.sandbox_images import draw, encode

REDS = [(200 + i, 10, 10) for i in range(0, 50, 10)]
BLUES = [(10, 10, 200 + i) for i in range(0, 50, 10)]


@pytest.fixture
def taught(sandbox: RunningSandbox) -> int:
    """A model with red and blue samples, not yet trained."""
    model = sandbox.add_model()
    for title, colours in (("Red", REDS), ("Blue", BLUES)):
        for colour in colours:
            sandbox.add_sample(model, title, draw(colour))
    return model


def detect(post, model: int, version: str, content: bytes) -> dict[str, object]:
    text = "data:image/png;base64," + encode(content)
    answer: dict[str, object] = post("/detect", model_id=model, model_version=version, input=text).json()
    return answer


def test_a_trained_model_detects(sandbox, taught, post):
    assert post("/model/model_train", model_id=str(taught)).json() == {"status": "OK"}
    sandbox.wait_for_training()
    (shown,) = post("/model/list").json()["dataset_list"]
    dataset = post("/model/view", model_id=taught).json()["dataset"]
    assert shown["trained"] == dataset["trained"] == 1
    assert shown["date_trained"] >= shown["date_created"]
    version = shown["model_version"]
    assert version == dataset["model_version"] == sandbox.versions(taught)[0]
    assert re.fullmatch(rf"{taught}_\d+", version)
    for title, colour in (("Red", (225, 12, 12)), ("Blue", (12, 12, 225))):
        answer = detect(post, taught, version, draw(colour, "JPEG", (300, 200)))
        assert answer.keys() == {"status", "output", "confidence"}
        assert (answer["status"], answer["output"]) == ("OK", title)
        assert isinstance(answer["confidence"], str)
        assert 50 < float(answer["confidence"]) <= 100


@pytest.mark.parametrize(
    ("setting", "form"), [("string", str), ("number", float), ("percent", str)], ids=lambda value: str(value)
)
def test_the_form_of_a_confidence_follows_the_switch(sandbox, taught, post, setting, form):
    sandbox.set_switches(confidence=setting)
    post("/model/model_train", model_id=taught)
    sandbox.wait_for_training()
    confidence = detect(post, taught, sandbox.versions(taught)[0], draw())["confidence"]
    assert isinstance(confidence, form)
    assert str(confidence).endswith("%") == (setting == "percent")


def test_each_training_adds_a_version_and_old_ones_do_not_change(sandbox, taught, post):
    post("/model/model_train", model_id=taught)
    sandbox.wait_for_training()
    for sample in sandbox.samples(taught):
        sandbox.remove_sample(sample.sample_id)
    for title, colours in (("Red", BLUES), ("Blue", REDS)):  # the names swapped
        for colour in colours:
            sandbox.add_sample(taught, title, draw(colour))
    post("/model/model_train", model_id=taught)
    sandbox.wait_for_training()
    old, new = sandbox.versions(taught)
    assert post("/model/list").json()["dataset_list"][0]["model_version"] == new
    assert detect(post, taught, old, draw((220, 10, 10)))["output"] == "Red"
    assert detect(post, taught, new, draw((220, 10, 10)))["output"] == "Blue"


def test_fewer_than_two_classes_cannot_be_trained(sandbox, post):
    model = sandbox.add_model()
    sandbox.add_sample(model, "Red", draw())
    sandbox.add_class(model, "Empty")
    answer = post("/model/model_train", model_id=model).json()
    assert answer["status"] == "ERROR"
    assert "at least two different classes" in answer["error"]
    assert post("/model/model_train", model_id=7).json()["error"] == "Model not found"


def test_versions_with_dates_as_names_differ(sandbox, taught, post):
    sandbox.set_switches(version_form="date")
    for _ in range(2):
        post("/model/model_train", model_id=taught)
        sandbox.wait_for_training()
    first, second = sandbox.versions(taught)
    assert first != second
    assert all(re.fullmatch(r"20\d{6}_\d{6}", name) for name in (first, second))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"model_version": ""}, "Missing model_version"),
        ({"model_version": "1001_1"}, "Model version not found"),
        ({"model_version": "../../etc/passwd"}, "Model version not found"),
        ({"model_id": 7}, "Model not found"),
        ({"input": ""}, "Missing input"),
        ({"input": "AAAA"}, "Invalid image"),
    ],
)
def test_a_bad_detection_is_refused_with_its_reason(sandbox, taught, post, fields, text):
    post("/model/model_train", model_id=taught)
    sandbox.wait_for_training()
    body = {"model_id": taught, "model_version": sandbox.versions(taught)[0], "input": encode(draw())} | fields
    assert post("/detect", **body).json() == {"status": "ERROR", "error": text}


def test_a_version_belongs_to_its_model_and_is_removed_with_it(sandbox, taught, post):
    other = sandbox.add_model("Other")
    post("/model/model_train", model_id=taught)
    sandbox.wait_for_training()
    (version,) = sandbox.versions(taught)
    assert detect(post, other, version, draw())["error"] == "Model version not found"
    sandbox.remove_model(taught)
    assert sandbox.versions(taught) == []
    assert detect(post, taught, version, draw())["error"] == "Model not found"


def test_an_interrupted_training_is_finished_by_the_next_sandbox(tmp_path: Path):
    account = Account(tmp_path, lambda: 1_700_000_000.0)
    model = account.add_model("Cut", "vision", "test", "")
    with running(tmp_path) as running_sandbox:
        for title, colours in (("Red", REDS), ("Blue", BLUES)):
            for colour in colours:
                running_sandbox.add_sample(model, title, draw(colour))
    with account.change() as db:  # what a kill in mid-training leaves
        db.execute(
            "INSERT INTO versions (model_id, name, state, started) VALUES (?, 'cut', 'training', 1700000000)", (model,)
        )
    account.close()
    with running(tmp_path) as running_sandbox:
        running_sandbox.wait_for_training()
        assert running_sandbox.versions(model) == ["cut"]


def test_a_failed_training_adds_no_version_and_stops_nothing(sandbox, taught, post):
    for sample in sandbox.samples(taught):
        sandbox.remove_sample(sample.sample_id)
    for title in ("Red", "Blue"):
        sandbox.add_sample(taught, title, b"no image at all")
    assert post("/model/model_train", model_id=taught).json() == {"status": "OK"}
    sandbox.wait_for_training()
    assert sandbox.versions(taught) == []
    assert post("/model/list").json()["dataset_list"][0]["trained"] == 0


@pytest.fixture(scope="module")
def digits() -> tuple[list[bytes], list[str]]:
    """scikit-learn's handwritten digits as PNG files, 400 of them."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = []
    for grid in data.images[:400]:
        file = io.BytesIO()
        Image.fromarray((grid * 15.9).astype(np.uint8)).save(file, "PNG")
        images.append(file.getvalue())
    return images, [str(digit) for digit in data.target[:400]]


def test_unknown_handwritten_digits_are_recognised(digits, tmp_path):
    images, labels = digits
    features = [describe(open_image(content), CELL) for content in images]
    with (tmp_path / "digits.npz").open("wb") as file:
        Classifier.train(features[:300], labels[:300]).save(file)
    classifier = Classifier.load(tmp_path / "digits.npz")
    right = sum(classifier.detect(features[i])[0] == labels[i] for i in range(300, 400))
    assert right >= 90


def test_two_labels_are_detected_with_a_probability():
    features = [describe(open_image(draw(colour)), CELL) for colour in REDS + BLUES]
    classifier = Classifier.train(features, ["r"] * 5 + ["b"] * 5)
    for feature, label in zip(features, "rrrrrbbbbb", strict=True):
        found, share = classifier.detect(feature)
        assert found == label
        assert 0.5 < share <= 1


@pytest.mark.parametrize("titles", ["ab", "abc"])
def test_the_weights_of_a_version_agree_with_scikit_learn(titles):
    random = np.random.default_rng(3)
    features = [describe(open_image(draw(tuple(random.integers(0, 255, 3)))), CELL) for _ in range(30)]
    labels = [titles[i % len(titles)] for i in range(30)]
    even = StandardScaler().fit_transform(np.stack(features)) * WEIGHTS
    judge = LogisticRegression(C=0.1, max_iter=2000).fit(even, labels)
    classifier = Classifier.train(features, labels)
    for feature, shares in zip(features, judge.predict_proba(even), strict=True):
        found, share = classifier.detect(feature)
        assert found == judge.classes_[shares.argmax()]
        assert share == pytest.approx(shares.max(), rel=1e-3)


def test_a_model_that_is_being_trained_refuses_a_second_training(tmp_path: Path):
    with running(tmp_path) as running_sandbox, httpx.Client() as client:
        model = running_sandbox.add_model()
        for title in ("Red", "Blue"):
            running_sandbox.add_sample(model, title, draw(title))
        account = Account(tmp_path, lambda: 1_700_000_000.0)
        with account.change() as db:  # a training under way that never ends
            db.execute(
                "INSERT INTO versions (model_id, name, state, started) VALUES (?, 'long', 'training', 1700000000)",
                (model,),
            )
        account.close()
        answer = client.post(
            f"{running_sandbox.url}/model/model_train", json={"tkn": running_sandbox.key, "model_id": model}
        )
    assert answer.json() == {"status": "ERROR", "error": "Training is already in progress"}
