"""A store whose images lie in a bucket of a real S3 server on this machine."""

import datetime
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from astica_sync.local.layout import IGNORE_FILE, SETTINGS_FILE
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.s3_bucket import SECRET, empty_bucket, run_server, use_server
from tests.harness.s3_gate import Gate
from tests.harness.shell import Held, Ran, Shell, draw, on_service

SOURCE = "s3://photos/data/cans"
PREFIX = "data/cans/"


class SourceBucket:
    """The bucket as who fills it sees it; keys are below ``PREFIX``."""

    def __init__(self, client: Any, folder: Path) -> None:
        self.client, self._folder = client, folder

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket="photos", Key=f"{PREFIX}{key}", Body=data)

    def draw(self, key: str, number: int) -> bytes:
        data = draw(self._folder / "drawn.png", number).read_bytes()
        self.put(key, data)
        return data

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket="photos", Key=f"{PREFIX}{key}")

    def move(self, key: str, to: str) -> None:
        self.put(to, self.get(key))
        self.remove(key)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket="photos", Key=f"{PREFIX}{key}")["Body"].read()
        return data

    def date(self, key: str) -> None:
        """Gives an object the time that every object has that was dated."""
        from moto.s3.models import s3_backends

        backends: Any = s3_backends
        found = backends["123456789012"]["aws"].buckets["photos"].keys[f"{PREFIX}{key}"]
        found.last_modified = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def list_keys(self) -> list[str]:
        listed = self.client.get_paginator("list_objects_v2").paginate(Bucket="photos", Prefix=PREFIX)
        return [entry["Key"].removeprefix(PREFIX) for page in listed for entry in page.get("Contents", [])]

    def held(self) -> Held:
        """What the service should hold: each image of each class once."""
        images = [key for key in self.list_keys() if "/" in key and key.endswith(".png")]
        return Counter({(key.partition("/")[0].casefold(), self.get(key)) for key in images})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("obstore")
    pytest.importorskip("boto3")
    yield from run_server()


@pytest.fixture
def source(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SourceBucket]:
    """Two classes in the bucket, whose credentials are in the environment."""
    import boto3

    use_server(server, monkeypatch)
    empty_bucket(server)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": SECRET}
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1", **keys)
    bucket = SourceBucket(client, tmp_path)
    for number in range(3):
        bucket.draw(f"Can/{number:03}.png", number)
    for number in range(2):
        bucket.draw(f"Bottle/{number:03}.png", 10 + number)
    yield bucket
    client.close()


@pytest.fixture
def gate(server: str, source: SourceBucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(server)
    monkeypatch.setenv("AWS_ENDPOINT", gate.url)
    yield gate
    gate.server.shutdown()
    gate.server.server_close()


@dataclass(frozen=True)
class Mirrored:
    """A store of the bucket in ``folder``, bound to a model, and the user who works with it."""

    folder: Path
    model: int
    shell: Shell
    sandbox: RunningSandbox
    source: SourceBucket

    def push(self, *options: str) -> Any:
        """One push, which ends with the service as the bucket is."""
        ran = self.shell("push", "--json", "--yes", "--store", self.folder, *options)
        assert ran.code == 0, ran
        assert on_service(self.sandbox, self.model) == self.source.held()
        return ran.json

    def status(self) -> Any:
        ran = self.shell("status", "--json", "--store", self.folder)
        assert ran.code == 0, ran
        return ran.json


@pytest.fixture
def unpushed(source: SourceBucket, shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Mirrored:
    """A store that has not been pushed yet."""
    model, folder = sandbox.add_model("Cans"), tmp_path / "cans"
    ran = shell("init", folder, "--from", SOURCE, "--model", str(model))
    assert ran.code == 0, ran
    return Mirrored(folder, model, shell, sandbox, source)


@pytest.fixture
def mirrored(unpushed: Mirrored) -> Mirrored:
    assert unpushed.push()["uploaded"] == 5
    unpushed.sandbox.clear_log()
    return unpushed


class BucketShell(Shell):
    """A shell for tests of a store in a folder, whose images it puts into the bucket before each command: what such a
    test does in its folder happens in the bucket, and the commands work on a store of that."""

    def __init__(self, shell: Shell, source: SourceBucket, patch: pytest.MonkeyPatch) -> None:
        super().__init__(shell.home, shell.environ["ASTICA_TRAIN_URL"], "", shell._capsys, patch)
        self.environ = shell.environ
        self._source = source
        self._twins: dict[str, Path] = {}
        self._sent: dict[str, tuple[int, int]] = {}

    def __call__(self, *arguments: str | Path) -> Ran:
        return super().__call__(*self._translated(arguments))

    def start(self, *arguments: str | Path, **options: Any) -> "subprocess.Popen[str]":  # type: ignore[override]
        return super().start(*self._translated(arguments), **options)

    def _translated(self, arguments: Sequence[str | Path]) -> list[str | Path]:
        made = arguments[0] == "init" and len(arguments) > 1 and str(arguments[1]) not in self._twins
        if made:
            folder = Path(arguments[1])
            self._twins[str(folder)] = folder.with_name(f"records of {folder.name}")
        for folder, records in self._twins.items():
            self._copy(Path(folder), records)
        given: list[str | Path] = [self._twins.get(str(one), one) for one in arguments]
        return [*given, "--from", f"{SOURCE}/{Path(arguments[1]).name}"] if made else given

    def _copy(self, folder: Path, records: Path) -> None:
        records.mkdir(exist_ok=True)
        for name in (IGNORE_FILE, SETTINGS_FILE):
            (records / name).unlink(missing_ok=True)
            if (folder / name).exists():
                shutil.copyfile(folder / name, records / name)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for name, path in files.items():
            key, status = f"{folder.name}/{name}", path.stat()
            if name not in (IGNORE_FILE, SETTINGS_FILE) and self._sent.get(key) != (status.st_ino, status.st_mtime_ns):
                self._source.put(key, path.read_bytes())
                self._sent[key] = status.st_ino, status.st_mtime_ns
        for key in [key for key in self._sent if key.startswith(f"{folder.name}/")]:
            if key.removeprefix(f"{folder.name}/") not in files:
                self._source.remove(key)
                del self._sent[key]
