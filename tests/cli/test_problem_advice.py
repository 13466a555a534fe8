"""What a user does about a file that is no image: the remedy fits the file."""

from pathlib import Path

from tests.harness.shell import Shell


def test_a_text_is_neither_converted_nor_moved_into_a_class(shell: Shell, pushed: Path) -> None:
    (pushed / "LICENSE.txt").write_text("a licence")
    (pushed / "photo.jpg").write_bytes((pushed / "Can" / next((pushed / "Can").iterdir()).name).read_bytes())
    (pushed / "Can" / "notes.txt").write_text("seen at the river")
    (pushed / "Can" / "error.jpg").write_text("<html>not found</html>")
    ran = shell("status", "--json", "--store", pushed)
    reasons = {one["path"]: one["reason"] for one in ran.json["problems"]}
    rule = "list it in .astica-ignore (a line *.txt leaves out all such files)"
    assert reasons == {
        "LICENSE.txt": f"not in a class folder, and by its name not an image: move it out of the store, or {rule}",
        "photo.jpg": "not in a class folder; move it into one, or list it in .astica-ignore",
        "Can/notes.txt": f"text file: not an image; move it out of the store, or {rule}",
        "Can/error.jpg": "web page: not an image, although its name ends in .jpg; copy the image again, or list it in "
        ".astica-ignore",
    }
    shown = " ".join(shell("status", "--store", pushed).out.split())
    assert all(f"! {path} ({reason})" in shown for path, reason in reasons.items()), shown
    (pushed / ".astica-ignore").write_text("*.txt\n")
    left = shell("status", "--json", "--store", pushed).json["problems"]
    assert {one["path"] for one in left} == {"photo.jpg", "Can/error.jpg"}
