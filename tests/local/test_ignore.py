import unicodedata
from pathlib import Path

import pytest

from astica_sync.errors import StoreError
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


@pytest.mark.parametrize("name", [".git", ".astica-sync", "._a.png", "Thumbs.db", "desktop.ini", "Icon\r"])
def test_hidden_files_and_litter_are_never_looked_at(name: str) -> None:
    assert is_hidden(name)


def test_ordinary_names_are_looked_at() -> None:
    assert not any(map(is_hidden, ["a.png", "Icon", "thumbs", "…"]))


def test_the_digest_depends_on_rules_and_not_on_comments(tmp_path: Path) -> None:
    assert Ignore("*.gif\n").digest == Ignore("# why\r\n*.gif\r\n\r\n").digest
    assert Ignore("*.gif\n").digest != Ignore("*.png\n").digest
    assert Ignore().digest == Ignore.load(tmp_path).digest


def test_the_ignore_file_may_hold_any_bytes(tmp_path: Path) -> None:
    (tmp_path / ".astica-ignore").write_bytes(b"\xef\xbb\xbf*.gif\n\xff.png\n")
    rules = Ignore.load(tmp_path)
    assert rules.skips("Can/a.gif", folder=False)
    assert rules.skips("Can/\udcff.png", folder=False)


@pytest.mark.parametrize("line", ["!", "[z-a]", "ends with\\"])
def test_a_line_that_is_no_rule_is_named(line: str) -> None:
    with pytest.raises(StoreError) as caught:
        Ignore(f"*.gif\n{line}\n")
    assert repr(line) in str(caught.value)
    assert caught.value.hint


def test_an_ignore_file_that_cannot_be_read_stops_the_scan(tmp_path: Path) -> None:
    (tmp_path / ".astica-ignore").mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        Ignore.load(tmp_path)
