"""A report is written where nothing is, or over an earlier one: never over an image, a record or another document."""

import shlex
from pathlib import Path

import click
import pyarrow
import pytest
from pyarrow import parquet

from astica_sync.cli.render.report_file import check_report_file
from astica_sync.cli.render.text import csv_line
from astica_sync.cli.training.predictions_file import COLUMNS, check_predictions_file
from astica_sync.errors import AsticaSyncError
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell

EARLIER = (
    "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">\n'
)


@pytest.mark.parametrize("command", ["inspect", "evaluate", "predictions"])
@pytest.mark.parametrize(
    "name",
    [
        "Can/001.png",
        "letter.html",
        "table.csv",
        "table.parquet",
        ".astica-sync/store.json",
        ".astica-sync/journal.db",
        ".astica-sync/new.html",
        ".astica-sync/backup/new.csv",
        "Can/../.astica-sync/page/../new.html",
    ],
)
def test_a_report_replaces_no_image_no_record_and_no_other_document(
    command: str, name: str, shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    for other in ("letter.html", "table.csv", "table.parquet"):
        (pushed / other).write_text("<!doctype html>\n<html lang='en'>\nversion,path,mine")
    (pushed.parent / "held").mkdir()
    images = sorted(pushed.glob("Can/*.png"))
    images[0].rename(pushed / "Can" / "001.png")
    file = pushed / name
    before = {path: path.read_bytes() for path in pushed.rglob("*") if path.is_file()}
    sandbox.clear_log()
    words = {
        "inspect": ("inspect", pushed, "--no-features", "--html", file),
        "evaluate": ("evaluate", pushed.parent / "held", "--store", pushed, "--html", file),
        "predictions": ("evaluate", pushed.parent / "held", "--store", pushed, "--predictions", file),
    }
    ran = shell(*words[command])
    assert {path: path.read_bytes() for path in pushed.rglob("*") if path.is_file()} == before
    assert sandbox.log == []
    if command == "predictions" and file.suffix not in (".csv", ".parquet"):
        assert ran.code == 2
        return
    option = "--predictions FILE" if command == "predictions" else "--html FILE"
    assert ran.code == 1 and option in ran.err, ran.err
    assert ("own records" if ".astica-sync" in name else "is no earlier report") in ran.err


def test_a_report_replaces_an_earlier_one_an_empty_file_and_a_link(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    letter, report = tmp_path / "letter", tmp_path / "report.html"
    letter.write_text("mine")
    for kind in ("new", "again", "empty", "earlier", "link"):
        if kind in ("empty", "earlier"):
            report.write_text("" if kind == "empty" else EARLIER)
        if kind == "link":
            report.unlink()
            report.symlink_to(letter)
        ran = shell("inspect", pushed, "--no-features", "--html", report)
        assert ran.code == 0, (kind, ran.err)
        assert "<title>Inspection" in report.read_text() and not report.is_symlink()
    assert letter.read_text() == "mine"
    page = report.read_text()
    assert page.index("<meta name='generator' content='astica-sync'>") < page.index("<title>")


def test_answers_replace_earlier_answers_by_their_columns(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for folder, names in ((right, COLUMNS), (wrong, COLUMNS[:-1])):
        folder.mkdir()
        (folder / "a.csv").write_text(f"{csv_line(*names)}\n1,2\n")
        parquet.write_table(pyarrow.table({name: ["x"] for name in names}), folder / "a.parquet")
    (wrong / "cut.parquet").write_bytes((right / "a.parquet").read_bytes()[:-20])
    (wrong / "zip.parquet").write_bytes(b"PK")
    for file in right.iterdir():
        check_predictions_file(file)
    for file in wrong.iterdir():
        with pytest.raises(AsticaSyncError, match="is no earlier report"):
            check_predictions_file(file)
    with pytest.raises(click.UsageError):
        check_predictions_file(tmp_path / "a.txt")


def test_what_cannot_be_read_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "report.html"
    file.write_text(EARLIER)

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(AsticaSyncError, match=r"cannot write .*: Permission denied"):
        check_report_file(file, "--html", refuse)


def test_a_report_in_the_store_is_said_with_the_line_that_leaves_it_out(shell: Shell, pushed: Path) -> None:
    report = pushed / "my report.html"
    for options in ((), ("--json",)):
        said = " ".join(shell("inspect", pushed, "--no-features", "--html", report, *options).err.split())
        assert "my report.html is in the store and no image" in said
    rule, file = said.partition("leave it out: echo ")[2].split(" >> ")
    assert Path(file) == pushed / ".astica-ignore"
    Path(file).write_text(shlex.split(rule)[0] + "\n")
    problems = shell("status", "--store", pushed, "--offline", "--json").json["problems"]
    assert not [one for one in problems if one["path"] == report.name]
    assert "in the store" not in shell("inspect", pushed, "--no-features", "--html", report).err
    assert "in the store" not in shell("inspect", pushed, "--no-features", "--html", pushed.parent / "r.html").err
