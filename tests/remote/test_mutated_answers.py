"""Every documented answer, damaged in hundreds of ways, is read correctly or refused with an error of the program."""

import gzip
import json
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync.clock import SystemClock, local_time
from astica_sync.core.model import LARGEST_ID, ModelInfo, Observation
from astica_sync.core.observation.value_bounds import LONGEST_TEXT
from astica_sync.errors import RemoteError
from astica_sync.remote.client import ServiceClient
from astica_sync.remote.http_exchange import Answer, HttpClient
from astica_sync.secret import Secret
from tests.harness.answer_mutations import mutate
from tests.harness.misbehaving_server import http, read_request, saying, strange
from tests.harness.shell import Shell

KEY = "canary-key"
MODEL = {
    "id": 3,
    "title": "My first model",
    "numClass": 2,
    "numSample": 3,
    "total_size": 5.04,
    "trained": 1,
    "model_version": "3_20913",
    "date_trained": 1685421180,
    "date_created": 1690573749,
    "type": "image",
    "purpose": "test",
    "tags": ["a", "b"],
}
SAMPLES = [
    {"id": number, "uid": f"{number:032x}-01234567", "size": 0.25, "date_created": "1685253132"} for number in (5, 6)
]
CLASSES = [
    {"id": 11, "title": "Can", "date_created": 1685253130, "samples": SAMPLES, "totalSize": 8.47},
    {"id": 12, "title": "Dog", "samples": [{"id": 7, "uid": "made elsewhere", "size": 0.1}], "totalSize": 1},
]
ABOUT = {"request": "dataset", "requestType": "view"}
OK = {"status": "OK"}
REFUSED = {"status": "ERROR", "error": "Invalid image"}

CALLS: dict[str, tuple[Callable[[ServiceClient], Any], str, object]] = {
    "create": (lambda client: client.create_model("T", "image", "p", "a"), "/model/create", OK),
    "list": (lambda client: client.list_models(), "/model/list", {**OK, "dataset_list": [MODEL, {**MODEL, "id": 4}]}),
    "list by view": (lambda client: client.list_models_by_view(), "/model/view", {**OK, "dataset_list": [MODEL]}),
    "view": (
        lambda client: client.view_model(3)[0],
        "/model/view",
        {**OK, "astica": ABOUT, "dataset": {**MODEL, "class_list": CLASSES}},
    ),
    "upload": (lambda client: client.upload_sample(3, "Can", "u", b"image"), "/model/upload", OK),
    "upload refused": (lambda client: client.upload_sample(3, "Can", "u", b"image"), "/model/upload", REFUSED),
    "train": (lambda client: client.train_model(3), "/model/model_train", OK),
    "remove sample": (lambda client: client.remove_sample(5), "/model/sample_remove", OK),
    "remove class": (lambda client: client.remove_class(11), "/model/class_remove", OK),
    "remove model": (lambda client: client.remove_model(3), "/model/model_remove", OK),
    "detect": (
        lambda client: client.detect(3, "3_20913", b"image"),
        "/detect",
        {**OK, "output": "Dog", "confidence": "97.5"},
    ),
}
FAST, LONG = 40, 500


def answers(body: bytes, elsewhere: str, draw: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Damaged answers without end, each with whether the connection ends after it."""
    statuses = [
        "200 OK",
        "201 Created",
        "204 No Content",
        "400 Bad",
        "403 No",
        "404 No",
        "429 Slow",
        "500 Oh",
        "503 Oh",
    ]
    while True:
        changed, _ = mutate(body, draw)
        status = draw.choice(statuses) if draw.random() < 0.15 else "200 OK"
        headers = ["Content-Type: application/json"]
        match draw.randrange(30):
            case 0:
                yield (
                    http(changed, draw.choice(("301 Moved", "302 Found", "307 T", "308 P")), f"Location: {elsewhere}"),
                    True,
                )
            case 1:
                yield http(changed, status, f"Refresh: 0; url={elsewhere}", f"Link: <{elsewhere}>; rel=canonical"), True
            case 2:
                yield http(gzip.compress(changed)[: draw.randint(5, 60)], status, "Content-Encoding: gzip"), True
            case 3:
                yield http(changed, status, f"Content-Encoding: {draw.choice(('gzip', 'br', 'deflate', 'x'))}"), True
            case 4:
                yield http(changed, status, length=len(changed) + draw.choice((-3, 5))), True
            case 5:
                retry = draw.choice(("36000", "-1", "nan", "9" * 400, "Fri, 31 Dec 99999 23:59:59 GMT", "\x7f"))
                yield http(changed, "429 Slow", f"Retry-After: {retry}", f"Date: {retry}"), True
            case 6:
                yield (
                    http(changed, status, *[f"X-{number}: {'y' * 900}" for number in range(draw.randint(1, 200))]),
                    True,
                )
            case 7:
                yield (
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(changed) + changed,
                    True,
                )
            case _:
                yield http(changed, status, *headers), False


def check_model(model: ModelInfo) -> None:
    assert 0 < model.model_id <= LARGEST_ID
    for text in (model.title, model.version or "", model.type, model.purpose, model.tags):
        assert len(text) <= LONGEST_TEXT
    for date in (model.trained_at, model.created_at):
        assert date is None or local_time(date) != "unknown"


def check(result: Any) -> None:
    """What was read is within all bounds, and a view is whole."""
    if isinstance(result, Observation):
        assert result.model.model_id == 3
        check_model(result.model)
        assert result.model.classes == len(result.classes) == 2
        assert result.model.samples == len(result.samples) == 3
        assert len({sample.sample_id for sample in result.samples}) == 3
        assert all(0 < sample.sample_id <= LARGEST_ID and len(sample.uid) <= LONGEST_TEXT for sample in result.samples)
        assert all(len(entry.title) <= LONGEST_TEXT for entry in result.classes)
    elif isinstance(result, list):
        for model in result:
            check_model(model)
    elif result is not None:
        assert len(result.label) <= LONGEST_TEXT


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("tries", [FAST, pytest.param(LONG, marks=pytest.mark.long)])
def test_a_damaged_answer_is_read_within_bounds_or_an_error_of_the_program(call: str, tries: int) -> None:
    send, path, answer = CALLS[call]
    body = json.dumps(answer).encode()
    with strange(saying(http(b'{"status": "OK"}'))) as other:
        damaged = answers(body, other.url, random.Random(f"{call} {tries}"))
        ended = []

        def talk(connection: socket.socket) -> None:
            while read_request(connection):
                bytes_, ends = next(damaged)
                connection.sendall(bytes_)
                if ends:
                    ended.append(bytes_)
                    return

        with strange(talk) as server:
            client = ServiceClient(Secret(KEY), server.url, server.url, SystemClock())
            for _ in range(tries):
                try:
                    check(send(client))
                except RemoteError as error:
                    assert len(str(error) + error.hint) < 1000
                    assert str(error).isprintable()
                    assert KEY not in str(error) + error.hint
            client.close()
    assert other.connections == 0
    # One that goes out before the end of the last connection is seen is lost with it; none is sent twice.
    assert tries - len(ended) <= len(server.requests) <= tries
    assert all(request.startswith(f"POST {path} HTTP/1.1\r\n".encode()) for request in server.requests)


@pytest.mark.long
@pytest.mark.parametrize("tries", [10, pytest.param(150, marks=pytest.mark.long)])
def test_a_status_of_a_damaged_view_plans_no_removal(
    shell: Shell, pushed: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """A view in which a title or a uid reads otherwise shows other samples; those are left out here."""
    draw = random.Random(tries)
    changed: list[tuple[str | int, ...]] = []
    post = HttpClient.post

    def damaged(self: HttpClient, path: str, *args: Any) -> Any:
        answer = post(self, path, *args)
        assert path == "/model/view"
        assert isinstance(answer, Answer)
        while True:
            body, place = mutate(answer.body, draw)
            if place and not {"title", "uid"} & set(map(str, place)):
                changed.append(place)
                return Answer(answer.status, answer.headers, body)

    monkeypatch.setattr(HttpClient, "post", damaged)
    for _ in range(tries):
        ran = shell("status", "--store", pushed, "--json")
        assert ran.code in (0, 1), changed[-1]
        assert "internal error" not in ran.err, (changed[-1], ran.err)
        assert len(ran.err) < 3000
        if ran.code == 0:
            assert ran.json["plan"]["remove"] == ran.json["plan"]["remove_class"] == [], changed[-1]
            assert ran.json["plan"]["upload"] == [], changed[-1]
