"""A second, empty store to import into, and a bucket to import from, beside the fixtures for commands."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.s3_bucket import Bucket, Proxy
from tests.harness.shell import Shell


@pytest.fixture
def empty(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store without images."""
    folder = tmp_path / "empty"
    folder.mkdir()
    ran = shell("init", folder, "--model", str(sandbox.add_model("Empty")))
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str) -> Bucket:
    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset", b"", method="POST")).close()
    return Bucket(server)


@pytest.fixture
def proxy(bucket: Bucket, server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy(server)
    for name, value in {
        "AWS_ENDPOINT": proxy.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret-of-the-bucket",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.server.shutdown()
    proxy.server.server_close()
