"""Problems of one class with the same reason are one line of the text; ``--json`` lists each of them."""

from pathlib import Path

import pytest

from tests.harness.screen import Terminal
from tests.harness.shell import Shell, draw

VIDEO = b"\0\0\0\x14ftypqt  " + bytes(100)
TIFF = b"II*\0" + bytes(64)
REASON = "video or other media file: not an image; move it out"


def add_videos(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"IMG_{number:04}.MOV").write_bytes(VIDEO + bytes([number]))


def problem_lines(out: str) -> list[str]:
    """The lines of the section about problems."""
    return out.partition("\nProblems (")[2].partition("\n\n")[0].splitlines()[1:]


@pytest.mark.parametrize("words", [("status",), ("push", "--dry-run")])
def test_the_videos_of_live_photos_are_one_line_for_each_class(
    shell: Shell, pushed: Path, words: tuple[str, ...]
) -> None:
    add_videos(pushed / "Can", 12)
    add_videos(pushed / "Bottle", 4)
    (pushed / "Can" / "notes.txt").write_text("seen at the river")
    out = shell(*words, "--store", pushed).out
    assert "Problems (17):" in out
    lines = problem_lines(out)
    assert len(lines) == 4, lines
    assert lines[0].startswith(f"  ! Bottle/IMG_0000.MOV, Bottle/IMG_0001.MOV and 2 more of Bottle  ({REASON}")
    assert lines[1].startswith(f"  ! Can/IMG_0000.MOV, Can/IMG_0001.MOV and 10 more of Can  ({REASON}")
    assert lines[2].startswith("  ! Can/notes.txt  (text file: ")
    assert lines[3] == "  --json lists all"
    listed = shell("status", "--json", "--store", pushed).json["problems"]
    assert len(listed) == 17 and {"Can/IMG_0011.MOV", "Bottle/IMG_0003.MOV"} < {one["path"] for one in listed}


def test_the_line_for_the_ignore_file_has_the_ending_of_the_files(shell: Shell, pushed: Path) -> None:
    for name in ("VID-0003.mp4", "IMG_1.MOV", "no ending"):
        (pushed / "Can" / name).write_bytes(VIDEO + name.encode())
    reasons = {one["path"]: one["reason"] for one in shell("status", "--json", "--store", pushed).json["problems"]}
    listed = "list it in .astica-ignore"
    assert reasons["Can/VID-0003.mp4"].endswith(f"{listed} (a line *.mp4 leaves out all such files)")
    assert reasons["Can/IMG_1.MOV"].endswith(f"{listed} (a line *.MOV leaves out all such files)")
    assert reasons["Can/no ending"].endswith(listed)
    (pushed / ".astica-ignore").write_text("*.mp4\n*.MOV\n")
    assert [one["path"] for one in shell("status", "--json", "--store", pushed).json["problems"]] == ["Can/no ending"]


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (1, "Can/IMG_0000.MOV"),
        (2, "Can/IMG_0000.MOV and Can/IMG_0001.MOV"),
        (3, "Can/IMG_0000.MOV, Can/IMG_0001.MOV and Can/IMG_0002.MOV"),
    ],
)
def test_a_few_problems_of_one_reason_are_one_line_with_each_name(
    shell: Shell, pushed: Path, count: int, named: str
) -> None:
    add_videos(pushed / "Can", count)
    [line] = problem_lines(shell("status", "--store", pushed).out)
    assert line.startswith(f"  ! {named}  ({REASON}")


@pytest.mark.parametrize("words", [("status",), ("push", "--dry-run")])
def test_an_image_that_is_converted_already_is_to_be_ignored(
    shell: Shell, pushed: Path, words: tuple[str, ...]
) -> None:
    (pushed / "Can" / "IMG_0042.TIFF").write_bytes(TIFF)
    draw(pushed / "Can" / "IMG_0042.jpg", 90)
    (pushed / "Can" / "IMG_0043.TIFF").write_bytes(TIFF + b"3")
    (pushed / "Can" / "IMG_0043.jpg").write_bytes(b"no image")
    for number in range(4):
        (pushed / "Bottle" / f"{number}.tif").write_bytes(TIFF + bytes([number]))
        draw(pushed / "Bottle" / f"{number}.PNG", 91 + number, "PNG")
    lines = problem_lines(shell(*words, "--store", pushed).out)
    assert lines[0] == (
        "  ! Bottle/0.tif, Bottle/1.tif and 2 more of Bottle  "
        "(TIFF image: a PNG or JPEG of the same name is beside each; list them in .astica-ignore (a line *.tif))"
    )
    assert "  ! Can/IMG_0042.TIFF  (TIFF image: IMG_0042.jpg is beside it; list this file in .astica-ignore)" in lines
    # Beside this one is a file that is no image.
    assert [line for line in lines if line.startswith("  ! Can/IMG_0043.TIFF  (broken image, ")]


def test_what_is_left_out_of_many_groups_is_counted_in_files(shell: Shell, pushed: Path) -> None:
    for number in range(12):
        add_videos(pushed / f"Class {number:02}", 5)
    lines = problem_lines(shell("status", "--store", pushed).out)
    assert len(lines) == 11 and lines[-1] == "  … and 10 more (--json lists all)", lines


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize(("count", "end"), [(12, "10 more of Can"), (3, "Can/IMG_0002.MOV")])
def test_a_group_is_wrapped_between_words(shell: Shell, pushed: Path, columns: int, count: int, end: str) -> None:
    add_videos(pushed / "Can", count)
    with Terminal(shell, "status", "--store", pushed, columns=columns, lines=40) as terminal:
        assert terminal.end() == 0
    assert " ".join(terminal.picture.split()).count(f"and {end} ({REASON}") == 1


def test_a_status_and_a_push_say_the_same_where_a_file_cannot_be_uploaded(shell: Shell, pushed: Path) -> None:
    (pushed / "Can" / "note.txt").write_text("no image")
    for command in ("push", "status"):
        ran = shell(command, "--store", pushed)
        assert ran.code == 0 and "in sync with all that can be uploaded." in ran.out, ran.out
    (pushed / "Can" / "note.txt").unlink()
    assert "in sync with the store." in shell("status", "--store", pushed).out
