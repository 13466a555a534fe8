"""Images that ``split`` has held out do not come back into the training data by another command."""

import contextlib
import shutil
from pathlib import Path

import pytest

from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.layout import Layout
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.sync.plan.held_out_images import RETURNED, find_held_out_images
from tests.harness.digits import write_digits
from tests.harness.shell import Shell, in_store


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    folder = write_digits(tmp_path / "digits", 4)
    assert shell("init", folder, "--model", str(sandbox.add_model("Digits"))).code == 0
    assert shell("push", "--store", folder).code == 0
    return folder


@pytest.fixture
def held_out(shell: Shell, store: Path, tmp_path: Path) -> Path:
    """The held-out half of the store, removed from the service."""
    folder = tmp_path / "held-out"
    assert shell("split", "--to", folder, "--share", "50%", "--yes", "--store", store).code == 0
    assert shell("push", "--store", store).code == 0
    return folder


def test_what_is_restored_since_yesterday_are_no_held_out_images(
    shell: Shell, sandbox: RunningSandbox, store: Path, held_out: Path
) -> None:
    lost = next((store / "one").iterdir())
    lost.unlink()
    before = in_store(store)
    ran = shell("backup", "restore", "--since", "yesterday", "--store", store)
    assert ran.code == 0 and "1 file written" in ran.out, ran.out
    assert f"{sum(in_store(held_out).values())} images not restored: split holds them out" in ran.err
    assert lost.exists() and len(in_store(store) - before) == 1
    # Named, one comes back all the same, and so does everything once the held-out folder is gone.
    name = next(held_out.glob("two/*.png")).relative_to(held_out)
    assert shell("backup", "restore", str(name), "--store", store).code == 0 and (store / name).exists()
    shutil.rmtree(held_out)
    assert shell("backup", "restore", "--since", "yesterday", "--store", store).code == 0
    assert sum(in_store(store).values()) == 16


def test_an_import_leaves_held_out_images_out_and_says_so(
    shell: Shell, store: Path, held_out: Path, tmp_path: Path
) -> None:
    before, count = in_store(store), sum(in_store(held_out).values())
    source = write_digits(tmp_path / "again", 4)
    for flags in (("--dry-run",), ()):
        ran = shell("import", source, *flags, "--json", "--store", store)
        assert (ran.code, ran.json["imported"]) == (3, 0), ran.out
    assert in_store(store) == before
    shown = shell("import", source, "--store", store)
    assert "the same image is held out from training" in shown.out and str(count) in shown.out


def test_a_held_out_image_that_is_in_the_store_again_is_named_before_the_training(
    shell: Shell, store: Path, held_out: Path
) -> None:
    assert "eld out as well" not in shell("status", "--store", store).out
    place = next(held_out.glob("two/*.png"))
    shutil.copy(place, store / "two/extra.png")
    named = f"= two/extra.png  ({place.resolve()})"
    where = ("--store", store)
    for words in (
        ("status", *where),
        ("push", "--dry-run", *where),
        ("watch", "--once", store),
        ("push", *where),
        ("status", *where),
    ):
        ran = shell(*words)
        assert ran.code == 0 and named in ran.out, (words, ran.out)
    assert shell("status", "--json", "--store", store).json["held_out"] == [
        {"path": "two/extra.png", "place": str(place.resolve())}
    ]
    ran = shell("train", "--no-wait", "--store", store)
    assert ran.code == 0 and named in ran.err and named not in ran.out
    (store / "two/extra.png").unlink()
    assert "eld out as well" not in shell("push", "--store", store).out


def test_what_is_moved_back_into_the_store_is_held_out_no_more(shell: Shell, store: Path, held_out: Path) -> None:
    place = next(held_out.glob("two/*.png"))
    place.rename(store / "two/back.png")
    for words in (("status",), ("push",), ("status",)):
        ran = shell(*words, "--store", store)
        assert ran.code == 0 and "eld out as well" not in ran.out, ran.out


def test_a_planted_note_of_held_out_images_is_harmless(store: Path) -> None:
    with contextlib.closing(Index(Layout(store).index_db)) as index:
        content = next(index.local_samples(1)).content
        with contextlib.closing(Journal(Layout(store).journal_db)) as journal:
            for note in ([content], {content: 7, content[::-1]: "\0"}, {content: "a\0b"}, "text"):
                index.set_meta(RETURNED, note)
                assert find_held_out_images(journal, index) == []
