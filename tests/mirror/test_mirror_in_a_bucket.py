"""The mirror in a bucket of a real S3 server on this machine."""

import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.mirror.bucket_place import BucketPlace
from astica_sync.mirror.open_place import refuse_password
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.s3_bucket import SECRET, run_server, use_server
from tests.harness.shell import Shell, in_store, on_service

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
pytest.importorskip("obstore")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, and the credentials in the environment."""
    for address in run_server():
        use_server(address, monkeypatch)
        auth = "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        request = urllib.request.Request(f"{address}/off-site", b"", {"Authorization": auth}, method="PUT")
        urllib.request.urlopen(request).close()
        yield "s3://off-site/cans"


@pytest.fixture
def store(shell: Shell, photos: Path, sandbox: RunningSandbox) -> Path:
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    assert shell("push", "--store", photos).code == 0
    return photos


def test_a_lost_store_is_rebuilt_from_a_bucket(
    shell: Shell, store: Path, bucket: str, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    assert shell("train", "--store", store).code == 0
    kept, model = in_store(store), sandbox.models()[0][0]
    first = shell("backup", "mirror", bucket, "--store", store, "--verify", "all", "--json")
    assert (first.code, first.json["copied"], first.json["checked"], first.json["problems"]) == (0, 8, 8, [])
    assert shell("backup", "mirror", bucket, "--store", store, "--json").json["copied"] == 0
    shutil.rmtree(store)
    shutil.rmtree(shell.home)
    shell.home.mkdir()
    ran = shell("backup", "restore", "--from", bucket, "--to", tmp_path / "rebuilt")
    assert ran.code == 0, ran.err
    pushed = shell("push", "--store", tmp_path / "rebuilt", "--json").json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (0, 0, True)
    assert in_store(tmp_path / "rebuilt") == kept == on_service(sandbox, model)
    versions = shell("versions", "--store", tmp_path / "rebuilt", "--json").json["versions"]
    assert [version["samples"] for version in versions] == [8]


def test_an_object_that_rots_in_the_bucket_is_written_again(shell: Shell, store: Path, bucket: str) -> None:
    shell("backup", "mirror", bucket, "--store", store)
    place = BucketPlace(bucket)
    name, size = next((name, size) for name, size in sorted(place.sizes()) if "/objects/" in name)
    good = place.read(name)
    place.write(name, bytes(size))
    again = shell("backup", "mirror", bucket, "--store", store, "--verify", "all", "--json").json
    assert (again["repaired"], again["problems"]) == (1, [])
    assert place.read(name) == good


@pytest.mark.parametrize("address", ["s3://no-such-bucket/x", "s3://off-site/empty"])
def test_a_bucket_without_a_store_rebuilds_none(shell: Shell, bucket: str, tmp_path: Path, address: str) -> None:
    ran = shell("backup", "restore", "--from", address, "--to", tmp_path / "rebuilt")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert not (tmp_path / "rebuilt" / ".astica-sync" / "store.json").exists()


def test_a_server_that_is_away_is_named_and_no_secret_is(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_server("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setattr(BucketPlace.__init__, "__defaults__", (0.1,))
    ran = shell("backup", "mirror", "s3://off-site/cans", "--store", store)
    assert ran.code == 1
    assert "cannot be listed" in ran.err
    assert SECRET not in ran.err + ran.out
    assert shell("push", "--store", store).code == 0


@pytest.mark.parametrize(
    "address",
    [
        "s3://user:canary-password@off-site/cans",
        "https://user:canary-password@host/cans",
        "s3://off-site/cans?aws_secret_access_key=canary-password",
    ],
)
@pytest.mark.parametrize("command", [("backup", "mirror"), ("watch", "install", "--mirror")], ids=" ".join)
def test_an_address_with_a_password_is_refused_and_not_shown(
    shell: Shell, store: Path, address: str, command: tuple[str, ...]
) -> None:
    ran = shell(*command, address, "--store", store)
    assert ran.code == 1 and "the address of the mirror has a password" in ran.err
    assert "canary-password" not in ran.err + ran.out
    assert not [path for path in shell.home.rglob("*.service") if path.is_file()]


@pytest.mark.parametrize("address", ["abfss://box@account.dfs.core.windows.net/cans", "s3://box/a:b@c", "/mnt/a:b"])
def test_an_address_without_a_password_is_not_refused(address: str) -> None:
    refuse_password(address)
