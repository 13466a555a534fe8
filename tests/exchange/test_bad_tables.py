"""Tables of labels as other programs and people write them: each bad row is named, and the rest is imported."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from astica_sync.core.exchange.import_plan import MULTI_LABEL
from astica_sync.core.exchange.label_map import make_label_table
from astica_sync.errors import AsticaSyncError, GuardRefused
from astica_sync.exchange.label_spellings import map_ignoring_case
from astica_sync.exchange.layouts.data_set import NOT_THERE, UNNAMED
from astica_sync.exchange.layouts.find_layout import find_layout
from astica_sync.exchange.layouts.label_studio import NOT_ANNOTATED
from astica_sync.exchange.layouts.path_table import parse_columns
from astica_sync.exchange.layouts.text_table import LABEL_COLUMNS, PART_COLUMNS, PATH_COLUMNS
from astica_sync.exchange.sources.open_source import open_source
from tests.harness.plain_import import files_in, plain_import
from tests.harness.shell import draw


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six images in one folder, no labels."""
    folder = tmp_path / "source"
    for number in range(6):
        draw(folder / "images" / f"{number}.png", number)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def titles(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(files_in(root)):
        title, _, name = path.partition("/")
        found.setdefault(title, []).append(name)
    return found


BOTH = {"Can": ["0.png"], "Bottle": ["1.png"]}


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("labels.csv", "path,label\nimages/0.png,Can\nimages/1.png,Bottle\n", "utf-8"),
        *(
            (
                "labels.csv",
                f"{first}\r\npath{sign}label\r\nimages/0.png{sign}Can\r\nimages/1.png{sign}Bottle\r\n",
                encoding,
            )
            for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
            for first, sign in (
                ("sep=;", ";"),
                ("sep=,", ","),
                ('"sep=;"', ";"),
                ("SEP=\t", "\t"),
                ("sep=;;", ";"),
                ("sep=^", "^"),
            )
        ),
        ("labels.csv", "path;label\r\nimages/0.png;Can\r\nimages/1.png;Bottle\r\n", "utf-16"),
        ("labels.csv", "path;label\r\nimages/0.png;Can\r\nimages/1.png;Bottle\r\n", "utf-16-le"),
        ("labels.csv", "path;label\nimages/0.png;Can\nimages/1.png;Bottle\n", "utf-16-be"),
        ("labels.csv", "path\tlabel\nimages/0.png\tCan\nimages/1.png\tBottle\n", "utf-32"),
        ("labels.csv", "path,label\nimages/0.png,Can\nimages/1.png,Bottle\n", "utf-8-sig"),
        ("labels.tsv", "File Name\tClass\nimages\\0.png\tCan\n.\\images\\1.png\tBottle\n", "utf-8"),
        ("labels.csv", '"Filename","extra","Category"\n"0.png","x, y","Can"\n"1.png","","Bottle"\n', "utf-8"),
        ("labels.csv", "images/0.png,Can\nimages/1.png,Bottle\n", "utf-8"),
        ("a.txt", "images/0.png,Can\nimages/1.png,Bottle", "utf-8"),
        ("train.csv", "id,label\n0,Can\n1,Bottle\n", "utf-8"),
        ("labels.csv", "path,label\n\n\nimages/0.png,Can\n , \nimages/1.png,Bottle\n", "utf-8"),
        ("labels.csv", "path|label\nimages/0.png|Can\nimages/1.png|Bottle\n", "cp1252"),
        ("images/labels.csv", "path,label\n0.png,Can\n1.png,Bottle\n", "utf-8"),
        ("labels.jsonl", '{"path": "images/0.png", "label": "Can"}\n{"image": "1.png", "label": "Bottle"}\n', "utf-8"),
        ("labels.json", '[{"file": "0.png", "class": "Can"}, {"file": "1.png", "class": ["Bottle"]}]', "utf-8"),
    ],
)
def test_a_table_is_read_as_it_is_written(source: Path, root: Path, name: str, text: str, encoding: str) -> None:
    (source / name).write_bytes(text.encode(encoding))
    result = plain_import(source, root)
    if name.endswith(".jsonl"):
        assert titles(root) in (BOTH, {"Can": ["0.png"]})
    else:
        assert titles(root) == BOTH
    assert {reason for _, reason in result.left_out} <= {UNNAMED, "it names no file"}


def test_a_table_without_names_has_any_separator(source: Path, root: Path) -> None:
    (source / "labels.csv").write_text("sep=;\r\nimages/0.png;Can\r\nimages/1.png;Bottle\r\n")
    plain_import(source, root)
    assert titles(root) == BOTH


def unused_of(source: Path) -> tuple[str, dict[str, str]]:
    unused: dict[str, str] = {}
    with open_source(str(source)) as files:
        name, _ = find_layout(files, None, unused.__setitem__)
    return name, unused


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "labels.csv",
            "image,site,variety\nlost.png,north,Cox\n",
            "it has no column of labels that is known: it has image, site, variety",
        ),
        (
            "labels.csv",
            "where,label\nlost.png,Can\n",
            "it has no column of paths that is known: it has where, label",
        ),
        ("labels.tsv", "a\tb\n1\t2\n", "it has no column of paths and none of labels that is known: it has a, b"),
        (
            "labels.csv",
            "path,label\n/data/0.png,Can\n/data/1.png,Can\n",
            "it names files that are there in 0 of its first 2 rows; '/data/0.png': its path is absolute",
        ),
        (
            "labels.jsonl",
            '{"path": "gone.png", "label": "Can"}\n',
            f"its only row names no file that is there; 'gone.png': {NOT_THERE}",
        ),
        ("labels.csv", "path,label\n", "it has no rows"),
        ("labels.csv", "", "it has no column of paths and none of labels that is known: it has no columns"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_the_reason(source: Path, name: str, text: str, reason: str) -> None:
    (source / name).write_text(text)
    assert unused_of(source) == ("imagefolder", {name: reason})
    with open_source(str(source)) as files, pytest.raises(AsticaSyncError) as caught:
        find_layout(files, "csv")
    assert str(caught.value) == f"{source} has no table that can be used: {name}: {reason}"
    assert "a column label (or class, category" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "text", "lacks", "options"),
    [
        (
            "labels.csv",
            "Datei;Klasse;Split\nimages/0.png;Can;train\nlost.png;Can;val\nimages/1.png;Can;val\n",
            "it has no column of paths and none of labels that is known: it has Datei, Klasse, Split",
            "--column path=Datei --column label=Klasse (",
        ),
        (
            "labels.csv",
            "image,site,variety\nimages/0.png,north,Cox\n",
            "it has no column of labels that is known: it has image, site, variety",
            "--column path=image --column label=COLUMN (",
        ),
        (
            "labels.jsonl",
            '{"Wo ist es": "0.png", "label": "Can", "n": 1}\n',
            "it has no column of paths that is known: it has Wo ist es, label, n",
            "--column 'path=Wo ist es' --column label=label (",
        ),
    ],
)
def test_a_table_that_names_the_images_by_unknown_columns_stops_the_import(
    source: Path, root: Path, name: str, text: str, lacks: str, options: str
) -> None:
    (source / name).write_text(text)
    with pytest.raises(AsticaSyncError) as caught:
        plain_import(source, root)
    assert str(caught.value) == f"the table {name} names the images, and {lacks}"
    assert options in caught.value.hint and "--layout imagefolder" in caught.value.hint
    plain_import(source, root, layout="imagefolder")
    assert list(titles(root)) == ["images"]


def test_the_user_names_the_columns(source: Path, root: Path, tmp_path: Path) -> None:
    (source / "labels.csv").write_text(
        "Datei;Klasse;Art;Rand\nimages/0.png;Can;train;1\nimages/1.png;Bottle;val;2\nimages/2.png;Can;test;3\n"
    )
    chosen = parse_columns(["path=datei", "label=Klasse", "split=Art"])
    held = tmp_path / "held"
    result = plain_import(source, root, columns=chosen, held_out=held)
    assert titles(root) == {"Can": ["0.png"]} and titles(held) == {"Bottle": ["1.png"], "Can": ["2.png"]}
    assert result.parts == {"train": 1, "validation": 1, "test": 1}
    with open_source(str(source)) as files:
        name, data_set = find_layout(files, columns=chosen)
    assert (name, data_set.found) == (
        "csv",
        "labels in labels.csv (path from Datei, label from Klasse, split from Art; not used: Rand)",
    )


@pytest.mark.parametrize(
    ("head", "values", "text", "parts"),
    [
        ("Train/Val", ("train", "Val"), "split from Train/Val", {"train": 1, "validation": 1}),
        ("fold", ("TRAINING", "test"), "split from fold", {"train": 1, "test": 1}),
        ("quality", ("valid", "valid"), "; not used: quality", {"": 2}),
        ("split", ("A", "B"), "split from split (no parts: 'A', 'B')", {"": 2}),
    ],
)
def test_parts_are_found_by_the_values_of_a_column(
    source: Path, root: Path, head: str, values: tuple[str, str], text: str, parts: dict[str, int]
) -> None:
    (source / "labels.csv").write_text(
        f"path,label,{head}\nimages/0.png,Can,{values[0]}\nimages/1.png,Bottle,{values[1]}\n"
    )
    assert plain_import(source, root).parts == parts
    with open_source(str(source)) as files:
        found = find_layout(files)[1].found
    assert text in found, found
    with open_source(str(source)) as files:
        whole = find_layout(files, columns={"split": ""})[1]
    assert f"; not used: {head}" in whole.found and {row.part for row in whole.rows()} == {None}


def test_names_and_values_of_any_length_are_shown_by_their_beginning(source: Path, root: Path) -> None:
    long = "x" * 100_000
    (source / "labels.csv").write_text(f"path,label,{long}-a\nimages/0.png,Can,{long}\n")
    chosen = {"path": "path", "label": "label", "split": f"{long}-a"}
    with open_source(str(source)) as files:
        found = find_layout(files, columns=chosen)[1].found
    assert f"split from {'x' * 39}… (no parts: '{'x' * 39}…')" in found and len(found) < 300
    (source / "labels.csv").write_text(f"{long},label\nimages/0.png,Can\n")
    with pytest.raises(AsticaSyncError) as caught:
        plain_import(source, root)
    assert len(str(caught.value)) + len(caught.value.hint) < 600 and "--column path=COLUMN" in caught.value.hint


def test_a_column_that_no_table_has_is_named(source: Path) -> None:
    (source / "labels.csv").write_text("path,label\nimages/0.png,Can\n")
    with (
        open_source(str(source)) as files,
        pytest.raises(AsticaSyncError, match=r"no column 'Klasse': it has path, label"),
    ):
        find_layout(files, columns={"label": "Klasse"})


@pytest.mark.parametrize("pairs", [["Datei"], ["file=a"], ["path="], ["path=a", "path=b"]])
def test_wrong_pairs_of_columns(pairs: list[str]) -> None:
    with pytest.raises(ValueError, match=r"is not path=COLUMN|given twice"):
        parse_columns(pairs)


def test_of_two_spellings_the_one_with_most_images_is_meant(source: Path, root: Path) -> None:
    lines = [f"images/{number}.png,{label}" for number, label in enumerate(("FORK", "fork", "fork", "Fork", "Cup"))]
    (source / "labels.csv").write_text("\n".join(["path,label", *lines]))
    with pytest.raises(GuardRefused) as caught:
        plain_import(source, root, confirm_all=False)
    assert "'FORK' (did you mean 'fork'?), 'Fork' (did you mean 'fork'?)" in str(caught.value)
    assert "--map 'FORK=fork'" in caught.value.hint and "--ignore-case" in caught.value.hint
    result = plain_import(source, root, confirm_all=False, ignore_case=True)
    assert {title: len(names) for title, names in titles(root).items()} == {"fork": 4, "Cup": 1}
    assert not result.table.near


@pytest.mark.parametrize(
    ("labels", "mapping", "existing", "titles"),
    [
        ({"can": 1, "CAN": 5}, {}, [], {"can": "CAN", "CAN": "CAN"}),
        ({"can": 1, "CAN": 1}, {}, [], {"can": "CAN", "CAN": "CAN"}),
        ({"can": 1, "CAN": 5}, {}, ["Can"], {"can": "Can", "CAN": "Can"}),
        ({"can": 1, "Can": 5}, {}, ["can", "Can"], {"can": "can", "Can": "Can"}),
        ({"can": 1, "CAN": 5}, {"Can": "Dose"}, [], {"can": "Dose", "CAN": "Dose"}),
        ({"can": 1, "CAN": 5}, {"can": ""}, [], {}),
        (
            {"stra\u00dfe": 1, "STRASSE": 2, "B\u00fcchse": 1, "BU\u0308CHSE": 3},
            {},
            [],
            {
                "stra\u00dfe": "STRASSE",
                "STRASSE": "STRASSE",
                "B\u00fcchse": "B\u00dcCHSE",
                "BU\u0308CHSE": "B\u00dcCHSE",
            },
        ),
    ],
)
def test_labels_that_differ_in_case_become_one_class(
    labels: dict[str, int], mapping: dict[str, str], existing: list[str], titles: dict[str, str]
) -> None:
    merged = map_ignoring_case(Counter(labels), mapping, existing)
    table = make_label_table(labels, merged, existing)
    assert table.titles == titles and not table.unused


def test_a_table_that_is_used_is_not_named_and_neither_is_a_text(source: Path) -> None:
    (source / "readme.txt").write_text("name,value\na,b\n")
    assert unused_of(source) == ("imagefolder", {})
    (source / "labels.csv").write_text("path,label\nimages/0.png,Can\n")
    assert unused_of(source) == ("csv", {})


def test_where_nothing_has_labels_the_table_is_named_in_the_error(tmp_path: Path) -> None:
    draw(tmp_path / "flat" / "0.png", 0)
    (tmp_path / "flat" / "labels.csv").write_text("image,variety\nlost.png,Cox\n")
    with pytest.raises(AsticaSyncError, match=r"labels\.csv: it has no column of labels that is known"):
        unused_of(tmp_path / "flat")


def test_names_in_the_code_page_of_windows(source: Path, root: Path) -> None:
    (source / "labels.csv").write_bytes("path,label\nimages/0.png,Löffel\n".encode("cp1252"))
    plain_import(source, root)
    assert list(titles(root)) == ["Löffel"]


def test_every_bad_row_is_named_and_the_others_are_imported(source: Path, root: Path) -> None:
    rows = [
        ("images/0.png", "Can"),
        ("images/gone.png", "Can"),
        ("../../etc/passwd", "Can"),
        ("/etc/passwd", "Can"),
        ("http://localhost/a.png", "Can"),
        ("images/1.png", ""),
        ("images/2.png", "x" * 300),
        ("images/3.png", "7"),
        ("images/4.png", "a/b"),
        ("", "Can"),
        ("images/5.png", "Can"),
        ("images/5.png", "Bottle"),
    ]
    (source / "labels.csv").write_text("path,label\n" + "".join(f'"{path}","{label}"\n' for path, label in rows))
    result = plain_import(source, root)
    assert titles(root) == {"Can": ["0.png"], "7": ["3.png"]}
    assert result.table.numbers == ("7",)
    reasons = dict(result.left_out)
    assert reasons["images/gone.png"] == NOT_THERE
    assert "leaves the folder" in reasons["../../etc/passwd"]
    assert "absolute" in reasons["/etc/passwd"]
    assert "nothing is downloaded" in reasons["http://localhost/a.png"]
    assert reasons["images/1.png"] == "it has no label"
    assert "at most 255 bytes" in reasons["images/2.png"]
    assert "no slash" in reasons["images/4.png"]
    assert reasons["images/5.png"] == MULTI_LABEL
    assert result.left_out_count == 9


def test_a_second_run_completes_the_first(source: Path, root: Path) -> None:
    (source / "labels.csv").write_text("path,label\nimages/0.png,Can\nimages/gone.png,Can\nimages/1.png,Bottle\n")
    assert plain_import(source, root).left_out_count == 5
    draw(source / "images" / "gone.png", 50)
    result = plain_import(source, root)
    assert (result.imported.total(), result.duplicates.total()) == (1, 2)
    assert titles(root) == {"Can": ["0.png", "gone.png"], "Bottle": ["1.png"]}


@pytest.mark.parametrize(
    ("cell", "labels"),
    [("Can|Bottle", 2), ("Can;Bottle", 2), ("Can,Bottle", 2), ("Can", 1), ("Can|", 1)],
)
def test_several_labels_in_one_cell(source: Path, root: Path, cell: str, labels: int) -> None:
    (source / "labels.csv").write_text(f'path,labels\nimages/0.png,"{cell}"\n')
    result = plain_import(source, root)
    assert (result.reasons[MULTI_LABEL], result.imported.total()) == (labels - 1, 2 - labels)


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nimages/0.png,Can\n" + '"' + "x" * 300_000 + '",Can\nimages/1.png,Bottle\n',
        "path,label\nimages/0.png,Can\nimages/1.png,Bottle\n" + "x," * 100_000 + "\n",
        "path,label\nimages/0.png,Can\nimages/1.png,Bottle\n\0\0\0,Can\n",
    ],
)
def test_a_line_that_cannot_be_parsed_stops_no_other(source: Path, root: Path, text: str) -> None:
    (source / "labels.csv").write_text(text)
    plain_import(source, root)
    assert titles(root) == BOTH


@pytest.mark.parametrize("text", ["", "\0" * 100, "[" * 100_000, "path,label\n", '{"a": ', "\ufeff", '"', "," * 1000])
@pytest.mark.parametrize("name", ["labels.csv", "labels.json", "metadata.jsonl", "metadata.csv", "_classes.csv"])
def test_a_table_that_is_none_ends_in_a_message(source: Path, root: Path, text: str, name: str) -> None:
    (source / name).write_text(text)
    try:
        plain_import(source, root)
    except AsticaSyncError as error:
        assert error.hint
    for layout in ("csv", "jsonl"):
        with pytest.raises(AsticaSyncError, match="has no table that can be used"):
            plain_import(source, root, layout=layout)
    for layout in ("coco", "label-studio", "huggingface", "roboflow", "webdataset", "parquet"):
        result = plain_import(source, root, layout=layout)
        assert result.imported.total() == 0


def test_images_without_labels_have_no_layout(tmp_path: Path, root: Path) -> None:
    draw(tmp_path / "flat" / "a.png", 1)
    with pytest.raises(AsticaSyncError, match="no labels"):
        plain_import(tmp_path / "flat", root)


def test_new_classes_that_are_nearly_others_stop_it_before_anything_is_written(source: Path, root: Path) -> None:
    draw(root / "Bottle" / "old.png", 90)
    (source / "labels.csv").write_text("path,label\nimages/0.png,Bottel\nimages/1.png,dog\nimages/2.png,Dog\n")
    before = files_in(root)
    with pytest.raises(GuardRefused, match=r"'Bottel' \(did you mean 'Bottle'\?\)") as raised:
        plain_import(source, root, confirm_all=False)
    assert "--map 'Bottel=Bottle'" in raised.value.hint
    assert files_in(root) == before
    mapping = {"Bottel": "Bottle", "dog": "Dog"}
    plain_import(source, root, confirm_all=False, mapping=mapping)
    assert titles(root) == {"Bottle": ["0.png", "old.png"], "Dog": ["1.png", "2.png"]}


def test_what_is_neither_sent_nor_converted_is_imported_and_counted(tmp_path: Path, root: Path) -> None:
    from PIL import Image

    source = tmp_path / "source" / "Can"
    source.mkdir(parents=True)
    for ending in ("webp", "tiff", "gif", "bmp"):
        Image.new("RGB", (8, 8), "red").save(source / f"a.{ending}")
    (source / "b.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + os.urandom(100))
    (source / "c.jpg").write_bytes(b"")
    (source / "d.mov").write_bytes(b"\0\0\0\x14ftypqt  " + os.urandom(100))
    (source / "e.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    (source / "f.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    draw(source / "named-wrongly.jpg", 7, "PNG")
    assert not plain_import(tmp_path / "source", root, dry_run=True).unsupported
    result = plain_import(tmp_path / "source", root, converted=())
    assert set(titles(root)["Can"]) == {"a.webp", "a.tiff", "a.gif", "a.bmp", "b.HEIC", "named-wrongly.png"}
    assert dict(result.unsupported) == {
        "WebP image": 1,
        "TIFF image": 1,
        "GIF image": 1,
        "BMP image": 1,
        "HEIC image": 1,
    }
    assert {path for path, _ in result.left_out} == {"Can/c.jpg", "Can/d.mov", "Can/e.jpg", "Can/f.svg"}
    again = plain_import(tmp_path / "source", root)
    assert (again.imported.total(), again.duplicates.total()) == (0, 6)


TASK = {"data": {"image": "/data/upload/1/0.png"}, "annotations": [{"result": [{"value": {"choices": ["Can"]}}]}]}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("p.json", [TASK], {"Can": ["0.png"]}),
        ("p.json", [{**TASK, "data": {"image": "/data/upload/3/abcdef12-0.png"}}], {"Can": ["0.png"]}),
        ("p.json", [{**TASK, "data": {"image": "/data/local-files/?d=images%2F0.png"}}], {"Can": ["0.png"]}),
        ("p.json", [{**TASK, "data": {"image": "/data/local-files/?d=deep/er/images/0.png"}}], {"Can": ["0.png"]}),
        ("p.json", [{**TASK, "data": {"image": "s3://bucket/x/images/0.png"}}], {"Can": ["0.png"]}),
        ("p.json", [{**TASK, "data": {"image": "http://localhost:8080/data/upload/0.png?t=1"}}], {"Can": ["0.png"]}),
        ("p.json", [{**TASK, "data": {"image": "/data/../../etc/0.png"}}], {"Can": ["0.png"]}),
        ("p.json", [{**TASK, "annotations": []}], NOT_ANNOTATED),
        ("p.json", [{**TASK, "annotations": [{"was_cancelled": True, "result": []}]}], NOT_ANNOTATED),
        ("p.json", [{**TASK, "annotations": [*TASK["annotations"], *TASK["annotations"]]}], {"Can": ["0.png"]}),
        (
            "p.json",
            [{**TASK, "annotations": [*TASK["annotations"], {"result": [{"value": {"choices": ["Cup"]}}]}]}],
            MULTI_LABEL,
        ),
        ("p.json", [{"image": "0.png", "choice": "Can", "id": 1, "annotator": 2, "lead_time": 1}], {"Can": ["0.png"]}),
        (
            "p.json",
            [{"image": "0.png", "choice": {"choices": ["Can", "Cup"]}, "id": 1, "annotation_id": 2}],
            MULTI_LABEL,
        ),
        (
            "p.json",
            [{**TASK, "annotations": [{"result": [7, {"value": []}, {"value": {"choices": 3}}]}]}],
            NOT_ANNOTATED,
        ),
        ("p.csv", "image,id,choice,annotator,annotation_id\n/data/upload/1/0.png,1,Can,1,1\n", {"Can": ["0.png"]}),
        (
            "p.csv",
            'image,id,choice,annotator,annotation_id\n0.png,1,"{""choices"": [""Can"",""Cup""]}",1,1\n',
            MULTI_LABEL,
        ),
    ],
)
def test_label_studio(source: Path, root: Path, name: str, value: Any, found: dict[str, list[str]] | str) -> None:
    (source / name).write_text(value if isinstance(value, str) else json.dumps(value))
    result = plain_import(source, root)
    if isinstance(found, str):
        assert (titles(root), result.reasons[found]) == ({}, 1)
    else:
        assert titles(root) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, BOTH),
        (
            {"annotations": [{"image_id": "1", "category_id": 5}, {"image_id": 2, "category_id": 6}]},
            {"Bottle": ["1.png"]},
        ),
        ({"annotations": [{"image_id": 1, "category_id": number} for number in (5, 5, 6)]}, {}),
        ({"annotations": [None, 3, {"image_id": [1], "category_id": {}}]}, {}),
        ({"images": [{"id": 1, "file_name": "../0.png"}, {"id": 2}, 7]}, {}),
        ({"categories": [{"id": 5}, {"id": 6, "name": "Bottle"}]}, {"Bottle": ["1.png"]}),
        # Two files that were put together, each with its own numbers.
        ({"images": [{"id": 1, "file_name": "0.png"}, {"id": 1, "file_name": "2.png"}]}, {}),
        (
            {"categories": [{"id": 5, "name": "Can"}, {"id": 6, "name": "Bottle"}, {"id": 5, "name": "Cup"}]},
            {"Bottle": ["1.png"]},
        ),
        ({"images": [{"id": number, "file_name": f"{number - 1}.png"} for number in (1, 1, 2)]}, BOTH),
    ],
)
def test_coco(source: Path, root: Path, change: dict[str, Any], found: dict[str, list[str]]) -> None:
    value = {
        "images": [{"id": 1, "file_name": "0.png"}, {"id": 2, "file_name": "1.png"}],
        "annotations": [{"image_id": 1, "category_id": 5}, {"image_id": 2, "category_id": 6}],
        "categories": [{"id": 5, "name": "Can"}, {"id": 6, "name": "Bottle"}],
        **change,
    }
    (source / "instances_train.json").write_text(json.dumps(value))
    plain_import(source, root, layout="coco")
    assert titles(root) == found


def test_an_image_in_two_parts_is_not_trained_on(source: Path, root: Path, tmp_path: Path) -> None:
    lines = ["path,label,split", "images/0.png,Can,train", "images/0.png,Can,test", "images/1.png,Bottle,train"]
    (source / "labels.csv").write_text("\n".join(lines))
    held_out = tmp_path / "held-out"
    plain_import(source, root, held_out=held_out)
    assert (titles(root), titles(held_out)) == ({"Bottle": ["1.png"]}, {"Can": ["0.png"]})


def test_roboflow_columns(source: Path, root: Path) -> None:
    (source / "images" / "_classes.csv").write_text(
        "filename, Can, Bottle\n0.png, 1, 0\n1.png, 0, 1\n2.png, 1, 1\n3.png, 0, 0\n"
    )
    result = plain_import(source, root)
    assert titles(root) == BOTH
    assert result.reasons[MULTI_LABEL] == 1


def _parquet(path: Path, rows: list[dict[str, Any]], names: list[str] | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if names else None
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.replace_schema_metadata(metadata), path)


@pytest.mark.parametrize("label", [0, "Can", 0.0])
@pytest.mark.parametrize("plain", [True, False])
def test_parquet_as_others_write_it(source: Path, tmp_path: Path, root: Path, label: Any, plain: bool) -> None:
    data = (source / "images" / "0.png").read_bytes()
    image = data if plain else {"bytes": data, "path": "../../x\\0.png"}
    _parquet(tmp_path / "p" / "train.parquet", [{"image": image, "label": label}], ["Can"] if label == 0 else None)
    plain_import(tmp_path / "p", root)
    title = "Can" if label in ("Can", 0) and not isinstance(label, float) else "0"
    assert titles(root) in ({title: ["0.png"]}, {title: ["000001.png"]})


def test_bad_rows_of_parquet_are_named(source: Path, tmp_path: Path, root: Path) -> None:
    data = (source / "images" / "0.png").read_bytes()
    rows = [
        {"image": {"bytes": data, "path": None}, "label": 0},
        {"image": {"bytes": None, "path": "/etc/passwd"}, "label": 0},
        {"image": None, "label": 0},
        {"image": {"bytes": b"text", "path": "a.png"}, "label": 0},
        {"image": {"bytes": data + b"1", "path": "a.png"}, "label": -1},
        {"image": {"bytes": data + b"2", "path": "a.png"}, "label": None},
        {"image": {"bytes": data + b"3", "path": "a.png"}, "label": 9},
    ]
    _parquet(tmp_path / "p" / "a.parquet", rows, ["Can"])
    (tmp_path / "p" / "broken.parquet").write_bytes(b"PAR1" + os.urandom(100) + b"PAR1")
    (tmp_path / "p" / "empty.parquet").write_bytes(b"")
    whole = (tmp_path / "p" / "a.parquet").read_bytes()
    (tmp_path / "p" / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    result = plain_import(tmp_path / "p", root)
    assert titles(root) == {"Can": ["000001.png"], "9": ["a.png"]}
    assert result.left_out_count == 8
    assert sum("cannot be read as parquet" in reason for _, reason in result.left_out) == 3


@pytest.mark.long
def test_a_parquet_bomb_is_refused(source: Path, tmp_path: Path, root: Path) -> None:
    data = (source / "images" / "0.png").read_bytes() + bytes(30_000_000)
    table = pa.table({"image": [data] * 12, "label": ["Can"] * 12})
    (tmp_path / "p").mkdir()
    pq.write_table(table, tmp_path / "p" / "a.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "p" / "a.parquet").stat().st_size < 200_000
    result = plain_import(tmp_path / "p", root)
    assert files_in(root) == {}
    assert "more than is taken at once" in result.left_out[0][1]


def test_one_parquet_file_is_a_source(source: Path, tmp_path: Path, root: Path) -> None:
    data = (source / "images" / "0.png").read_bytes()
    _parquet(tmp_path / "p" / "a.parquet", [{"image": data, "label": "Can"}])
    _parquet(tmp_path / "p" / "b.parquet", [{"image": data, "label": "Cup"}])
    plain_import(tmp_path / "p" / "a.parquet", root)
    assert list(titles(root)) == ["Can"]


@pytest.mark.parametrize(
    ("column", "names"), [("path", PATH_COLUMNS), ("label", LABEL_COLUMNS), ("part", PART_COLUMNS)]
)
def test_the_page_has_every_name_of_a_column_in_the_order_in_which_they_are_tried(
    column: str, names: tuple[str, ...]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "import-export.md").read_text("utf-8")
    assert f"| {column} | {', '.join(f'`{name}`' for name in names)} |\n" in page
