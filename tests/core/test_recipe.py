"""The recipe by which images are converted, and the names that settings give it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.recipe import ALL, FORMAT_NAMES, NONE, PREPARABLE, TAKEN_AS_THEY_ARE, Recipe

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


def test_every_format_has_a_name_for_messages() -> None:
    assert FORMAT_NAMES.keys() == set(WORDS) and set(WORDS) >= TAKEN_AS_THEY_ARE
