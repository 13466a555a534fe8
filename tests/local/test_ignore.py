import codecs
import errno
import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from astica_sync.errors import StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.ignore import Ignore, is_hidden

RULES = """\
# a comment

*.gif
/notes/
Can/old/*
!Can/old/keep.png
"""


@pytest.mark.parametrize(
    ("path", "folder", "skipped"),
    [
        ("Can/a.gif", False, True),
        ("Can/a.png", False, False),
        ("notes", True, True),
        ("notes", False, False),
        ("Can/notes", True, False),
        ("Can/old/a.png", False, True),
        ("Can/old/keep.png", False, False),
        ("Can/\udcff.gif", False, True),
    ],
)
def test_the_rules_are_those_of_gitignore(path: str, folder: bool, skipped: bool) -> None:
    assert Ignore(RULES).skips(path, folder=folder) is skipped


def test_without_rules_nothing_is_skipped() -> None:
    assert not Ignore("# only a comment\n\n")
    assert not Ignore().skips("Can/a.gif", folder=False)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_rule_fits_a_name_in_any_unicode_form(form: str) -> None:
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    rules = Ignore(unicodedata.normalize(form, "Dosé/\n"))
    assert rules.skips(unicodedata.normalize(other, "Dosé"), folder=True)


def test_a_file_below_an_ignored_or_hidden_folder_is_skipped() -> None:
    rules = Ignore(RULES)
    assert rules.skips_below("notes/deep/a.png")
    assert rules.skips_below("Can/.hidden/a.png")
    assert not rules.skips_below("Can/deep/a.png")


@pytest.mark.parametrize("name", [".git", ".astica-sync", "._a.png", ".@__thumb", ".stversions", ".DS_Store"])
def test_hidden_files_are_never_looked_at(name: str) -> None:
    assert is_hidden(name)


def test_ordinary_names_are_looked_at() -> None:
    assert not any(map(is_hidden, ["a.png", "Icon", "thumbs", "…"]))


def test_litter_is_left_out_without_rules_and_with_others() -> None:
    for rules in (Ignore(), Ignore("*.gif\n"), Ignore("!*.png\n")):
        assert rules.skips("Can/@eaDir", folder=True)
        assert rules.skips("Can/a.png~", folder=False)
        assert not rules.skips("Can/a.png", folder=False)
        assert rules.skips_below("Can/@eaDir/a.jpg")


@pytest.mark.parametrize(
    ("rule", "path", "folder"),
    [
        ("!@eaDir/", "Can/@eaDir", True),
        ("!*.bak", "Can/a.bak", False),
        ("!Can/*.bak", "Can/a.bak", False),
        ("!/lost+found", "lost+found", True),
        ("!**/a.orig", "Can/deep/a.orig", False),
    ],
)
def test_a_rule_takes_litter_in_again(rule: str, path: str, folder: bool) -> None:
    assert Ignore().skips(path, folder=folder)
    assert not Ignore(f"{rule}\n").skips(path, folder=folder)
    assert Ignore(f"{rule}\n{path}\n").skips(path, folder=folder)


def test_rules_that_take_in_everything_do_not_take_in_litter() -> None:
    rules = Ignore("*\n!*/\n!*.jpg\n!**\n")
    assert rules.skips("@eaDir", folder=True)
    assert rules.skips("Can/a.png~", folder=False)
    assert not rules.skips("Can", folder=True)
    assert not rules.skips("Can/a.jpg", folder=False)


def test_the_digest_depends_on_rules_and_not_on_comments(tmp_path: Path) -> None:
    assert Ignore("*.gif\n").digest == Ignore("# why\r\n*.gif\r\n\r\n").digest
    assert Ignore("*.gif\n").digest != Ignore("*.png\n").digest
    assert Ignore().digest == Ignore.load(tmp_path).digest


@pytest.mark.parametrize(("rule", "skipped"), [("*.mov", False), ("*.MOV", True), ("*.[mM][oO][vV]", True)])
def test_upper_and_lower_case_differ_in_the_ignore_file(rule: str, skipped: bool) -> None:
    assert Ignore(f"{rule}\n").skips("Can/IMG_0042.MOV", folder=False) is skipped


TEXT = "# Entwürfe\nBüchse/draft/\n*.gif\n"

ENCODED = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with a byte-order mark": TEXT.encode("utf-8-sig"),
    "UTF-16, little-endian": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "UTF-16, big-endian": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "UTF-32, little-endian": codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
    "UTF-32, big-endian": codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
    "lines as Windows ends them": TEXT.replace("\n", "\r\n").encode(),
    "UTF-16 as Notepad writes it": codecs.BOM_UTF16_LE + TEXT.replace("\n", "\r\n").encode("utf-16-le"),
    "lines as old Macs ended them": TEXT.replace("\n", "\r").encode(),
    "no end of the last line": TEXT.removesuffix("\n").encode(),
    "decomposed letters": unicodedata.normalize("NFD", TEXT).encode(),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_the_ignore_file_is_read_in_the_encoding_that_its_mark_names(encoding: str, tmp_path: Path) -> None:
    (tmp_path / ".astica-ignore").write_bytes(ENCODED[encoding])
    rules = Ignore.load(tmp_path)
    assert rules.skips("Büchse/draft", folder=True)
    assert rules.skips("Can/a.gif", folder=False)
    assert not rules.skips("Can/a.png", folder=False)
    assert rules.digest == Ignore(TEXT).digest


UNREADABLE = {
    "Latin-1": (TEXT.encode("latin-1"), "line 1: not valid UTF-8"),
    "code page 1251": ("*.gif\nЛюди/\n".encode("cp1251"), "line 2: not valid UTF-8"),
    "Shift-JIS": ("缶/".encode("shift-jis"), "line 1: not valid UTF-8"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), "not valid UTF-8|NUL characters"),
    "UTF-16 of plain letters without a mark": ("*.gif\n".encode("utf-16-be"), "NUL characters"),
    "UTF-16 cut in a letter": (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1], "not valid UTF-16-LE"),
    "UTF-16 with half a pair": (codecs.BOM_UTF16_LE + b"\x00\xd8*\x00", "not valid UTF-16-LE"),
    "UTF-32 with a number that is no letter": (codecs.BOM_UTF32_LE + b"\xff" * 4, "not valid UTF-32-LE"),
    "NUL characters": (b"*.gif\n\0\0\0\n", "NUL characters"),
    "zeros alone": (bytes(4096), "NUL characters"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(100), "line 1: not valid UTF-8"),
    "a packed file": (b"\x1f\x8b\x08\0" + bytes(range(256)), "not valid UTF-8"),
    "10 MB of rules": (b"*.gif\n" * 1_700_000, "more than 256 KB"),
}


@pytest.mark.parametrize("content", UNREADABLE)
def test_rules_that_cannot_be_read_stop_the_run(content: str, tmp_path: Path) -> None:
    data, reason = UNREADABLE[content]
    (tmp_path / ".astica-ignore").write_bytes(data)
    with pytest.raises(StoreError, match=reason) as caught:
        Ignore.load(tmp_path)
    assert ".astica-ignore" in str(caught.value)
    assert caught.value.hint


IN_ITS_PLACE: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a socket": lambda path: _bind(path),
    "a link that leads nowhere": lambda path: path.symlink_to("gone"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a link to another file": lambda path: path.symlink_to("/etc/hostname"),
}


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("kind", IN_ITS_PLACE)
def test_something_else_in_place_of_the_ignore_file_stops_the_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    IN_ITS_PLACE[kind](Path(".astica-ignore"))
    with pytest.raises(StoreError, match=r"\.astica-ignore") as caught:
        Ignore.load(tmp_path)
    assert caught.value.hint


def test_an_ignore_file_without_permission_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FileSystem, path: str, most: int) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FileSystem, "read_small", refuse)
    with pytest.raises(StoreError, match="Permission denied") as caught:
        Ignore.load(tmp_path)
    assert "chmod -R u+rX" in caught.value.hint


@pytest.mark.parametrize("rule", ["*a" * 30 + "b", "**/a/" * 30, "x*" * 5, "dir/" + "*?" * 12])
def test_a_rule_that_would_take_forever_is_refused(rule: str) -> None:
    with pytest.raises(StoreError, match="may take forever") as caught:
        Ignore(f"*.gif\n{rule}\n")
    assert caught.value.hint


def test_rules_with_several_stars_are_compared_within_a_moment() -> None:
    rules = Ignore("*a*a*a*b\n**/x/**/y/**/z\n**/*_*_*\n")
    assert not rules.skips("a" * 200, folder=False)
    assert rules.skips("q/x/q/q/y/z", folder=False)
    assert rules.skips("Can/a_b_c", folder=False)


def test_a_bracket_in_a_set_is_a_bracket(capfd: pytest.CaptureFixture[str]) -> None:
    rules = Ignore("a[[x]\nb[&&x]\n")
    assert rules.skips("a[", folder=False)
    assert not rules.skips("ab", folder=False)
    assert capfd.readouterr().err == ""


def test_a_line_ends_where_an_editor_ends_it() -> None:
    rules = Ignore("a\u2028b\nc\x0bd\n")
    assert rules.skips("a\u2028b", folder=False)
    assert not rules.skips("b", folder=False)


@pytest.mark.parametrize("line", ["!", "[z-a]", "ends with\\"])
def test_a_line_that_is_no_rule_is_named(line: str) -> None:
    with pytest.raises(StoreError) as caught:
        Ignore(f"*.gif\n{line}\n")
    assert repr(line) in str(caught.value)
    assert caught.value.hint
