"""Our transport below httpx: it raises the errors that httpx's own transport raises."""

from collections.abc import Iterator

import httpcore
import httpx
import pytest

from astica_sync.remote.connection_pool import PoolTransport
from astica_sync.remote.deadline import ThreadDeadline

ERRORS = [
    name
    for name in httpcore.__all__
    if isinstance(getattr(httpcore, name), type)
    and issubclass(getattr(httpcore, name), Exception)
    and name != "ConnectionNotAvailable"  # raised inside the pool only
]


class FailingPool:
    """A pool whose answer breaks off with an error."""

    def __init__(self, error: Exception, *, in_answer: bool) -> None:
        self._error = error
        self._in_answer = in_answer

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        if not self._in_answer:
            raise self._error
        return httpcore.Response(200, content=self._content())

    def close(self) -> None:
        pass

    def _content(self) -> Iterator[bytes]:
        yield b"half of "
        raise self._error


@pytest.mark.parametrize("in_answer", [False, True])
@pytest.mark.parametrize("name", ERRORS)
def test_every_error_of_httpcore_becomes_the_error_of_httpx_with_the_same_name(
    name: str, in_answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = getattr(httpcore, name)("the cause")
    monkeypatch.setattr(httpcore, "ConnectionPool", lambda **_: FailingPool(error, in_answer=in_answer))
    transport = PoolTransport(None, None, ThreadDeadline())
    with (
        httpx.Client(transport=transport) as client,
        pytest.raises(httpx.TransportError) as caught,
        client.stream("POST", "http://127.0.0.1:1/", content=b"{}") as answer,
    ):
        answer.read()
    assert type(caught.value) is getattr(httpx, name)
    assert str(caught.value) == "the cause"


def test_there_are_errors_to_map() -> None:
    assert len(ERRORS) == 14


def test_the_deadline_limits_each_operation_and_ends_all_of_them() -> None:
    now = 100.0
    deadline = ThreadDeadline(lambda: now)
    deadline.start(10)
    assert deadline.remaining(None, httpcore.ReadTimeout) == 10
    assert deadline.remaining(3, httpcore.ReadTimeout) == 3
    now = 108.0
    assert deadline.remaining(3, httpcore.ReadTimeout) == 2
    now = 110.0
    with pytest.raises(httpcore.WriteTimeout):
        deadline.remaining(3, httpcore.WriteTimeout)
