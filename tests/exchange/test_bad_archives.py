"""Archives that attack, are damaged, or come from other systems: nothing leaves the folder, and the rest goes on."""

import bz2
import contextlib
import gzip
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.source import MOST_RATIO
from tests.harness.pack import add_member, pack
from tests.harness.plain_import import files_in, plain_import
from tests.harness.shell import draw


@pytest.fixture
def images(tmp_path: Path) -> list[bytes]:
    return [draw(tmp_path / "drawn" / f"{number}.png", number).read_bytes() for number in range(6)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "inside" / "root"


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, root: Path) -> Path:
    root.mkdir(parents=True)
    return tmp_path


EVIL = [
    "../evil.png",
    "../../evil.png",
    "Can/../../evil.png",
    "/evil.png",
    "//evil/evil.png",
    "..\\..\\evil.png",
    "Can\\..\\..\\evil.png",
    "C:\\evil.png",
    "C:evil.png",
    "\\\\server\\share\\evil.png",
    "Can/e\x01vil.png",
    "Can/e\nvil.png",
]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_nothing_leaves_the_folder(tmp_path: Path, root: Path, images: list[bytes], kind: str, name: str) -> None:
    archive = tmp_path / f"a.{kind}"
    pack(archive, {name: images[0], "Can/good.png": images[1]})
    before = {path for path in files_in(tmp_path) if not path.startswith("inside/root/")}
    result = plain_import(archive, root, layout="imagefolder")
    assert files_in(root) == {"Can/good.png": images[1]}
    assert result.left_out_count == 1
    assert {path for path in files_in(tmp_path) if not path.startswith("inside/root/")} == before


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("con/a.png", ""),
        ("Can/aux.png", "Can/image-aux.png"),
        ("Can/a:b?.png", "Can/a_b_.png"),
        ("Can/" + "x" * 400 + ".png", "Can/" + "x" * 196 + ".png"),
        ("Can/trailing. .png", "Can/trailing.png"),
        ("Can/a\u202egnp.png", "Can/agnp.png"),
        ("Can/sub/.hidden/a.png", "-"),
        ("Can/Thumbs.db/a.png", "Can/Thumbs.db/a.png"),
        ("__MACOSX/Can/._a.png", "-"),
        (" Can /a.png", "Can/a.png"),
        ("x" * 300 + "/a.png", ""),
    ],
)
def test_names_become_names_that_work_everywhere(
    tmp_path: Path, root: Path, images: list[bytes], name: str, title: str
) -> None:
    pack(tmp_path / "a.zip", {name: images[0], "Bottle/b.png": images[1]})
    result = plain_import(tmp_path / "a.zip", root, layout="imagefolder")
    got = set(files_in(root)) - {"Bottle/b.png"}
    assert got == ({title} if title not in ("", "-") else set())
    assert result.left_out_count == (title == "")


def test_links_in_archives_are_not_followed(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(images[5])
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_member(tar, "Can/good.png", images[0])
        for name, kind, target in (
            ("Can/soft.png", tarfile.SYMTYPE, "../../../secret.png"),
            ("Can/hard.png", tarfile.LNKTYPE, "Can/good.png"),
            ("Evil", tarfile.SYMTYPE, str(tmp_path)),
            ("Can/fifo.png", tarfile.FIFOTYPE, ""),
            ("Can/device.png", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        add_member(tar, "Evil/planted.png", images[1])
    result = plain_import(tmp_path / "a.tar", root, layout="imagefolder")
    assert files_in(root) == {"Can/good.png": images[0], "Evil/planted.png": images[1]}
    assert not (tmp_path / "planted.png").exists()
    assert result.left_out_count == 5
    assert sum("a link in the archive" in reason for _, reason in result.left_out) == 3
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("Can/soft.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, str(secret))
        archive.writestr("Can/other.png", images[2])
    result = plain_import(tmp_path / "a.zip", root)
    assert (result.left_out_count, "symbolic link" in result.left_out[0][1]) == (1, True)
    assert images[5] not in files_in(root).values()


def test_links_in_a_folder_are_not_followed(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    source = tmp_path / "source"
    draw(source / "Can" / "a.png", 1)
    (tmp_path / "secret.png").write_bytes(images[5])
    (source / "Can" / "soft.png").symlink_to(tmp_path / "secret.png")
    (source / "Elsewhere").symlink_to(tmp_path)
    os.mkfifo(source / "Can" / "fifo.png")
    result = plain_import(source, root)
    assert list(files_in(root)) == ["Can/a.png"]
    assert result.left_out_count == 3


@pytest.mark.parametrize(
    ("raw", "encoding", "title"),
    [
        ("写真".encode("cp932"), "cp932", "写真"),
        ("Löffel".encode(), None, "Löffel"),
        ("Löffel".encode("cp437"), None, "Löffel"),
        ("Бутылка".encode("cp866"), "cp866", "Бутылка"),
        ("瓶子".encode("gbk"), "gbk", "瓶子"),
        ("e\u0301".encode(), None, "\u00e9"),
    ],
)
def test_names_in_old_code_pages(
    tmp_path: Path, root: Path, images: list[bytes], raw: bytes, encoding: str | None, title: str
) -> None:
    """The name is written into the archive as raw bytes, without the mark for UTF-8."""
    stand_in = b"@" * len(raw)
    pack(tmp_path / "a.zip", {f"{stand_in.decode()}/1.png": images[0], "Can/2.png": images[1]})
    data = (tmp_path / "a.zip").read_bytes().replace(stand_in, raw)
    (tmp_path / "a.zip").write_bytes(data)
    result = plain_import(tmp_path / "a.zip", root, encoding=encoding)
    assert result.left_out == []
    assert files_in(root) == {f"{title}/1.png": images[0], "Can/2.png": images[1]}


def test_files_that_differ_only_in_case_are_both_kept(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    pack(tmp_path / "a.zip", {"Can/A.png": images[0], "Can/a.PNG": images[1], "Can/a.png": images[2]})
    plain_import(tmp_path / "a.zip", root)
    got = files_in(root)
    assert sorted(got.values()) == sorted(images[:3])
    assert len({name.casefold() for name in got}) == 3
    assert plain_import(tmp_path / "a.zip", root).duplicates.total() == 3
    assert files_in(root) == got


def test_one_name_twice_in_an_archive(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("Can/a.png", images[0])
        archive.writestr("Can/a.png", images[1])
    plain_import(tmp_path / "a.zip", root)
    assert sorted(files_in(root).values()) == sorted(images[:2])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_tar_that_is_cut_off_is_imported_as_far_as_it_goes(
    tmp_path: Path, root: Path, kind: str, share: float
) -> None:
    photos = {f"Can/{number}.jpg": b"\xff\xd8\xff" + os.urandom(30_000) for number in range(20)}
    archive = tmp_path / f"a.{kind}"
    pack(archive, photos)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    try:
        result = plain_import(archive, root)
    except AsticaSyncError as error:
        # bzip2 packs all of it into one block.
        assert kind == "tar.bz2" and "no whole tar archive" in str(error)
    else:
        assert "cut off" in result.left_out[-1][1]
        got = files_in(root)
        assert 20 * share - 4 <= len(got) < 20 and set(got.values()) <= set(photos.values())
    archive.write_bytes(whole)
    result = plain_import(archive, root)
    assert (result.left_out, files_in(root)) == ([], photos)


def test_a_tar_that_is_cut_off_between_two_files_is_noticed(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_member(tar, "Can/a.png", images[0])
        add_member(tar, "Can/b.png", images[1])
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:1024])
    result = plain_import(tmp_path / "a.tar", root)
    assert len(files_in(root)) == 1
    assert "cut off" in result.left_out[-1][1]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.99])
def test_a_zip_that_is_cut_off_says_so(tmp_path: Path, root: Path, images: list[bytes], share: float) -> None:
    pack(tmp_path / "a.zip", {f"Can/{number}.png": data for number, data in enumerate(images)})
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data[: max(30, int(len(data) * share))])
    with pytest.raises(AsticaSyncError, match="no whole zip archive"):
        plain_import(tmp_path / "a.zip", root)


def test_a_damaged_member_is_left_out(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    pack(tmp_path / "a.zip", {f"Can/{number}.png": data for number, data in enumerate(images)})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.index(images[2])
    data[at + 60] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    result = plain_import(tmp_path / "a.zip", root)
    assert len(files_in(root)) == 5
    assert [path for path, _ in result.left_out] == ["Can/2.png"]
    assert "damaged" in result.left_out[0][1]


@pytest.mark.long
def test_a_zip_of_zeros_is_no_image(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Can/good.png", images[0])
        archive.writestr("Can/bomb.png", images[1] + bytes(50_000_000))
        archive.writestr("Can/small.png", bytes(900_000))
    result = plain_import(tmp_path / "a.zip", root)
    assert list(files_in(root)) == ["Can/good.png"]
    assert "as bombs do" in str(result.left_out)


@pytest.mark.long
@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open], ids=["gz", "bz2", "xz"])
def test_a_packed_tar_that_unpacks_without_end_is_stopped(
    tmp_path: Path, root: Path, images: list[bytes], opener: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astica_sync.exchange.sources.tar_archive._FREE", 2_000_000)
    with opener(tmp_path / "a.tar.gz", "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:  # type: ignore[operator]
        add_member(tar, "Can/good.png", images[0])
        for number in range(6):
            add_member(tar, f"Can/{number}.png", images[1] + bytes(20_000_000))
    assert MOST_RATIO * (tmp_path / "a.tar.gz").stat().st_size + 2_000_000 < 120_000_000
    result = plain_import(tmp_path / "a.tar.gz", root)
    assert "Can/good.png" in files_in(root)
    assert "as bombs do" in str(result.left_out)


def test_a_header_that_claims_gigabytes_takes_no_memory(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    """A PAX header is read at once by the library, whatever size it claims."""
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, 8_000_000_000
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_member(tar, "Can/good.png", images[0])
    whole = (tmp_path / "a.tar").read_bytes()[: 512 * (1 + -(-len(images[0]) // 512))]
    (tmp_path / "a.tar").write_bytes(whole + info.tobuf() + bytes(100_000))
    tracemalloc.start()
    result = plain_import(tmp_path / "a.tar", root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(files_in(root)) == ["Can/good.png"]
    assert "too long" in str(result.left_out) and peak < 60_000_000


def test_sparse_files_and_huge_members_are_left_out(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    source = tmp_path / "source"
    draw(source / "Can" / "good.png", 1)
    with open(source / "Can" / "sparse.png", "wb") as file:
        file.write(images[0])
        file.truncate(50_000_000_000)
    result = plain_import(source, root)
    assert list(files_in(root)) == ["Can/good.png"]
    assert "more than 100 MB" in result.left_out[0][1]


def test_an_encrypted_member_is_named(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    pack(tmp_path / "a.zip", {"Can/a.png": images[0], "Can/b.png": images[1]})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    result = plain_import(tmp_path / "a.zip", root)
    assert (len(files_in(root)), "encrypted" in result.left_out[0][1]) == (1, True)


def test_an_unknown_method_is_named(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    pack(tmp_path / "a.zip", {"Can/a.png": images[0], "Can/b.png": images[1]})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    for magic, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        struct.pack_into("<H", data, data.index(magic) + offset, 9)
    (tmp_path / "a.zip").write_bytes(data)
    result = plain_import(tmp_path / "a.zip", root)
    assert (len(files_in(root)), "not supported" in result.left_out[0][1]) == (1, True)


def test_members_that_overlap_are_left_out(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    """A bomb whose many members are the same bytes."""
    pack(tmp_path / "a.zip", {"Can/a.png": images[0], "Can/b.png": images[0]})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    struct.pack_into("<L", data, second + 42, 0)
    (tmp_path / "a.zip").write_bytes(data)
    result = plain_import(tmp_path / "a.zip", root)
    assert len(files_in(root)) == 1 and result.left_out_count == 1


@pytest.mark.long
@pytest.mark.parametrize("position", range(0, 60, 3))
def test_an_archive_with_flipped_bytes_ends_in_a_message(
    tmp_path: Path, root: Path, images: list[bytes], position: int
) -> None:
    for kind in ("zip", "tar.gz"):
        archive = tmp_path / f"{position}.{kind}"
        pack(archive, {f"Can/{number}.png": data for number, data in enumerate(images)})
        data = bytearray(archive.read_bytes())
        for step in range(3):
            data[zlib.crc32(bytes([position, step])) % len(data)] ^= 1 << step
        archive.write_bytes(data)
        with contextlib.suppress(AsticaSyncError):
            plain_import(archive, root)
        assert set(files_in(root).values()) <= set(images)


@pytest.mark.parametrize("head", [b"Rar!\x1a\7\0", b"7z\xbc\xaf\x27\x1c", b"hello", b"", b"%PDF-1.4"])
def test_what_is_no_archive_is_named(tmp_path: Path, root: Path, head: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(head + bytes(100) if head else b"")
    with pytest.raises(AsticaSyncError) as raised:
        plain_import(tmp_path / "a.bin", root)
    assert raised.value.hint


@pytest.mark.parametrize("given", ["http://localhost/a.zip", "ftp://x/y", "file://other/x", "missing.zip", ""])
def test_a_source_that_is_none_is_named(tmp_path: Path, root: Path, given: str) -> None:
    with pytest.raises(AsticaSyncError) as raised:
        plain_import(given, root)
    assert raised.value.hint


def test_an_archive_in_an_archive_is_not_unpacked(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    pack(tmp_path / "inner.zip", {"Can/a.png": images[0]})
    pack(tmp_path / "a.zip", {"Can/b.png": images[1], "Can/inner.zip": (tmp_path / "inner.zip").read_bytes()})
    plain_import(tmp_path / "a.zip", root)
    assert list(files_in(root)) == ["Can/b.png"]


def test_a_file_address_is_a_folder(tmp_path: Path, root: Path) -> None:
    draw(tmp_path / "so urce" / "Can" / "a.png", 1)
    assert plain_import((tmp_path / "so urce").as_uri(), root).imported.total() == 1


def test_a_bad_shard_among_others_is_named(tmp_path: Path, root: Path, images: list[bytes]) -> None:
    source = tmp_path / "shards"
    source.mkdir()
    for number in range(3):
        pack(source / f"train-{number}.tar", {"a.png": images[number], "a.cls": b"Can"})
    (source / "train-1.tar").write_bytes(b"no archive")
    result = plain_import(source, root)
    assert sorted(files_in(root).values()) == sorted([images[0], images[2]])
    assert [path for path, _ in result.left_out] == ["train-1.tar"]
    pack(source / "train-1.tar", {"a.png": images[1], "a.cls": b"Can"})
    result = plain_import(source, root)
    assert (result.imported.total(), result.duplicates.total(), result.left_out) == (1, 2, [])
