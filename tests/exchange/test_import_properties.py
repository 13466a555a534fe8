"""Any data set: a second import writes nothing, an import that was cut is completed, nothing is lost or doubled."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astica_sync.core.exchange.dataset_row import Part, Row
from astica_sync.core.exchange.import_plan import ImportFolder, SplitMode
from astica_sync.exchange.import_run import ImportRequest, ImportResult, ImportTarget, run_import
from astica_sync.exchange.known_contents import known_in_folder
from astica_sync.exchange.sources.source import NotRead
from tests.harness.plain_import import files_in

TITLES = ("Can", "can", "Bottle", "Bu\u0308chse", "B\u00fcchse", "a/b", "", " x ", "7")
NAMES = ("a.png", "A.png", "a.PNG", "b", "../b.png", ".hidden", "con.png", "x.HEIC", "a-2.png")


class Rows:
    """A data set in memory; an image is a number."""

    found = "in memory"

    def __init__(self, rows: list[tuple[Row, int]]) -> None:
        self.all = rows

    def rows(self) -> Iterable[Row]:
        return [row for row, _ in self.all]

    def samples(self) -> Iterator[tuple[Row, bytes | NotRead]]:
        for row, image in self.all:
            if not row.fault:
                yield row, NotRead("damaged") if image < 0 else image_of(image)


def image_of(number: int) -> bytes:
    """Some are no PNG: of a format that the service does not take, or no image at all."""
    heads = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"text")
    return heads[number % 4] + b"%d" % number


ROWS = st.builds(
    lambda labels, part, name, image: (Row(f"{name}", tuple(labels), part, name), image),
    st.lists(st.sampled_from(TITLES), max_size=2),
    st.sampled_from([None, *Part]),
    st.sampled_from(NAMES),
    st.integers(-1, 8),
)


def run(data_set: Rows, folder: Path, *, several: bool, stop_after: int = 10**9) -> ImportResult:
    targets = {}
    for target in ImportFolder:
        (folder / target).mkdir(exist_ok=True)
        targets[target] = ImportTarget(folder / target, known_in_folder(folder / target))
    left = iter(range(stop_after))
    request = ImportRequest(mode=SplitMode.KEEP, several=several, confirm_all=True)
    return run_import(data_set, targets, request, stopping=lambda: next(left, None) is None)


@pytest.mark.long
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROWS, max_size=12), st.booleans(), st.integers(0, 12))
def test_an_import_in_two_runs_is_one_import(rows: list[tuple[Row, int]], several: bool, cut: int) -> None:
    data_set = Rows(rows)
    folders = [Path(tempfile.mkdtemp()) for _ in range(2)]
    try:
        whole, cut_off = folders
        result = run(data_set, whole, several=several)
        assert result.imported.total() == len(files_in(whole))
        samples = {(Path(path).parts[0], Path(path).parts[1], data) for path, data in files_in(whole).items()}
        assert len(samples) == len(files_in(whole)), "one sample is there twice"
        images = {data for _, data in files_in(whole).items()}
        assert images <= {image_of(image) for _, image in rows if image >= 0}
        sides = [{data for side, _, data in samples if side == target} for target in ImportFolder]
        assert not sides[0] & sides[1], "an image is on both sides"
        again = run(data_set, whole, several=several)
        assert again.imported.total() == 0
        # Every row is accounted for.
        assert (
            again.duplicates.total() + again.left_out_count + again.unwanted
            == len(rows)
            == result.imported.total() + result.duplicates.total() + result.left_out_count + result.unwanted
        )

        run(data_set, cut_off, several=several, stop_after=cut)
        run(data_set, cut_off, several=several)
        parts = {(Path(path).parts[0], Path(path).parts[1], data) for path, data in files_in(cut_off).items()}
        assert parts == samples
    finally:
        for folder in folders:
            shutil.rmtree(folder)
