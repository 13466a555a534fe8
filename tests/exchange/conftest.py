"""A second, empty store to import into, and a bucket to import from, beside the fixtures for commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.s3_bucket import Bucket, Proxy, empty_bucket, run_server, use_server
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
    yield from run_server()


@pytest.fixture
def bucket(server: str) -> Bucket:
    return empty_bucket(server)


@pytest.fixture
def proxy(bucket: Bucket, server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy(server)
    use_server(proxy.url, monkeypatch)
    yield proxy
    proxy.server.shutdown()
    proxy.server.server_close()
