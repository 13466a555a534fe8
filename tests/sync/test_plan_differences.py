"""A remembered comparison gives the plan that a new one would give."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astica_sync.clock import SystemClock
from astica_sync.core.model import ModelInfo, Observation, RemoteClass, RemoteSample
from astica_sync.core.observation.sample_table import SampleTable
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.plan import Plan
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.db.view_cache import ViewCache, read_view_cache, write_view_cache
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.sync.plan import plan_differences as compare_module
from astica_sync.sync.plan.plan_differences import compare
from tests.harness.parameters import rest_long

PNG = b"\x89PNG\r\n\x1a\n"
TITLES = ("Can", "Dog")
numbers = itertools.count()


class LateFileSystem(FileSystem):
    def time_ns(self, folder: Path) -> int:
        return super().time_ns(folder) + 3_600_000_000_000


class Sides:
    """A store, its journal, and what the service shows; a ``LocalSide`` as far as a comparison needs one."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.layout = create_store(root, model_id=7, train_url="http://127.0.0.1:1", now=time.time())
        self.index = Index(self.layout.index_db)
        self.journal = Journal(self.layout.journal_db, "r")
        self.observation = Observation(ModelInfo(7, "m"), 100.0, (), (), name="none")

    def write(self, path: str, image: int) -> None:
        target = self.layout.root / path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(PNG + b"%d" % image)

    def scan(self) -> None:
        scan_store(self.layout, self.index, clock=SystemClock(), files=LateFileSystem(), options=ScanOptions(threads=0))

    def agree(self) -> None:
        """The service has every sample, and the journal has agreed marks."""
        local = list(self.index.local_samples(7))
        self.journal.agree([(sample.uid, sample.class_title, sample.paths[0]) for sample in local], at=1.0)
        self.show([(sample.uid, sample.class_title) for sample in local])

    def show(self, samples: list[tuple[str, str]]) -> None:
        shown = tuple(
            RemoteSample(uid, number, TITLES.index(title) + 1, title)
            for number, (uid, title) in enumerate(sorted(samples), 1)
        )
        classes = tuple(
            RemoteClass(number, title, sum(sample.class_title == title for sample in shown))
            for number, title in enumerate(TITLES, 1)
        )
        self.observation = Observation(ModelInfo(7, "m"), 100.0, classes, shown, name=f"view {next(numbers)}")

    def plan(self, quick: bool, most: int | None = None) -> Plan:
        local: Any = self
        return compare(local, self.observation, PlanContext("r", 0.0, 60.0), quick=quick, most=most)

    def close(self) -> None:
        self.index.close()
        self.journal.close()


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    with contextlib.closing(Sides(tmp_path / "photos")) as made:
        for number in range(5):
            made.write(f"Can/{number}.png", number)
        made.scan()
        made.agree()
        yield made


def test_a_comparison_is_made_once_while_nothing_changes(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sides.plan(quick=True).in_sync
    monkeypatch.setattr(compare_module, "find_unchanged", None)
    plan = sides.plan(quick=True)
    assert plan.in_sync
    assert (plan.classes["Can"].local, plan.classes["Can"].managed) == (5, 5)
    with pytest.raises(TypeError):
        sides.plan(quick=False)


def test_a_push_compares_everything(sides: Sides) -> None:
    sides.plan(quick=True)
    sides.index.note_compared([[7, sides.observation.name, sides.journal.marks_name(), ""], {"Can": 4}, []])
    assert sides.plan(quick=True).classes["Can"].local == 4
    assert sides.plan(quick=False).classes["Can"].local == 5


@pytest.mark.parametrize("side", ["view", "marks", "store"])
def test_a_change_on_any_side_is_in_the_plan(sides: Sides, side: str) -> None:
    sides.plan(quick=True)
    first = next(sides.index.local_samples(7))
    if side == "view":
        sides.show([])
    elif side == "marks":
        sides.journal.forget([first.uid])
    else:
        (sides.layout.root / first.paths[0]).unlink()
        sides.scan()
    plan = sides.plan(quick=True)
    assert plan == sides.plan(quick=False)
    assert (len(plan.uploads), len(plan.adopts), len(plan.removals)) == {
        "view": (5, 0, 0), "marks": (0, 1, 0), "store": (0, 0, 1),
    }[side]  # fmt: skip


def test_a_backlog_is_planned_in_batches_of_any_size(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_module, "MOST", 2)
    sides.journal.forget([sample.uid for sample in sides.index.local_samples(7)])
    sides.show([])
    piece = sides.plan(quick=False, most=3)
    assert (len(piece.uploads), piece.later, piece.classes["Can"].local) == (3, 2, 5)
    whole = sides.plan(quick=False, most=5)
    assert (len(whole.uploads), whole.later, whole.classes["Can"].local) == (5, 0, 5)


def test_a_remembered_comparison_with_a_flipped_byte_is_not_used(sides: Sides) -> None:
    sides.plan(quick=True)
    sides.index.write(
        lambda connection: connection.execute(
            "UPDATE meta SET value = replace(value, '\"Can\": 5', '\"Can\": 6') WHERE key = 'compared'"
        )
    )
    assert sides.plan(quick=True).classes["Can"].local == 5


OTHERS = ("agree", "forget", "show less", "status", "reopen")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(TITLES), st.integers(0, 4), st.integers(0, 5)),
        st.tuples(st.just("delete"), st.sampled_from(TITLES), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("drop class"), st.sampled_from(TITLES), st.just(0), st.just(0)),
        st.tuples(st.sampled_from(OTHERS), st.just(""), st.integers(0, 4), st.just(0)),
    ),
    max_size=12,
)  # fmt: skip


@pytest.mark.parametrize("run", rest_long(1, range(3)))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps)
def test_a_remembered_comparison_equals_a_whole_one(
    run: int, tmp_path_factory: pytest.TempPathFactory, walk: list[tuple[str, str, int, int]]
) -> None:
    with contextlib.closing(Sides(tmp_path_factory.mktemp("compare") / "photos")) as sides:
        for kind, title, place, image in walk:
            path = sides.layout.root / title / f"{place}.png"
            local = list(sides.index.local_samples(7))
            if kind == "write":
                sides.write(f"{title}/{place}.png", image)
            elif kind == "delete":
                path.unlink(missing_ok=True)
            elif kind == "drop class":
                for file in (sides.layout.root / title).glob("*"):
                    file.unlink()
                with contextlib.suppress(OSError):
                    (sides.layout.root / title).rmdir()
            elif kind == "agree":
                sides.agree()
            elif kind == "forget" and local:
                sides.journal.forget([local[place % len(local)].uid])
            elif kind == "show less":
                sides.show([(sample.uid, sample.class_title) for sample in local[place:]])
            elif kind == "reopen":
                sides.index.close()
                sides.index = Index(sides.layout.index_db)
            sides.scan()
            assert sides.plan(quick=True) == sides.plan(quick=False)


uids = st.one_of(st.sampled_from(["", "IMG_1", "a\tb", "é"]), st.integers(0, 9).map(lambda n: f"{n:032x}-0000000{n}"))


@given(st.lists(st.tuples(uids, st.sampled_from(TITLES)), max_size=12), st.booleans())
def test_columns_on_the_disk_are_the_observation(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[str, str]], ours_alone: bool
) -> None:
    path = tmp_path_factory.mktemp("columns") / "columns"
    samples = [(uid, title) for uid, title in samples if len(uid) == 41 or not ours_alone]
    shown = tuple(
        RemoteSample(uid, number, TITLES.index(title) + 5, title) for number, (uid, title) in enumerate(sorted(samples))
    )
    observation = Observation(ModelInfo(7, "m", version="1"), 5.0, (RemoteClass(5, "Can", 3),), shown, name="name")
    write_view_cache(FileSystem(), path, observation)
    read = read_view_cache(FileSystem(), path)
    assert read is not None
    assert isinstance(read.samples, ViewCache)
    starts = sorted({uid[:32] for uid, _ in samples} | {"0" * 32, "f"})
    assert list(read.samples.with_contents(starts)) == list(SampleTable.of(shown).with_contents(starts))
    assert len(read.samples) == len(shown)
    assert list(read.samples) == list(shown)
    assert list(read.samples.with_contents(starts)) == list(SampleTable.of(shown).with_contents(starts))
    assert replace(read, samples=shown) == observation
    assert (read.name, read.samples[:2]) == ("name", list(shown[:2]))


def test_columns_keep_the_sizes_of_samples(tmp_path: Path) -> None:
    path = tmp_path / "columns"
    samples = tuple(RemoteSample(f"{number:041}", number, 1, "Can", number / 7) for number in range(1, 5))
    observation = Observation(ModelInfo(7, "m"), 5.0, (), samples, size_decimals=6, name="name")
    write_view_cache(FileSystem(), path, observation)
    read = read_view_cache(FileSystem(), path)
    assert read is not None and read.size_decimals == 6
    looked_up = list(read.samples.with_contents([sample.uid[:32] for sample in samples[:1]]))  # type: ignore[attr-defined]
    assert [sample.size for sample in looked_up] == [sample.size for sample in samples]
    assert [sample.size for sample in read.samples] == [sample.size for sample in samples]


def test_damaged_columns_are_no_observation(tmp_path: Path) -> None:
    path = tmp_path / "columns"
    assert read_view_cache(FileSystem(), path) is None
    observation = Observation(ModelInfo(7, "m"), 5.0, (), (RemoteSample("0" * 41, 1, 1, "Can"),), name="name")
    write_view_cache(FileSystem(), path, observation)
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert read_view_cache(FileSystem(), path) is None
    for size in range(0, len(data), 5):
        path.write_bytes(data[:size])
        assert read_view_cache(FileSystem(), path) is None
    path.unlink()
    write_view_cache(FileSystem(), path, replace(observation, samples=(RemoteSample("a\nb", 1, 1, "Can"),)))
    assert read_view_cache(FileSystem(), path) is None
