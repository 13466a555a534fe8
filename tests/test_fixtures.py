"""The fixtures are what their scripts make, and mean what they say."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from astica_sync.errors import NotAnObservation
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.format import sniff
from astica_sync.remote.responses import parse_detection, parse_models, parse_status, parse_view

FIXTURES = Path(__file__).parents[1] / "fixtures"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FIXTURES / "answers" / "expected.json").read_text(encoding="utf-8"))
MODEL = 40117


def files(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def made(name: str, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The committed files and those that the script makes now."""
    runpy.run_path(str(FIXTURES / f"make_{name}.py"))["make"](folder / name)
    return files(FIXTURES / name), files(folder / name)


def is_same_image(one: Path, other: Path) -> bool:
    """Encoders and decoders of another version may differ by a little; the picture may not."""
    with Image.open(one) as first, Image.open(other) as second:
        if (first.format, first.mode, first.size) != (second.format, second.mode, second.size):
            return False
        difference = ImageChops.difference(first.convert("RGB"), second.convert("RGB"))
        return max(high for _, high in difference.getextrema()) <= 8


@pytest.mark.parametrize("name", ["store", "damaged", "answers"])
def test_each_script_makes_exactly_the_files_next_to_it(name: str, tmp_path: Path) -> None:
    committed, fresh = made(name, tmp_path)
    assert list(committed) == list(fresh)
    for path in committed:
        old, new = committed[path].read_bytes(), fresh[path].read_bytes()
        if old != new:
            assert sniff(old) == sniff(new) is not None, path
            # A damaged one may only be damaged in the same way.
            assert check_image(old) is not None or is_same_image(committed[path], fresh[path]), path
            assert (check_image(old) is None) == (check_image(new) is None), path


def test_the_store_has_three_classes_and_eight_good_images() -> None:
    images = [path for path in files(FIXTURES / "store").values() if sniff(path.read_bytes())]
    assert len(images) == 8
    assert {path.relative_to(FIXTURES / "store").parts[0] for path in images} == {"Bottle", "Büchse", "Can"}
    assert len({path.read_bytes() for path in images}) == 8
    assert all(check_image(path.read_bytes()) is None for path in images)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_answer_is_read_as_expected(name: str) -> None:
    body = (FIXTURES / "answers" / name).read_bytes()
    call, expected = EXPECTED[name]["call"], EXPECTED[name]["read"]
    if call == "view" and expected is not None:
        seen = parse_view(body, MODEL, 0.0)
        assert {"classes": [found.title for found in seen.classes], "samples": len(seen.samples)} == expected
    elif call == "list" and expected is not None:
        assert [model.model_id for model in parse_models(body)] == expected
    elif call in ("view", "list"):
        with pytest.raises(NotAnObservation):
            parse_view(body, MODEL, 0.0) if call == "view" else parse_models(body)
    elif call == "detect":
        seen_label = parse_detection(body)
        assert seen_label is not None
        confidence = seen_label.confidence.value if seen_label.confidence else None
        assert {"output": seen_label.label, "confidence": confidence} == expected
    else:
        status = parse_status(body)
        assert status is not None
        assert {"status": status.text, "error": status.error} == expected
