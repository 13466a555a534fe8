"""Service with a running sandbox, and what it repeats with misbehaving servers."""

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.clock import Clock, SystemClock
from astica_sync.core.model import make_scope, make_uid
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import (
    BadKey,
    Interrupted,
    NoSuchModel,
    NotAnObservation,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RemoteError,
    StillRateLimited,
    Unreachable,
)
from astica_sync.remote.client import ServiceClient
from astica_sync.remote.rate_limited_client import PATIENCE_SECONDS, RateLimitedClient
from astica_sync.remote.rate_limiter import Permit, RateLimiter, Wait
from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.secret import Secret
from tests.harness.manual_clock import HandClock
from tests.harness.misbehaving_server import http, saying, strange

Connect = Callable[..., "RecordingService"]


class RecordingService(RateLimitedClient):
    """A service that records its waits."""

    waits: list[tuple[float, str]]


def join(url: str, key: str, file: Path, clock: Clock, limit: int, window: float) -> RecordingService:
    """A service at an address, with its rate limiters in a file."""
    train, detect = (
        RateLimiter(file, name=name, limit=limit, window=window, clock=clock) for name in ("train", "detect")
    )
    waits: list[tuple[float, str]] = []
    client = ServiceClient(Secret(key), url, url, clock)
    service = RecordingService(client, train, detect, clock, lambda seconds, why: waits.append((seconds, why)))
    service.waits = waits
    return service


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Connects a service with its own rate limiters to an address."""
    opened: list[RecordingService] = []

    def connect(
        url: str, key: str = "sandbox-key", clock: Clock | None = None, limit: int = 90, window: float = 60.0
    ) -> RecordingService:
        clock = clock or SystemClock()
        opened.append(join(url, key, tmp_path / f"budget{len(opened)}", clock, limit, window))
        return opened[-1]

    yield connect
    for service in opened:
        service.close()


@pytest.fixture
def service(sandbox: RunningSandbox, connect: Connect) -> RateLimitedClient:
    return connect(sandbox.url, sandbox.key)


def picture(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 16), colour).save(file, "PNG")
    return file.getvalue()


def permit(service: RateLimitedClient, lane: Lane = Lane.BACKLOG) -> Permit:
    found = service.try_acquire(lane)
    assert isinstance(found, Permit)
    return found


def uid(model_id: int, class_title: str, number: int) -> str:
    return make_uid(f"{number:032x}", make_scope(model_id, class_title))


@pytest.mark.switches
def test_an_upload_is_in_the_view_with_every_switch_of_the_service(
    service: RateLimitedClient, sandbox: RunningSandbox
) -> None:
    sandbox.set_switches(view_lag=0.0)
    service.create_model("Things", "vision", "sorting", "a,b")
    [model] = service.models()
    assert model.title == "Things"
    for title in ("Can", "Äpfel"):
        for number in (1, 2):
            service.upload(permit(service), model.model_id, title, uid(model.model_id, title, number), picture())
    observation, body = service.view(model.model_id)
    assert json.loads(body)["status"] == "OK"
    assert observation.model.samples == 4
    assert len(observation.classes) == 2
    assert [
        (sample.sample_id, sample.class_title) for sample in sorted(observation, key=lambda one: one.sample_id)
    ] == [(stored.sample_id, stored.class_title) for stored in sandbox.samples(model.model_id)]
    if sandbox.switches.uid_length is None:
        expected = {uid(model.model_id, title, number) for title in ("Can", "Äpfel") for number in (1, 2)}
        assert {sample.uid for sample in observation} == expected
    assert {stored.image for stored in sandbox.samples(model.model_id)} == {picture()}


@pytest.mark.switches
def test_samples_classes_and_models_are_removed_by_their_ids(
    service: RateLimitedClient, sandbox: RunningSandbox
) -> None:
    sandbox.set_switches(view_lag=0.0)
    model_id = sandbox.add_model()
    for number in range(2):
        sandbox.add_sample(model_id, "Can", picture(), "" if number else "one")
    sandbox.add_sample(model_id, "Dog", picture())
    first, second, dog = (stored.sample_id for stored in sandbox.samples(model_id))
    service.remove_sample(permit(service, Lane.REMOVAL), first)
    assert [stored.sample_id for stored in sandbox.samples(model_id)] == [second, dog]
    with pytest.raises(Refused):
        service.remove_sample(permit(service, Lane.REMOVAL), first)
    observation = service.view(model_id)[0]
    service.remove_class(permit(service, Lane.REMOVAL), observation.classes[0].class_id)
    assert [stored.sample_id for stored in sandbox.samples(model_id)] == [dog]
    service.remove_model(model_id)
    assert service.models() == []
    with pytest.raises(NoSuchModel):
        service.view(model_id)


@pytest.mark.switches(
    "as documented", "integers are strings", "versions are dates", "confidence is a number", "confidence is in percent"
)
def test_a_model_is_trained_and_detects(service: RateLimitedClient, sandbox: RunningSandbox) -> None:
    model_id = sandbox.add_model()
    for title, colours in {"Red": ("red", "darkred", "crimson"), "Blue": ("blue", "navy", "cyan")}.items():
        for colour in colours:
            sandbox.add_sample(model_id, title, picture(colour))
    assert service.models()[0].trained in (False, None)
    service.train(model_id)
    sandbox.wait_for_training()
    model = service.view(model_id)[0].model
    assert model.trained
    assert model.version is not None
    found = service.detect(model_id, model.version, picture("red"))
    assert found.label == "Red"
    assert found.confidence is not None and 50 < found.confidence.value <= 100
    with pytest.raises(Refused):
        service.detect(model_id, "no-version", picture())


@pytest.mark.parametrize("number", [0, -1, True, 2**63])
def test_an_invalid_id_is_never_sent(service: RateLimitedClient, sandbox: RunningSandbox, number: int) -> None:
    with pytest.raises(ValueError, match="not an id"):
        service.remove_sample(permit(service), number)
    assert sandbox.log == []


@pytest.mark.switches("as documented", "errors are 4xx")
def test_a_wrong_key_is_an_error_at_the_first_answer(sandbox: RunningSandbox, connect: Connect) -> None:
    with pytest.raises(BadKey):
        connect(sandbox.url, "wrong").models()
    assert len(sandbox.log) == 1


def test_an_unknown_list_call_is_sent_only_once(service: RateLimitedClient, sandbox: RunningSandbox) -> None:
    sandbox.set_switches(model_list="unknown")
    service.models()
    service.models()
    assert [request.call for request in sandbox.log] == ["list", "view", "view"]


@pytest.mark.parametrize(
    "fault", ["lost-before", "lost-after", "late~inf", "5xx", "5xx-after", "html", "cut", "cut-connection"]
)
def test_an_upload_or_removal_without_an_answer_is_sent_once_with_outcome_unknown(
    service: RateLimitedClient, sandbox: RunningSandbox, fault: str
) -> None:
    model_id = sandbox.add_model()
    sample_id = sandbox.add_sample(model_id, "Can", picture())
    sandbox.set_faults(f"upload={fault}", f"sample_remove={fault}")
    with pytest.raises(OutcomeUnknown):
        service.upload(permit(service), model_id, "Can", "u", picture())
    with pytest.raises(OutcomeUnknown):
        service.remove_sample(permit(service), sample_id)
    assert [request.call for request in sandbox.log] == ["upload", "sample_remove"]
    assert service.requests == 2


def test_a_view_without_an_answer_is_repeated_a_few_times(connect: Connect) -> None:
    view = b'{"status": "OK", "dataset": {"id": 3, "numClass": 0, "numSample": 0, "class_list": []}}'
    clock = HandClock()
    with strange(saying(http(b"", "502 Bad Gateway"), http(b"<html>"), http(b'{"st', length=4), http(view))) as server:
        service = connect(server.url, clock=clock)
        assert service.view(3)[0].samples == ()
    assert clock.slept == [1, 2, 4]
    assert [seconds for seconds, _ in service.waits] == [1, 2, 4]
    assert "web page" in service.waits[1][1]
    assert service.requests == 4


def test_a_view_that_is_never_answered_is_an_error(connect: Connect) -> None:
    with strange(saying(*[http(b"", "502 Bad Gateway")] * 9)) as server:
        service = connect(server.url, clock=HandClock())
        with pytest.raises(OutcomeUnknown):
            service.view(3)
    assert service.requests == 4


def test_a_view_that_contradicts_itself_is_not_repeated(connect: Connect) -> None:
    view = b'{"status": "OK", "dataset": {"id": 3, "numClass": 1, "numSample": 0, "class_list": []}}'
    with strange(saying(*[http(view)] * 2)) as server:
        service = connect(server.url, clock=HandClock())
        with pytest.raises(NotAnObservation):
            service.view(3)
    assert service.requests == 1


@pytest.mark.parametrize("call", ["create_model", "train", "remove_model"])
def test_a_changing_call_is_never_repeated_after_a_lost_answer(call: str, connect: Connect) -> None:
    arguments: dict[str, tuple[object, ...]] = {
        "create_model": ("t", "vision", "p"),
        "train": (3,),
        "remove_model": (3,),
    }
    with strange(saying(b"")) as server:
        service = connect(server.url, clock=HandClock())
        with pytest.raises(OutcomeUnknown):
            getattr(service, call)(*arguments[call])
    assert len(server.requests) == 1


REFUSALS = {
    "429": http(b"", "429 Too Many Requests"),
    "429 with a time": http(b"", "429 Too Many Requests", "Retry-After: 7"),
    "a text": http(b'{"status": "ERROR", "error": "Rate limit exceeded"}'),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_call_refused_for_the_limit_waits_and_is_repeated(refusal: str, connect: Connect) -> None:
    clock = HandClock()
    with strange(saying(REFUSALS[refusal], REFUSALS[refusal], http(b'{"status": "OK"}'))) as server:
        connect(server.url, clock=clock).train(3)
    assert clock.slept == ([7, 7] if "time" in refusal else [2, 4])


def test_repeated_refusals_for_the_limit_become_an_error(connect: Connect) -> None:
    clock = HandClock()
    with strange(saying(*[REFUSALS["429"]] * 99)) as server, pytest.raises(RateLimited):
        connect(server.url, clock=clock).train(3)
    assert PATIENCE_SECONDS <= sum(clock.slept) < PATIENCE_SECONDS + 120


def test_an_upload_that_is_refused_again_and_again_becomes_an_error_as_well(connect: Connect) -> None:
    clock = HandClock()
    with strange(saying(*[REFUSALS["429"]] * 99)) as server:
        service = connect(server.url, clock=clock)
        for _ in range(99):
            try:
                service.upload(service.wait_for_permit(Lane.BACKLOG), 3, "Can", "u", b"image")
            except StillRateLimited as error:
                assert "served none for" in str(error)
                assert "ASTICA_LIMIT" in error.hint
                break
            except RateLimited:
                continue
    assert PATIENCE_SECONDS <= sum(clock.slept) < PATIENCE_SECONDS + 120


def test_each_refusal_for_the_limit_is_announced_with_its_reason_and_length(connect: Connect) -> None:
    with strange(saying(REFUSALS["429 with a time"])) as server:
        service = connect(server.url, clock=HandClock())
        with pytest.raises(RateLimited):
            service.upload(permit(service), 3, "Can", "u", b"image")
    [(seconds, why)] = service.waits
    assert seconds == 7
    assert "refused a request because of its rate limit" in why


def test_a_served_request_begins_the_patience_again(connect: Connect) -> None:
    clock = HandClock()
    answers = [*[REFUSALS["429"]] * 14, http(b'{"status": "OK"}')] * 2
    with strange(saying(*answers)) as server:
        service = connect(server.url, clock=clock)
        service.train(3)
        service.train(3)
    assert sum(clock.slept) > PATIENCE_SECONDS


def test_a_refusal_hours_after_another_is_no_long_refusal(connect: Connect) -> None:
    clock = HandClock()
    with strange(saying(*[REFUSALS["429"]] * 2, http(b'{"status": "OK"}'))) as server:
        service = connect(server.url, clock=clock)
        with pytest.raises(RateLimited):
            service.upload(permit(service), 3, "Can", "u", b"image")
        clock.time += 10 * PATIENCE_SECONDS
        service.train(3)
    assert server.connections <= 2


@pytest.mark.parametrize(
    ("asked", "slept"),
    [
        ("36000", None),
        ("999999999", None),
        ("3600", 3600),
        ("3000", 3000),
        ("0", 2),
        ("-36000", 2),
        ("nan", 2),
        ("inf", 2),
        ("1e5", 2),
        ("9" * 400, 2),
        ("", 2),
        ("soon", 2),
        ("\u0667", 2),
        ("7, 8", 2),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 2),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 2),
        ("Thu, 00 Foo 2026 99:99:99 GMT", 2),
    ],
)
def test_a_retry_after_is_obeyed_up_to_an_hour_and_ends_the_call_beyond(
    asked: str, slept: float | None, connect: Connect
) -> None:
    clock = HandClock()
    refusal = http(b"", "429 Too Many Requests", f"Retry-After: {asked}".encode().decode("latin-1"))
    with strange(saying(refusal, http(b'{"status": "OK"}'))) as server:
        service = connect(server.url, clock=clock)
        if slept is None:
            with pytest.raises(StillRateLimited, match="asks to send nothing before"):
                service.train(3)
            assert isinstance(wait := service.try_acquire(Lane.INTERACTIVE), Wait)
            assert wait.seconds < 60, "the next command asks again"
        else:
            service.train(3)
    assert clock.slept == ([] if slept is None else [slept])


def test_waiting_for_the_service_can_be_stopped(connect: Connect) -> None:
    clock = HandClock()
    clock.stopped = True
    with strange(saying(REFUSALS["429"])) as server, pytest.raises(Interrupted):
        connect(server.url, clock=clock).train(3)


def test_a_refused_upload_blocks_all_requests_for_a_while(connect: Connect) -> None:
    clock = HandClock()
    with strange(saying(REFUSALS["429 with a time"])) as server:
        service = connect(server.url, clock=clock)
        with pytest.raises(RateLimited):
            service.upload(permit(service), 3, "Can", "u", b"image")
        assert service.try_acquire(Lane.INTERACTIVE) == Wait(7)


@pytest.mark.switches("as documented", "limit names a time", "limit is a text", "limit is a text with 4xx")
def test_a_refusal_for_the_limit_differs_from_other_errors(service: RateLimitedClient, sandbox: RunningSandbox) -> None:
    sandbox.set_limit(1, 60)
    service.models()
    with pytest.raises(RateLimited):
        service.upload(permit(service), 3, "Can", "u", picture())


def test_a_request_that_was_not_sent_does_not_count(connect: Connect) -> None:
    service = connect("http://127.0.0.1:1", limit=1)
    for _ in range(3):
        with pytest.raises(Unreachable):
            service.upload(permit(service), 3, "Can", "u", b"image")
    assert service.requests == 0


def test_a_process_that_was_suspended_acquires_a_new_permit(connect: Connect) -> None:
    clock = HandClock()
    with strange(saying(http(b'{"status": "OK"}'))) as server:
        service = connect(server.url, clock=clock, limit=1)
        old = permit(service)
        clock.time += 1000
        service.release(permit(service))
        new = permit(service)
        clock.on_sleep = lambda: service.release(new)
        service.upload(old, 3, "Can", "u", b"image")
    assert clock.slept == [60]


def test_an_unused_permit_does_not_count(connect: Connect) -> None:
    service = connect("http://127.0.0.1:1", limit=1)
    service.release(permit(service))
    permit(service)
    assert isinstance(service.try_acquire(Lane.INTERACTIVE), Wait)


def test_waiting_for_a_permit_reports_each_wait(connect: Connect) -> None:
    clock = HandClock()
    service = connect("http://127.0.0.1:1", clock=clock, limit=1)
    service.release(service.wait_for_permit(Lane.REMOVAL))
    service.wait_for_permit(Lane.REMOVAL)
    assert service.waits == []
    clock.on_sleep = lambda: setattr(clock, "stopped", True)
    with pytest.raises(Interrupted):
        service.wait_for_permit(Lane.REMOVAL)
    assert [seconds for seconds, _ in service.waits] == [clock.slept[0]]


@pytest.mark.parametrize("ends", ["OK", "ERROR", "lost"])
def test_every_permit_is_released_after_any_error(ends: str, connect: Connect, tmp_path: Path) -> None:
    answers = {
        "OK": http(b'{"status": "OK"}'),
        "ERROR": http(b'{"status": "ERROR", "error": "Invalid image"}'),
        "lost": b"",
    }
    clock = HandClock()
    with strange(saying(answers[ends])) as server:
        service = connect(server.url, clock=clock, limit=1)
        with contextlib.suppress(RemoteError):
            service.upload(permit(service), 3, "Can", "u", b"image")
    assert service.try_acquire(Lane.BACKLOG) == Wait(60)
    clock.time += 60
    permit(service)


def test_detection_and_training_have_separate_limits(connect: Connect) -> None:
    detected = http(b'{"status": "OK", "output": "Dog", "confidence": "100"}')
    with strange(saying(detected)) as server:
        clock = HandClock()
        service = connect(server.url, clock=clock, limit=1)
        permit(service)
        assert service.detect(3, "v", b"image").label == "Dog"
    assert clock.slept == []


def test_detect_sends_a_data_uri_with_the_type_of_the_image(connect: Connect) -> None:
    detected = http(b'{"status": "OK", "output": "Dog", "confidence": "100"}')
    with strange(saying(detected, detected)) as server:
        service = connect(server.url, clock=HandClock())
        service.detect(3, "v", picture())
        service.detect(3, "v", b"\xff\xd8\xff")
    kinds = [json.loads(request.partition(b"\r\n\r\n")[2])["input"][:23] for request in server.requests]
    assert kinds == ["data:image/png;base64,iV"[:23], "data:image/jpeg;base64,"]


@pytest.mark.long
def test_two_services_with_many_threads_stay_under_the_limit(tmp_path: Path) -> None:
    limit, window = 20, 0.5
    clock = SystemClock()
    with running(limit=limit, window=window) as sandbox, ThreadPoolExecutor(8) as threads:
        sandbox.set_faults(latency="0-20ms")
        model_id = sandbox.add_model()
        services = [join(sandbox.url, sandbox.key, tmp_path / "budget", clock, limit, window) for _ in range(2)]
        lock = threading.Lock()

        def upload(number: int) -> None:
            service = services[number % 2]
            while isinstance(found := service.try_acquire(Lane.BACKLOG), Wait):
                clock.sleep(found.seconds)
            service.upload(found, model_id, "Can", str(number), image)
            with lock:
                sent.append(number)

        image, sent = picture(), list[int]()
        list(threads.map(upload, range(70)))
        assert len(sandbox.samples(model_id)) == len(sent) == 70
        assert sandbox.max_in_any_window() <= limit
        assert {request.outcome for request in sandbox.log} == {sandbox.log[0].outcome}
        for service in services:
            service.close()


@pytest.mark.parametrize("fault", ["partial", "listed"])
def test_a_view_with_a_part_of_the_model_is_no_observation(
    service: RateLimitedClient, sandbox: RunningSandbox, fault: str
) -> None:
    model_id = sandbox.add_model()
    for number in range(4):
        sandbox.add_sample(model_id, "Can", picture(), str(number))
    sandbox.set_faults(f"view={fault}")
    with pytest.raises(NotAnObservation):
        service.view(model_id)


def test_a_detection_without_an_output_names_no_class_and_is_not_asked_again(connect: Connect) -> None:
    with strange(saying(*[http(b'{"status": "OK"}')] * 4)) as server:
        service = connect(server.url, clock=HandClock())
        assert service.detect(3, "v", b"image").label == ""
        assert len(server.requests) == 1


def test_the_forecast_is_that_of_the_training_endpoint(connect: Connect) -> None:
    service = connect("http://127.0.0.1:1", clock=HandClock(), limit=2)
    permit(service)
    assert service.forecast(1) == 0.5
    assert service.forecast(2) > 60


DOCUMENTED: dict[str, tuple[Callable[[ServiceClient], object], str, dict[str, object]]] = {
    "create": (
        lambda client: client.create_model("T", "vision", "p", "a,b"),
        "/model/create",
        {"dataset_title": "T", "dataset_type": "vision", "dataset_purpose": "p", "dataset_tags": "a,b"},
    ),
    "list": (lambda client: client.list_models(), "/model/list", {}),
    "list by view": (lambda client: client.list_models_by_view(), "/model/view", {}),
    "view": (lambda client: client.view_model(3), "/model/view", {"model_id": 3}),
    "upload": (
        lambda client: client.upload_sample(3, "Äpfel", "u", b"abc"),
        "/model/upload",
        {"model_id": 3, "model_class": "Äpfel", "uid": "u", "input": "YWJj"},
    ),
    "train": (lambda client: client.train_model(3), "/model/model_train", {"model_id": 3}),
    "remove sample": (
        lambda client: client.remove_sample(5),
        "/model/sample_remove",
        {"sample_id": 5, "sample_uid": ""},
    ),
    "remove class": (lambda client: client.remove_class(6), "/model/class_remove", {"class_id": 6}),
    "remove model": (lambda client: client.remove_model(3), "/model/model_remove", {"model_id": 3}),
    "detect": (
        lambda client: client.detect(3, "28941_20913", b"abc"),
        "/detect",
        {"model_id": 3, "model_version": "28941_20913", "input": "data:image/jpeg;base64,YWJj"},
    ),
}


@pytest.mark.parametrize("call", DOCUMENTED)
def test_each_call_sends_exactly_the_documented_fields(call: str) -> None:
    send, path, fields = DOCUMENTED[call]
    with strange(saying(http(b"", "400 Bad Request"))) as server:
        client = ServiceClient(Secret("k"), server.url, server.url, SystemClock())
        with pytest.raises(Refused):
            send(client)
        client.close()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert json.loads(body) == {"tkn": "k", **fields}
