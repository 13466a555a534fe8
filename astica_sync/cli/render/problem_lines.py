"""The files of a store that cannot be samples, as text: those of one class with the same reason are one line."""

import os
from collections.abc import Callable, Sequence

from astica_sync.api.states.problem_advice import advise
from astica_sync.cli.render.text import LINES, safe
from astica_sync.core.model import Problem
from astica_sync.local.image.prepare.usable_formats import CONVERTED_SUFFIXES

MOST_NAMED = 2
"""So many problems of one class and reason are named where there are more than one more."""


def problem_lines(problems: Sequence[Problem], is_image: Callable[[str], bool]) -> list[str]:
    """The first lines, and what is left out of them. ``is_image`` returns whether a sample is at a path."""
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for one in problems:
        converted = bool(_find_converted(one, is_image))
        reason = one.reason if converted else advise(one)
        groups.setdefault((class_folder_of(one), reason, converted), []).append(one.path)
    entries: list[tuple[str, int]] = []
    hidden = False
    for (class_folder, reason, converted), paths in groups.items():
        hidden |= len(paths) > MOST_NAMED + 1
        named = name_group(class_folder, paths)
        why = _converted_reason(reason, paths, is_image) if converted else reason
        entries.append((f"! {named}  ({why})", len(paths)))
    lines = [line for line, _ in entries[:LINES]]
    left = len(problems) - sum(count for _, count in entries[:LINES])
    if left:
        lines.append(f"… and {left:,} more (--json lists all)")
    elif hidden:
        lines.append("--json lists all")
    return lines


def class_folder_of(problem: Problem) -> str:
    """The folder of its class; "" of a class folder itself and of a file beside it, which are of no class."""
    class_folder, slash, _ = problem.path.partition("/")
    return class_folder if slash else ""


def name_group(class_folder: str, paths: Sequence[str]) -> str:
    """The paths of problems of one class and reason; of many the first, and how many more there are."""
    names = list(map(safe, paths))
    if len(paths) > MOST_NAMED + 1:
        more = f"{len(paths) - MOST_NAMED:,} more" + (f" of {safe(class_folder)}" if class_folder else "")
        names = [*names[:MOST_NAMED], more]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _find_converted(problem: Problem, is_image: Callable[[str], bool]) -> str:
    """The path of the PNG or JPEG that has the stem of an image in another format; "" where there is none."""
    if not problem.reason.partition(":")[0].endswith(" image"):
        return ""
    stem = os.path.splitext(problem.path)[0]  # noqa: PTH122 - the path is one of a store
    others = (stem + suffix for suffix in CONVERTED_SUFFIXES)
    return next((path for path in others if path != problem.path and is_image(path)), "")


def _converted_reason(reason: str, paths: Sequence[str], is_image: Callable[[str], bool]) -> str:
    """What to do with images that are converted already."""
    kind = reason.partition(":")[0]
    if len(paths) == 1:
        name = safe(os.path.basename(_find_converted(Problem(paths[0], reason), is_image)))  # noqa: PTH119
        return f"{kind}: {name} is beside it; list this file in .astica-ignore"
    # The ignore file tells upper and lower case apart.
    patterns = sorted({f"*{safe(os.path.splitext(path)[1])}" for path in paths})  # noqa: PTH122
    lines = f"a line {patterns[0]}" if len(patterns) == 1 else f"lines {' and '.join(patterns)}"
    return f"{kind}: a PNG or JPEG of the same name is beside each; list them in .astica-ignore ({lines})"
