"""The names of objects in an inbox: what is written there is read again, and nothing else is an image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.gallery.safe_names import title_fault
from astica_sync.core.inbox.object_name import MOST_NAME, ObjectName, name_object, parse_name

CONTENT = "0123456789abcdef" * 2


@given(st.text(max_size=20), st.sampled_from(["png", "jpeg", "tiff", "jpeg2000", "heic", "webp"]))
def test_a_name_that_is_written_is_read_again(title: str, kind: str) -> None:
    name = name_object(title, CONTENT, kind)
    if not title_fault(name.title):
        assert parse_name(name.text) == name
        assert name.file == f"{CONTENT}.{name.ending}"


@given(st.text())
def test_no_name_leads_out_of_a_class_folder(text: str) -> None:
    for name in (text, f"{text}/{CONTENT}.jpg", f"Can/{text}", f"{text}/../{CONTENT}.jpg"):
        parsed = parse_name(name)
        if isinstance(parsed, ObjectName):
            assert not title_fault(parsed.title)
            assert "/" not in parsed.title + parsed.file
            assert parsed.file.startswith(parsed.content) and not parsed.title.startswith(".")


@pytest.mark.parametrize(
    "name",
    [
        "",
        f"{CONTENT}.jpg",
        f"/{CONTENT}.jpg",
        f"//{CONTENT}.jpg",
        f"../{CONTENT}.jpg",
        f"Can/../{CONTENT}.jpg",
        f"Can/below/{CONTENT}.jpg",
        f"C:\\Can/{CONTENT}.jpg",
        f".astica-sync/{CONTENT}.jpg",
        f"astica-sync.toml/{CONTENT}.jpg",
        f"con/{CONTENT}.jpg",
        f"Can\0/{CONTENT}.jpg",
        f"Can\n/{CONTENT}.jpg",
        f"Can\udcff/{CONTENT}.jpg",
        f"Can/{CONTENT}.jpg\n",
        f"Can/{CONTENT.upper()}.jpg",
        f"Can/{CONTENT}.exe",
        f"Can/{CONTENT[1:]}.jpg",
        f"{'x' * 256}/{CONTENT}.jpg",
        f"{'x' * 1000}/{CONTENT}.jpg",
        "x" * (MOST_NAME + 1),
    ],
)
def test_another_name_is_no_image_and_the_reason_is_given(name: str) -> None:
    assert isinstance(parse_name(name), str) and parse_name(name)


def test_a_class_has_one_spelling_in_unicode() -> None:
    decomposed, composed = "Du\u0308se", "D\u00fcse"
    assert name_object(decomposed, CONTENT, "jpeg").text == f"{composed}/{CONTENT}.jpg"
    assert parse_name(f"{decomposed}/{CONTENT}.jpg") == ObjectName(composed, CONTENT, "jpg")
