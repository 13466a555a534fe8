"""Evaluation of versions on held-out images: metrics, leaks, unknown classes, files that are not images."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from astica_sync.core.evaluation.percent_text import percent
from astica_sync.errors import AsticaSyncError
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.detect import DetectionResult, Detector, VersionRefused
from astica_sync.training.evaluation.evaluate import HeldOutSet, evaluate
from astica_sync.training.evaluation.held_out_folder import HeldOutImage, select_known
from astica_sync.training.find_images import ImageInput
from tests.harness.digits import write_digits
from tests.harness.mount_namespace import Ground
from tests.harness.shell import Shell, draw, on_service
from tests.harness.trained_store import trained_digits

# Seconds of real processes or trainings for each test.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningSandbox, Path]]:
    """A trained store of digits for all tests of this module that do not change it."""
    with trained_digits(tmp_path_factory.mktemp("trained"), 14) as made:
        yield made


@pytest.fixture
def sandbox(trained: tuple[RunningSandbox, Path]) -> RunningSandbox:
    trained[0].clear_log()
    return trained[0]


@pytest.fixture
def store(trained: tuple[RunningSandbox, Path]) -> Path:
    return trained[1]


@pytest.fixture
def own_store(shell: Shell, own_model: int, tmp_path: Path) -> Path:
    """A trained store of digits for one test, which may change it."""
    folder = write_digits(tmp_path / "digits", 14)
    for arguments in (["init", folder, "--model", str(own_model)], ["push", "--store", folder]):
        ran = shell(*arguments)
        assert ran.code == 0, ran.err
    ran = shell("train", "--store", folder)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def own_model(sandbox: RunningSandbox) -> int:
    """The model of ``own_store``."""
    return sandbox.add_model("Digits of one test")


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    return write_digits(tmp_path / "held-out", 8, start=14)


def test_a_planted_link_in_place_of_a_report_is_replaced(
    shell: Shell, own_store: Path, held_out: Path, tmp_path: Path
) -> None:
    mine, report = tmp_path / ".bashrc", tmp_path / "report.html"
    mine.write_text("mine")
    report.symlink_to(mine)
    assert shell("evaluate", held_out, "--html", report, "--store", own_store).code == 0
    assert mine.read_text() == "mine"
    assert "<!doctype html>" in report.read_text()
    assert report.lstat().st_mode & 0o7777 == 0o600
    refused = shell("evaluate", held_out, "--html", tmp_path, "--store", own_store)
    assert refused.code == 2


def test_wrong_labels_lower_the_score_and_the_earlier_data_restores_it(
    shell: Shell, sandbox: RunningSandbox, own_store: Path, own_model: int, held_out: Path, tmp_path: Path
) -> None:
    first = sandbox.versions(own_model)[0]
    good = on_service(sandbox, own_model)
    for place in range(12):
        (own_store / "one" / f"{place:03}.png").rename(own_store / "two" / f"wrong-{place}.png")
        (own_store / "zero" / f"{place:03}.png").rename(own_store / "three" / f"wrong-{place}.png")
    assert shell("push", "--yes", "--store", own_store).code == 0
    second = shell("train", "--store", own_store).out.strip()

    ran = shell(
        "evaluate", held_out, "--versions", "all", "--html", tmp_path / "report.html", "--json", "--store", own_store
    )
    assert ran.code == 0, ran.err
    before, after = ran.json["versions"]
    assert (before["version"], after["version"]) == (first, second)
    assert before["accuracy"] > 0.85 > after["accuracy"]
    low, high = before["interval"]
    assert low < before["accuracy"] <= high
    assert {mistake["class"] for mistake in after["mistakes"]} >= {"one", "zero"}
    assert f"{first} is significantly better than {second}" in ran.json["comparisons"][0]["sentence"]
    titles, rows = after["confusion"]["titles"], after["confusion"]["rows"]
    assert rows[titles.index("one")][titles.index("two")] >= 4
    report = (tmp_path / "report.html").read_text()
    # Each mistake once in its list, and large, as are the images of the cells.
    assert report.count("data:image/jpeg;base64,") > len(before["mistakes"]) + len(after["mistakes"])
    for mistake in after["mistakes"]:
        assert report.count(mistake["path"]) >= 2
    assert "://" not in report
    assert "is significantly better than" in report

    assert shell("push", "--as", first, "--yes", "--store", own_store).code == 0
    assert on_service(sandbox, own_model) == good
    third = shell("train", "--store", own_store).out.strip()
    again = shell("evaluate", held_out, "--versions", third, "--json", "--store", own_store).json["versions"][0]
    assert again["accuracy"] == before["accuracy"]
    listed = shell("versions", "--store", own_store).out
    assert "moved in" in listed
    assert f"{percent(before['accuracy'])} right" in listed


def test_the_text_output_has_the_confusion_matrix_and_the_worst_mistakes(
    shell: Shell, sandbox: RunningSandbox, store: Path, held_out: Path
) -> None:
    (held_out / "zero" / "014.png").rename(held_out / "one" / "is a zero.png")
    out = shell("evaluate", held_out, "--store", store).out
    lines = out.splitlines()
    (head,) = [line for line in lines if "is \\ answer" in line]
    assert head.split()[-4:] == ["1", "2", "3", "4"]
    rows = [line.split() for line in lines[lines.index(head) + 1 :][:4]]
    assert [row[:2] for row in rows] == [["1", "one"], ["2", "three"], ["3", "two"], ["4", "zero"]]
    assert sum(int(cell) for row in rows for cell in row[2:] if cell != ".") == 32
    assert rows[0][5] == "1", "the zero among the ones was taken for a zero"
    assert "one/is a zero.png: zero (" in out and "instead of one" in out


def test_where_shared_memory_cannot_be_used_nothing_is_said_about_it(shell: Shell, store: Path, held_out: Path) -> None:
    ground = Ground()
    try:
        ground.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/dev/shm"])
        joblib = subprocess.run(
            [*ground.under, sys.executable, "-c", "import joblib"], capture_output=True, text=True, check=True
        )
        assert "joblib will operate in serial mode" in joblib.stderr
        ran = shell.finish(shell.start("evaluate", held_out, "--store", store, under=ground.under))
    finally:
        ground.close()
    assert ran.code == 0, ran.err
    assert "joblib" not in ran.err and "Warning" not in ran.err, ran.err


def test_files_of_other_formats_are_counted_and_listed_in_json_and_in_the_report(
    shell: Shell, store: Path, held_out: Path, tmp_path: Path
) -> None:
    title = sorted(path for path in held_out.iterdir() if path.is_dir())[0].name
    for number in range(3):
        (held_out / title / f"{number}.psd").write_bytes(b"8BPS" + bytes(40))
    (held_out / "scan.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    (held_out / "split.txt").write_text("the folder of a test")
    counted = "4 files left out: 3 Photoshop, 1 JPEG XL (evaluate takes PNG and JPEG, and what is converted to them)"
    report = tmp_path / "report.html"
    ran = shell("evaluate", held_out, "--json", "--html", report, "--store", store)
    assert ran.code == 0, ran.err
    assert counted in ran.err
    assert ran.json["unsupported"] == [
        *({"path": f"{title}/{number}.psd", "format": "Photoshop image"} for number in range(3)),
        {"path": "scan.jxl", "format": "JPEG XL image"},
    ]
    text = report.read_text("utf-8")
    assert "Neither sent nor converted, left out (3 Photoshop, 1 JPEG XL)" in text and "scan.jxl" in text
    assert counted in shell("evaluate", held_out, "--dry-run", "--store", store).err
    for path in held_out.rglob("*.png"):
        path.unlink()
    ran = shell("evaluate", held_out, "--store", store)
    assert ran.code == 1 and "no image in a class folder; it has 3 Photoshop, 1 JPEG XL" in ran.err


def test_a_repeated_evaluation_costs_no_detection(
    shell: Shell, sandbox: RunningSandbox, store: Path, held_out: Path
) -> None:
    assert shell("evaluate", held_out, "--store", store).code == 0
    sandbox.clear_log()
    assert shell("evaluate", held_out, "--store", store).code == 0
    assert shell("detect", held_out, "--store", store).code == 0
    assert not sandbox.requests_of("detect")


def test_an_image_of_the_store_counts_as_a_leak_and_is_left_out(shell: Shell, store: Path, held_out: Path) -> None:
    shutil.copy(store / "two" / "003.png", held_out / "two" / "same.png")
    with Image.open(store / "three" / "005.png") as image:
        image.resize((50, 50)).save(held_out / "three" / "again.jpg", quality=85)
    ran = shell("evaluate", held_out, "--json", "--store", store).json
    assert [(leak["path"], leak["source"], leak["same_bytes"]) for leak in ran["leaks"]] == [
        ("three/again.jpg", "three/005.png", False),
        ("two/same.png", "two/003.png", True),
    ]
    assert ran["versions"][0]["shown"] == 32
    assert "2 images are also in the training data" in shell("evaluate", held_out, "--store", store).out
    with_leaks = shell("evaluate", held_out, "--leaks", "--json", "--store", store).json
    assert with_leaks["versions"][0]["shown"] == 34
    of_version = shell("versions", "--offline", "--json", "--store", store).json["versions"][-1]
    assert [score["leaked"] for score in of_version["scores"][-2:]] == [0, len(with_leaks["leaks"])]
    printed = shell("versions", "--offline", "--store", store).out
    assert f"right of 34 ({len(with_leaks['leaks'])} of them also in its data) in held-out" in printed


def test_an_image_that_was_trained_on_and_removed_since_counts_as_a_leak(
    shell: Shell, own_store: Path, held_out: Path
) -> None:
    (own_store / "one" / "000.png").rename(held_out / "one" / "moved-out.png")
    assert shell("push", "--store", own_store).code == 0
    ran = shell("evaluate", held_out, "--json", "--store", own_store).json
    assert [leak["path"] for leak in ran["leaks"]] == ["one/moved-out.png"]


def test_images_in_no_class_folder_and_identical_images_are_stated_and_count_once(
    shell: Shell, store: Path, held_out: Path
) -> None:
    shown = shell("evaluate", held_out, "--json", "--store", store).json["versions"][0]["shown"]
    shutil.copy(held_out / "one" / "014.png", held_out / "loose.png")
    for number in range(3):
        shutil.copy(held_out / "one" / "014.png", held_out / "one" / f"same-{number}.png")
    shutil.copy(held_out / "one" / "015.png", held_out / "two" / "other.png")
    ran = shell("evaluate", held_out, "--json", "--store", store).json
    assert ran["loose"] == ["loose.png"]
    assert ran["repeated"] == [f"one/same-{number}.png" for number in range(3)]
    assert ran["contradictory"] == [["one/015.png", "two/other.png"]]
    assert ran["versions"][0]["shown"] == shown + 1
    printed = shell("evaluate", held_out, "--store", store).out
    assert "1 image is in no class folder and left out: loose.png" in printed
    assert "3 images have the same bytes as another one of its class, counted once" in printed
    assert "in several classes, so it counts as wrong in one of them: one/015.png, two/other.png" in printed


def test_the_leak_check_states_training_images_whose_bytes_are_not_here_and_compares_hashes_first(
    shell: Shell, sandbox: RunningSandbox, own_store: Path, own_model: int, held_out: Path, tmp_path: Path
) -> None:
    for seed in range(3):
        glass = draw(tmp_path / "glass" / f"{seed}.png", 700 + seed)
        sandbox.add_sample(own_model, "Glass", glass.read_bytes(), f"glass-{seed}")
    assert shell("train", "--store", own_store).code == 0
    draw(held_out / "Glass" / "a.png", 1)
    same = own_store / "one" / "000.png"
    shutil.copy(same, held_out / "one" / "leak.png")
    data = same.read_bytes()
    same.unlink()
    assert shell("push", "--store", own_store).code == 0
    for path in (own_store / ".astica-sync" / "backup").rglob("*.png"):
        if path.read_bytes() == data:
            path.unlink()
    ran = shell("evaluate", held_out, "--json", "--store", own_store).json
    assert ran["unknown_classes"] == {}
    assert ran["unchecked"] == {ran["versions"][0]["version"]: 4}
    assert [(leak["path"], leak["same_bytes"]) for leak in ran["leaks"]] == [("one/leak.png", True)]
    assert "4 training images of version" in shell("evaluate", held_out, "--store", own_store).out


def test_images_that_another_store_has_sent_are_compared_by_their_uids(
    shell: Shell, sandbox: RunningSandbox, own_store: Path, own_model: int, held_out: Path, tmp_path: Path
) -> None:
    """Both stores had the images, and this one has split them off."""
    other = tmp_path / "other"
    shutil.copytree(own_store, other, ignore=shutil.ignore_patterns(".astica-sync"))
    gone = own_store / "one" / "000.png"
    shutil.move(gone, held_out / "one" / "leak.png")
    assert shell("push", "--yes", "--store", own_store).code == 0
    assert shell("init", other, "--model", str(own_model), "--yes").code == 0
    assert shell("push", "--store", other).code == 0
    assert shell("train", "--store", own_store).code == 0
    ran = shell("evaluate", held_out, "--json", "--store", own_store).json
    assert [(leak["path"], leak["same_bytes"]) for leak in ran["leaks"]] == [("one/leak.png", True)]


def test_it_says_how_many_answers_there_will_be_before_the_first_one(tmp_path: Path) -> None:
    """The first answer may take seconds, in which nothing else is shown."""

    class Gone:
        version = "1"

        def run(self, inputs: Iterable[ImageInput]) -> Iterator[DetectionResult]:
            raise VersionRefused(f"after {reported}")

    reported: list[tuple[int, int]] = []
    image = HeldOutImage("Can/a.png", draw(tmp_path / "Can" / "a.png", 1), "Can", "content", tmp_path)
    with pytest.raises(AsticaSyncError, match=re.escape("after [(0, 1)]")):
        evaluate(
            HeldOutSet([tmp_path], [image]),
            [cast("Detector", Gone())],
            on_progress=lambda done, total: reported.append((done, total)),
        )


def test_unknown_classes_are_listed(shell: Shell, store: Path, held_out: Path, tmp_path: Path) -> None:
    draw(held_out / "seven" / "a.png", 1)
    ran = shell("evaluate", held_out, "--json", "--store", store).json
    assert ran["unknown_classes"] == {"seven": 1}
    only = tmp_path / "only"
    draw(only / "seven" / "a.png", 1)
    ran = shell("evaluate", only, "--store", store)
    assert ran.code == 1
    assert "no version knows any of the classes 'seven'" in ran.err


def test_classes_that_differ_in_case_alone_are_evaluated_as_two_where_the_service_keeps_them_apart(
    shell: Shell, own_model: int, tmp_path: Path
) -> None:
    names = ("can", "CAN")
    folder = write_digits(tmp_path / "digits", 14, names=names)
    held_out = write_digits(tmp_path / "held-out", 8, start=14, names=names)
    for arguments in (["init", folder, "--model", str(own_model)], ["push", "--yes", "--store", folder]):
        assert shell(*arguments).code == 0
    assert shell("train", "--store", folder).code == 0
    ran = shell("evaluate", held_out, "--json", "--store", folder)
    assert ran.code == 0, ran.err
    of_version = ran.json["versions"][0]
    assert sorted(entry["class"] for entry in of_version["classes"]) == ["CAN", "can"]


def test_an_answer_of_another_class_of_the_version_is_wrong_where_no_image_is_of_that_class(
    shell: Shell, own_model: int, tmp_path: Path
) -> None:
    """The answers are CAN, a class of its own, for images that are held out as can."""
    names = ("can", "CAN")
    folder = write_digits(tmp_path / "digits", 14, names=names)
    written = write_digits(tmp_path / "written", 8, start=14, names=names)
    for arguments in (["init", folder, "--model", str(own_model)], ["push", "--yes", "--store", folder]):
        assert shell(*arguments).code == 0
    assert shell("train", "--store", folder).code == 0
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    (written / "CAN").rename(held_out / "can")
    answers = shell("detect", held_out / "can", "--json", "--store", folder).out
    ran = shell("evaluate", held_out, "--json", "--store", folder)
    assert ran.code == 0, ran.err
    of_version = ran.json["versions"][0]
    assert of_version["right"] == answers.count('"output": "can"') < of_version["shown"]
    assert "CAN" in {one["output"] for one in of_version["mistakes"]}


def image(title: str) -> HeldOutImage:
    return HeldOutImage(f"{title}/a.png", Path(title) / "a.png", title, "0" * 32, Path())


def test_a_folder_is_of_the_class_that_it_can_only_be() -> None:
    known = [{"can", "CAN", "Jar"}, {"Jar", "Lid"}]
    chosen, unknown = select_known([image("can"), image("CAN"), image("Can"), image("JAR"), image("Lid")], known)
    assert [each.title for each in chosen] == ["can", "CAN", "Jar", "Lid"]
    assert unknown == {"Can": 1}
    # Two versions spell it differently, so the service takes both for one class.
    chosen, unknown = select_known([image("can"), image("CAN")], [{"can"}, {"CAN"}])
    assert len({each.title for each in chosen}) == 1 and unknown == {}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "no image in a class folder"),
        (lambda folder: draw(folder / "loose.png", 1), "no image in a class folder"),
    ],
)
def test_a_folder_without_held_out_images_is_an_error(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path, make: object, says: str
) -> None:
    assert callable(make)
    make(tmp_path / "empty")
    sandbox.clear_log()
    ran = shell("evaluate", tmp_path / "empty", "--store", store)
    assert ran.code == 1
    assert says in ran.err
    assert sandbox.log == []


def test_a_file_that_is_not_an_image_is_listed_and_the_others_count(shell: Shell, store: Path, held_out: Path) -> None:
    (held_out / "one" / "broken.png").write_text("this is no image")
    ran = shell("evaluate", held_out, "--json", "--store", store)
    assert ran.code == 3
    assert [entry["path"] for entry in ran.json["failed"]] == ["one/broken.png"]
    assert ran.json["versions"][0]["shown"] == 32


def test_evaluating_an_unknown_version_is_an_error(shell: Shell, store: Path, held_out: Path) -> None:
    for arguments in (["evaluate", held_out, "--versions", "nope"], ["detect", held_out, "--version", "nope"]):
        ran = shell(*arguments, "--store", store)
        assert ran.code == 1
        assert "cannot run version 'nope'" in ran.err


def test_images_that_an_ignore_file_of_the_folder_leaves_out_are_named(
    shell: Shell, store: Path, held_out: Path
) -> None:
    (held_out / ".astica-ignore").write_text("one/014*\ntwo/\n*.txt\n")
    (held_out / "one" / "notes.txt").write_text("no image")
    ignored = sorted(path.relative_to(held_out).as_posix() for path in held_out.glob("two/*.png"))
    ignored = [*(path.relative_to(held_out).as_posix() for path in held_out.glob("one/014*")), *ignored]
    ran = shell("evaluate", held_out, "--json", "--store", store).json
    assert ran["ignored"] == ignored and len(ignored) > 8
    shown = shell("evaluate", held_out, "--store", store).out
    assert f"{len(ignored)} images are left out by the .astica-ignore of the folder: {ignored[0]}" in shown


def test_more_than_a_tenth_left_out_as_similar_is_said_with_pairs(shell: Shell, store: Path, held_out: Path) -> None:
    for number in range(3):
        shutil.copy(store / "two" / f"00{number}.png", held_out / "two" / f"same{number}.png")
    shown = shell("evaluate", held_out, "--store", store).out
    assert "are left out: the scores" not in shown
    for number in range(3):
        with Image.open(store / "three" / f"00{number}.png") as image:
            image.resize((50, 50)).save(held_out / "three" / f"again{number}.jpg", quality=85)
    shown = shell("evaluate", held_out, "--store", store).out
    assert "6 of 38 images (15.8 %) are left out: the scores are about 32 images; " in shown
    assert "leak: three/again0.jpg, nearly the same picture as three/000.png" in shown


def test_where_all_are_left_out_as_similar_the_error_names_pairs(shell: Shell, store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "similar"
    (folder / "three").mkdir(parents=True)
    with Image.open(store / "three" / "000.png") as image:
        image.resize((50, 50)).save(folder / "three" / "again.jpg", quality=85)
    ran = shell("evaluate", folder, "--store", store)
    assert ran.code == 1
    assert "in the training data as well: three/again.jpg is nearly the same picture as three/000.png" in ran.err
