"""The second part of an evaluation's output: its price, the data of each version, baselines, several folders."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

from astica_sync.core.evaluation.percent_text import percent
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.digits import write_digits
from tests.harness.shell import Shell, draw
from tests.harness.trained_store import trained_digits

# Seconds of real trainings for each test.
pytestmark = pytest.mark.long

DAMAGED = Path(__file__).parents[2] / "fixtures" / "damaged"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningSandbox, Path]]:
    """A store of digits with three versions: good, with wrong labels, and good again."""
    with trained_digits(tmp_path_factory.mktemp("versions"), 14) as made:
        yield made


@pytest.fixture
def sandbox(trained: tuple[RunningSandbox, Path]) -> RunningSandbox:
    trained[0].clear_log()
    return trained[0]


@pytest.fixture(scope="module")
def versions() -> list[str]:
    return []


@pytest.fixture
def store(trained: tuple[RunningSandbox, Path], shell: Shell, versions: list[str]) -> Path:
    """The store, in which the second and the third version are trained once."""
    store = trained[1]
    if not versions:
        versions.append(trained[0].versions(1001)[0])
        swaps = [(f"one/{place:03}.png", f"two/wrong-{place}.png") for place in range(11)]
        for wrong in (True, False):
            for good, bad in swaps:
                (store / (good if wrong else bad)).rename(store / (bad if wrong else good))
            assert shell("push", "--yes", "--store", store).code == 0
            ran = shell("train", "--store", store)
            assert ran.code == 0, ran.err
            versions.append(ran.out.strip())
    return store


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    return write_digits(tmp_path / "held-out", 6, start=14)


def test_the_price_is_what_is_sent(shell: Shell, sandbox: RunningSandbox, store: Path, held_out: Path) -> None:
    shutil.copy(held_out / "one" / "014.png", held_out / "one" / "same.png")
    shutil.copy(held_out / "one" / "015.png", held_out / "two" / "contradiction.png")
    (held_out / "two" / "text.png").write_text("no image")
    for file in sorted(DAMAGED.glob("*.png")):
        shutil.copy(file, held_out / "zero")
    sandbox.clear_log()
    planned = shell("evaluate", held_out, "--versions", "@1,@2", "--dry-run", "--json", "--store", store)
    assert planned.code == 0, planned.err
    assert sandbox.requests_of("detect") == []
    requests = planned.json["requests"]
    assert 48 <= requests < 2 * planned.json["images"] - 4, "text and damaged images are not sent"
    ran = shell("evaluate", held_out, "--versions", "@1,@2", "--json", "--store", store)
    assert ran.code == 3
    assert len(sandbox.requests_of("detect")) == requests
    shown = shell("evaluate", held_out, "--versions", "all", "--dry-run", "--store", store).out
    assert shown.startswith("3 versions on ") and shown.endswith(f"images: {requests // 2} requests\n")
    assert f"{requests // 2} requests" in shell("evaluate", held_out, "--versions", "all", "--store", store).err
    sandbox.clear_log()
    shown = shell("evaluate", held_out, "--versions", "all", "--dry-run", "--store", store).out
    assert shown.endswith("every answer is cached, so no request is sent\n")
    assert "request" not in shell("evaluate", held_out, "--versions", "all", "--store", store).err
    assert sandbox.requests_of("detect") == []


def test_the_time_of_an_evaluation_follows_the_limit(shell: Shell, store: Path, tmp_path: Path) -> None:
    images = write_digits(tmp_path / "other", 5, start=25)
    shell.environ |= {"ASTICA_LIMIT": "10", "ASTICA_LIMIT_WINDOW": "60"}
    planned = shell("evaluate", images, "--dry-run", "--json", "--store", store).json
    assert planned["requests"] == 20 and 60 <= planned["eta_seconds"] <= 62
    shown = shell("evaluate", images, "--dry-run", "--store", store).out
    assert shown == "1 version on 20 images: 20 requests, about 61 s\n"


def test_a_terminal_is_asked_before_anything_is_sent(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_digits(tmp_path / "asked", 2, start=40)
    asked: list[str] = []

    def refuse(question: str, **options: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("astica_sync.cli.training.evaluate._at_terminal", lambda: True)
    monkeypatch.setattr("astica_sync.cli.training.evaluate.confirm", refuse)
    ran = shell("evaluate", images, "--store", store)
    assert ran.code == 4 and asked == ["Start?"]
    assert "sending 8 requests was not confirmed; none was sent" in ran.err
    assert sandbox.requests_of("detect") == []
    for flag in ("--yes", "--json"):
        assert shell("evaluate", images, flag, "--store", store).code == 0
    assert asked == ["Start?"]
    assert len(sandbox.requests_of("detect")) == 8


def test_any_version_is_the_baseline_and_p_values_are_corrected(
    shell: Shell, store: Path, held_out: Path, versions: list[str]
) -> None:
    first, second, third = versions
    chained = shell("evaluate", held_out, "--versions", "all", "--json", "--store", store).json
    assert [(one["before"], one["after"]) for one in chained["comparisons"]] == [(first, second), (second, third)]
    assert chained["baseline"] is None
    ran = shell("evaluate", held_out, "--versions", "@2", "--baseline", "@1", "--json", "--store", store).json
    assert ran["baseline"] == first
    (compared,) = ran["comparisons"]
    assert (compared["before"], compared["after"]) == (first, second)
    assert compared["p"] == compared["p_corrected"]
    against = shell("evaluate", held_out, "--versions", "all", "--baseline", "@2", "--json", "--store", store).json
    assert [(one["before"], one["after"]) for one in against["comparisons"]] == [(second, first), (second, third)]
    for one in against["comparisons"]:
        assert one["p_corrected"] == pytest.approx(min(1, 2 * one["p"]))
        low, high = one["interval"]
        assert low <= one["difference"] <= high
        of_class = {entry["class"]: entry for entry in one["classes"]}
        assert of_class["one"]["difference"] >= 0.5 and of_class["one"]["images"] == 6
        assert of_class["one"]["p_corrected"] >= of_class["one"]["p"]
    shown = shell("evaluate", held_out, "--versions", "all", "--baseline", "@2", "--store", store).out
    assert "corrected for 2 comparisons" in shown
    row = next(line for line in shown.splitlines() if line.startswith("recall "))
    assert row.split() == ["recall", second, first, third], "the baseline is the first column"
    assert next(line for line in shown.splitlines() if line.startswith("one ")).split()[1] <= "50.0"
    only = shell("evaluate", held_out, "--baseline", "@3", "--store", store)
    assert f"Nothing is compared with {third}" in only.out


def test_the_model_and_the_data_of_each_version_are_shown(
    shell: Shell, store: Path, held_out: Path, versions: list[str]
) -> None:
    ran = shell("evaluate", held_out, "--versions", "@1,@2", "--json", "--store", store).json
    assert ran["model"] == {"model_id": 1001, "title": "Digits", "classes": 4, "samples": 56}
    first, second = (one["data"] for one in ran["versions"])
    assert (first["number"], first["samples"], first["classes"], first["unmanaged"]) == (1, 56, 4, 0)
    assert first["snapshot"] != second["snapshot"] and second["trained_at"] >= first["trained_at"]
    shown = shell("evaluate", held_out, "--versions", "@1", "--store", store).out
    assert shown.startswith(f"Digits: 24 held-out images of {held_out}\n")
    assert "  @1, trained 20" in shown and " on 56 samples in 4 classes\n" in shown


def test_confidence_figures_are_printed_for_the_wanted_precision(shell: Shell, store: Path, held_out: Path) -> None:
    ran = shell("evaluate", held_out, "--versions", "@2", "--precision", "100%", "--json", "--store", store).json
    (version,) = ran["versions"]
    assert version["wanted_precision"] == 1.0
    found = version["threshold"]
    assert found["right"] == found["answers"] < 24 and found["precision"] == 1.0
    assert version["coverage"][0] == {
        "threshold": 0,
        "answers": 24,
        "right": version["right"],
        "precision": version["accuracy"],
        "share": 1.0,
    }
    assert sum(one["answers"] for one in version["calibration"]["bins"]) == 24
    assert version["confused"][0]["class"] == "one" and version["confused"][0]["output"] == "two"
    one = next(entry for entry in version["classes"] if entry["class"] == "two")
    assert one["curve"][0] == {"threshold": 0, "precision": one["precision"], "recall": one["recall"]}
    shown = shell("evaluate", held_out, "--versions", "@2", "--precision", "1", "--store", store).out
    assert f"From a confidence of {found['threshold']:g} % on, 100.0 % are right" in shown
    assert "one as two: " in shown
    assert f"F1: {percent(version['macro_f1'])} as the mean of the classes" in shown
    refused = shell("evaluate", held_out, "--precision", "1.5", "--store", store)
    assert refused.code == 2 and "not a precision" in refused.err


def test_several_folders_are_one_evaluation(
    shell: Shell, store: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digits(tmp_path / "more", 2, start=30)
    shutil.copy(held_out / "one" / "014.png", tmp_path / "more" / "one" / "same.png")
    shutil.copy(held_out / "one" / "015.png", tmp_path / "more" / "loose.png")
    monkeypatch.chdir(tmp_path)
    ran = shell("evaluate", "held-out", "more", "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["folders"] == ["held-out", "more"]
    assert ran.json["versions"][0]["shown"] == 32
    assert ran.json["repeated"] == ["more/one/same.png"] and ran.json["loose"] == ["more/loose.png"]
    for other in ("held-out", "held-out/one", "."):
        ran = shell("evaluate", "held-out", other, "--store", store)
        assert ran.code == 1 and "overlap, so images would count twice" in ran.err


def test_similar_images_inside_the_folder_and_small_classes_are_named(
    shell: Shell, store: Path, held_out: Path
) -> None:
    photo = Image.effect_noise((96, 96), 80).resize((480, 480), Image.Resampling.BICUBIC)
    photo.save(held_out / "two" / "photo.png")
    photo.resize((300, 300)).save(held_out / "two" / "photo-small.jpg", quality=90)
    for name in ("014", "015", "016", "017"):
        (held_out / "three" / f"{name}.png").unlink()
    ran = shell("evaluate", held_out, "--json", "--store", store).json
    assert ran["similar"] == [["two/photo-small.jpg", "two/photo.png"]]
    assert ran["similar_across"] == []
    assert ran["small_classes"] == {"three": 2}
    shutil.move(held_out / "two" / "photo-small.jpg", held_out / "zero" / "photo-small.jpg")
    shown = shell("evaluate", held_out, "--store", store).out
    assert "nearly the same picture is in several classes: two/photo.png, zero/photo-small.jpg" in shown
    assert "few images, so that the figures of these classes say little: three (2)" in shown
    draw(held_out / "never seen" / "a.png", 3)
    assert shell("evaluate", held_out, "--json", "--store", store).json["small_classes"] == {"three": 2}


def test_every_answer_is_written_as_csv_and_parquet(
    shell: Shell, store: Path, held_out: Path, tmp_path: Path, versions: list[str]
) -> None:
    (held_out / "zero" / "014.png").rename(held_out / "zero" / "=1+1.png")
    # The second time over the first files.
    for name in ("answers.csv", "answers.parquet") * 2:
        ran = shell(
            "evaluate", held_out, "--versions", "@1,@2", "--predictions", tmp_path / name, "--json", "--store", store
        )
        assert ran.code == 0, ran.err
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    with (tmp_path / "answers.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    rows = parquet.read_table(tmp_path / "answers.parquet").to_pylist()
    assert len(listed) == len(rows) == 48
    assert [row["version"] for row in rows] == [versions[0]] * 24 + [versions[1]] * 24
    for version in ran.json["versions"]:
        own = [row for row in rows if row["version"] == version["version"]]
        assert sum(row["right"] for row in own) == version["right"]
        wrong = {(row["path"], row["class"], row["output"], row["confidence"]) for row in own if not row["right"]}
        assert wrong == {(one["path"], one["class"], one["output"], one["confidence"]) for one in version["mistakes"]}
    for line, row in zip(listed, rows, strict=True):
        assert line == {name: "" if value is None else str(value) for name, value in row.items()}, (
            "zero/ stands before ="
        )
    assert {row["path"] for row in rows} >= {"zero/=1+1.png"}


def test_predictions_go_into_a_file_of_a_known_kind(
    shell: Shell, sandbox: RunningSandbox, store: Path, held_out: Path, tmp_path: Path
) -> None:
    refused = shell("evaluate", held_out, "--predictions", tmp_path / "answers.xlsx", "--store", store)
    assert refused.code == 2 and "a .csv or a .parquet file" in refused.err
    assert sandbox.log == []
    (tmp_path / "folder.csv").mkdir()
    assert shell("evaluate", held_out, "--predictions", tmp_path / "folder.csv", "--store", store).code == 2
    ran = shell("evaluate", held_out, "--predictions", tmp_path / "missing" / "a.csv", "--store", store)
    assert ran.code == 1 and "cannot write" in ran.err
