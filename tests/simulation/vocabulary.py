"""Words that a part of the walks and days has besides the others: what real surroundings did to such programs.

They are drawn by dice of their own, and only in a part of all walks, so that the other walks stay what they are.
"""

import random

from astica_sync.core.recipe import Recipe

SALT = 0x20861DD
"""Chosen so that the saved seeds, which are older, are not among those with such words."""
SHARE = 0.3
"""How many of all walks have such words."""
MOST = 3
OTHER_RECIPES = "other recipes"
WORDS = {
    "damage": 5,
    "shared images": 2,
    "counts ahead": 2,
    "titles like errors": 2,
    "forged uids": 2,
    "odd numbers": 2,
    "story: drained": 1,
    "story: outlived": 1,
    "story: poisoned": 1,
    "story: overtaken": 1,
    "story: emptied": 1,
    "story: second client": 1,
}
"""How often each is drawn."""
BESIDES = {
    "story: hurried": 0.12,
    "made-up inodes": 0.2,
    "story: swapped": 0.1,
    "story: between": 0.1,
    OTHER_RECIPES: 0.25,
}
"""Words that come to the others, and how often."""
LATER = {"story: late copy": 0.2, "story: reconverted": 0.1}
"""Stories that came after those, and how often a walk with words ends with them; by dice of their own."""
LATER_SALT = 0x23979
LATEST = {"story: put back": 0.2}
"""The same, after those; by dice of their own as well."""
LATEST_SALT = 0x19722
SIZES = "sizes"
"""The service shows the size of each sample: those of one image differ by the recipe."""
SIZES_SHARE = 0.5
"""How many of the walks with other recipes have sizes, by dice of their own."""
SIZES_SALT = 0x1A870
"""All chosen like ``SALT``: no saved seed has such a story, or sizes."""
DIVIDED = 0.1
"""In how many of all walks stores divide the classes of the model, by dice of their own."""
DIVIDED_SALT = 0x6D57
"""Chosen like ``SALT``."""
OFF: frozenset[str] = frozenset()
"""Words that are drawn and do nothing, since the program does not hold them yet."""
NEW_SERVICES = ("story: outlived", "story: poisoned")
"""Stories with trainings of their own, for walks without any."""
RECIPES = (Recipe(), Recipe(max_side=64), Recipe(quality=50))
IDENTITIES = tuple(recipe.identity for recipe in RECIPES)
DAMAGES = ("empty", "zero", "half", "pointer", "placeholder", "come back", "come back", "new image")
"""What happens to files that stay and are no images."""
ERROR_TITLES = ("Throttle bodies", "Gateway", "invalid token")


def draw_words(seed: int) -> frozenset[str]:
    """The words of the walk of a seed; none in most."""
    draw = random.Random(seed ^ SALT)
    if draw.random() >= SHARE:
        return frozenset()
    words = draw.choices(list(WORDS), list(WORDS.values()), k=draw.randint(1, MOST))
    words += [word for word, share in BESIDES.items() if draw.random() < share]
    later = random.Random(seed ^ LATER_SALT)
    words += [word for word, share in LATER.items() if later.random() < share]
    latest = random.Random(seed ^ LATEST_SALT)
    words += [word for word, share in LATEST.items() if latest.random() < share]
    if OTHER_RECIPES in words and random.Random(seed ^ SIZES_SALT).random() < SIZES_SHARE:
        words.append(SIZES)
    return frozenset(words) - OFF


DAY_WORDS = {"damage": 0.3, "drain": 0.2, "killed push": 0.4, "beside": 0.4}
"""How many of all days have each of these words."""
