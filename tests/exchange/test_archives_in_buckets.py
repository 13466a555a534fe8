"""Archives and parquet files that lie in a bucket, read by ranges from a real S3 server on this machine."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import threading
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources import bucket_object
from astica_sync.exchange.sources.bucket_object import BucketObject
from astica_sync.exchange.sources.open_source import open_source
from tests.exchange.test_bad_archives import EVIL
from tests.harness.pack import add_member, pack
from tests.harness.plain_import import files_in, plain_import
from tests.harness.s3_bucket import Bucket, Proxy
from tests.harness.shell import Shell, draw, in_store

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]
BLOCK = 40_000


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones, so that an archive has several."""
    monkeypatch.setattr(bucket_object, "_BLOCK", BLOCK)


def photos(count: int = 20, size: int = 30_000) -> dict[str, bytes]:
    return {
        f"{'Can' if number % 2 else 'Bottle'}/{number:03}.jpg": b"\xff\xd8\xff" + os.urandom(size)
        for number in range(count)
    }


def upload(bucket: Bucket, tmp_path: Path, files: dict[str, bytes], kind: str) -> bytes:
    """Packs them, and puts the archive into the bucket as ``data/photos.KIND``."""
    pack(tmp_path / f"a.{kind}", files)
    data = (tmp_path / f"a.{kind}").read_bytes()
    bucket.put(f"data/photos.{kind}", data)
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_in_a_bucket_is_imported_and_a_second_run_finds_nothing(
    shell: Shell, empty: Path, proxy: Proxy, bucket: Bucket, tmp_path: Path, kind: str
) -> None:
    files = {
        f"set/{title}/{number}.png": draw(tmp_path / "drawn" / f"{title}{number}.png", number + 40 * (title == "Can"))
        for title in ("Can", "Bottle")
        for number in range(12)
    }
    held = {key: path.read_bytes() for key, path in files.items()}
    upload(bucket, tmp_path, held, kind)
    address = f"s3://photos/data/photos.{kind}"
    tried = shell("import", address, "--dry-run", "--json", "--store", empty)
    assert (tried.code, tried.json["imported"], in_store(empty).total()) == (0, 24, 0), tried
    ran = shell("import", address, "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["layout"]) == (0, 24, "imagefolder"), ran
    assert sorted(data for _, data in in_store(empty).elements()) == sorted(held.values())
    again = shell("import", address, "--json", "--store", empty)
    assert (again.json["imported"], again.json["duplicates"]) == (0, 24)


@pytest.mark.parametrize(("layout", "name"), [("webdataset", "train-000000.tar"), ("parquet", "train-00000.parquet")])
def test_one_shard_in_a_bucket(
    shell: Shell, store: Path, empty: Path, proxy: Proxy, bucket: Bucket, tmp_path: Path, layout: str, name: str
) -> None:
    """It is named, and not the folder that has it; the shard of WebDataset has the titles in its JSON."""
    assert shell("export", tmp_path / "out", "--format", layout, "--store", store).code == 0
    data = next((tmp_path / "out").rglob(name)).read_bytes()
    bucket.put(f"shards/{name}", data)
    bucket.put("shards/other.tar", b"is not read")
    ran = shell("import", f"s3://photos/shards/{name}", "--json", "--store", empty)
    assert (ran.code, ran.json["layout"]) == (0, layout), ran
    assert in_store(empty) == in_store(store)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_zip_is_read_forward_and_each_byte_once(
    proxy: Proxy, bucket: Bucket, tmp_path: Path, backwards: bool
) -> None:
    files = photos(60)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
        if backwards:
            archive.filelist.reverse()
    data = (tmp_path / "a.zip").read_bytes()
    bucket.put("a.zip", data)
    result = plain_import("s3://photos/a.zip", tmp_path / "root")
    assert (result.imported.total(), result.left_out) == (60, [])
    assert files_in(tmp_path / "root") == files
    asked = [span for span in proxy.ranges if span != (0, 512)]
    blocks = -(-len(data) // BLOCK)
    # The list of files is at the end: those blocks are read once more.
    assert len(set(asked)) == blocks and len(asked) <= blocks + 4


def test_images_that_no_label_names_are_not_read(proxy: Proxy, bucket: Bucket, tmp_path: Path) -> None:
    files = photos(60)
    named = list(files)[20:25]
    table = "path,label\n" + "".join(f"{name},Cup\n" for name in named)
    upload(bucket, tmp_path, {"labels.csv": table.encode()} | files, "zip")
    result = plain_import("s3://photos/data/photos.zip", tmp_path / "root")
    assert (result.imported.total(), result.left_out_count) == (5, 55)
    assert sum(end - start for start, end in proxy.ranges) < 700_000


def plant_evil_names(archive: Path, images: list[bytes]) -> None:
    pack(archive, {**{f"{name}": images[0] + bytes([at]) for at, name in enumerate(EVIL)}, "Can/good.png": images[1]})


def plant_links(archive: Path, images: list[bytes]) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            info = zipfile.ZipInfo("Can/soft.png")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            zipped.writestr(info, "/etc/passwd")
            zipped.writestr("Can/other.png", images[2])
        return
    with tarfile.open(archive, "w") as tar:
        add_member(tar, "Can/good.png", images[0])
        for name, kind, target in (
            ("Can/soft.png", tarfile.SYMTYPE, "../../../secret.png"),
            ("Can/hard.png", tarfile.LNKTYPE, "Can/good.png"),
            ("Evil", tarfile.SYMTYPE, "/"),
            ("Can/fifo.png", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        add_member(tar, "Evil/planted.png", images[1])


def plant_old_names(archive: Path, images: list[bytes]) -> None:
    raw = "写真".encode("cp932")
    stand_in = b"@" * len(raw)
    pack(archive, {f"{stand_in.decode()}/1.png": images[0], "Can/2.png": images[1]})
    archive.write_bytes(archive.read_bytes().replace(stand_in, raw))


def plant_bomb(archive: Path, images: list[bytes]) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("Can/good.png", images[0])
            zipped.writestr("Can/bomb.png", images[1] + bytes(50_000_000))
        return
    opener = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[archive.suffix]
    with opener(archive, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:  # type: ignore[operator]
        add_member(tar, "Can/good.png", images[0])
        for number in range(6):
            add_member(tar, f"Can/{number}.png", images[1] + bytes(20_000_000))


def cut_off(archive: Path, images: list[bytes]) -> None:
    pack(archive, photos())
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 6 // 10])


def damage_a_member(archive: Path, images: list[bytes]) -> None:
    pack(archive, {f"Can/{number}.png": data for number, data in enumerate(images)})
    data = bytearray(archive.read_bytes())
    data[data.index(images[2]) + 60 if archive.suffix == ".zip" else len(data) // 2] ^= 0xFF
    archive.write_bytes(data)


def mark_as_encrypted(archive: Path, images: list[bytes]) -> None:
    pack(archive, {"Can/a.png": images[0], "Can/b.png": images[1]})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)


def overlap(archive: Path, images: list[bytes]) -> None:
    pack(archive, {"Can/a.png": images[0], "Can/b.png": images[0]})
    data = bytearray(archive.read_bytes())
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    struct.pack_into("<L", data, second + 42, 0)
    archive.write_bytes(data)


def claim_gigabytes(archive: Path, images: list[bytes]) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, 8_000_000_000
    with tarfile.open(archive, "w") as tar:
        add_member(tar, "Can/good.png", images[0])
    whole = archive.read_bytes()[: 512 * (1 + -(-len(images[0]) // 512))]
    archive.write_bytes(whole + info.tobuf() + bytes(100_000))


def write_no_archive(archive: Path, images: list[bytes]) -> None:
    archive.write_bytes({".zip": b"PK\3\4 and no more", ".tar": b"hello", ".7z": b"7z\xbc\xaf\x27\x1c"}[archive.suffix])


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        *((plant_evil_names, kind) for kind in ("zip", "tar")),
        *((plant_links, kind) for kind in ("zip", "tar")),
        (plant_old_names, "zip"),
        *((plant_bomb, kind) for kind in KINDS if kind != "tar"),
        *((cut_off, kind) for kind in KINDS),
        *((damage_a_member, kind) for kind in ("zip", "tar.gz", "tar.xz")),
        (mark_as_encrypted, "zip"),
        (overlap, "zip"),
        (claim_gigabytes, "tar"),
        *((write_no_archive, kind) for kind in ("zip", "tar", "7z")),
    ],
)
def test_an_archive_in_a_bucket_is_read_as_one_that_lies_here(
    proxy: Proxy,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[Path, list[bytes]], None],
    kind: str,
) -> None:
    """The same images, the same reasons, the same message."""
    monkeypatch.setattr("astica_sync.exchange.sources.tar_archive._FREE", 2_000_000)
    images = [draw(tmp_path / "drawn" / f"{number}.png", number).read_bytes() for number in range(6)]
    archive = tmp_path / f"a.{kind}"
    plant(archive, images)
    bucket.put(f"a.{kind}", archive.read_bytes())
    here = outcome(str(archive), tmp_path / "here")
    there = outcome(f"s3://photos/a.{kind}", tmp_path / "there")
    assert there == here
    assert here[1] or plant is plant_old_names, "the archive is planted with something that has to be named"


def outcome(source: str, root: Path) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
    """What was written, and what was said, where the name of the source is left out."""
    try:
        named = plain_import(source, root, layout="imagefolder", encoding="cp932").left_out
    except AsticaSyncError as error:
        named = [(str(error), error.hint)]
    return files_in(root), [(one.replace(source, "SOURCE"), other) for one, other in named]


@pytest.mark.parametrize("status", [503, 429, 500])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bucket_that_throttles_is_asked_again(
    proxy: Proxy, bucket: Bucket, tmp_path: Path, status: int, kind: str
) -> None:
    files = photos()
    upload(bucket, tmp_path, files, kind)
    refused: set[int] = set()

    def rule(start: int) -> int:
        if start in refused or start < 2 * BLOCK:
            return 0
        refused.add(start)
        return status

    proxy.rule = rule
    result = plain_import(f"s3://photos/data/photos.{kind}", tmp_path / "root")
    assert (result.left_out, files_in(tmp_path / "root")) == ([], files)
    assert len(refused) > 5


@pytest.mark.parametrize(("status", "reason"), [(403, "the bucket denies reading it"), (404, "it is gone")])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_is_denied_in_the_middle_is_completed_by_a_second_run(
    proxy: Proxy, bucket: Bucket, tmp_path: Path, status: int, reason: str, kind: str
) -> None:
    files = photos()
    size = len(upload(bucket, tmp_path, files, kind))
    blocks = -(-size // BLOCK)
    # A tar is read to its end before the first image is written.
    passes = 0 if kind == "zip" else blocks
    proxy.rule = lambda start: status if BLOCK * 5 <= start < BLOCK * 9 and len(proxy.ranges) > passes + 1 else 0
    address = f"s3://photos/data/photos.{kind}"
    result = plain_import(address, tmp_path / "root")
    assert 4 <= result.imported.total() < 10
    assert reason in result.left_out[0][1]
    if kind == "zip":
        assert result.imported.total() + result.left_out_count == 20
    else:
        assert result.left_out[-1][0] == address
    # No request follows the first that is denied, but those that were on their way.
    assert max(start for start, _ in proxy.ranges[passes + 5 :]) <= BLOCK * 9
    proxy.rule = lambda _: 0
    again = plain_import(address, tmp_path / "root")
    assert (again.duplicates.total(), again.left_out) == (result.imported.total(), [])
    assert files_in(tmp_path / "root") == files


@pytest.mark.parametrize(("count", "knows_if_match"), [(20, True), (20, False), (1, True)])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_changes_while_it_is_read_says_so(
    proxy: Proxy, bucket: Bucket, tmp_path: Path, kind: str, count: int, knows_if_match: bool
) -> None:
    """It is replaced by one of the same size, whose bytes would fit, or by a shorter one."""
    files, others = photos(), photos(count)
    first = upload(bucket, tmp_path, files, kind)
    pack(tmp_path / f"b.{kind}", others)
    other = (tmp_path / f"b.{kind}").read_bytes()
    assert (len(other) == len(first)) == (count == 20)
    proxy.knows_if_match = knows_if_match
    passes = 0 if kind == "zip" else -(-len(first) // BLOCK)

    def rule(start: int) -> int:
        if BLOCK * 5 <= start < BLOCK * 9 and len(proxy.ranges) > passes + 1:
            bucket.put(f"data/photos.{kind}", other)
        return 0

    proxy.rule = rule
    address = f"s3://photos/data/photos.{kind}"
    result = plain_import(address, tmp_path / "root")
    assert 4 <= result.imported.total() < 10
    assert {reason for _, reason in result.left_out} == {"it changed while the bucket was read; run the command again"}
    assert files_in(tmp_path / "root").items() <= files.items()
    proxy.rule = lambda _: 0
    again = plain_import(address, tmp_path / "root")
    assert (again.imported.total(), again.left_out) == (count, [])
    assert set(others.values()) <= set(files_in(tmp_path / "root").values())


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_is_lost_while_it_is_listed_writes_nothing(
    proxy: Proxy, bucket: Bucket, tmp_path: Path, kind: str
) -> None:
    size = len(upload(bucket, tmp_path, photos(), kind))
    proxy.rule = lambda start: 403 if start > size // 2 else 0
    with pytest.raises(AsticaSyncError, match="cannot be read: the bucket denies") as raised:
        plain_import(f"s3://photos/data/photos.{kind}", tmp_path / "root")
    assert "Run the command again" in raised.value.hint
    assert files_in(tmp_path / "root") == {}


def test_without_its_labels_no_image_gets_another_class(proxy: Proxy, bucket: Bucket, tmp_path: Path) -> None:
    """A table that cannot be read is no reason to take the folders for the classes."""
    files = photos()
    table = "path,label\n" + "".join(f"{name},Cup\n" for name in files)
    names = list(files)
    order = {name: files[name] for name in names[:10]} | {"labels.csv": table.encode()}
    upload(bucket, tmp_path, order | {name: files[name] for name in names[10:]}, "zip")
    refused = []

    def rule(start: int) -> int:
        if BLOCK * 6 <= start < BLOCK * 9 and not refused:
            refused.append(start)
            return 403
        return 0

    proxy.rule = rule
    with pytest.raises(AsticaSyncError, match="denies"):
        plain_import("s3://photos/data/photos.zip", tmp_path / "root")
    assert refused and files_in(tmp_path / "root") == {}
    plain_import("s3://photos/data/photos.zip", tmp_path / "root")
    assert {name.partition("/")[0] for name in files_in(tmp_path / "root")} == {"Cup"}


@pytest.mark.parametrize(("layout", "name"), [("webdataset", "train-000000.tar"), ("parquet", "train-00000.parquet")])
def test_a_shard_that_is_lost_after_its_labels_were_read_is_named(
    shell: Shell, store: Path, proxy: Proxy, bucket: Bucket, tmp_path: Path, layout: str, name: str
) -> None:
    assert shell("export", tmp_path / "out", "--format", layout, "--store", store).code == 0
    path = next((tmp_path / "out").rglob(name))
    key = f"shards/{path.relative_to(tmp_path / 'out').as_posix()}"
    bucket.put(key, path.read_bytes())
    classes = tmp_path / "out" / "classes.txt"
    bucket.put("shards/classes.txt", classes.read_bytes() if classes.exists() else b"")
    plain_import("s3://photos/shards", tmp_path / "first")
    requests = proxy.seen[f"/photos/{key}"]
    proxy.status = {f"/photos/{key}": [*[0] * (requests // 2), 403]}
    result = plain_import("s3://photos/shards", tmp_path / "root")
    assert result.imported.total() == 0
    assert [reason for _, reason in result.left_out] == ["the bucket denies reading it: check its permissions"]


def test_addresses_that_look_like_archives(proxy: Proxy, bucket: Bucket, tmp_path: Path) -> None:
    image = draw(tmp_path / "drawn" / "1.png", 1).read_bytes()
    bucket.put("set.zip/Can/a.png", image)
    assert plain_import("s3://photos/set.zip", tmp_path / "root").imported.total() == 1
    assert plain_import("s3://photos/set.zip/", tmp_path / "root").duplicates.total() == 1
    pack(tmp_path / "a.zip", {"Can/b.png": image + b"1"})
    bucket.put("my%20data/50%25%20Can.ZIP", (tmp_path / "a.zip").read_bytes())
    assert plain_import("s3://photos/my data/50%25 Can.ZIP", tmp_path / "root").imported.total() == 1
    bucket.put("empty.tar", b"")
    for address, text in {
        "s3://photos/none.zip": "is not in the bucket",
        "s3://photos/empty.tar": "is empty",
        "s3://none.zip": "cannot be listed",
    }.items():
        with pytest.raises(AsticaSyncError, match=text) as raised:
            plain_import(address, tmp_path / "root")
        assert raised.value.hint


def test_a_parquet_file_in_a_bucket_is_the_only_file_of_its_source(proxy: Proxy, bucket: Bucket) -> None:
    data = b"PAR1" + bytes(100_000)
    bucket.put("data/a.parquet", data)
    bucket.put("data/b.parquet", b"other")
    with open_source("s3://photos/data/a.parquet") as source:
        (entry,) = source.entries()
        assert (entry.path, entry.size) == ("a.parquet", len(data))
        with source.open(entry) as file:
            assert file.read() == data
        assert list(source.stream(lambda _: True)) == [(entry, data)]


def test_a_bucket_that_denies_the_archive_is_named(proxy: Proxy, bucket: Bucket, tmp_path: Path) -> None:
    upload(bucket, tmp_path, photos(2), "zip")
    proxy.status = {"/photos/data/photos.zip": [403]}
    with pytest.raises(AsticaSyncError, match="cannot be read") as raised:
        plain_import("s3://photos/data/photos.zip", tmp_path / "root")
    assert "credentials" in raised.value.hint
    assert "test-secret" not in str(raised.value)


class HeldObject(BucketObject):
    """Gives bytes that are here."""

    def __init__(self, data: bytes) -> None:
        self.size, self._data = len(data), data

    def read(self, start: int, end: int) -> memoryview:
        return memoryview(self._data[start:end])


@settings(max_examples=200, deadline=None)
@given(
    size=st.integers(0, 300),
    steps=st.lists(st.tuples(st.sampled_from(["read", "start", "here", "end"]), st.integers(-50, 350))),
)
def test_an_object_is_read_as_a_file_is(size: int, steps: list[tuple[str, int]]) -> None:
    data = os.urandom(size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket_object, "_BLOCK", 16)
        patch.setattr(bucket_object, "_BUFFER", 5)
        plain = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
        with HeldObject(data).open() as file:
            for kind, number in steps:
                if kind == "read":
                    assert file.read(abs(number)) == plain.read(abs(number))
                    continue
                whence = ["start", "here", "end"].index(kind)
                at = number + {"start": 0, "here": plain.tell(), "end": size}[kind]
                if at < 0:
                    with pytest.raises(OSError):
                        file.seek(number, whence)
                    continue
                assert file.seek(number, whence) == plain.seek(number, whence)
                assert file.tell() == plain.tell()


def test_few_blocks_of_an_object_are_held_in_memory() -> None:
    """Each is freed once it is read, also while the next ones are on their way."""
    alive: set[int] = set()
    most = 0

    class Counted(bytearray):
        pass

    class CountedObject(HeldObject):
        def read(self, start: int, end: int) -> memoryview:
            nonlocal most
            data = Counted(self._data[start:end])
            alive.add(id(data))
            weakref.finalize(data, alive.discard, id(data))
            most = max(most, len(alive))
            return memoryview(data)

    with CountedObject(bytes(100 * BLOCK)).open() as file:
        while file.read(BLOCK // 3):
            pass
        for number in range(0, 100, 7):
            file.seek(number * BLOCK)
            file.read(10)
    assert 4 <= most <= 8


def test_the_next_blocks_are_on_their_way_while_one_is_read() -> None:
    together = threading.Barrier(4)

    class Waiting(HeldObject):
        def read(self, start: int, end: int) -> memoryview:
            if end <= 4 * BLOCK:
                together.wait(30)
            return super().read(start, end)

    with Waiting(bytes(10 * BLOCK)).open() as file:
        assert file.read(1) == b"\0"


def test_where_no_block_follows_the_other_none_is_read_ahead() -> None:
    asked = []

    class Asked(HeldObject):
        def read(self, start: int, end: int) -> memoryview:
            asked.append(start // BLOCK)
            return super().read(start, end)

    with Asked(bytes(100 * BLOCK)).open() as file:
        for number in (90, 50, 70, 10):
            file.seek(number * BLOCK)
            file.read(10)
    assert asked == [90, 50, 70, 10]
