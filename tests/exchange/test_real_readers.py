"""Exports read back by the programs that they are made for, where these are installed."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.harness.shell import Shell, draw

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def exported(shell: Shell, store: Path, tmp_path: Path) -> Any:
    """Exports the store in a layout, with a held-out folder; the folder of the export."""
    draw(store / "NA" / "x, y.png", 41)
    draw(store / "Büchse" / "ä.jpg", 42)
    held_out = tmp_path / "held-out"
    draw(held_out / "Can" / "000.png", 60)

    def export(layout: str) -> Path:
        ran = shell("export", tmp_path / layout, "--format", layout, "--held-out", held_out, "--store", store)
        assert ran.code == 0, ran.err
        return tmp_path / layout

    return export


def _rgb(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


def _with_case(store: Path) -> Counter[tuple[str, bytes]]:
    return Counter(
        (path.parent.name, _rgb(path.read_bytes()))
        for path in store.glob("*/*")
        if path.suffix in (".png", ".jpg") and not path.parent.name.startswith(".")
    )


def test_hugging_face_reads_the_folder(exported: Any, store: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the group 'readers' is not installed")
    read = datasets.load_dataset(
        "imagefolder", data_dir=str(exported("huggingface")), cache_dir=str(tmp_path / "cache")
    )
    assert set(read) == {"train", "test"}
    got = Counter((row["label"], row["image"].convert("RGB").tobytes()) for row in read["train"])
    assert got == _with_case(store)
    assert [row["label"] for row in read["test"]] == ["Can"]


def test_hugging_face_reads_class_folders(exported: Any, store: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the group 'readers' is not installed")
    read = datasets.load_dataset(
        "imagefolder", data_dir=str(exported("imagefolder")), cache_dir=str(tmp_path / "cache")
    )["train"]
    names = read.features["label"].names
    got = Counter((names[row["label"]], row["image"].convert("RGB").tobytes()) for row in read)
    assert got == _with_case(store)


def test_hugging_face_reads_parquet(exported: Any, store: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the group 'readers' is not installed")
    files = sorted(map(str, exported("parquet").glob("data/train-*.parquet")))
    read = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))["train"]
    names = read.features["label"].names
    got = Counter((names[row["label"]], row["image"].convert("RGB").tobytes()) for row in read)
    assert got == _with_case(store)


def test_what_hugging_face_writes_is_imported(shell: Shell, store: Path, empty: Path, tmp_path: Path) -> None:
    """The other way round: its own writer, and our reader."""
    datasets = pytest.importorskip("datasets", reason="the group 'readers' is not installed")
    paths = sorted(store.glob("*/*.png"))
    titles = sorted({path.parent.name for path in paths})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=titles)})
    rows = {
        "image": [{"bytes": path.read_bytes(), "path": None} for path in paths],
        "label": [titles.index(path.parent.name) for path in paths],
    }
    made = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "data").mkdir()
    made.to_parquet(str(tmp_path / "data" / "train-00000-of-00001.parquet"), batch_size=2)
    ran = shell("import", tmp_path / "data", "--json", "--store", empty)
    assert ran.code == 0, (ran.err, ran.json["problems"])
    assert _with_case(empty) == _with_case(store)


def test_pyarrow_reads_parquet(exported: Any, store: Path) -> None:
    tables = [pq.read_table(path) for path in exported("parquet").glob("data/train-*.parquet")]
    rows = [row for table in tables for row in table.to_pylist()]
    about = json.loads(tables[0].schema.metadata[b"huggingface"])
    names = about["info"]["features"]["label"]["names"]
    assert Counter((names[row["label"]], _rgb(row["image"]["bytes"])) for row in rows) == _with_case(store)


def test_webdataset_reads_the_shards(exported: Any, store: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="the group 'readers' is not installed")
    folder = exported("webdataset")
    names = (folder / "classes.txt").read_text("utf-8").splitlines()
    shards = sorted(map(str, folder.glob("train-*.tar")))
    read = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode("pil")
    got: Counter[tuple[str, bytes]] = Counter()
    for sample in read:
        image = next(sample[ending] for ending in ("png", "jpg", "jpeg") if ending in sample)
        assert names[sample["cls"]] == sample["json"]["label"]
        got[names[sample["cls"]], image.convert("RGB").tobytes()] += 1
    assert got == _with_case(store)


def test_what_webdataset_writes_is_imported(shell: Shell, store: Path, empty: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="the group 'readers' is not installed")
    folder = tmp_path / "shards"
    folder.mkdir()
    titles = sorted(path.name for path in store.iterdir() if path.is_dir() and not path.name.startswith("."))
    with webdataset.ShardWriter(str(folder / "train-%06d.tar"), maxcount=2, verbose=0) as writer:
        for number, path in enumerate(sorted(store.glob("*/*.png"))):
            sample = {"__key__": f"{number:06}", "png": path.read_bytes(), "cls": titles.index(path.parent.name)}
            writer.write(sample)
    (folder / "classes.txt").write_text("\n".join(titles))
    ran = shell("import", folder, "--json", "--store", empty)
    assert ran.code == 0, (ran.err, ran.json["problems"])
    assert _with_case(empty) == _with_case(store)


def test_torchvision_reads_class_folders(exported: Any, store: Path) -> None:
    torchvision = pytest.importorskip("torchvision", reason="torch has a gigabyte, and is in no group of this project")
    read = torchvision.datasets.ImageFolder(str(exported("imagefolder") / "train"))
    got = Counter((read.classes[label], image.convert("RGB").tobytes()) for image, label in read)
    assert got == _with_case(store)


def test_tasks_are_what_label_studio_imports(exported: Any, store: Path) -> None:
    """Its importer takes a list of tasks with ``data`` and ``annotations``; the names in a result are those of the
    labelling configuration."""
    folder = exported("label-studio")
    config = ElementTree.parse(folder / "label-config.xml").getroot()
    (image,), (choices,) = config.findall("Image"), config.findall("Choices")
    known = {choice.attrib["value"] for choice in choices}
    got: Counter[tuple[str, bytes]] = Counter()
    for task in json.loads((folder / "tasks.json").read_text("utf-8")):
        (result,) = task["annotations"][0]["result"]
        assert (result["from_name"], result["to_name"]) == (choices.attrib["name"], image.attrib["name"])
        assert result["type"] == "choices" and choices.attrib["toName"] == image.attrib["name"]
        (title,) = result["value"]["choices"]
        assert title in known
        address = urlsplit(task["data"][image.attrib["value"].removeprefix("$")])
        assert address.path == "/data/local-files/"
        path = folder / parse_qs(address.query)["d"][0]
        if task["data"].get("split") == "train":
            got[title, _rgb(path.read_bytes())] += 1
    assert got == _with_case(store)
