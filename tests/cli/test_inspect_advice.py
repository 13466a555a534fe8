"""What ``inspect`` says to do can be done as it is printed, and leaves one image of each picture."""

import itertools
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from astica_sync.inspect.findings import (
    MOST_REMOVED,
    Finding,
    Image,
    find_copies,
    find_no_image,
    find_outlier,
    find_small_classes,
    find_unreadable,
    find_wrong_label,
)
from astica_sync.local.image.format import broken, damaged, describe, needs_extra
from tests.harness.planted_pictures import real_photos
from tests.harness.shell import Shell

COMMANDS = ("rm ", "mv ")


def commands(lines: list[str]) -> list[str]:
    return [line.partition(": ")[2] for line in lines if line.partition(": ")[2].startswith(COMMANDS)]


def copies(count: int, *, titles: tuple[str, ...] = ("Can",), held_out: int = 0) -> list[Image]:
    """So many contents of one picture, the last of them held out."""
    return [
        Image(titles[place % len(titles)], (f"{titles[place % len(titles)]}/{place}.jpg",), f"{place}", held)
        for place, held in enumerate([False] * (count - held_out) + [True] * held_out)
    ]


def all_pairs(images: list[Image]) -> list[tuple[str, str, float, str]]:
    contents = dict.fromkeys(image.content for image in images)
    return [(one, other, 0.9, "again") for one, other in itertools.combinations(contents, 2)]


def found(images: list[Image]) -> Finding:
    [finding] = find_copies(images, all_pairs(images))
    return finding


def test_every_command_runs_in_the_current_folder_and_one_image_of_each_picture_stays(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in list(store.iterdir()):
        if not folder.name.startswith("."):
            shutil.rmtree(folder)
    photo, other, *_ = real_photos()
    for title in ("-rf", "Can", "\u2603 it's"):
        (store / title).mkdir()
        for number, quality in enumerate((92, 80)):
            photo.save(store / title / f"-{title} {number}.jpg", quality=quality)
    (store / "-i").mkdir()
    other.save(store / "-i" / "-1.jpg")
    other.resize((300, 220)).save(store / "-i" / "2.jpg")
    monkeypatch.chdir(store)
    inside = shell("inspect", "--no-features")
    assert any(line.startswith("rm ./-") for line in commands(inside.out.splitlines())), inside.out
    outside = shell.home / "outside"
    (outside / "Can").mkdir(parents=True)
    monkeypatch.chdir(outside)
    ran = shell("inspect", str(store), "--no-features", "--html", "r.html")
    assert ran.code == 0, ran.err
    run = commands(ran.out.splitlines())
    assert len(run) == 2, ran.out
    page = unescape(Path("r.html").read_text("utf-8"))
    for command in run:
        assert command in page and not command.startswith("rm Can/")
        subprocess.run(["bash", "-c", command], check=True)
    assert len([*store.glob("-i/*.jpg")]) == 1
    assert len([*store.glob("[!.]*/*.jpg")]) == 2


@pytest.mark.parametrize(
    ("held_out", "store", "command"),
    [
        (False, "", "rm Can/a.jpg"),
        (False, "my photos", "rm 'my photos/Can/a.jpg'"),
        (False, "/photos", "rm /photos/Can/a.jpg"),
        (True, "/photos", "rm /here/Can/a.jpg"),
    ],
)
def test_a_command_reaches_the_file_from_the_folder_where_it_is_typed(held_out: bool, store: str, command: str) -> None:
    image = Image("Can", ("Can/a.jpg",), "1", held_out)
    assert find_outlier(image, 0.9).advice_from(store, "/here").endswith(f": {command}")
    assert find_unreadable(image, "it is broken").advice_from(store, "/here").endswith(f": {command}")


def test_every_part_of_an_advice_reaches_the_store() -> None:
    wrong = find_wrong_label(Image("Can", ("Can/a.jpg",), "1"), "Jar", 0.9)
    assert wrong.advice_from("photos") == "if it is: mv photos/Can/a.jpg photos/Jar/"
    assert found(copies(3)).advice_from("photos") == (
        "keep one; if that is photos/Can/0.jpg: rm photos/Can/1.jpg photos/Can/2.jpg"
    )
    assert find_small_classes({"Can": 2})[0].advice_from("photos").startswith("add images to photos/Can/, ")


def test_a_class_or_file_that_begins_with_a_hyphen_is_no_option(tmp_path: Path) -> None:
    (tmp_path / "-rf").mkdir()
    (tmp_path / "-rf" / "f1.jpg").touch()
    (tmp_path / "-v").mkdir()
    finding = find_wrong_label(Image("-rf", ("-rf/f1.jpg",), "1"), "-v", 0.9)
    [command] = commands([finding.advice])
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "-v" / "f1.jpg").exists()


def test_many_copies_of_a_picture_are_one_finding() -> None:
    finding = found(copies(18))
    assert (finding.kind, finding.text) == ("duplicate", "18 images of one picture: saved again, scaled or lighter")
    assert finding.advice.startswith("keep one; if that is Can/0.jpg: rm Can/1.jpg ")
    assert "Can/17.jpg" in finding.advice and finding.advice.count("Can/0.jpg") == 1
    more = found(copies(MOST_REMOVED + 2))
    assert more.advice == "keep one; if that is Can/0.jpg: remove the others"


def test_copies_in_two_classes_are_one_finding_that_keeps_one() -> None:
    images = [*copies(2, titles=("Can", "Bottle")), Image("Bottle", ("Bottle/same.jpg", "Bottle/again.jpg"), "0")]
    finding = found(images)
    assert finding.kind == "several-classes"
    assert finding.text == "3 images of one picture: the same bytes; saved again, scaled or lighter"
    assert finding.advice == (
        "keep one, in the class that is right; if that is Can: rm Bottle/1.jpg Bottle/same.jpg Bottle/again.jpg"
    )
    assert found(copies(2, titles=("Can", "Bottle"))).kind == "duplicate-classes"


def test_what_is_held_out_stays_there() -> None:
    finding = found(copies(3, held_out=1))
    assert finding.kind == "held-out"
    assert finding.advice == "keep it in one of the two; if it is to stay held out: rm Can/0.jpg Can/1.jpg"


@pytest.mark.parametrize("titles", [("Can",), ("Can", "Bottle")])
def test_copies_among_the_held_out_images_alone_are_no_error(titles: tuple[str, ...]) -> None:
    assert "rm " not in found(copies(2, titles=titles, held_out=2)).advice


def test_a_folder_that_is_named_twice_has_no_copies() -> None:
    assert find_copies([*copies(1, held_out=1), *copies(1, held_out=1)], [("0", "gone", 0.9, "again")]) == []


AGAIN = "copy it here again; if it looks right, save it again with an image editor, or list it in .astica-ignore"


@pytest.mark.parametrize(
    ("reason", "text", "advice"),
    [
        (broken("its chunk: bad; or cut"), "broken image, its chunk: bad; or cut", AGAIN),
        (damaged("a: b; c"), "broken image, its data are damaged (a: b; c)", AGAIN),
        (describe(b"", 0), "empty file", "copy it here again, or list it in .astica-ignore"),
        (
            needs_extra("HEIC image", "an extra", "heif-convert"),
            "HEIC image: not checked, as that needs an extra",
            "install it to have the image converted if it is whole, or convert it (heif-convert), or list it in "
            ".astica-ignore",
        ),
        (
            "cannot be read: I/O error; check the disk: see dmesg",
            "cannot be read: I/O error",
            "check the disk: see dmesg",
        ),
        ("it cannot be decoded", "it cannot be decoded", "replace it, or remove it: rm ./-a/b.jpg"),
    ],
)
def test_a_damaged_file_has_one_advice(reason: str, text: str, advice: str) -> None:
    finding = find_no_image("-a/b.jpg", reason)
    assert (finding.text, finding.advice) == (text, advice)


def test_a_cut_jpeg_has_its_advice_once(shell: Shell, store: Path) -> None:
    real_photos()[0].save(store / "Can" / "cut.jpg")
    data = (store / "Can" / "cut.jpg").read_bytes()
    (store / "Can" / "cut.jpg").write_bytes(data[: len(data) // 2])
    ran = shell("inspect", str(store), "--no-features", "--only", "damaged")
    assert ran.out.count("copy it") == 1, ran.out


def test_the_text_on_small_classes_is_one_statement() -> None:
    few, small = find_small_classes({"-rf": 2, "Can": 2}), find_small_classes({"-rf": 1, "Can": 100, "Box": 200})
    assert [one.text for one in few] == ["it has only 2 images"] * 2
    assert [one.text for one in small] == ["it has only 1 image, and half of the classes have 100 or more"]
    assert small[0].advice == "add images to ./-rf/, or merge it with another class"
