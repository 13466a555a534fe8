"""What other programs leave between photos is no photo."""

import random
from pathlib import Path

import pytest

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.find_left_out import LeftOut, find_left_out
from astica_sync.local.scan.litter import LITTER, is_litter

FOLDERS = [
    *("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@tmp", "~snapshot", "Network Trash Folder"),
    *("@SynoResource", "@appstore"),
    *("$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information", "lost+found", "LOST.DIR", "FOUND.000", "__MACOSX"),
    *(
        "Photo.jpg.download",
        "iPod Photo Cache",
        "THMBNL",
        "Photos Library.photoslibrary",
        "iPhoto Library.photolibrary",
        "CANONMSC",
        "EOSMISC",
        "Catalog Previews.lrdata",
    ),
]
FILES = [
    *("Thumbs.db", "thumbs.db", "Thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "Icon\r"),
    *(
        "a.jpg:Zone.Identifier",
        "a.jpg@SynoResource",
        "SYNOFILE_THUMB_M.jpg",
        "SYNOPHOTO_THUMB_XL.jpg",
        "a.jpg.crdownload",
        "a.jpg.part",
        "a.jpg.opdownload",
    ),
    *("a.jpg.partial", "a.jpg.1fa93c2b.partial", "a.jpg.filepart", "a.jpg.download", "a.jpg.aria2", "a.jpg.!ut"),
    *("a.jpg~", "a.jpg.~1~", "#a.jpg#", "a.jpg.bak", "A.JPG.BAK", "a.orig", "a.jpg.tmp", "a.swp", "a.jpg.kate-swp"),
    *("a.jpg_original", "A.JPG_original", "~$budget.docx", "a.jpg.xmp", "a.xmp", "IMG_1.AAE", "a.jpg.pp3"),
    *(
        "MVI_0001.THM",
        "M0100.CTG",
        "GOPR0001.LRV",
        "DJI_0001.SCR",
        "Picasa.ini",
        "ZbThumbnail.info",
        "~syncthing~a.jpg.tmp",
        "IMG_0001.HEIC.supplemental-metadata.json",
        "IMG_0001.jpg.supplemental-metadata(1).json",
        "a name that Takeout has cut.jpg.supplemental-me.json",
        "IMG_0001.jpg.json",
        "IMG_0001.HEIC(1).json",
        "VID_0001.MP4.json",
        "a.!sync",
    ),
]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_other_programs_make_is_litter(name: str) -> None:
    assert is_litter(name, folder=True)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_other_programs_leave_is_litter(name: str) -> None:
    assert is_litter(name, folder=False)


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpg", "A.JPG", "a.jpeg", "a.png", "a", "IMG_1 (1).jpg", "a - Copy.jpg", "a copy.jpg", "Kopie von a.jpg"),
        # Conflict copies: each may be the only copy of an edit.
        *(
            "a (Anna's conflicted copy 2025-03-04).jpg",
            "a.sync-conflict-20250304-120000-ABCDEFG.jpg",
            "a_conflict-2.jpg",
        ),
        *("a_original.jpg", "my_original", "folder.jpg", "AlbumArtSmall.jpg", "part.jpg", "download", "tmp.png"),
        *(
            "#1.jpg",
            "~a.jpg",
            "@eaDir",
            "lost+found",
            "Thumbs.db.jpg",
            "icon",
            "Icon",
            "a.mp4",
            "a.heic",
            "a.cr2",
            "a.txt",
        ),
    ],
)
def test_a_file_that_may_be_a_photo_is_no_litter(name: str) -> None:
    assert not is_litter(name, folder=False)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Can",
            "misc",
            "MISC",
            "DCIM",
            "100CANON",
            "Recycled",
            "recycle",
            "snapshot",
            "tmp",
            "cache",
            "a.bak",
            "a.part",
        ),
        *("old~", "Thumbs.db", "desktop.ini", "lost", "Temporary", "originals", "#1", "@home"),
    ],
)
def test_a_folder_that_may_be_a_class_is_no_litter(name: str) -> None:
    assert not is_litter(name, folder=True)


def test_no_pattern_leaves_out_what_ends_like_an_image() -> None:
    for kind in LITTER:
        for pattern in kind.files:
            assert not pattern.lower().endswith((".jpg", ".jpeg", ".png")), pattern


def test_any_photo_name_of_a_camera_is_no_litter() -> None:
    rng = random.Random(5)
    for _ in range(1000):
        name = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabc0123456789_- ()", k=rng.randint(1, 12)))
        assert not is_litter(f"{name}.{rng.choice(['jpg', 'JPG', 'jpeg', 'png', 'PNG', 'Jpg'])}", folder=False)
        assert not is_litter(name, folder=True)


def test_what_is_left_out_is_listed_with_the_reason_and_not_entered(tmp_path: Path) -> None:
    for path in ("Can/a.jpg", "Can/a.jpg~", "Can/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "Can/raw/b.jpg", "Can/.c.jpg"):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".astica-sync").mkdir()
    (tmp_path / "astica-sync.toml").write_text("")
    (tmp_path / ".astica-ignore").write_text("raw/\n")
    assert find_left_out(tmp_path, FileSystem()) == [
        LeftOut(".trash/", "hidden"),
        LeftOut("Can/.c.jpg", "hidden"),
        LeftOut("Can/@eaDir/", "litter"),
        LeftOut("Can/a.jpg~", "litter"),
        LeftOut("Can/raw/", "listed in .astica-ignore"),
    ]
