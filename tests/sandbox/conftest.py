"""Plain HTTP to the sandbox."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.sandbox_images import draw, encode

Post = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def post(sandbox: RunningSandbox, client: httpx.Client) -> Post:
    """``post("/model/view", model_id=1)``: the answer to a request with the right key."""

    def post(path: str, **fields: Any) -> httpx.Response:
        return client.post(sandbox.url + path, json={"tkn": sandbox.key, **fields})

    return post


@pytest.fixture
def upload(post: Post) -> Post:
    """``upload(model_id, "Can", "some uid")``: one small image into a class."""

    def upload(model_id: int, title: str, uid: str = "", content: bytes | None = None) -> httpx.Response:
        text = encode(draw() if content is None else content)
        return post("/model/upload", model_id=model_id, model_class=title, input=text, uid=uid)

    return upload
