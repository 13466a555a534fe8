"""A store whose images lie in a bucket: what happens in the bucket happens on the service."""

from pathlib import Path

import pytest

from tests.bucket_source.conftest import Mirrored
from tests.harness.shell import draw, on_service

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_the_images_of_a_bucket_are_pushed_and_a_second_push_sends_one_request(unpushed: Mirrored) -> None:
    assert unpushed.status()["local"] == {"classes": 2, "samples": 5}
    assert unpushed.push()["uploaded"] == 5
    unpushed.sandbox.clear_log()
    assert unpushed.push()["uploaded"] == 0
    assert len(unpushed.sandbox.log) == 1
    assert [path.name for path in unpushed.folder.iterdir()] == [".astica-sync"]


def test_what_happens_in_the_bucket_happens_on_the_service(mirrored: Mirrored) -> None:
    source = mirrored.source
    source.draw("Jar/new.png", 50)
    source.draw("Jar/deep/er/new.png", 51)
    source.move("Can/000.png", "Bottle/moved.png")
    source.move("Can/001.png", "Can/renamed.png")
    kept = source.get("Bottle/001.png")
    source.remove("Bottle/001.png")
    done = mirrored.push()
    assert (done["uploaded"], done["removed"]) == (3, 2)
    source.put("Jar/copied.png", source.get("Can/002.png"))
    source.draw("Can/002.png", 52)
    done = mirrored.push()
    assert (done["uploaded"], done["removed"]) == (2, 1)
    assert mirrored.push()["requests"] == 1
    assert mirrored.shell("backup", "verify", "--store", mirrored.folder).code == 0
    restored = mirrored.folder.with_name("restored")
    assert mirrored.shell("backup", "restore", "--to", restored, "--store", mirrored.folder).code == 0
    assert (restored / "Bottle" / "001.png").read_bytes() == kept


def test_an_object_that_is_replaced_within_a_second_by_one_of_its_size_is_seen(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    mirrored.source.date("Can/001.png")
    mirrored.push()
    before = mirrored.source.get("Can/001.png")
    drawn = (draw(tmp_path / "other.png", number).read_bytes() for number in range(100, 2000))
    mirrored.source.put("Can/001.png", next(data for data in drawn if len(data) == len(before)))
    mirrored.source.date("Can/001.png")
    mirrored.push()
    assert on_service(mirrored.sandbox, mirrored.model)[("can", before)] == 0
