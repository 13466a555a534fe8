"""Names for files and classes that come from outside."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.gallery.safe_names import (
    free_names,
    is_sample_path,
    is_settings_name,
    safe_file_name,
    title_fault,
)
from astica_sync.local.layout import SETTINGS_FILE


@given(st.text(), st.sampled_from(["png", "jpg"]))
def test_a_safe_name_is_a_plain_name(given_name: str, extension: str) -> None:
    name = safe_file_name(given_name, extension)
    assert is_sample_path(f"Can/{name}") and "/" not in name and "\\" not in name
    assert len(name.encode()) <= 210
    assert name.lower().endswith(".png" if extension == "png" else (".jpg", ".jpeg"))
    assert safe_file_name(name, extension) == name


@pytest.mark.parametrize(
    ("given_name", "extension", "name"),
    [
        ("a.png", "png", "a.png"),
        ("a.JPEG", "jpg", "a.JPEG"),
        ("a.png", "jpg", "a.jpg"),
        ("noend", "png", "noend.png"),
        ("é" * 300, "jpg", "é" * 98 + ".jpg"),
        ("con", "png", "image-con.png"),
        ("", "png", "image.png"),
    ],
)
def test_a_name_is_kept_where_it_can_be(given_name: str, extension: str, name: str) -> None:
    assert safe_file_name(given_name, extension) == name


@given(st.text(min_size=1, max_size=300))
def test_free_names_are_different_and_short(name: str) -> None:
    names = list(islice(free_names(name), 12))
    assert names[0] == name and len(set(names)) == 12
    assert all(len(one.encode("utf-8", "surrogateescape")) <= 255 for one in names[1:])


@pytest.mark.parametrize(
    "name", ["astica-sync.toml", "ASTICA-sync.TOML", "astica\u200d-sync.toml", "\uff41stica-sync.toml"]
)
def test_no_file_of_a_class_is_below_a_folder_with_the_name_of_the_settings(name: str) -> None:
    assert is_settings_name(name) and not is_sample_path(f"{name}/x.png")
    assert is_sample_path(f"Can/{name}/x.png"), "the settings are in the store's own folder"
    assert not is_settings_name("astica-sync") and is_sample_path("astica-sync/x.png")


def test_free_names_keep_the_extension() -> None:
    assert list(islice(free_names("a.b.jpg"), 3)) == ["a.b.jpg", "a.b-2.jpg", "a.b-3.jpg"]
    assert list(islice(free_names("noend"), 2)) == ["noend", "noend-2"]
    assert list(islice(free_names(".jpg"), 2)) == [".jpg", ".jpg-2"]
    assert list(islice(free_names("é" * 130), 2))[1] == "é" * 126 + "-2"


@pytest.mark.parametrize("title", ["Can", "Glas & Söhne", "a.b", "<b>", "日本", "con1", "a" * 255])
def test_a_title_that_is_fine(title: str) -> None:
    assert title_fault(title) == ""


@pytest.mark.parametrize("title", ["", " ", "a ", ".a", "a/b", "a\\b", "a\nb", "\u2028", "a" * 256, "con", "LPT1.x"])
def test_a_title_that_is_not(title: str) -> None:
    assert title_fault(title)


@pytest.mark.parametrize("title", [SETTINGS_FILE, SETTINGS_FILE.upper(), "Astica-Sync.toml"])
def test_no_class_stands_in_the_place_of_the_settings(title: str) -> None:
    assert title_fault(title) == "this is the name of the store's settings file"
    assert title_fault(f"{title}-2") == ""


@pytest.mark.parametrize(
    "path", ["x.jpg", "", "../x.jpg", "Can/../x", "Can//x", "/x/y", "Can/.x", ".astica-sync/x", "Can/a\0b", "Can/"]
)
def test_what_is_no_path_of_an_image(path: str) -> None:
    assert not is_sample_path(path)
