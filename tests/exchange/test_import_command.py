"""The command import: interrupted, without room, beside another writer, and what a second run does."""

import os
import shutil
import signal
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from astica_sync.errors import StorageFull
from astica_sync.exchange import image_writer
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.lock import writer_lock
from tests.harness.plain_import import files_in, plain_import
from tests.harness.shell import Shell, draw, in_store


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip of forty images of two classes."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for number in range(40):
            data = draw(tmp_path / "drawn.png", number + 500).read_bytes()
            zipped.writestr(f"{'Can' if number % 2 else 'Bottle'}/{number}.png", data)
    return path


@pytest.mark.long
def test_what_was_imported_is_pushed_once(shell: Shell, store: Path, archive: Path) -> None:
    before = in_store(store)
    ran = shell("import", archive, "--store", store)
    assert ran.code == 0, ran.err
    assert sum(in_store(store).values()) > sum(before.values())
    pushed = shell("push", "--json", "--store", store)
    assert (pushed.code, pushed.json["in_sync"]) == (0, True)
    assert shell("import", archive, "--json", "--store", store).json["imported"] == 0
    assert shell("push", "--json", "--store", store).json["uploaded"] == 0


@pytest.mark.long
@pytest.mark.parametrize("after", [5, 17, 33])
def test_a_killed_import_is_completed_by_the_next_one(shell: Shell, empty: Path, tmp_path: Path, after: int) -> None:
    archive = tmp_path / "big.zip"
    photos = {f"Can/{number}.jpg": b"\xff\xd8\xff" + os.urandom(2_000) for number in range(1500)}
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, data in photos.items():
            zipped.writestr(name, data)
    process = shell.start("import", archive, "--store", empty)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(empty.glob("Can/[0-9]*"))) < after:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    written = {path.read_bytes() for path in empty.glob("Can/[0-9]*")}
    assert after <= len(written) < 1500 and written <= set(photos.values())
    ran = shell("import", archive, "--json", "--store", empty)
    assert (ran.code, ran.json["duplicates"]) == (0, len(written)), ran
    assert Counter(path.read_bytes() for path in empty.glob("Can/[0-9]*")) == Counter(photos.values())


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_ctrl_c_stops_it_and_says_so(shell: Shell, empty: Path, tmp_path: Path, number: signal.Signals) -> None:
    with zipfile.ZipFile(tmp_path / "big.zip", "w") as zipped:
        for place in range(3000):
            zipped.writestr(f"Can/{place}.jpg", b"\xff\xd8\xff" + os.urandom(500))
    process = shell.start("import", tmp_path / "big.zip", "--store", empty)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (empty / "Can").exists():
        time.sleep(0.005)
    process.send_signal(number)
    ran = shell.finish(process)
    assert (ran.code, "The same command continues." in ran.out) == (130, True), ran
    assert not list(empty.glob("Can/.tmp-*"))


@pytest.mark.long
def test_no_other_process_writes_at_the_same_time(shell: Shell, empty: Path, archive: Path) -> None:
    with writer_lock(Layout(empty)):
        ran = shell("import", archive, "--store", empty)
        assert (ran.code, "is locked by" in ran.err) == (1, True)
        assert shell("import", archive, "--dry-run", "--json", "--store", empty).json["imported"] == 40
    assert sum(in_store(empty).values()) == 0


def test_a_disk_that_gets_full_stops_it_and_a_second_run_completes_it(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([10**12, 10**12, 0])
    with monkeypatch.context() as patch:
        patch.setattr(FileSystem, "free_bytes", lambda self, path: next(left))
        patch.setattr(image_writer, "_LOOK_EVERY", 1000)
        with pytest.raises(StorageFull, match="nearly full"):
            plain_import(archive, tmp_path / "root")
    written = len(files_in(tmp_path / "root"))
    assert 0 < written < 40
    result = plain_import(archive, tmp_path / "root")
    assert (result.imported.total(), result.duplicates.total()) == (40 - written, written)


@pytest.mark.long
def test_a_folder_that_is_not_writable_is_named(shell: Shell, empty: Path, archive: Path) -> None:
    (empty / "Can").write_text("a file in place of a class")
    ran = shell("import", archive, "--store", empty)
    assert (ran.code, "Can" in ran.err) == (1, True)
    assert "internal error" not in ran.err


@pytest.mark.long
def test_a_class_folder_that_is_a_link_is_not_followed(
    shell: Shell, empty: Path, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (empty / "Can").symlink_to(tmp_path / "elsewhere")
    ran = shell("import", archive, "--store", empty)
    assert ran.code == 1 and "internal error" not in ran.err
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.long
def test_the_ignore_file_holds_for_what_is_imported(shell: Shell, empty: Path, archive: Path) -> None:
    (empty / ".astica-ignore").write_text("Can/1*.png\n")
    ran = shell("import", archive, "--json", "--store", empty)
    assert (ran.code, ran.json["imported"]) == (3, 34)
    assert sum("the ignore file" in problem["reason"] for problem in ran.json["problems"]) == 6


@pytest.mark.long
@pytest.mark.parametrize(
    "wrong",
    [
        ("--map", "dog"),
        ("--map", "=x"),
        ("--map", "a=b", "--map", "a=c"),
        ("--encoding", "nothing"),
        ("--layout", "nothing"),
        ("--split", "nothing"),
        ("--column", "nothing"),
        ("--column", "path=a", "--layout", "coco"),
    ],
)
def test_wrong_usage(shell: Shell, empty: Path, archive: Path, wrong: tuple[str, ...]) -> None:
    assert shell("import", archive, *wrong, "--store", empty).code == 2


@pytest.mark.long
def test_a_map_file_in_utf_16(shell: Shell, empty: Path, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_bytes("Can=Dose\r\nBottle=\r\n".encode("utf-16"))
    ran = shell("import", archive, "--map-file", tmp_path / "map.txt", "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["left_out_by_map"]) == (0, 20, 20)
    assert [path.name for path in empty.iterdir() if path.is_dir() and path.name[0] != "."] == ["Dose"]


@pytest.mark.long
def test_a_class_in_another_unicode_form_is_the_same(shell: Shell, empty: Path, tmp_path: Path) -> None:
    draw(empty / "Bu\u0308chse" / "a.png", 1)
    draw(tmp_path / "new" / "B\u00fcchse" / "b.png", 2)
    assert shell("import", tmp_path / "new", "--store", empty).code == 0
    assert sorted(path.name for path in (empty / "Bu\u0308chse").iterdir()) == ["a.png", "b.png"]


@pytest.mark.long
def test_the_held_out_folder_is_not_in_the_store(shell: Shell, empty: Path, tmp_path: Path) -> None:
    draw(tmp_path / "new" / "train" / "Can" / "b.png", 2)
    draw(tmp_path / "new" / "test" / "Can" / "c.png", 3)
    for held_out in (empty / "held", empty.parent):
        ran = shell("import", tmp_path / "new", "--split", "keep", "--held-out", held_out, "--store", empty)
        assert (ran.code, "overlap" in ran.err) == (1, True)
    assert sum(in_store(empty).values()) == 0


@pytest.mark.long
def test_an_image_of_both_parts_stays_on_one_side(shell: Shell, empty: Path, tmp_path: Path) -> None:
    draw(tmp_path / "new" / "train" / "Can" / "b.png", 2)
    draw(tmp_path / "new" / "test" / "Can" / "c.png", 2)
    back = tmp_path / "held"
    ran = shell("import", tmp_path / "new", "--split", "keep", "--held-out", back, "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["left_out"]) == (3, 1, 1)
    again = shell("import", tmp_path / "new", "--split", "keep", "--held-out", back, "--json", "--store", empty)
    assert (again.code, again.json["imported"], again.json["duplicates"], again.json["left_out"]) == (3, 0, 1, 1)


@pytest.mark.long
def test_what_the_service_does_not_take_is_a_problem_of_status(shell: Shell, empty: Path, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "new" / "Can").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "new" / "Can" / "a.webp")
    (empty / "astica-sync.toml").write_text("convert = false\n")
    ran = shell("import", tmp_path / "new", "--json", "--store", empty)
    assert (ran.code, ran.json["unsupported"]) == (0, {"WebP image": 1})
    again = shell("import", tmp_path / "new", "--json", "--store", empty)
    assert (again.json["imported"], again.json["duplicates"]) == (0, 1)
    status = shell("status", "--json", "--store", empty)
    assert [problem["path"] for problem in status.json["problems"]] == ["Can/a.webp"]


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        (("val",), "a part for validation, which"),
        (("test",), "a part for testing, which"),
        (("val", "test"), "a part for validation and one for testing, which"),
    ],
)
def test_a_dry_run_of_a_split_data_set_shows_it_and_ends_as_the_import_does(
    shell: Shell, empty: Path, tmp_path: Path, parts: tuple[str, ...], named: str
) -> None:
    for number, part in enumerate(("train", *parts)):
        draw(tmp_path / "new" / part / "Can" / "b.png", number)
    planned = shell("import", tmp_path / "new", "--dry-run", "--store", empty)
    assert planned.code == 1 and named in planned.err and "--split merge" in planned.err
    assert f"Would import {1 + len(parts)} images" in planned.out and "Parts of the data set: " in planned.out
    done = shell("import", tmp_path / "new", "--store", empty)
    assert (done.code, done.out) == (planned.code, "") and planned.err.endswith(done.err)
    merged = shell("import", tmp_path / "new", "--dry-run", "--split", "merge", "--store", empty)
    assert merged.code == 0 and f"Would import {1 + len(parts)} images" in merged.out


def test_the_command_names_a_table_that_is_not_used(shell: Shell, empty: Path, tmp_path: Path) -> None:
    draw(tmp_path / "new" / "img" / "0.png", 1)
    (tmp_path / "new" / "labels.csv").write_text("image,site,variety\nlost.png,north,Cox\n")
    ran = shell("import", tmp_path / "new", "--dry-run", "--store", empty)
    reason = "it has no column of labels that is known: it has image, site, variety"
    assert f"The table labels.csv is not used: {reason}. A table of labels has" in ran.err
    shown = shell("import", tmp_path / "new", "--dry-run", "--json", "--store", empty).json
    assert shown["unused_tables"] == [{"path": "labels.csv", "reason": reason}]
    assert shell("import", tmp_path / "new", "--dry-run", "--layout", "csv", "--store", empty).code == 1


def test_the_command_asks_for_the_columns_of_a_table_and_takes_them(shell: Shell, empty: Path, tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / "new" / "pics" / f"{number}.png", 40 + number)
    (tmp_path / "new" / "labels.csv").write_text(
        "Datei;Klasse;Train/Val;Ort\npics/0.png;fork;train;x\npics/1.png;fork;val;x\npics/2.png;FORK;train;y\n"
    )
    for dry in ((), ("--dry-run",)):
        ran = shell("import", tmp_path / "new", *dry, "--store", empty)
        assert (ran.code, ran.out) == (1, "") and "it has Datei, Klasse, Train/Val, Ort" in " ".join(ran.err.split())
    words = ("import", tmp_path / "new", "--column", "path=Datei", "--column", "label=Klasse", "--store", empty)
    planned = shell(*words, "--dry-run")
    assert "path from Datei, label from Klasse, split from Train/Val; not used: Ort" in planned.err
    assert planned.code == 1 and "New class FORK: did you mean fork?" in planned.out
    assert "differ only in case as one class: --ignore-case" in planned.out
    assert shell(*words, "--split", "merge").code == 4
    done = shell(*words, "--ignore-case", "--split", "keep", "--held-out", tmp_path / "held")
    assert (done.code, classes_in(empty)) == (3, {"fork"}), done
    assert len(list((empty / "fork").iterdir())) == 2 and len(list((tmp_path / "held" / "fork").iterdir())) == 1


def classes_in(store: Path) -> set[str]:
    return {path.name for path in store.iterdir() if not path.name.startswith(".")}


def shots(root: Path, *folders: str) -> Path:
    """A folder with an image in each of the folders below it."""
    for number, folder in enumerate(folders):
        draw(root / folder / "IMG_0001.png", 700 + number)
    return root


@pytest.mark.parametrize(
    "folders",
    [
        ("DCIM/100APPLE",),
        ("DCIM/100APPLE", "DCIM/101APPLE"),
        ("100CANON", "Screenshots"),
        ("DCIM/Camera",),
        ("2024-05",),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_folders_of_a_camera_become_no_classes_unasked(
    shell: Shell, empty: Path, tmp_path: Path, folders: tuple[str, ...], zipped: bool
) -> None:
    source = shots(tmp_path / "phone", *folders)
    if zipped:
        source = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "phone"))
    label = folders[0].rpartition("/")[2]
    words = ("import", source, "--store", empty)
    ran = shell(*words)
    assert ran.code == 4 and "named by a camera or by date, and would be the classes" in " ".join(ran.err.split())
    assert f"--map '{label}=CLASS'" in " ".join(ran.err.split()) and "add --yes" in " ".join(ran.err.split())
    assert not in_store(empty)
    assert f"Classes named by a camera or by date: {label}" in shell(*words, "--dry-run").out
    pairs = [f"{folder.rpartition('/')[2]}=Cup" for folder in folders]
    mapped = shell(*words, *(word for pair in pairs for word in ("--map", pair)))
    assert (mapped.code, "named by a camera" in mapped.out) == (0, False), mapped.err
    assert classes_in(empty) == {"Cup"}


def test_folders_of_a_camera_are_taken_with_yes_and_again_without(shell: Shell, empty: Path, tmp_path: Path) -> None:
    source = shots(tmp_path / "phone", "DCIM/100APPLE")
    ran = shell("import", source, "--yes", "--store", empty)
    assert ran.code == 0 and "Classes named by a camera or by date: 100APPLE" in ran.out
    assert classes_in(empty) == {"100APPLE"}
    shots(source, "DCIM/100APPLE", "DCIM/100APPLE/more")
    assert shell("import", source, "--store", empty).code == 0


def test_a_class_beside_folders_of_a_camera_and_a_label_in_a_table_are_no_question(
    shell: Shell, empty: Path, tmp_path: Path
) -> None:
    assert shell("import", shots(tmp_path / "some", "Cup", "100APPLE"), "--store", empty).code == 0
    source = tmp_path / "listed"
    draw(source / "images" / "IMG_0001.png", 790)
    (source / "labels.csv").write_text("path,label\nimages/IMG_0001.png,2024-05\n")
    assert shell("import", source, "--store", empty).code == 0


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 GIF image: status lists it as a problem."), (2, "2 GIF images: status lists them as problems.")],
)
def test_images_that_the_service_does_not_take_are_counted(
    shell: Shell, empty: Path, tmp_path: Path, count: int, text: str
) -> None:
    for number in range(count):
        draw(tmp_path / "set" / "Cup" / f"{number}.gif", number, "GIF")
    draw(tmp_path / "set" / "Cup" / "good.png", 90)
    ran = shell("import", tmp_path / "set", "--dry-run", "--store", empty)
    assert "The service does not take" not in ran.out
    (empty / "astica-sync.toml").write_text('convert = "none"\n')
    ran = shell("import", tmp_path / "set", "--store", empty)
    assert f"The service does not take {text}" in ran.out


def test_a_table_is_a_source_whose_folder_has_the_images(shell: Shell, store: Path, tmp_path: Path) -> None:
    source = tmp_path / "ds"
    for number in range(3):
        draw(source / f"images/{number}.png", 700 + number)
    (source / "labels.csv").write_text("path,label\nimages/0.png,Can\n")
    (source / "other.csv").write_text("path,label\nimages/1.png,Can\n")
    (source / "more.json").write_text('[{"path": "images/2.png", "label": "Can"}]')
    before = in_store(store)
    ran = shell("import", source / "labels.csv", "--store", store)
    assert (ran.code, "2  the labels do not name it" in ran.out) == (3, True), ran.out
    assert in_store(store) - before == Counter([("can", (source / "images/0.png").read_bytes())])
    wrong = shell("import", source / "labels.csv", "--layout", "coco", "--store", store)
    assert wrong.code == 2 and "is a table of labels, and --layout coco reads none" in wrong.err


def test_a_table_with_unknown_columns_imports_nothing_else_of_its_folder(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    source = tmp_path / "ds"
    draw(source / "Paper/0.png", 700)
    (source / "bilder.CSV").write_text("Datei;Klasse\nPaper/0.png;Can\n")
    before = in_store(store)
    ran = shell("import", source / "bilder.CSV", "--store", store)
    assert ran.code == 1 and "--column path=Datei --column label=Klasse" in ran.err
    assert in_store(store) == before
    chosen = ("--column", "path=Datei", "--column", "label=Klasse")
    assert shell("import", source / "bilder.CSV", *chosen, "--store", store).code == 0
    assert sum((in_store(store) - before).values()) == 1


def test_a_dry_run_ends_as_the_import_does_and_advises_to_map_a_spelling(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    """Both classes of an image that is there in one of them would have it twice."""
    source = tmp_path / "ds"
    shutil.copytree(store / "Can", source / "can")
    draw(source / "Bottle/new.png", 700)
    before = in_store(store)
    dry = shell("import", source, "--dry-run", "--store", store)
    assert dry.code == 4 == shell("import", source, "--store", store).code
    assert "Would import 1 image after the answer about new classes below, and nothing before." in dry.out
    assert "--map 'can=Can'" in dry.out.partition("Left out")[2] and "--several-classes" not in dry.out
    assert in_store(store) == before
    assert shell("import", source, "--dry-run", "--map", "can=Can", "--store", store).code == 0
