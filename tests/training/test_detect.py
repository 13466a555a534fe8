"""Running a version on images: all that are named, in order, once for the same bytes, and a bad image stops nothing."""

import contextlib
import csv
import io
import itertools
import json
import shutil
from pathlib import Path

import pytest

from astica_sync import Store
from astica_sync.errors import AsticaSyncError
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.detect import find_inputs
from tests.harness.digits import NAMES, write_digits
from tests.harness.shell import Shell


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A trained store of digits."""
    folder = write_digits(tmp_path / "digits", 6)
    for arguments in (["init", folder, "--model", str(sandbox.add_model("Digits"))], ["push", "--store", folder]):
        assert shell(*arguments).code == 0
    assert shell("train", "--store", folder).code == 0
    return folder


def lines(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_results_come_in_the_order_of_the_images_and_a_repeat_is_free(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    images = write_digits(tmp_path / "new", 8, start=6)
    ran = shell("detect", images, "--json", "--store", store)
    assert ran.code == 0, ran.err
    found = lines(ran.out)
    assert [Path(str(one["path"])) for one in found] == sorted(images.glob("*/*.png"))
    assert sum(Path(str(one["path"])).parent.name == one["output"] for one in found) >= 24
    sandbox.clear_log()
    assert lines(shell("detect", images, "--json", "--store", store).out) == found
    assert {request.call for request in sandbox.log} == {"list"}


def test_a_run_that_was_cut_short_asks_only_for_the_rest(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_digits(tmp_path / "new", 8, start=6)
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    with Store(store) as opened, contextlib.closing(opened.detect(images)) as run:
        assert len(list(itertools.islice(run, 10))) == 10
    sandbox.clear_log()
    assert shell("detect", images, "--store", store).code == 0
    assert len(sandbox.requests_of("detect")) <= 22


def test_a_wait_for_the_budget_is_reported_once_however_many_images_wait(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    images = write_digits(tmp_path / "new", 8, start=6)
    shell.environ |= {"ASTICA_LIMIT": "20", "ASTICA_LIMIT_WINDOW": "3", "XDG_STATE_HOME": str(tmp_path / "fresh")}
    ran = shell("detect", images, "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert len(lines(ran.out)) == 32
    assert 1 <= ran.err.count("waiting ") <= 2, ran.err
    assert sandbox.max_in_any_window("detect", window=3) <= 20


def test_csv_has_a_header_and_names_with_commas_stay_one_cell(shell: Shell, store: Path, tmp_path: Path) -> None:
    image = tmp_path / "one, two.png"
    shutil.copy(store / "one" / "000.png", image)
    rows = list(csv.reader(io.StringIO(shell("detect", image, "--csv", "--store", store).out)))
    assert rows[0] == ["path", "output", "confidence", "error"]
    assert rows[1][0] == str(image)
    assert rows[1][1] in NAMES


def test_an_image_can_come_on_standard_input(shell: Shell, store: Path) -> None:
    with (store / "two" / "000.png").open("rb") as image:
        ran = shell.finish(shell.start("detect", "-", "--json", "--store", store, stdin=image))
    assert ran.code == 0, ran.err
    assert ran.json["path"] == "-"
    assert ran.json["output"] in NAMES


def test_a_file_that_is_not_an_image_is_listed_and_stops_nothing(shell: Shell, store: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image at all")
    ran = shell("detect", tmp_path / "text.png", store / "one" / "000.png", "--json", "--store", store)
    assert ran.code == 3
    bad, good = lines(ran.out)
    assert bad["output"] is None and "text file" in str(bad["error"])
    assert good["error"] is None


def test_patterns_folders_and_files_are_found_and_nothing_is_an_error(tmp_path: Path) -> None:
    write_digits(tmp_path / "a", 2)
    (tmp_path / "a" / ".hidden").mkdir()
    shutil.copy(tmp_path / "a" / "one" / "000.png", tmp_path / "a" / ".hidden" / "x.png")
    (tmp_path / "empty").mkdir()

    def names(*named: str) -> list[str]:
        return [one.name for one in find_inputs(named, lambda: b"bytes")]

    assert len(names(str(tmp_path / "a"))) == 8
    assert len(names(str(tmp_path / "a" / "*" / "000.png"))) == 4
    assert names("-", str(tmp_path / "a" / "one" / "000.png"))[0] == "-"
    for wrong in ("empty", "nowhere", "a/*.gif"):
        with pytest.raises(AsticaSyncError):
            names(str(tmp_path / wrong))


def test_a_model_without_a_version_says_what_to_do(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "fresh", 2)
    assert shell("init", folder, "--model", str(sandbox.add_model("Fresh"))).code == 0
    ran = shell("detect", folder, "--store", folder)
    assert ran.code == 1
    assert "no version yet" in ran.err and "astica-sync train" in ran.err
