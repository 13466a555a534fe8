"""What models say of images, as orders of the gallery, beside one image, and as a table of mistakes."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astica_sync.core.versions.pending_training import USUAL_SECONDS
from astica_sync.core.versions.version import Version
from astica_sync.local.db.journal import Event
from astica_sync.page.live.training_times import LONGEST, expect_training
from astica_sync.page.predict.live_preview import Ranking
from astica_sync.page.predict.rank_images import rank_by_confidence, rank_by_suspicion
from astica_sync.page.versions.stored_answers import StoredAnswer, make_confusion
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.digits import write_digits
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell

pytestmark = pytest.mark.usefixtures("small_features")
PER_CLASS = 8


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of handwritten digits, in place of the usual photos; one of them lies in the wrong class."""
    folder = write_digits(tmp_path / "digits", PER_CLASS, names=("zero", "one"))
    (folder / "zero" / "003.png").rename(folder / "one" / "wrong.png")
    return folder


def ranked(page: PageClient, **wanted: Any) -> list[dict[str, Any]]:
    """The images in an order of the preview, once that is there."""
    for _ in range(5000):
        if page.json("/api/gallery", **wanted)["ranking"]["ready"]:
            return page.rows(**wanted)
        time.sleep(0)
    raise AssertionError("the preview is not ready")


@pytest.mark.long
def test_the_orders_by_suspicion_and_confidence(page: PageClient, photo_store: Path) -> None:
    (photo_store / "zero" / "broken.png").write_bytes(b"no image")
    page.post("/api/refresh")
    suspicious = ranked(page, sort="suspicion", order="desc")
    assert suspicious[0]["name"] == "wrong.png"
    assert suspicious[-1]["name"] == "broken.png"
    unsure = ranked(page, sort="confidence")
    assert (unsure[0]["name"], unsure[-1]["name"]) == ("wrong.png", "broken.png")
    assert ranked(page, sort="confidence", order="desc")[-1]["name"] == "broken.png"
    labels = [one["label"] for one in page.json("/api/gallery", sort="suspicion", order="desc")["groups"]]
    assert labels[-1] == "not known" and labels[-2] == "0 to 10 %"
    # Put right, it is suspicious no more.
    moved = suspicious[0]
    page.post("/api/changes", {"kind": "move", "items": [[moved["id"], moved["content"]]], "to": "zero"})
    assert page.json("/api/gallery", sort="suspicion", order="desc")["revision"] > 1
    last = ranked(page, sort="confidence", order="desc")
    assert [row["name"] for row in last].index("wrong.png") < len(last) / 2


@pytest.mark.long
def test_images_that_look_similar(page: PageClient) -> None:
    ranked(page, sort="suspicion")
    for title, name in (("zero", "001.png"), ("one", "wrong.png")):
        one = page.row(title, name)
        found = page.json(f"/api/images/{one['id']}/similar")
        assert found["ready"] and len(found["images"]) == 12
        assert one["content"] not in {other["content_hash"] for other in found["images"]}
        assert [other["class"] for other in found["images"][:4]] == ["zero"] * 4
        likeness = [other["likeness"] for other in found["images"]]
        assert likeness == sorted(likeness, reverse=True)
    assert page.get(f"/api/images/{'0' * 16}/similar").status_code == 404


@pytest.mark.long
def test_what_versions_said_and_their_mistakes(shell: Shell, photo_store: Path, sandbox: RunningSandbox) -> None:
    held_out = write_digits(photo_store.parent / "held out", 3, start=PER_CLASS, names=("zero", "one"))
    assert shell("push", "--store", photo_store).code == 0
    assert shell("train", "--store", photo_store).code == 0
    evaluated = shell("evaluate", held_out, "--store", photo_store, "--json")
    assert evaluated.code == 0, evaluated.err
    # One held-out image is in fact of the other class.
    (held_out / "zero" / "008.png").rename(held_out / "one" / "misplaced.png")
    sandbox.clear_log()
    with running_page(photo_store, held_out=[held_out]) as page:
        found = page.json("/api/versions/confusion", version="@1")
        table = found["held-out"]
        assert (table["titles"], table["total"], found["store"]["total"]) == (["one", "zero"], 6, 0)
        counts = {
            (title, label): count
            for title, row in zip(table["titles"], table["counts"], strict=True)
            for label, count in zip(table["labels"], row, strict=True)
        }
        assert counts["one", "zero"] >= 1
        for (title, label), count in counts.items():
            rows = page.rows(**{"class": title}, said=f"@1:{label}", split="held-out")
            assert len(rows) == count
        one = page.row_of(split="held-out", name="misplaced.png")
        [said] = page.json(f"/api/images/{one['id']}/said")["versions"]
        assert (said["number"], said["trained_as"], said["label"]) == (1, [], "zero")
        trained = page.row("one", "wrong.png")
        [said] = page.json(f"/api/images/{trained['id']}/said")["versions"]
        assert (said["trained_as"], said["label"]) == (["one"], None)
        # What a version said of it counts before the preview.
        unsure = ranked(page, sort="confidence", split="held-out")
        assert unsure[0]["name"] == "misplaced.png"
        assert page.get("/api/versions/confusion", version="@7").status_code == 404
    assert not sandbox.log


@pytest.mark.long
def test_a_damaged_cache_of_answers_has_none(pushed_page: PageClient, shell: Shell, photo_store: Path) -> None:
    assert shell("train", "--store", photo_store).code == 0
    (photo_store / ".astica-sync" / "detections.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    assert pushed_page.json("/api/versions/confusion", version="@1")["store"]["total"] == 0
    assert pushed_page.rows(said="@1") == []


def trained(snapshot: str, at: float, outcome: str = "done") -> Event:
    return Event(at, "", "train", "", snapshot, "", None, outcome, "")


def version(number: int, snapshot: str | None, seen_at: float) -> Version:
    return Version(number, f"v{number}", seen_at, seen_at, snapshot)


def test_a_training_is_expected_to_take_as_long_as_the_earlier_ones() -> None:
    events = [trained("c", 3000.0), trained("b", 2000.0), trained("b", 1900.0, "refused"), trained("a", 1000.0)]
    versions = [version(1, "a", 1100.0), version(2, "b", 2300.0), version(3, "c", 3200.0), version(4, None, 4000.0)]
    assert expect_training(events, versions) == (200.0, 3)
    assert expect_training(events, versions[:1]) == (100.0, 1)
    assert expect_training([], versions) == expect_training(events, []) == (USUAL_SECONDS, 0)


def test_a_version_that_no_process_waited_for_says_nothing_about_the_time() -> None:
    late = version(1, "a", 1000.0 + LONGEST + 1)
    assert expect_training([trained("a", 1000.0)], [late]) == (USUAL_SECONDS, 0)
    # The same data trained twice: each version belongs to the request before it.
    events = [trained("a", 5000.0), trained("a", 1000.0)]
    assert expect_training(events, [version(1, "a", 1060.0), version(2, "a", 5120.0)]) == (90.0, 2)


class _Rows:
    """Two images, in place of columns: what the ranking asks of them."""

    titles = ("Bottle", "Can")
    ids = np.array([7, 5], np.uint64)
    order_of_ids = np.array([1, 0], np.int32)

    def __len__(self) -> int:
        return 2

    def title(self, row: int) -> str:
        return self.titles[row]

    def with_content(self, content: str) -> list[int]:
        return [int(content)]


def test_a_version_that_named_another_class_left_the_rest_for_this_one() -> None:
    preview = Ranking(1, np.array([5], np.uint64), np.array([0.25], np.float32), np.array([0.5], np.float32))
    columns: Any = _Rows()
    assert np.array_equal(rank_by_suspicion(columns, preview), np.array([np.nan, 0.5], np.float32), equal_nan=True)
    ranks = rank_by_confidence(
        columns, preview, [((), {"0": StoredAnswer("can", 50.0)}), ((), {"0": StoredAnswer("CAN", 90.0)})]
    )
    assert ranks.tolist() == pytest.approx([0.1, 0.25])
    ranks = rank_by_confidence(
        columns, preview, [((), {"1": StoredAnswer("can", 90.0), "0": StoredAnswer("Can", None)})]
    )
    assert np.isnan(ranks[0]) and ranks[1] == pytest.approx(0.9)
    # This version has a class CAN of its own: it said that the image is no Can.
    ranks = rank_by_confidence(columns, preview, [(("CAN", "Can", "Bottle"), {"1": StoredAnswer("CAN", 90.0)})])
    assert ranks[1] == pytest.approx(0.1)


def test_an_answer_of_a_class_of_the_version_is_not_spelled_as_another_class_of_the_store() -> None:
    columns: Any = _Rows()
    rows, said = np.ones(2, bool), {"1": StoredAnswer("CAN", 90.0)}
    apart = make_confusion(columns, rows, said, ("CAN", "Can"))
    assert (apart.titles, apart.labels, apart.counts) == (("Can",), ("Can", "CAN"), [[0, 1]])
    folded = make_confusion(columns, rows, said, ("Can",))
    assert (folded.labels, folded.counts) == (("Can",), [[1]])
