"""Promise 10: the key is in the request body only; no error, log record or traceback contains it."""

import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync.clock import SystemClock
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import AsticaSyncError, RemoteError
from astica_sync.remote.client import ServiceClient
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.remote.rate_limiter import Permit, RateLimiter, limiter_name
from astica_sync.secret import Secret
from tests.harness.misbehaving_server import Talk, http, saying, strange

CANARY = "canary-3f9c51"

ECHO = f'{{"status": "ERROR", "error": "Invalid API key {CANARY}"}}'.encode()
ANSWERS = {
    "nothing": saying(b""),
    "a cut answer": saying(http(b'{"status"', length=50)),
    "no http": saying(b"\0\1\2 what?\r\n\r\n"),
    "the key itself": saying(CANARY.encode() * 3),
    "a page": saying(http(b"<html>" + CANARY.encode())),
    "a redirect": saying(http(b"", "302 Found", f"Location: https://x/?tkn={CANARY}")),
    "an error with the key": saying(http(ECHO)),
    "a refusal": saying(http(b"", "429 Slow")),
    "a stumble": saying(http(b"", "500 Oh")),
    "another word": saying(http(b'{"status": "PERHAPS"}')),
    "too much": saying(http(b" " * 1_100_000)),
}
CALLS: dict[str, Callable[[ServiceClient], object]] = {
    "create": lambda client: client.create_model("t", "vision", "p"),
    "list": lambda client: client.list_models(),
    "view": lambda client: client.view_model(3),
    "upload": lambda client: client.upload_sample(3, "Can", "u", b"image"),
    "remove": lambda client: client.remove_sample(5),
    "detect": lambda client: client.detect(3, "v", b"image"),
}


@pytest.fixture
def debug_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_no_error_contains_the_key(answer: str, call: str, debug_log: pytest.LogCaptureFixture) -> None:
    talk: Talk = ANSWERS[answer]
    with strange(talk) as server:
        client = ServiceClient(Secret(CANARY), server.url, server.url, SystemClock())
        try:
            with pytest.raises(RemoteError) as caught:
                CALLS[call](client)
        finally:
            client.close()
        assert CANARY.encode() in server.requests[0].partition(b"\r\n\r\n")[2]
    # The server's headers are logged by the HTTP library as they came; they hold the key only where it echoed it.
    logged = "\n".join(record.getMessage() for record in debug_log.records if answer != "a redirect")
    for text in (str(caught.value), repr(caught.value), caught.value.hint, traceback_of(caught.value), logged):
        assert CANARY not in text


def traceback_of(error: BaseException) -> str:
    """The traceback with all local variables, from the first frame of the program on."""
    assert error.__context__ is None
    assert error.__cause__ is None
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    assert frame is not None
    return "".join(traceback.TracebackException(type(error), error, frame, capture_locals=True).format())


def test_the_error_for_an_unreachable_service_does_not_contain_the_key(debug_log: pytest.LogCaptureFixture) -> None:
    client = ServiceClient(Secret(CANARY), "http://127.0.0.1:1", "http://127.0.0.1:1", SystemClock())
    with pytest.raises(RemoteError) as caught:
        client.upload_sample(3, "Can", "u", b"image")
    client.close()
    assert CANARY not in traceback_of(caught.value) + "".join(record.getMessage() for record in debug_log.records)


def test_the_error_for_an_invalid_title_does_not_contain_the_key() -> None:
    client = ServiceClient(Secret(CANARY), "http://127.0.0.1:1", "http://127.0.0.1:1", SystemClock())
    with pytest.raises(AsticaSyncError) as caught:
        client.upload_sample(3, "\udcff", "u", b"image")
    client.close()
    assert CANARY not in traceback_of(caught.value)


def test_the_file_of_the_rate_limiter_does_not_contain_the_key(tmp_path: Path) -> None:
    key, clock = Secret(CANARY), SystemClock()
    client = ServiceClient(key, "http://127.0.0.1:1", "http://127.0.0.1:1", clock)
    budget = RateLimiter(tmp_path / "budget", name=limiter_name(key, "train"), limit=9, window=60, clock=clock)
    service = RateLimitedClient(client, budget, budget, clock)
    permit = service.try_acquire(Lane.BACKLOG)
    assert isinstance(permit, Permit)
    assert CANARY not in repr(vars(service)) + repr(vars(client)) + repr(vars(budget))
    service.close()
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes()


def test_limiter_names_differ_by_key_and_endpoint() -> None:
    names = {limiter_name(Secret(key), endpoint) for key in ("a", "b") for endpoint in ("train", "detect")}
    assert len(names) == 4


def test_a_secret_is_not_printed_or_pickled() -> None:
    secret = Secret(CANARY)
    assert CANARY not in f"{secret} {secret!r} {secret:>40} {[secret]}" + str(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
