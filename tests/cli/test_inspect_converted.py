"""``inspect`` judges images that are converted before they are sent by what is sent."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.test_inspect import inspected, kinds
from tests.harness.other_formats import EXTENSIONS, FORMATS, encode
from tests.harness.planted_pictures import real_photos
from tests.harness.shell import Shell


@pytest.fixture
def album(store: Path) -> Path:
    """The store with two photos in place of what the shared one has."""
    for folder in list(store.iterdir()):
        if not folder.name.startswith("."):
            shutil.rmtree(folder)
    (store / "Can").mkdir()
    for number, photo in enumerate(real_photos()[:2]):
        photo.save(store / "Can" / f"{number}.jpg", quality=92)
    return store


def put(store: Path, name: str, image: Image.Image, word: str, **options: Any) -> Path:
    path = store / "Can" / f"{name}.{EXTENSIONS[word]}"
    path.write_bytes(encode(image, word, **options))
    return path


def test_images_of_other_formats_are_sound_and_their_duplicates_are_found(shell: Shell, album: Path) -> None:
    for number, word in enumerate(FORMATS, 2):
        photo = real_photos()[number]
        put(album, f"{word} photo", photo, word)
        photo.resize((300, 200)).save(album / "Can" / f"{word} smaller.png")
    found = inspected(shell, album)
    assert found["images"] == 2 + 2 * len(FORMATS)
    pairs = {
        tuple(sorted(f"Can/{word} {name}" for name in (f"photo.{EXTENSIONS[word]}", "smaller.png"))) for word in FORMATS
    }
    assert {tuple(sorted(paths)) for paths in kinds(found).pop("duplicate", [])} == pairs
    # Their sides are known as well.
    assert not {"damaged", "tiny", "odd-shape"} & set(kinds(found)), json.dumps(found["findings"], indent=1)


@pytest.mark.parametrize("word", FORMATS)
def test_half_an_image_of_another_format_is_named(shell: Shell, album: Path, word: str) -> None:
    path = put(album, "half", real_photos()[4], word)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    [found] = [one for one in inspected(shell, album)["findings"] if one["kind"] == "damaged"]
    assert found["paths"] == [f"Can/{path.name}"]
    # The reason is that of the conversion.
    assert "broken image" in found["text"] and "it cannot be decoded" not in found["text"]


def test_what_another_recipe_makes_is_looked_at_again_and_the_rest_is_not(shell: Shell, album: Path) -> None:
    photos = real_photos()
    for name, pages in (("one", (4, 5)), ("other", (6, 5))):
        first, second = (photos[page] for page in pages)
        first.save(album / "Can" / f"{name}.tiff", save_all=True, append_images=[second])
    before = inspected(shell, album)
    assert "duplicate" not in kinds(before)
    (album / "astica-sync.toml").write_text("frame = 2\n")
    found = inspected(shell, album)
    assert kinds(found)["duplicate"] == [["Can/one.tiff", "Can/other.tiff"]]
    assert found["looked_at"] == 2
    (album / "astica-sync.toml").write_text("frame = 2\nmax_side = 20\n")
    assert "tiny" in kinds(inspected(shell, album)), "as large as what is sent"
    (album / "astica-sync.toml").write_text("")
    again = inspected(shell, album)
    assert "duplicate" not in kinds(again) and again["looked_at"] == 0
