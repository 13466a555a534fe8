"""Each layout: export, import, export again, and the same samples; a second import finds nothing to do."""

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from astica_sync.cli.exchange.import_data import LAYOUT_NAMES
from tests.harness.shell import Shell, draw, in_store


@pytest.fixture
def full(store: Path) -> Path:
    """A store with names that layouts trip over."""
    draw(store / 'Can, big; "old"' / "a b,c.png", 40)
    draw(store / "NA" / "001.jpg", 41)
    draw(store / "gäbel & <Löffel>" / "é.jpg", 42)
    draw(store / "Can" / "old" / "003.png", 43)
    (store / "Bottle" / "copy.png").write_bytes((store / "Bottle" / "000.png").read_bytes())
    return store


def test_every_layout_is_known_to_the_command() -> None:
    from astica_sync.exchange.layouts.find_layout import LAYOUTS

    assert set(LAYOUT_NAMES) == set(LAYOUTS)


FEW = [pytest.param(layout, marks=() if layout == "csv" else pytest.mark.long) for layout in LAYOUT_NAMES]


@pytest.mark.parametrize("layout", FEW)
def test_a_layout_round_trips(shell: Shell, full: Path, empty: Path, tmp_path: Path, layout: str) -> None:
    ran = shell("export", tmp_path / "out", "--format", layout, "--store", full)
    assert ran.code == 0, ran.err
    planned = shell("import", tmp_path / "out", "--dry-run", "--json", "--store", empty)
    assert planned.code == 0, (planned.err, planned.json["reasons"])
    assert sum(in_store(empty).values()) == 0
    done = shell("import", tmp_path / "out", "--json", "--store", empty, "--split", "merge")
    assert done.code == 0, (done.err, done.json["problems"])
    assert done.json["imported"] == planned.json["imported"] == 9
    assert in_store(empty) == in_store(full)
    again = shell("import", tmp_path / "out", "--json", "--store", empty, "--split", "merge")
    assert (again.code, again.json["imported"], again.json["duplicates"]) == (0, 0, 9)
    assert in_store(empty) == in_store(full)


@pytest.mark.long
def test_the_layout_is_found_out(shell: Shell, full: Path, empty: Path, tmp_path: Path) -> None:
    found = {}
    for layout in LAYOUT_NAMES:
        assert shell("export", tmp_path / layout, "--format", layout, "--store", full).code == 0
        found[layout] = shell("import", tmp_path / layout, "--dry-run", "--json", "--store", empty).json["layout"]
    assert found == {
        **{layout: layout for layout in LAYOUT_NAMES},
        "yolo": "imagefolder",
        "roboflow": "imagefolder",
        "jsonl": "csv",
    }


@pytest.mark.long
@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_a_split_round_trips(shell: Shell, full: Path, empty: Path, tmp_path: Path, layout: str) -> None:
    held_out = tmp_path / "held-out"
    draw(held_out / "Can" / "000.png", 60)
    draw(held_out / "NA" / "x.jpg", 61)
    ran = shell("export", tmp_path / "out", "--format", layout, "--held-out", held_out, "--store", full)
    assert ran.code == 0, ran.err
    asked = shell("import", tmp_path / "out", "--store", empty)
    assert (asked.code, "--split keep --held-out" in asked.err) == (1, True), asked
    back = tmp_path / "back"
    done = shell("import", tmp_path / "out", "--split", "keep", "--held-out", back, "--json", "--store", empty)
    assert done.code == 0, (done.err, done.json["problems"])
    assert in_store(empty) == in_store(full)
    assert in_store(back) == in_store(held_out)
    again = shell("import", tmp_path / "out", "--split", "keep", "--held-out", back, "--json", "--store", empty)
    assert (again.json["imported"], again.json["duplicates"]) == (0, 11)


@pytest.mark.long
@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("layout", ["imagefolder", "coco"])
def test_an_archive_round_trips(
    shell: Shell, full: Path, empty: Path, tmp_path: Path, ending: str, layout: str
) -> None:
    target = tmp_path / f"out{ending}"
    ran = shell("export", target, "--format", layout, "--store", full)
    assert ran.code == 0, ran.err
    done = shell("import", target, "--json", "--store", empty)
    assert done.code == 0, (done.err, done.json["problems"])
    assert in_store(empty) == in_store(full)
    refused = shell("export", target, "--format", layout, "--store", full)
    assert (refused.code, "no archive is overwritten" in refused.err) == (1, True)


@pytest.mark.long
def test_an_image_in_two_classes_needs_a_flag(shell: Shell, full: Path, empty: Path, tmp_path: Path) -> None:
    (full / "Can" / "both.png").write_bytes((full / "Bottle" / "001.png").read_bytes())
    assert shell("export", tmp_path / "out", "--format", "csv", "--store", full).code == 0
    first = shell("import", tmp_path / "out", "--json", "--store", empty)
    assert (first.code, first.json["left_out"]) == (3, 1)
    assert first.json["reasons"] == {"the same image is in another class already": 1}
    second = shell("import", tmp_path / "out", "--json", "--several-classes", "--store", empty)
    assert (second.code, second.json["imported"]) == (0, 1)
    assert in_store(empty) == in_store(full)


@pytest.mark.long
def test_an_export_overwrites_nothing(shell: Shell, full: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    refused = shell("export", target, "--format", "imagefolder", "--store", full)
    assert (refused.code, "is not empty" in refused.err) == (1, True)
    draw(target / "Can" / "000.png", 99)
    other = (target / "Can" / "000.png").read_bytes()
    clash = shell("export", target, "--format", "imagefolder", "--into", "--store", full)
    assert (clash.code, "exists with other bytes" in clash.err) == (1, True)
    assert (target / "Can" / "000.png").read_bytes() == other
    shutil.rmtree(target / "Can")
    assert shell("export", target, "--format", "imagefolder", "--into", "--store", full).code == 0
    assert shell("export", target, "--format", "imagefolder", "--into", "--store", full).code == 0
    assert (target / "mine.txt").read_text() == "mine"
    assert not list(target.rglob(".tmp-*"))


def test_an_export_into_the_store_is_refused(shell: Shell, full: Path) -> None:
    before = in_store(full)
    for target in (full / "out", full, full.parent, full / "out.zip"):
        ran = shell("export", target, "--format", "csv", "--store", full)
        assert (ran.code, "overlap" in ran.err) == (1, True), target
    assert in_store(full) == before


def test_an_export_and_a_held_out_folder_in_another_store_are_refused(
    shell: Shell, full: Path, empty: Path, tmp_path: Path
) -> None:
    (tmp_path / "new" / "test").mkdir(parents=True)
    draw(tmp_path / "new" / "test" / "Can" / "c.png", 3)
    (tmp_path / "link").symlink_to(empty)
    for target in (empty / "out", empty / "Can" / "out.zip", tmp_path / "link" / "out"):
        ran = shell("export", target, "--format", "csv", "--store", full)
        assert (ran.code, "is inside the store" in ran.err) == (1, True), target
        ran = shell("import", tmp_path / "new", "--split", "keep", "--held-out", target, "--store", full)
        assert (ran.code, "is inside the store" in ran.err) == (1, True), target
    assert in_store(empty) == {}


def test_no_image_is_imported_into_a_store_below_the_store(shell: Shell, empty: Path, tmp_path: Path) -> None:
    (empty / "Can" / ".astica-sync").mkdir(parents=True)
    for title in ("Can", "Box"):
        draw(tmp_path / "new" / title / "c.png", len(title) + ord(title[0]))
    ran = shell("import", tmp_path / "new", "--store", empty, "--json")
    assert (ran.code, ran.json["imported"], ran.json["left_out"]) == (3, 1, 1), ran
    assert "its folder is another store" in ran.out and not list((empty / "Can").glob("*.png"))


@pytest.mark.long
def test_archives_have_no_temporary_file(shell: Shell, full: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "a.tar.gz"):
        assert shell("export", tmp_path / name, "--format", "imagefolder", "--store", full).code == 0
    assert not list(tmp_path.glob(".tmp-*"))
    assert len(zipfile.ZipFile(tmp_path / "a.zip").namelist()) == 9
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert len(tar.getnames()) == 9
