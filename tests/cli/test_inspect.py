"""``astica-sync inspect`` names what spoils a model, each with what to do; bad input stops it nowhere."""

import json
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from astica_sync.inspect import inspect_store
from tests.harness.digits import write_digits
from tests.harness.planted_pictures import burst, real_photos, replace_by_photos
from tests.harness.shell import Shell

TEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def inspected(shell: Shell, store: Path, *flags: str) -> dict[str, Any]:
    ran = shell("inspect", str(store), "--json", *flags)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def kinds(found: dict[str, Any]) -> dict[str, list[list[str]]]:
    by_kind: dict[str, list[list[str]]] = {}
    for one in found["findings"]:
        by_kind.setdefault(one["kind"], []).append(one["paths"])
    return by_kind


@pytest.fixture
def album(store: Path) -> Path:
    """A store with four photos in two classes in place of what the shared one has."""
    replace_by_photos(store, 4)
    return store


@pytest.mark.long
def test_each_kind_is_named_with_its_files(shell: Shell, album: Path, tmp_path: Path) -> None:
    photos = real_photos()
    shutil.copy(album / "Can" / "0.jpg", album / "Bottle" / "same.jpg")
    photos[2].resize((300, 200)).save(album / "Can" / "smaller.jpg")
    photos[3].transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(album / "Can" / "mirrored.jpg")
    photos[4].point(lambda level: level // 12).save(album / "Can" / "dark.png")
    photos[5].resize((20, 15)).save(album / "Can" / "tiny.png")
    photos[6].crop((0, 0, 600, 60)).save(album / "Can" / "strip.jpg")
    photos[6].resize((12, 9)).resize((600, 450), Image.Resampling.BICUBIC).save(album / "Can" / "blurred.jpg")
    data = (album / "Can" / "2.jpg").read_bytes()
    (album / "Can" / "half.jpg").write_bytes(data[: len(data) // 2])
    (album / "Can" / "text.jpg").write_text("no image")
    held = tmp_path / "held" / "Can"
    held.mkdir(parents=True)
    photos[1].resize((320, 200)).save(held / "h.jpg")
    html = tmp_path / "report.html"
    found = kinds(inspected(shell, album, "--held-out", str(held.parent), "--html", str(html), "--no-features"))
    assert found["several-classes"] == [["Bottle/same.jpg", "Can/0.jpg"]] or found["several-classes"] == [
        ["Can/0.jpg", "Bottle/same.jpg"]
    ]
    assert {frozenset(pair) for pair in found["duplicate"]} == {frozenset(("Can/2.jpg", "Can/smaller.jpg"))}
    assert {frozenset(pair) for pair in found["duplicate-classes"]} == {frozenset(("Bottle/3.jpg", "Can/mirrored.jpg"))}
    assert {frozenset(pair) for pair in found["held-out"]} == {frozenset(("Bottle/1.jpg", str(held / "h.jpg")))}
    assert found["dark"] == [["Can/dark.png"]] and found["tiny"] == [["Can/tiny.png"]]
    assert found["odd-shape"] == [["Can/strip.jpg"]] and found["blurred"] == [["Can/blurred.jpg"]]
    assert sorted(found["damaged"]) == [["Can/half.jpg"], ["Can/text.jpg"]]
    page = html.read_text("utf-8")
    assert "data:image/jpeg;base64," in page and "<script" not in page and "http" not in page.replace("http-equiv", "")
    shown = shell("inspect", str(album), "--only", "duplicate")
    assert "Can/smaller.jpg" in shown.out and f"rm {album}/Can/" in shown.out and "Can/dark.png" not in shown.out


def test_a_second_run_looks_only_at_what_is_new(shell: Shell, album: Path) -> None:
    assert inspected(shell, album, "--no-features")["looked_at"] == 4
    real_photos()[6].save(album / "Can" / "new.jpg")
    again = inspected(shell, album, "--no-features")
    assert (again["images"], again["looked_at"]) == (5, 1)


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_store_and_one_image_are_no_error(shell: Shell, album: Path, count: int) -> None:
    for path in sorted(album.glob("*/*.jpg"))[count:]:
        path.unlink()
    found = inspected(shell, album)
    assert found["images"] == count and kinds(found).keys() <= {"balance"}


def test_the_frames_of_a_fixed_camera_are_no_duplicates(shell: Shell, album: Path) -> None:
    for number, frame in enumerate(burst(real_photos()[7], 8, 1)):
        frame.save(album / "Can" / f"frame {number}.jpg")
    assert "duplicate" not in kinds(inspected(shell, album, "--no-features"))


@pytest.mark.long
def test_swapped_labels_come_first(shell: Shell, album: Path) -> None:
    for path in album.glob("*/*.jpg"):
        path.unlink()
    write_digits(album, 200, names=TEN)
    files = sorted(path.relative_to(album).as_posix() for path in album.glob("*/*.png"))
    assert 1790 <= len(files) <= 1800
    dice = random.Random(5)
    swapped = set()
    for name in dice.sample(files, len(files) // 50):
        title, _, file = name.partition("/")
        other = dice.choice([one for one in TEN if one != title])
        (album / name).rename(album / other / f"{title} {file}")
        swapped.add(f"{other}/{title} {file}")
    found = inspected(shell, album)["findings"][: len(files) // 20]
    named = {path for one in found for path in one["paths"]}
    assert len(swapped & named) >= 0.8 * len(swapped)


def test_a_run_that_is_stopped_keeps_what_it_measured(
    shell: Shell, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = inspect_store.measure_image
    measured: list[Path] = []

    def stop_after_two(path: Path, *rest: Any) -> Any:
        measured.append(path)
        if len(measured) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(path, *rest)

    monkeypatch.setattr(inspect_store, "measure_image", stop_after_two)
    ran = shell("inspect", str(album), "--json", "--no-features")
    assert ran.code == 130
    assert "goes on with the rest" in ran.err
    monkeypatch.setattr(inspect_store, "measure_image", original)
    assert inspected(shell, album, "--no-features")["looked_at"] < 4


def test_damaged_caches_are_made_again(shell: Shell, album: Path) -> None:
    first = inspected(shell, album, "--no-features")["findings"]
    (album / ".astica-sync" / inspect_store.CACHE).write_bytes(np.random.default_rng(1).bytes(5000))
    assert inspected(shell, album, "--no-features")["findings"] == first
