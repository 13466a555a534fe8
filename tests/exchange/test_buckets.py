"""Import from a real S3 server on this machine, and from one that denies, throttles, and changes while it is read."""

from pathlib import Path

import pytest

from astica_sync.bucket.open_bucket import open_bucket
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.bucket import BucketSource
from astica_sync.exchange.sources.source import NotRead
from tests.harness.plain_import import files_in, plain_import
from tests.harness.s3_bucket import Bucket, Proxy
from tests.harness.shell import Shell, draw, in_store

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def filled(bucket: Bucket, tmp_path: Path) -> dict[str, bytes]:
    files = {
        f"set/{title}/{number}.png": draw(tmp_path / "drawn" / f"{title}{number}.png", number + 40 * (title == "Can"))
        for title in ("Can", "Bottle")
        for number in range(12)
    }
    held = {key: path.read_bytes() for key, path in files.items()}
    for key, data in held.items():
        bucket.put(key, data)
    return held


def test_a_bucket_is_imported_and_a_second_run_finds_nothing(
    shell: Shell, empty: Path, proxy: Proxy, filled: dict[str, bytes]
) -> None:
    ran = shell("import", "s3://photos/set", "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["layout"]) == (0, 24, "imagefolder"), ran
    assert sorted(data for _, data in in_store(empty).elements()) == sorted(filled.values())
    again = shell("import", "s3://photos/set", "--json", "--store", empty)
    assert (again.json["imported"], again.json["duplicates"]) == (0, 24)
    assert "test-secret-of-the-bucket" not in ran.out + ran.err
    assert not [
        path for path in empty.rglob("*") if path.is_file() and b"test-secret-of-the-bucket" in path.read_bytes()
    ]


def test_what_the_bucket_denies_is_left_out_and_a_second_run_completes_it(
    proxy: Proxy, filled: dict[str, bytes], tmp_path: Path
) -> None:
    proxy.status = {"/photos/set/Can/3.png": [403], "/photos/set/Can/4.png": [404]}
    result = plain_import("s3://photos/set", tmp_path / "root")
    assert result.imported.total() == 22
    reasons = dict(result.left_out)
    assert "denies reading it" in reasons["Can/3.png"] and "is gone" in reasons["Can/4.png"]
    proxy.status = {}
    result = plain_import("s3://photos/set", tmp_path / "root")
    assert (result.imported.total(), result.duplicates.total(), result.left_out) == (2, 22, [])
    assert sorted(files_in(tmp_path / "root").values()) == sorted(filled.values())


@pytest.mark.parametrize("status", [503, 429, 500])
def test_a_bucket_that_throttles_is_asked_again(
    proxy: Proxy, filled: dict[str, bytes], tmp_path: Path, status: int
) -> None:
    proxy.status = {f"/photos/set/Can/{number}.png": [status, 0] for number in range(3)}
    result = plain_import("s3://photos/set", tmp_path / "root")
    assert (result.imported.total(), result.left_out) == (24, [])
    assert proxy.seen["/photos/set/Can/1.png"] == 2


def test_what_changes_while_the_bucket_is_read_is_left_out(
    proxy: Proxy, bucket: Bucket, filled: dict[str, bytes], tmp_path: Path
) -> None:
    source = BucketSource("s3://photos/set")
    entries = source.entries()
    other = filled["set/Can/5.png"][:-1] + b"!"
    bucket.put("set/Can/5.png", other)
    read = {entry.path: data for entry, data in source.stream(lambda _: True)}
    changed = read["Can/5.png"]
    assert isinstance(changed, NotRead) and "it changed while the bucket was read" in str(changed)
    assert sum(isinstance(data, bytes) for data in read.values()) == len(entries) - 1
    result = plain_import("s3://photos/set", tmp_path / "root")
    assert (result.imported.total(), other in files_in(tmp_path / "root").values()) == (24, True)


@pytest.mark.parametrize("status", [403, 404])
def test_a_bucket_that_cannot_be_listed_is_named(
    proxy: Proxy, filled: dict[str, bytes], tmp_path: Path, status: int
) -> None:
    proxy.status = {"/photos": [status]}
    with pytest.raises(AsticaSyncError, match="cannot be listed") as raised:
        plain_import("s3://photos/set", tmp_path / "root")
    assert "credentials" in raised.value.hint
    assert "test-secret" not in str(raised.value)


def test_keys_that_would_leave_the_folder(proxy: Proxy, bucket: Bucket, tmp_path: Path) -> None:
    good = draw(tmp_path / "drawn" / "1.png", 1).read_bytes()
    for number, key in enumerate(("set/Can/good.png", "set/Can/..%5C..%5C..%5Cevil.png", "set/Can/")):
        bucket.put(key, b"" if key.endswith("/") else good + bytes(number))
    result = plain_import("s3://photos/set", tmp_path / "root")
    assert list(files_in(tmp_path / "root")) == ["Can/good.png"]
    assert result.left_out_count == 1
    bucket.put("set/Can/e%01.png", good)
    with pytest.raises(AsticaSyncError, match="invalid path") as raised:
        plain_import("s3://photos/set", tmp_path / "root")
    assert "Rename that object" in raised.value.hint


def test_a_table_in_a_bucket(proxy: Proxy, bucket: Bucket, filled: dict[str, bytes], tmp_path: Path) -> None:
    bucket.put("set/labels.csv", b"path,label\nCan/0.png,Cup\nBottle/1.png,Glass\n")
    result = plain_import("s3://photos/set", tmp_path / "root")
    assert sorted(files_in(tmp_path / "root")) == ["Cup/0.png", "Glass/1.png"]
    assert result.left_out_count == 22


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_shards_in_a_bucket(
    shell: Shell, store: Path, empty: Path, proxy: Proxy, bucket: Bucket, tmp_path: Path, layout: str
) -> None:
    assert shell("export", tmp_path / "out", "--format", layout, "--store", store).code == 0
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            bucket.put(f"shards/{path.relative_to(tmp_path / 'out').as_posix()}", path.read_bytes())
    ran = shell("import", "s3://photos/shards", "--json", "--store", empty)
    assert (ran.code, ran.json["layout"]) == (0, layout), ran
    assert in_store(empty) == in_store(store)


def test_a_shard_that_the_bucket_denies_is_named(
    shell: Shell, store: Path, proxy: Proxy, bucket: Bucket, tmp_path: Path
) -> None:
    assert shell("export", tmp_path / "out", "--format", "webdataset", "--store", store).code == 0
    data = (tmp_path / "out" / "train-000000.tar").read_bytes()
    bucket.put("shards/train-000000.tar", data)
    bucket.put("shards/train-000001.tar", data)
    bucket.put("shards/classes.txt", (tmp_path / "out" / "classes.txt").read_bytes())
    proxy.status = {"/photos/shards/train-000001.tar": [403]}
    result = plain_import("s3://photos/shards", tmp_path / "root")
    assert (result.imported.total(), result.left_out_count) == (5, 1), result.left_out


@pytest.mark.parametrize("layout", ["imagefolder", "webdataset", "parquet"])
def test_a_list_may_have_its_tags_without_quotes(
    shell: Shell, store: Path, empty: Path, proxy: Proxy, bucket: Bucket, tmp_path: Path, layout: str
) -> None:
    proxy.lists_bare_tags = True
    assert shell("export", tmp_path / "out", "--format", layout, "--store", store).code == 0
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            bucket.put(f"set/{path.relative_to(tmp_path / 'out')}", path.read_bytes())
    ran = shell("import", "s3://photos/set", "--json", "--store", empty)
    assert ran.code == 0, ran.out + ran.err
    assert in_store(empty) == in_store(store)
    assert all('"' not in tag for tag in _listed_tags())


def _listed_tags() -> list[str]:
    bucket = open_bucket("s3://photos/set")
    return [about["e_tag"] for page in bucket.obstore.list(bucket.store) for about in page]
