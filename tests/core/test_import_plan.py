"""What becomes of each image of a data set, and of each label: decided without a disk."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.exchange.dataset_row import Part, Row, label_text, part_at_start, part_of
from astica_sync.core.exchange.import_plan import (
    MULTI_LABEL,
    ImportFolder,
    LeftOutRow,
    Placement,
    SplitMode,
    WriteDecision,
    decide_write,
    place_row,
)
from astica_sync.core.exchange.label_map import make_label_table, parse_map
from astica_sync.core.exchange.source_path import path_fault, plain_path, safe_folders, target_name
from astica_sync.core.gallery.safe_names import is_sample_path, title_fault
from astica_sync.local.class_folders.dataset_layout import SPLIT_NAMES

TABLE = make_label_table(["dog", "Dog", "bg", "a/b", "  "], {"dog": "Dog", "bg": ""}, ["Dog"])


@pytest.mark.parametrize(
    ("row", "placed"),
    [
        (Row("a.jpg", ("dog",)), Placement(ImportFolder.STORE, "Dog")),
        (Row("a.jpg", ("dog", "Dog")), Placement(ImportFolder.STORE, "Dog")),
        (Row("a.jpg", ("dog", "bg"), Part.TRAIN), Placement(ImportFolder.STORE, "Dog")),
        (Row("a.jpg", ("dog",), Part.TEST), Placement(ImportFolder.HELD_OUT, "Dog")),
        (Row("a.jpg", ("dog",), Part.VALIDATION), Placement(ImportFolder.HELD_OUT, "Dog")),
        (Row("a.jpg", ("dog", "a/b")), LeftOutRow(MULTI_LABEL)),
        (Row("a.jpg", ()), LeftOutRow("it has no label")),
        (Row("a.jpg", ("  ",)), LeftOutRow("it has no label")),
        (Row("a.jpg", ("bg",)), LeftOutRow("--map leaves its label out", wanted=True)),
        (Row("a.jpg", ("dog",), fault="it is gone"), LeftOutRow("it is gone")),
    ],
)
def test_where_an_image_goes(row: Row, placed: Placement | LeftOutRow) -> None:
    assert place_row(row, TABLE, SplitMode.KEEP) == placed
    merged = place_row(row, TABLE, SplitMode.MERGE)
    if isinstance(placed, Placement):
        assert merged == Placement(ImportFolder.STORE, placed.title)
    else:
        assert merged == placed


def test_a_label_that_cannot_be_a_class_says_why() -> None:
    placed = place_row(Row("a.jpg", ("a/b",)), TABLE, SplitMode.MERGE)
    assert isinstance(placed, LeftOutRow) and "no slash" in placed.reason


@pytest.mark.parametrize(
    ("here", "there", "several", "presence"),
    [
        ((), (), False, WriteDecision.WRITE),
        (("Dog",), (), False, WriteDecision.DUPLICATE),
        (("Dog", "Cat"), ("Dog",), False, WriteDecision.DUPLICATE),
        (("Cat",), (), False, WriteDecision.OTHER_CLASS),
        (("Cat",), (), True, WriteDecision.WRITE),
        ((), ("Dog",), True, WriteDecision.OTHER_FOLDER),
        (("Cat",), ("Cat",), True, WriteDecision.OTHER_FOLDER),
    ],
)
def test_what_is_done_with_bytes_that_are_there(
    here: tuple[str, ...], there: tuple[str, ...], several: bool, presence: WriteDecision
) -> None:
    assert decide_write(Placement(ImportFolder.STORE, "Dog"), here, there, several=several) is presence


def test_typing_errors_are_found_against_the_store_and_in_the_data_set() -> None:
    table = make_label_table(["Bottel", "can", "Can ", "Glass", "glass", "Bottle", "7"], {}, ["Bottle"])
    assert {(one.title, one.existing) for one in table.near} == {
        ("Bottel", "Bottle"),
        ("can", "Can"),
        ("glass", "Glass"),
    }
    assert table.numbers == ("7",)
    assert make_label_table(["Bottel", "glass", "Glass"], {}, ["Bottle"], ["Bottel", "glass", "Glass"]).near == ()
    assert make_label_table(["Bottel"], {"Bottel": "Bottle", "Canm": "Can"}, ["Bottle"]).unused == ("Canm",)


@pytest.mark.parametrize("label", ["x" * 300, ".hidden", "con", "a\nb", "a\\b", "é" * 200])
def test_labels_that_cannot_be_titles(label: str) -> None:
    table = make_label_table([label], {}, [])
    assert (table.titles, list(table.faults)) == ({}, [label])


def test_a_map_is_read_line_by_line() -> None:
    assert parse_map(["dog=Dog", "", " # comment", " a=b = c ", "x="]) == {"dog": "Dog", "a=b": "c", "x": ""}
    for wrong in (["dog"], ["=Dog"], ["a=b", "a=c"]):
        with pytest.raises(ValueError):
            parse_map(wrong)


def test_the_names_of_parts_are_those_that_init_knows() -> None:
    assert all(part_of(name.upper()) is not None for name in SPLIT_NAMES)
    assert part_of("Cat") is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train-00000-of-00002.parquet", Part.TRAIN),
        ("val_labels.csv", Part.VALIDATION),
        ("test.csv", Part.TEST),
        ("trainspotting.csv", None),
        ("valley.csv", None),
        ("labels.csv", None),
        ("x", None),
    ],
)
def test_the_part_at_the_beginning_of_a_name(name: str, part: Part | None) -> None:
    assert part_at_start(name) is part


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (3.0, "3"), (3.5, "3.5"), (None, ""), ("Can", "Can"), (True, "True")]
)
def test_a_label_of_any_kind(value: object, text: str) -> None:
    assert label_text(value) == text


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("a/b.jpg", ""),
        ("./a//b.jpg", ""),
        ("a\\b.jpg", ""),
        ("..\\..\\b.jpg", "leaves the folder"),
        ("a/../../b.jpg", "leaves the folder"),
        ("/etc/b.jpg", "absolute"),
        ("\\\\server\\b.jpg", "absolute"),
        ("C:\\b.jpg", "absolute"),
        ("c:b.jpg", "absolute"),
        ("a\0.jpg", "NUL"),
        ("a\x1b[2J.jpg", "control"),
        ("", "empty"),
        ("x/" * 3000, "characters"),
    ],
)
def test_paths_that_are_not_taken(path: str, fault: str) -> None:
    found = path_fault(plain_path(path))
    assert (fault in found) if fault else not found


@pytest.mark.parametrize(
    ("given", "kind", "name"),
    [
        ("IMG.HEIC", None, "IMG.HEIC"),
        ("a.png", "jpeg", "a.jpg"),
        ("a", "png", "a.png"),
        ("a", None, "a.img"),
        ("a.b:c", None, "a.b_c.img"),
        ("aux.webp", None, "image-aux.webp"),
        ("x" * 400 + ".tiff", None, "x" * 196 + ".tiff"),
    ],
)
def test_the_name_in_the_store(given: str, kind: str | None, name: str) -> None:
    assert target_name(given, kind) == name


def test_folders_in_a_class_are_kept_where_they_can_be() -> None:
    assert safe_folders(("old", "2024")) == ("old", "2024")
    for wrong in (("old", ".git"), ("a\\b",), ("x" * 101,), ("x",) * 17):
        assert safe_folders(wrong) == ()


NAMES = st.text(st.one_of(st.sampled_from("./\\:\0 ~#aB"), st.characters()), max_size=40)


@given(NAMES, st.sampled_from(["png", "jpeg", None]))
def test_no_name_leaves_its_folder(given: str, kind: str | None) -> None:
    name = target_name(given, kind)
    assert is_sample_path(f"Can/{name}") and name.count("/") == 0
    assert len(name.encode("utf-8", "surrogatepass")) <= 220 and "\\" not in name


@given(st.lists(NAMES, max_size=6), st.dictionaries(NAMES, NAMES, max_size=3), st.lists(NAMES, max_size=3))
def test_each_label_becomes_a_class_or_has_a_reason(
    labels: list[str], mapping: dict[str, str], existing: list[str]
) -> None:
    table = make_label_table(labels, mapping, existing)
    assert {*table.titles, *table.faults, *table.dropped} == {*labels}
    assert all(not title_fault(title) for title in table.titles.values())
    assert all(unicodedata.is_normalized("NFC", title) for title in table.titles.values())
    assert {one.title for one in table.near} <= {*table.titles.values()} - {*existing}
    for label in labels:
        placed = place_row(Row("x", (label,)), table, SplitMode.MERGE)
        assert isinstance(placed, Placement) == (label in table.titles)


@given(st.lists(st.text(string.ascii_letters + "=# ", max_size=8), max_size=5))
def test_a_map_is_read_or_refused(lines: list[str]) -> None:
    try:
        mapping = parse_map(lines)
    except ValueError:
        return
    assert all(label and label == label.strip() for label in mapping)


@given(NAMES)
def test_a_plain_path_stays_plain(path: str) -> None:
    plain = plain_path(path)
    assert plain_path(plain) == plain and "\\" not in plain
    if not path_fault(plain):
        assert ".." not in plain.split("/") and not plain.startswith("/")
