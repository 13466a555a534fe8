"""Splitting off a held-out folder: similar images stay together, and no file is lost."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from astica_sync.core.versions.choose_held_out import GroupedFile, choose_held_out
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.move_held_out import SPLIT_FILE, KeptClass, find_kept_classes
from tests.harness.digits import write_digits
from tests.harness.screen import Terminal
from tests.harness.shell import Shell, in_store


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    folder = write_digits(tmp_path / "digits", 10)
    with Image.open(folder / "one" / "000.png") as image:
        image.resize((60, 60)).save(folder / "one" / "000-small.jpg")
    (folder / "two" / "copy.png").write_bytes((folder / "two" / "001.png").read_bytes())
    assert shell("init", folder, "--model", str(sandbox.add_model("Digits"))).code == 0
    return folder


@pytest.mark.long
def test_files_of_each_class_move_and_similar_images_stay_together(shell: Shell, store: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out"
    before = in_store(store)
    planned = shell("split", "--to", held_out, "--share", "30%", "--dry-run", "--json", "--store", store)
    assert planned.code == 0, planned.err
    assert not held_out.exists()
    refused = shell("split", "--to", held_out, "--share", "30%", "--store", store)
    assert refused.code == 4
    assert not held_out.exists()

    ran = shell("split", "--to", held_out, "--share", "30%", "--yes", "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["paths"] == planned.json["paths"]
    assert in_store(store) + in_store(held_out) == before
    for pair in (("one/000.png", "one/000-small.jpg"), ("two/001.png", "two/copy.png")):
        assert len({(held_out / path).exists() for path in pair}) == 1, pair
    per_class = Counter(path.split("/")[0] for path in ran.json["paths"])
    assert all(2 <= count <= 4 for count in per_class.values()) and len(per_class) == 4

    again = shell("split", "--to", held_out, "--share", "30%", "--yes", "--store", store)
    assert again.code == 1
    assert "already is a held-out folder" in again.err


def test_the_same_command_completes_a_killed_split(shell: Shell, store: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out"
    before = in_store(store)
    ran = shell("split", "--to", held_out, "--yes", "--json", "--store", store).json
    note = json.loads((held_out / SPLIT_FILE).read_text())
    (held_out / SPLIT_FILE).write_text(json.dumps({**note, "done": False}))
    back, copied = ran["paths"][:2]
    (held_out / back).rename(store / back)
    (store / copied).write_bytes((held_out / copied).read_bytes())

    again = shell("split", "--to", held_out, "--share", "90%", "--yes", "--json", "--store", store)
    assert again.code == 0, again.err
    assert again.json["paths"] == ran["paths"]
    assert in_store(store) + in_store(held_out) == before


@pytest.mark.long
def test_a_push_after_a_split_asks_nothing_and_the_guard_keeps_its_allowance(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    held_out = tmp_path / "held-out"
    assert shell("push", "--store", store).code == 0
    moved = shell("split", "--to", held_out, "--share", "60%", "--yes", "--json", "--store", store).json["paths"]
    ran = shell("push", "--json", "--store", store)
    assert (ran.code, ran.json["in_sync"]) == (0, True), ran
    assert ran.json["removed"] > 20
    assert "hold-out" in shell("log", "--store", store).out
    # What is deleted by hand counts as before, and so does what came back from the held-out folder.
    files = (path for path in store.glob("[!.]*/*") if path.name != "copy.png")
    left = sorted(files, key=lambda path: path.name)
    for path in left[:5]:
        path.unlink()
    assert shell("push", "--store", store).code == 0
    for path in left[5:11]:
        path.unlink()
    assert shell("push", "--store", store).code == 4
    for path in moved[:12]:
        shutil.copy(held_out / path, store / path)
    assert shell("push", "--yes", "--store", store).code == 0
    for path in moved[:12]:
        (store / path).unlink()
    assert shell("push", "--store", store).code == 4


@pytest.mark.long
@pytest.mark.parametrize("content", [b"", b"another file"])
def test_the_guard_asks_where_the_held_out_file_has_other_bytes(
    shell: Shell, store: Path, tmp_path: Path, content: bytes
) -> None:
    held_out = tmp_path / "held-out"
    assert shell("push", "--store", store).code == 0
    moved = shell("split", "--to", held_out, "--share", "60%", "--yes", "--json", "--store", store).json["paths"]
    for path in moved:
        (held_out / path).write_bytes(content)
    assert shell("push", "--store", store).code == 4


@pytest.mark.long
def test_the_guard_asks_where_a_sample_was_back_in_the_store_without_an_upload(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    """The samples were on the service all the time."""
    held_out = tmp_path / "held-out"
    assert shell("push", "--store", store).code == 0
    moved = shell("split", "--to", held_out, "--share", "60%", "--yes", "--json", "--store", store).json["paths"]
    for path in moved:
        shutil.copy(held_out / path, store / path)
    assert shell("push", "--json", "--store", store).json["removed"] == 0
    for path in moved:
        (store / path).unlink()
    assert shell("push", "--store", store).code == 4


def test_an_existing_file_in_the_target_is_not_overwritten(shell: Shell, store: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    (held_out / "notes.txt").write_text("mine")
    ran = shell("split", "--to", held_out, "--yes", "--store", store)
    assert ran.code == 1
    assert "is not empty" in ran.err
    for inside in (store / "held-out", store.parent):
        ran = shell("split", "--to", inside, "--yes", "--store", store)
        assert "and the store overlap" in ran.err


def test_no_image_is_held_out_into_another_store(shell: Shell, store: Path, tmp_path: Path) -> None:
    (tmp_path / "other/Can/.astica-sync").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "other/Can")
    before = in_store(store)
    for to in (tmp_path / "other/Can/held", tmp_path / "link/held"):
        ran = shell("split", "--to", to, "--yes", "--store", store)
        assert ran.code == 1 and f"is inside the store {tmp_path}/other/Can" in ran.err, ran
    assert in_store(store) == before


paths = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), max_size=40)


@given(paths, st.floats(0.05, 0.9), st.integers(0, 3))
def test_groups_stay_whole_each_class_keeps_one_and_a_seed_is_reproducible(
    drawn: list[tuple[str, int]], share: float, seed: int
) -> None:
    candidates = [GroupedFile(f"{title}/{place}.png", title, group) for place, (title, group) in enumerate(drawn)]
    chosen = choose_held_out(candidates, share, seed)
    assert choose_held_out(candidates[::-1], share, seed) == chosen
    gone = {candidate.group for candidate in chosen}
    assert sorted(chosen, key=lambda one: one.path) == sorted(
        (one for one in candidates if one.group in gone), key=lambda one: one.path
    )
    if candidates:
        assert gone != {candidate.group for candidate in candidates}


def test_about_the_share_is_held_out_of_each_class() -> None:
    candidates = [
        GroupedFile(f"{title}/{place}", title, ord(title) * 1000 + place) for title in "ab" for place in range(50)
    ]
    counts = Counter(candidate.class_title for candidate in choose_held_out(candidates, 0.2, 7))
    assert counts == {"a": 10, "b": 10}
    assert choose_held_out(candidates, 0.2, 7) != choose_held_out(candidates, 0.2, 8)


def test_classes_of_which_nothing_is_held_out_are_named_with_a_similar_pair() -> None:
    files = [GroupedFile(f"Same/{n}.png", "Same", 1) for n in range(5)] + [GroupedFile("One/a.png", "One", 2)]
    files += [GroupedFile(f"Many/{n}.png", "Many", 10 + n) for n in range(10)]
    chosen = choose_held_out(files, 0.2, 0)
    assert find_kept_classes(files, chosen) == (
        KeptClass("One", 1, None),
        KeptClass("Same", 5, ("Same/0.png", "Same/1.png")),
    )


@pytest.mark.long
def test_split_is_wrapped_on_a_terminal_and_one_file_is_in_the_singular(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    (store / "alone").mkdir()
    first = min(store.glob("*/*.png"))
    first.rename(store / "alone" / "only.png")
    with Terminal(shell, "split", "--to", tmp_path / "out", "--dry-run", "--store", store, columns=60) as terminal:
        terminal.until(lambda seen: "(--dry-run)" in seen)
        rows = terminal.rows
    at = next(place for place, row in enumerate(rows) if row.startswith("Nothing of alone"))
    text = "Nothing of alone is held out, its only file stays: it has"
    assert rows[at] == text and rows[at + 1] == "  too few images that differ for this share."


def test_split_says_why_nothing_of_a_class_is_held_out(shell: Shell, store: Path, tmp_path: Path) -> None:
    twins = store / "twins"
    twins.mkdir()
    with Image.open(next(iter(sorted(store.glob("*/*.png"))))) as image:
        for number in range(4):
            image.resize((60 + number, 60 + number)).save(twins / f"{number}.png")
    shown = shell("split", "--to", tmp_path / "out", "--dry-run", "--store", store).out
    assert "Nothing of twins is held out, all 4 files stay: it has too few images that differ for this share; " in shown
    assert "twins/0.png is nearly the same picture as twins/1.png" in shown


def test_pages_that_the_recipe_sends_decide_what_is_similar(shell: Shell, store: Path, tmp_path: Path) -> None:
    """The first pages are all different pictures, the second ones all the same."""
    pages = store / "pages"
    pages.mkdir()
    first, *others = [Image.open(path) for path in sorted(store.glob("*/*.png"))[:12:3]]
    for number, page in enumerate(others):
        page.save(pages / f"{number}.tiff", save_all=True, append_images=[first])
        page.close()
    first.close()
    command = ("split", "--to", tmp_path / "out", "--share", "34%", "--dry-run", "--store", store)
    assert "Nothing of pages is held out" not in shell(*command).out
    (store / "astica-sync.toml").write_text("frame = 2\n")
    assert "Nothing of pages is held out, all 3 files stay" in shell(*command).out


def test_a_split_names_the_service_only_where_it_has_the_images(shell: Shell, store: Path, tmp_path: Path) -> None:
    ran = shell("split", "--to", tmp_path / "before", "--yes", "--store", store)
    assert "None was sent to the service. To send the others: astica-sync push" in ran.out, ran
    assert shell("push", "--store", store).code == 0
    ran = shell("split", "--to", tmp_path / "after", "--yes", "--store", store)
    assert "To remove them from the service as well: astica-sync push" in ran.out, ran
