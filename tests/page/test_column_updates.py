"""Columns that were brought up to date are those that are built from nothing, after any changes in any order."""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astica_sync.clock import SystemClock
from astica_sync.core.gallery.image_state import ImageState
from astica_sync.local.create_store import create_store
from astica_sync.local.layout import Layout
from astica_sync.local.scan.scanner import scan_store
from astica_sync.open_session import open_session
from astica_sync.page.gallery import refresh_gallery
from astica_sync.page.gallery.columns import build_columns as columns_builder
from astica_sync.page.gallery.columns import row_builder
from astica_sync.page.gallery.columns.build_columns import ColumnOverlay, build_columns
from astica_sync.page.gallery.columns.shared_column import SharedColumn, SharedNames
from astica_sync.page.gallery.held_out_folders import HeldOutFolders
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.gallery.index_reader import IndexReader
from astica_sync.page.gallery.refresh_gallery import GalleryRefresher
from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sync.observe import observe
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.push.push import push
from tests.harness.sandbox_images import draw
from tests.harness.shell import draw as draw_file
from tests.harness.short_pauses import shorten

TITLES = ("Can", "Bottle", "Bu\u0308chse", "Z")
FOLDERS = (*TITLES, "Can/below", "B\u00fcchse")
NAMES = ("a.png", "b.png", "b-2.png", "z.jpg")


class CheckedRefresher(GalleryRefresher):
    """Compares all columns that it makes; ``updated`` counts those that were not built from nothing."""

    updated = 0

    def _make_columns(
        self, position: object, before: Columns | None, changed: set[tuple[bytes, bytes]] | None, overlay: ColumnOverlay
    ) -> Columns:
        made = super()._make_columns(position, before, changed, overlay)
        with IndexReader(self._session.local.layout.index_db) as index:
            expect_equal(made, build_columns(index, overlay))
        self.updated += changed is not None
        return made


def expect_equal(made: Columns, built: Columns, *left_out: str) -> None:
    for each in (one for one in fields(Columns) if one.name not in left_out):
        found, expected = getattr(made, each.name), getattr(built, each.name)
        if isinstance(expected, np.ndarray):
            assert found.dtype == expected.dtype, each.name
        if isinstance(expected, SharedNames):
            found, expected = ([names[row] for row in range(len(names))] for names in (found, expected))
        elif isinstance(expected, SharedColumn | np.ndarray):
            found, expected = found[:].tolist(), expected[:].tolist()
        assert found == expected, each.name


class Beside:
    """A store, its page's refresher, and what people and programs do beside it."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, images: Path) -> None:
        self.store, self.held_out, self.sandbox, self.images = folder / "store", folder / "held", sandbox, images
        self.store.mkdir(parents=True)
        self.model = sandbox.add_model()
        create_store(self.store, model_id=self.model, train_url=sandbox.url, now=1_700_000_000)
        self.looked_at = HeldOutFolders(self.store, self.model, [self.held_out])
        self.layout, self.names = Layout(self.store), itertools.count()

    @contextlib.contextmanager
    def refresher(self) -> Iterator[CheckedRefresher]:
        with (
            open_session(self.store, ProgressListener(), clock=SystemClock(), offline=True) as opened,
            IndexReader(self.layout.index_db) as index,
        ):
            yield CheckedRefresher(opened.session, index, self.looked_at)

    def add(self, at: int, name: int, image: int) -> None:
        """An image, a new one or one that other files are as well; in place of what is there."""
        target = self._place(at, name)
        shutil.copyfile(self.images / f"{image}.png", target)

    def spoil(self, at: int, name: int, image: int) -> None:
        self._place(at, name).write_text(f"no image {image}")

    def lose(self, at: int, name: int, image: int) -> None:
        """A problem in no class."""
        (self.store / NAMES[name]).write_text(f"no image {image}")

    def delete(self, at: int, name: int, image: int) -> None:
        if files := self._files():
            files[image % len(files)].unlink()

    def move(self, at: int, name: int, image: int) -> None:
        """Relabels an image, or gives it another name."""
        if files := self._files():
            files[image % len(files)].rename(self._place(at, name))

    def hold_out(self, at: int, name: int, image: int) -> None:
        if files := self._files():
            target = self.held_out / TITLES[at % len(TITLES)] / f"{next(self.names)}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            files[image % len(files)].rename(target)
        self.looked_at.look(again=True)

    def rename_class(self, at: int, name: int, image: int) -> None:
        with contextlib.suppress(OSError):
            (self.store / TITLES[at % len(TITLES)]).rename(self.store / TITLES[image % len(TITLES)])

    def drop_class(self, at: int, name: int, image: int) -> None:
        shutil.rmtree(self.store / TITLES[at % len(TITLES)], ignore_errors=True)

    def make_elsewhere(self, at: int, name: int, image: int) -> None:
        self.sandbox.add_sample(self.model, TITLES[at % len(TITLES)], draw("blue"), f"elsewhere {next(self.names)}")
        self._online(lambda session: observe(session.local, session.remote, ProgressListener()))

    def push(self, at: int, name: int, image: int) -> None:
        self._online(lambda session: push(session, consent=lambda _: True, naming=lambda _: image % 2 == 0))

    def scan(self, at: int, name: int, image: int) -> None:
        """What a watcher does."""
        with IndexReader(self.layout.index_db) as index:
            scan_store(self.layout, index, clock=SystemClock())

    def _online(self, work: Callable[[Any], object]) -> None:
        with open_session(self.store, ProgressListener(), clock=SystemClock()) as opened:
            work(opened.session)

    def _place(self, at: int, name: int) -> Path:
        place = self.store / FOLDERS[at] / NAMES[name]
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _files(self) -> list[Path]:
        found = [path for path in self.store.rglob("*") if ".astica-sync" not in path.parts and path.is_file()]
        return sorted(path for path in found if path.parent != self.store)


OFTEN = ("add", "add", "delete", "move", "move", "spoil")
SELDOM = ("lose", "hold_out", "rename_class", "drop_class", "make_elsewhere", "push", "scan")
ACTION = st.tuples(
    st.sampled_from(OFTEN + SELDOM), st.integers(0, len(FOLDERS) - 1), st.integers(0, len(NAMES) - 1), st.integers(0, 9)
)
STEPS = st.lists(st.tuples(st.lists(ACTION, min_size=1, max_size=4), st.booleans()), min_size=2, max_size=8)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running(limit=10**6) as box:
        yield box


@pytest.fixture
def make_beside(sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Beside]:
    shorten(monkeypatch.setattr)
    # Some uploads are left for later, as those of a large store.
    monkeypatch.setattr(refresh_gallery, "MOST_PLANNED", 3)
    for module in (columns_builder, row_builder):
        monkeypatch.setattr(module, "_PIECE", 2)
    services = {"TRAIN_URL": sandbox.url, "DETECT_URL": sandbox.url, "API_KEY": sandbox.key}
    for name, value in (services | {"QUARANTINE": "0", "LIMIT": "100000"}).items():
        monkeypatch.setenv(f"ASTICA_{name}", value)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for number in range(10):
        draw_file(tmp_path / "images" / f"{number}.png", number)
    numbers = itertools.count()
    return lambda: Beside(tmp_path / f"beside {next(numbers)}", sandbox, tmp_path / "images")


@pytest.mark.parametrize("examples", [12, pytest.param(100, marks=pytest.mark.long)])
def test_columns_brought_up_to_date_are_those_built_from_nothing(
    make_beside: Callable[[], Beside], examples: int
) -> None:
    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=STEPS)
    def check(steps: list[tuple[list[tuple[str, int, int, int]], bool]]) -> None:
        beside = make_beside()
        for number in range(5):
            beside.add(number % len(FOLDERS), number % len(NAMES), number)
        with beside.refresher() as refresher:
            kept = refresher.refresh().columns
            for actions, whole in steps:
                for name, *arguments in actions:
                    getattr(beside, name)(*arguments)
                refresher.refresh(None if whole else [*FOLDERS, ""])
            with beside.refresher() as opened_now:
                # Which uploads are planned one by one depends on what an earlier comparison has found.
                expect_equal(refresher.refresh().columns, opened_now.refresh().columns, "notes")
            with beside.refresher() as opened_now:
                # What was kept at the beginning is compared with the index.
                expect_equal(refresher.refresh().columns, opened_now.refresh(None, kept).columns, "notes")
            before = refresher.updated
            # Another connection has written during the last push or scan; after one look there is none.
            beside.add(0, 0, 9)
            refresher.refresh(["Can"])
            beside.delete(0, 0, 3)
            refresher.refresh()
            assert refresher.updated > before

    check()


def test_what_changes_without_a_file_is_shown(make_beside: Callable[[], Beside]) -> None:
    beside = make_beside()
    beside.add(0, 0, 0)
    with beside.refresher() as refresher:
        before = refresher.refresh()
        # A file that was written just now is read again, until the clock of the file system has gone on.
        while (now := refresher.refresh()) is not before:
            before = now
        updated = refresher.updated
        (beside.store / "Empty").mkdir()
        assert refresher.refresh([""]).columns.titles == ("Can", "Empty")
        (beside.store / "Empty").rmdir()
        assert refresher.refresh([""]).columns.titles == ("Can",)
        beside.make_elsewhere(1, 0, 0)
        assert ImageState.ELSEWHERE in map(refresher.refresh([]).columns.state, range(2))
        assert refresher.updated == updated + 3


def _of_rows(columns: Columns) -> dict[str, object]:
    """What has an entry for each row."""
    found = {each.name: getattr(columns, each.name) for each in fields(Columns)}
    return {name: one for name, one in found.items() if isinstance(one, np.ndarray | SharedColumn | SharedNames)}


def test_what_was_kept_and_is_still_so_is_used_again(make_beside: Callable[[], Beside]) -> None:
    beside = make_beside()
    for number in range(4):
        beside.add(number, number, number)
    beside.push(0, 0, 0)
    beside.delete(0, 0, 0)
    beside.push(0, 0, 0)
    with beside.refresher() as refresher:
        kept = refresher.refresh().columns
    assert kept.files < len(kept), "one image is in the backup alone"
    with beside.refresher() as refresher:
        now = refresher.refresh(None, kept).columns
    of_rows = [name for name, one in _of_rows(kept).items() if getattr(now, name) is not one]
    assert of_rows == ["state_of"]


def test_kept_columns_without_a_file_in_common_are_not_used(make_beside: Callable[[], Beside], tmp_path: Path) -> None:
    beside, other = make_beside(), make_beside()
    for number in range(4):
        beside.add(number, 0, number)
        other.add(number, 1, number + 4)
    with other.refresher() as refresher:
        strange = refresher.refresh().columns
    with beside.refresher() as refresher, pytest.MonkeyPatch.context() as patch:
        patch.setattr(refresh_gallery, "_FEW", 0)
        found = refresher.refresh(None, strange).columns
        assert sorted(map(found.path, range(len(found)))) == sorted(f"{title}/a.png" for title in FOLDERS[:4])
