"""The recipe by which images are converted, and the names that settings give it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.recipe import (
    ALL,
    COLOURS,
    FORMAT_NAMES,
    METADATA,
    NONE,
    PREPARABLE,
    TAKEN_AS_THEY_ARE,
    Recipe,
    read_colour,
)

WORDS = [word for word, _ in PREPARABLE]


@given(st.sets(st.sampled_from(WORDS)))
def test_a_recipe_is_found_by_its_name(words: set[str]) -> None:
    recipe = Recipe(frozenset(words))
    assert Recipe.of(recipe.name) == recipe
    assert (recipe.name == ALL, recipe.name == NONE) == (len(words) == len(WORDS), not words)


def test_a_name_may_have_spaces_and_capitals() -> None:
    assert Recipe.of(" HEIC , webp") == Recipe(frozenset({"heic", "webp"}))
    assert Recipe.of("ALL") == Recipe() and Recipe.of("none").formats == frozenset()


@pytest.mark.parametrize("name", ["", "heif", "all,heic", "none,webp", "heic;webp", "heic,"])
def test_another_name_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(ValueError, match="all, none, or a list of heic, avif"):
        Recipe.of(name)


def test_what_is_above_the_limits_is_converted_where_a_side_is_set() -> None:
    assert [Recipe(max_side=side).converts("oversized") for side in (0, 16, 16_000)] == [False, True, True]
    assert not Recipe(frozenset({"webp"}), max_side=64).converts("oversized")
    assert Recipe().converts("webp") and not Recipe().converts(None)


def test_sides_and_quality_do_not_change_what_is_seen() -> None:
    assert Recipe(max_side=800, quality=40, metadata="keep").look == Recipe().look == ""
    assert Recipe(max_side=800, background="#000000", frame=2).look == "background=#000000 frame=2"
    assert Recipe(colours="keep").look == "colours=keep"


def test_every_format_has_a_name_for_messages() -> None:
    assert FORMAT_NAMES.keys() == set(WORDS) and set(WORDS) >= TAKEN_AS_THEY_ARE


RECIPES = st.builds(
    Recipe,
    st.frozensets(st.sampled_from(WORDS)),
    st.just(0) | st.integers(16, 16_000),
    st.integers(1, 100),
    st.from_regex(r"#[0-9a-f]{6}", fullmatch=True),
    st.integers(1, 9),
    st.sampled_from(METADATA),
    st.sampled_from(COLOURS),
)


@given(RECIPES)
def test_a_recipe_is_read_from_its_text_and_from_its_identity(recipe: Recipe) -> None:
    assert recipe.is_sound and Recipe.parse(recipe.text) == recipe
    alone = Recipe.parse(recipe.identity)
    assert alone.identity == recipe.identity and alone.formats == Recipe().formats
    assert "\n" not in recipe.text


@given(RECIPES, RECIPES)
def test_two_recipes_have_one_identity_where_they_make_the_same_images(one: Recipe, other: Recipe) -> None:
    def making(recipe: Recipe) -> tuple[int, int, str, int, str, str]:
        return recipe.max_side, recipe.quality, recipe.background, recipe.frame, recipe.metadata, recipe.colours

    assert (one.identity == other.identity) == (making(one) == making(other))


def test_the_default_recipe_has_no_identity_and_formats_are_no_part_of_one() -> None:
    assert Recipe().identity == Recipe(frozenset()).identity == "" and Recipe().text == "all"
    assert Recipe(max_side=800, background="#000000").identity == "max_side=800 background=#000000"
    assert Recipe(frozenset({"webp"}), quality=80).text == "webp quality=80"
    assert Recipe(metadata="keep").text == "all metadata=keep"
    assert Recipe(colours="keep").text == "all colours=keep"
    assert Recipe.parse("") == Recipe()


@pytest.mark.parametrize(
    "text",
    ["all max_side=5", "max_side=17000", "quality=0", "frame=0", "all page=2", "quality=80 max_side=64", "all x",
     "max_side=", "background=red", "max_side=064", "metadata=all", "metadata=none", "colours=all", "colours=srgb"],
)  # fmt: skip
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Recipe.parse(text)


def test_a_colour_has_a_name_or_six_digits() -> None:
    assert (
        read_colour(" White ") == "#ffffff" and read_colour("#A0b0C0") == "#a0b0c0" and read_colour("gray") == "#808080"
    )
    for text in ("", "#fff", "red", "ffffff", "#gggggg"):
        with pytest.raises(ValueError, match="white, black, grey, or a colour such as #f0f0f0"):
            read_colour(text)
