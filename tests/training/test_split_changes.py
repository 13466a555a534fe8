"""A split that is undone, and one that gets its share of new photos."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from astica_sync.core.versions.choose_held_out import GroupedFile, choose_held_out, choose_more
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.move_held_out import SPLIT_FILE
from tests.harness.digits import write_digits
from tests.harness.shell import Shell, in_store


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    folder = write_digits(tmp_path / "digits", 10)
    assert shell("init", folder, "--model", str(sandbox.add_model("Digits"))).code == 0
    return folder


@pytest.fixture
def held_out(shell: Shell, store: Path, tmp_path: Path) -> Path:
    """A pushed store of which 30 % are held out."""
    folder = tmp_path / "held-out"
    assert shell("push", "--store", store).code == 0
    assert shell("split", "--to", folder, "--share", "30%", "--yes", "--store", store).code == 0
    return folder


def test_an_undone_split_leaves_the_store_as_it_was(shell: Shell, store: Path, tmp_path: Path) -> None:
    before, held_out = in_store(store), tmp_path / "held-out"
    assert shell("push", "--store", store).code == 0
    moved = shell("split", "--to", held_out, "--yes", "--json", "--store", store).json["moved"]
    refused = shell("split", "--to", held_out, "--undo", "--store", store)
    assert refused.code == 4 and in_store(store) != before
    shown = shell("split", "--to", held_out, "--undo", "--dry-run", "--store", store).out
    assert f"{moved} files from {held_out} back to the store" in shown and in_store(store) != before
    ran = shell("split", "--to", held_out, "--undo", "--yes", "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["moved"] == moved
    assert in_store(store) == before
    assert not held_out.exists()
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["removed"], pushed["requests"]) == (0, 0, 1)
    again = shell("split", "--to", held_out, "--undo", "--yes", "--store", store)
    assert again.code == 1 and "was not made by astica-sync split" in again.err


def test_an_undone_split_is_sent_again_after_a_push(shell: Shell, store: Path, held_out: Path) -> None:
    removed = shell("push", "--json", "--store", store).json["removed"]
    assert removed == 12
    assert shell("split", "--to", held_out, "--undo", "--yes", "--store", store).code == 0
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["in_sync"]) == (12, True)


def test_an_undo_overwrites_nothing_keeps_what_is_not_listed_and_continues(
    shell: Shell, store: Path, held_out: Path
) -> None:
    listed = json.loads((held_out / SPLIT_FILE).read_text())["paths"]
    (store / listed[0]).write_text("another file")
    (held_out / "zero" / "mine.png").write_bytes((held_out / listed[0]).read_bytes())
    (held_out / listed[1]).unlink()
    ran = shell("split", "--to", held_out, "--undo", "--yes", "--store", store)
    assert ran.code == 1
    assert f"{listed[0]} was not moved: a different file of that name exists" in ran.err
    assert "10 of 11 files were moved back" in ran.err
    assert (store / listed[0]).read_text() == "another file"
    (store / listed[0]).unlink()
    # As a run leaves it that was killed between copying and removing.
    shutil.copy2(held_out / listed[0], store / listed[0])
    ran = shell("split", "--to", held_out, "--undo", "--yes", "--json", "--store", store)
    assert ran.code == 0 and ran.json == {"to": str(held_out), "paths": [listed[0]], "moved": 1}
    assert [path.name for path in held_out.rglob("*") if path.is_file()] == ["mine.png"]


@pytest.mark.long
def test_an_undo_moves_through_no_link_and_into_no_other_store(
    shell: Shell, sandbox: RunningSandbox, store: Path, held_out: Path, tmp_path: Path
) -> None:
    private = tmp_path / "private.png"
    private.write_text("private")
    listed = json.loads((held_out / SPLIT_FILE).read_text())["paths"]
    (held_out / listed[0]).unlink()
    (held_out / listed[0]).symlink_to(private)
    ran = shell("split", "--to", held_out, "--undo", "--yes", "--store", store)
    assert ran.code == 1 and "leads through a link" in ran.err
    assert private.read_text() == "private" and not (store / listed[0]).exists()
    other = write_digits(tmp_path / "other", 3)
    assert shell("init", other, "--model", str(sandbox.add_model("Other"))).code == 0
    for flag in ("--undo", "--top-up"):
        ran = shell("split", "--to", held_out, flag, "--yes", "--store", other)
        assert ran.code == 1 and "come from another store" in ran.err
    note = json.loads((held_out / SPLIT_FILE).read_text())
    (held_out / SPLIT_FILE).write_text(json.dumps({**note, "before": ["../../outside.png"]}))
    ran = shell("split", "--to", held_out, "--undo", "--yes", "--store", store)
    assert ran.code == 1 and "is not the path of a sample" in ran.err


@pytest.mark.long
def test_new_photos_get_their_share_and_no_image_changes_sides(shell: Shell, store: Path, held_out: Path) -> None:
    stayed, held = set(in_store(store)), set(in_store(held_out))
    nothing = shell("split", "--to", held_out, "--top-up", "--yes", "--json", "--store", store)
    assert nothing.code == 0 and nothing.json["paths"] == []
    write_digits(store, 10, start=10)
    new = set(in_store(store)) - stayed
    ran = shell("split", "--to", held_out, "--top-up", "--yes", "--json", "--store", store)
    assert ran.code == 0, ran.err
    now_stayed, now_held = set(in_store(store)), set(in_store(held_out))
    assert stayed < now_stayed and held < now_held and now_held - held <= new
    assert Counter(title for title, _ in now_held) == dict.fromkeys(("zero", "one", "two", "three"), 6)
    note = json.loads((held_out / SPLIT_FILE).read_text())
    assert note["done"] and len(note["before"]) == 12 and len(note["paths"]) == 12
    # What stayed in the second round stays in the third one as well.
    ran = shell("split", "--to", held_out, "--top-up", "--yes", "--json", "--store", store)
    assert ran.code == 0 and ran.json["paths"] == []
    assert shell("split", "--to", held_out, "--undo", "--yes", "--json", "--store", store).json["moved"] == 24


def test_what_is_similar_to_an_image_goes_to_its_side(shell: Shell, store: Path, held_out: Path) -> None:
    for place, title in ((held_out, "one"), (store, "two")):
        source = min((place / title).glob("*.png"))
        with Image.open(source) as image:
            image.resize((60, 60)).save(store / title / f"similar-{place.name}.jpg")
    ran = shell("split", "--to", held_out, "--top-up", "--yes", "--json", "--store", store)
    assert ran.json["paths"] == ["one/similar-held-out.jpg"], ran.err


@pytest.mark.long
def test_a_killed_top_up_is_completed(shell: Shell, store: Path, held_out: Path) -> None:
    write_digits(store, 4, start=10)
    paths = shell("split", "--to", held_out, "--top-up", "--yes", "--json", "--store", store).json["paths"]
    note = json.loads((held_out / SPLIT_FILE).read_text())
    (held_out / SPLIT_FILE).write_text(json.dumps({**note, "done": False}))
    (held_out / paths[0]).rename(store / paths[0])
    ran = shell("split", "--to", held_out, "--top-up", "--yes", "--json", "--store", store)
    assert ran.code == 0 and ran.json == {"to": str(held_out), "paths": paths, "moved": 1}
    assert json.loads((held_out / SPLIT_FILE).read_text()) == note


@pytest.mark.long
def test_a_split_of_an_earlier_version_keeps_what_versions_were_trained_on(
    shell: Shell, store: Path, held_out: Path
) -> None:
    note = json.loads((held_out / SPLIT_FILE).read_text())
    del note["stayed"]
    (held_out / SPLIT_FILE).write_text(json.dumps(note))
    refused = shell("split", "--to", held_out, "--top-up", "--yes", "--store", store)
    assert refused.code == 1 and "nothing tells which photos came after" in refused.err
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    stayed = set(in_store(store))
    write_digits(store, 10, start=10)
    ran = shell("split", "--to", held_out, "--top-up", "--yes", "--json", "--store", store)
    assert ran.code == 0 and len(ran.json["paths"]) == 12
    assert stayed <= set(in_store(store))


def test_flags_that_contradict_each_other_are_refused(shell: Shell, store: Path, held_out: Path) -> None:
    for flags in (["--undo", "--top-up"], ["--undo", "--share", "10%"], ["--top-up", "--seed", "3"]):
        assert shell("split", "--to", held_out, *flags, "--store", store).code == 2
    note = json.loads((held_out / SPLIT_FILE).read_text())
    (held_out / SPLIT_FILE).write_text(json.dumps({**note, "stayed": ["x"]}))
    assert "is no list of hashes" in shell("split", "--to", held_out, "--undo", "--store", store).err


drawn_files = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), max_size=40)


@given(drawn_files, st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12)), st.floats(0.05, 0.9), st.integers(0, 3))
def test_groups_join_their_side_and_the_share_is_met(
    drawn: list[tuple[str, int]], staying: set[int], held: set[int], share: float, seed: int
) -> None:
    files = [GroupedFile(f"{title}/{place}.png", title, group) for place, (title, group) in enumerate(drawn)]
    held_out = {group: {"a": 1} for group in held}
    chosen = choose_more(files, staying, held_out, share, seed)
    assert choose_more(files[::-1], staying, held_out, share, seed) == chosen
    gone = {file.group for file in chosen}
    assert not gone & staying
    assert {file.group for file in files} & held - staying <= gone
    assert sorted(file.path for file in files if file.group in gone) == sorted(file.path for file in chosen)
    assert choose_more(files, (), {}, share, seed) == choose_held_out(files, share, seed)


def test_a_single_new_photo_may_be_held_out_where_others_stayed() -> None:
    stayed = [GroupedFile(f"a/{place}.png", "a", place) for place in range(9)]
    new = GroupedFile("a/new.png", "a", 100)
    assert choose_more([*stayed, new], range(9), {}, 0.2, 0) == [new]
    assert choose_more([*stayed, new], range(9), {200: {"a": 2}}, 0.2, 0) == []
    assert choose_more([new], (), {}, 0.9, 0) == [], "one stays in the store"
