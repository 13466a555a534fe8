"""What a model would say: the preview that follows the folder, and the service's versions."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from astica_sync.page.predict import live_preview
from astica_sync.page.predict.live_preview import choose_rows
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.digits import write_digits
from tests.harness.page_client import PageClient
from tests.harness.shell import Shell

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("small_features")]

PER_CLASS = 12


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of handwritten digits, in place of the usual photos."""
    return write_digits(tmp_path / "digits", PER_CLASS)


def prepared(page: PageClient) -> dict[str, Any]:
    """The preview once it is that of the gallery as it is now. Each answer of the server takes time, so this is no
    busy loop for long."""
    for _ in range(5000):
        state: dict[str, Any] = page.json("/api/preview")
        if state["revision"] >= page.json("/api/store")["revision"]:
            return state
    raise AssertionError("the preview does not follow the gallery")


def frame(path: Path, side: int) -> bytes:
    return Image.open(path).convert("RGB").resize((side, side)).tobytes()


def send(page: PageClient, path: str, data: bytes, kind: str = "application/octet-stream") -> Any:
    return page.http.post(path, content=data, headers={**page.change_headers, "Content-Type": kind})


def test_the_preview_is_trained_on_the_folder_and_says_what_it_is(page: PageClient, photo_store: Path) -> None:
    state = prepared(page)
    assert (state["ready"], state["images"], state["trouble"]) == (True, 4 * PER_CLASS, None)
    assert state["labels"] == ["one", "three", "two", "zero"]
    assert "not the service" in state["note"]
    unseen = write_digits(photo_store.parent / "unseen", 4, start=PER_CLASS)
    right = 0
    for path in sorted(unseen.rglob("*.png")):
        found = send(page, "/api/preview", frame(path, state["side"])).json()
        assert sum(share for _, share in found["labels"]) == pytest.approx(1.0, abs=1e-3)
        right += found["labels"][0][0] == path.parent.name
    assert right >= 14


def test_it_follows_a_relabel_and_names_what_the_others_contradict(page: PageClient) -> None:
    before = prepared(page)
    assert page.json("/api/preview/suspects")["total"] == 0
    moved = next(row for row in page.rows() if row["class"] == "zero")
    answer = page.post("/api/changes", {"kind": "move", "items": [[moved["id"], moved["content"]]], "to": "one"})
    assert answer.status_code == 200, answer.text
    after = prepared(page)
    assert after["revision"] > before["revision"]
    [found] = page.json("/api/preview/suspects")["images"]
    assert (found["class"], found["suggested"]) == ("one", "zero")
    assert page.json(f"/api/images/{found['id']}")["class"] == "one"


@pytest.mark.parametrize("size", [0, 1, -1, 3])
def test_a_frame_of_another_size_is_refused(page: PageClient, size: int) -> None:
    side = prepared(page)["side"]
    whole = 3 * side * side
    answer = send(page, "/api/preview", bytes(size if size >= 0 else whole - 1))
    assert answer.status_code == 409
    assert send(page, "/api/preview", bytes(whole + 1)).status_code == 413


def test_without_two_classes_there_is_no_preview(page: PageClient, photo_store: Path) -> None:
    for title in ("one", "two", "three"):
        page.post("/api/changes", {"kind": "merge_classes", "class": title, "to": "zero"})
    state = prepared(page)
    assert (state["ready"], state["trouble"]) == (False, "two classes with images are needed")
    answer = send(page, "/api/preview", bytes(3 * state["side"] ** 2))
    assert (answer.status_code, answer.json()["error"]) == (409, "two classes with images are needed")


def test_the_service_is_asked_once_for_the_same_image(
    shell: Shell, photo_store: Path, sandbox: RunningSandbox, pushed_page: PageClient
) -> None:
    assert shell("train", "--store", photo_store).code == 0
    image = next((photo_store / "three").iterdir()).read_bytes()
    sandbox.clear_log()
    first, second = (send(pushed_page, "/api/detect", image, "image/png").json() for _ in range(2))
    assert (first["label"], first["cached"], second["label"], second["cached"]) == ("three", False, "three", True)
    assert len(sandbox.requests_of("detect")) == 1


@pytest.mark.parametrize("body", [b"", b"<svg/>", b"%PDF", b"%!PS"])
def test_what_is_no_image_is_not_sent(pushed_page: PageClient, sandbox: RunningSandbox, body: bytes) -> None:
    sandbox.clear_log()
    assert send(pushed_page, "/api/detect", body).status_code == 422
    assert not sandbox.log


def test_without_a_version_the_service_is_not_asked_to_detect(pushed_page: PageClient, photo_store: Path) -> None:
    image = next((photo_store / "three").iterdir()).read_bytes()
    answer = send(pushed_page, "/api/detect", image)
    assert answer.status_code == 503
    assert "train" in answer.json()["hint"]


def test_a_damaged_image_has_no_part_in_the_preview(page: PageClient, photo_store: Path) -> None:
    prepared(page)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(buffer, "PNG")
    (photo_store / "one" / "broken.png").write_bytes(buffer.getvalue()[:-30])
    assert page.post("/api/refresh").status_code == 200
    assert prepared(page)["images"] == 4 * PER_CLASS


def test_of_a_large_store_each_class_has_its_share(page: PageClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_preview, "MOST_IMAGES", 20)
    state = prepared(page)
    assert (state["images"], len(state["labels"])) == (20, 4)


def test_the_shares_of_classes_add_up() -> None:
    class Columns:
        files = 1100
        class_of = np.repeat([0, 1, 2], [10, 90, 1000])
        state_of = np.zeros(1100, np.uint8)

        def have_content(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
            return np.ones(1100, np.bool_)

    chosen = choose_rows(Columns(), 200)  # type: ignore[arg-type]
    assert np.bincount(Columns.class_of[chosen]).tolist() == [10, 90, 100]
    assert len(choose_rows(Columns(), 5000)) == 1100  # type: ignore[arg-type]
