"""PNG and JPEG above the limits of the service: refused with the setting by which they fit, and sent with it."""

import contextlib
import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from astica_sync.local.image.format import MAX_BYTES
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

SET = "set max_side = 16000 in astica-sync.toml, which astica-sync prepare --show shows, or list it in .astica-ignore"
LONG = (16_200, 40)


def paint(path: Path, number: int, size: tuple[int, int] = LONG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste((250, 10 + number, number * 7 % 256), (0, 0, size[0] // 3, size[1] // 2))
    image.save(path)
    return path


@pytest.fixture
def model(sandbox: RunningSandbox) -> int:
    return sandbox.add_model()


@pytest.fixture
def store(shell: Shell, model: int, tmp_path: Path) -> Path:
    """A store with two images above the limits and two that fit."""
    folder = tmp_path / "photos"
    paint(folder / "Can" / "panorama.jpg", 1)
    paint(folder / "Bottle" / "strip.png", 2)
    paint(folder / "Can" / "wide.jpg", 3, (1200, 40))
    draw(folder / "Bottle" / "plain.png", 4)
    assert shell("init", folder, "--model", str(model)).code == 0
    return folder


def set_side(store: Path, side: int) -> None:
    (store / "astica-sync.toml").write_text(f"max_side = {side}\n" if side else "")


def sent_sizes(sandbox: RunningSandbox, model: int) -> list[tuple[int, int]]:
    return sorted(Image.open(io.BytesIO(one.image)).size for one in sandbox.samples(model))


def test_the_setting_that_is_named_has_them_converted_and_the_others_untouched(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in store.glob("[BC]*/*")}
    status = shell("status", "--json", "--store", store).json
    assert {one["path"] for one in status["problems"]} == {"Can/panorama.jpg", "Bottle/strip.png"}
    refused = shell("push", "--json", "--store", store)
    assert refused.code == 3 and refused.json["uploaded"] == 2
    limit = "16200 x 40 pixels, more than the service's limit of 16000 on a side"
    assert {one["reason"] for one in refused.json["failed"]} == {f"{limit}: {SET}"}
    as_they_are = {one.image: one.sample_id for one in sandbox.samples(model)}
    assert as_they_are.keys() == {before[store / "Can" / "wide.jpg"], before[store / "Bottle" / "plain.png"]}

    set_side(store, 16_000)
    listed = shell("status", "--store", store).out
    assert "+ Can/panorama.jpg  (converted from PNG or JPEG above the limits)" in listed
    pushed = shell("push", "--json", "--store", store)
    assert pushed.code == 0, pushed.err
    assert (pushed.json["uploaded"], pushed.json["removed"], pushed.json["in_sync"]) == (2, 0, True)
    assert sent_sizes(sandbox, model) == [(12, 10), (1200, 40), (16_000, 40), (16_000, 40)]
    assert as_they_are.items() <= {one.image: one.sample_id for one in sandbox.samples(model)}.items()
    sandbox.clear_log()
    assert shell("push", "--json", "--store", store).json["in_sync"] is True and len(sandbox.log) == 1

    assert {path: path.read_bytes() for path in before} == before
    assert shell("backup", "verify", "--store", store).code == 0
    assert shell("backup", "restore", "--to", tmp_path / "back", "--store", store).code == 0
    for path, data in before.items():
        assert (tmp_path / "back" / path.relative_to(store)).read_bytes() == data
    for lost in ("index.db", "journal.db"):
        for file in (store / ".astica-sync").glob(f"{lost}*"):
            file.unlink()
        again = shell("push", "--json", "--store", store).json
        assert (again["uploaded"], again["removed"], again["in_sync"]) == (0, 0, True), lost


def test_another_side_replaces_what_was_sent_and_none_leaves_it_there(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int
) -> None:
    set_side(store, 16_000)
    assert shell("push", "--store", store).code == 0
    set_side(store, 8000)
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (2, 2, True)
    assert sent_sizes(sandbox, model) == [(12, 10), (1200, 40), (8000, 20), (8000, 20)]
    set_side(store, 0)
    shell("push", "--store", store)
    assert sent_sizes(sandbox, model) == [(12, 10), (1200, 40), (8000, 20), (8000, 20)], (
        "it stays until another is sent"
    )


def test_one_of_too_many_bytes_is_sent_smaller_as_well(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (2700, 2700, 3), np.uint8)
    Image.fromarray(noise).save(store / "Can" / "heavy.png", compress_level=0)
    (store / "Can" / "video.jpg").write_bytes((store / "Can" / "wide.jpg").read_bytes() + b"x" + bytes(MAX_BYTES))
    failed = {one["path"]: one["reason"] for one in shell("push", "--json", "--store", store).json["failed"]}
    assert failed["Can/heavy.png"] == f"21.9 MB, more than the service's limit of 20 MB: {SET}"
    assert failed["Can/video.jpg"] == f"21.0 MB, more than the service's limit of 20 MB: {SET}"
    set_side(store, 16_000)
    pushed = shell("push", "--json", "--store", store)
    assert pushed.json["uploaded"] == 4 and pushed.json["in_sync"] is True, pushed.err
    assert (2700, 2700) in sent_sizes(sandbox, model)
    assert max(len(one.image) for one in sandbox.samples(model)) <= MAX_BYTES


def test_a_preview_shows_it_before_and_after(shell: Shell, store: Path, tmp_path: Path) -> None:
    image = store / "Can" / "panorama.jpg"
    refused = shell("prepare", "--show", image, "--store", store)
    assert refused.code == 3 and SET in refused.out
    set_side(store, 8000)
    shown = shell("prepare", "--show", image, "--to", tmp_path / "out", "--store", store)
    assert shown.code == 0, shown.err
    assert "before  JPEG, 16200 x 40, " in shown.out and "after   JPEG, 8000 x 20, " in shown.out
    assert "made smaller, from 16200 x 40 pixels" in shown.out
    with Image.open(tmp_path / "out" / "panorama.jpg") as written:
        assert written.size == (8000, 20)
    as_json = json.loads(
        shell("prepare", "--json", image, store / "Bottle" / "plain.png", "--store", store).out.splitlines()[0]
    )
    assert (as_json["format"], as_json["converted"], as_json["width"]) == ("jpeg", True, 16_200)


def test_a_version_is_asked_about_what_is_sent(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    set_side(store, 8000)
    assert shell("push", "--store", store).code == 0
    assert shell("train", "--store", store).code == 0
    held = tmp_path / "held"
    paint(held / "Can" / "other.jpg", 9)
    paint(held / "Bottle" / "small.png", 8, (300, 20))
    large = held / "Bottle" / "video.jpg"
    large.write_bytes(paint(held / "Bottle" / "v.jpg", 5, (400, 30)).read_bytes() + bytes(MAX_BYTES))
    (held / "Bottle" / "v.jpg").unlink()
    sandbox.clear_log()
    ran = shell("detect", "--json", held / "Can" / "other.jpg", large, "--store", store)
    assert ran.code == 0, ran.err
    assert len(sandbox.requests_of("detect")) == 2
    evaluated = shell("evaluate", held, "--json", "--yes", "--store", store)
    assert evaluated.code == 0, evaluated.err
    assert len(sandbox.requests_of("detect")) == 3, "two were asked before"
    set_side(store, 0)
    sandbox.clear_log()
    refused = shell("detect", held / "Can" / "other.jpg", "--store", store)
    assert "limit of 16000 on a side: set max_side = 16000 in astica-sync.toml" in refused.out + refused.err
    assert not sandbox.requests_of("detect")


def test_what_an_earlier_version_scanned_and_refused_is_converted_once_a_side_is_set(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int
) -> None:
    """Its index does not say which images are above the limits."""
    assert shell("push", "--store", store).code == 3
    with contextlib.closing(sqlite3.connect(store / ".astica-sync" / "index.db")) as index, index:
        assert index.execute("DELETE FROM prepared").rowcount == 2
    set_side(store, 8000)
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["in_sync"]) == (2, True)


def test_what_an_earlier_version_scanned_is_converted_by_the_second_push(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int
) -> None:
    set_side(store, 8000)
    shell("status", "--offline", "--store", store)
    shell("status", "--store", store)
    with contextlib.closing(sqlite3.connect(store / ".astica-sync" / "index.db")) as index, index:
        assert index.execute("DELETE FROM prepared").rowcount == 2
    first = shell("push", "--json", "--store", store)
    assert first.json["uploaded"] == 2 and "has to be scanned again" in json.dumps(first.json["failed"])
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["in_sync"]) == (2, True)
    assert sent_sizes(sandbox, model) == [(12, 10), (1200, 40), (8000, 20), (8000, 20)]


def test_where_the_format_is_left_out_it_is_refused_as_before(shell: Shell, store: Path) -> None:
    (store / "astica-sync.toml").write_text('max_side = 8000\nconvert = ["webp"]\n')
    failed = shell("push", "--json", "--store", store).json["failed"]
    assert len(failed) == 2
    assert all("16000 on a side: make it smaller, or list it in .astica-ignore" in one["reason"] for one in failed)
