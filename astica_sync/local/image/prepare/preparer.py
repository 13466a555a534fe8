"""Converts images in separate processes, see ``worker_pool``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from astica_sync.core.recipe import Recipe
from astica_sync.errors import ImageRejected
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import (
    HEAD_BYTES,
    broken,
    describe,
    dimensions,
    not_converted,
    preparable,
)
from astica_sync.local.image.prepare.judge_size import TooLarge, judge_converted
from astica_sync.local.image.worker_pool import (
    HEAVY_PIXELS,
    WORKER_MEMORY,
    WORKERS,
    ImageWorkers,
    TooSlow,
    WorkerKilled,
)

SECONDS = 60.0
"""Processor time for one image: three times that of a check, as it is decoded and encoded."""
MAX_SOURCE_BYTES = 256 * 1024 * 1024
"""A larger file is not read for it."""

_TRIALS = 5

LIGHT, ANY_SIZE = b"\0", b"\1"
"""The first byte of a request: whether an image of many pixels is to be converted as well. The text of the recipe
follows as a line, and after it the image. The answer is a line of JSON, and after it the converted image."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image that the service takes, made from one that it does not take."""

    data: bytes
    width: int
    height: int
    notes: tuple[str, ...]
    """What was changed besides the format, in a few words each."""
    source_sides: tuple[int, int] = (0, 0)
    """Width and height of the original, upright."""


class Preparer:
    """Converts images in a few worker processes, for any number of threads."""

    def __init__(
        self,
        recipe: Recipe | None = None,
        *,
        workers: int = WORKERS,
        seconds: float = SECONDS,
        memory: int = WORKER_MEMORY,
        program: Sequence[str] | None = None,
    ) -> None:
        """As ``ImageWorkers``."""
        self.recipe = recipe or Recipe()
        self._seconds = seconds
        self._workers = ImageWorkers(
            "astica_sync.local.image.prepare.prepare_process",
            workers=workers,
            seconds=seconds,
            memory=memory,
            program=program,
        )

    def __enter__(self) -> "Preparer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers; one that is in use ends with its call."""
        self._workers.close()

    def prepare(self, data: bytes, recipe: Recipe | None = None) -> Prepared:
        """The image, converted by the recipe; by another one where it is given.

        Raises:
            ImageRejected: it is broken, too large, or of a format that is not converted; the text says what helps.
            Unworkable: no worker can be started.
        """
        match self._prepare(data, recipe or self.recipe):
            case Prepared() as prepared:
                return prepared
            case reason:
                raise ImageRejected(reason)

    def _prepare(self, data: bytes, recipe: Recipe) -> Prepared | str:
        """The image, or why it is not converted; of one above the limits the setting that makes it fit."""
        if preparable(data) not in recipe.formats:
            return describe(data[:HEAD_BYTES], len(data))
        if len(data) > MAX_SOURCE_BYTES:
            return not_converted(f"{len(data) / 1e6:.1f} MB, too large to be converted")
        try:
            found = self._convert_again(data, recipe)
            return self._find_setting(data, recipe, found) if isinstance(found, TooLarge) else found
        except WorkerKilled as death:
            return broken(str(death))

    def _find_setting(self, data: bytes, recipe: Recipe, found: TooLarge) -> str:
        """The reason against an image that is too large, with a ``max_side`` by which it was found to fit."""
        limit = found.limit
        for _ in range(_TRIALS):
            match self._convert_again(data, replace(recipe, max_side=found.side)):
                case Prepared():
                    return TooLarge(limit, found.side).with_setting()
                case TooLarge() as smaller if smaller.side < found.side:
                    found = smaller
                case str() as reason:
                    return reason
                case _:
                    break
        return TooLarge(limit).without_setting()

    def _convert_again(self, data: bytes, recipe: Recipe) -> Prepared | TooLarge | str:
        try:
            return self._convert(data, recipe)
        except WorkerKilled:
            # Perhaps the machine was short of memory for another reason: try once more.
            return self._convert(data, recipe)

    def convert(self, data: bytes) -> bytes:
        """What is sent of an image: itself, where its format is not converted.

        Raises:
            As ``prepare``.
        """
        return self.prepare(data).data if self.recipe.converts(preparable(data)) else data

    def prepare_file(self, files: FileSystem, path: Path) -> Prepared:
        """As ``prepare``, for a file.

        Raises:
            OSError: the file cannot be read, which says nothing about the image.
        """
        with files.open_read(path) as file:
            size = files.fstat(file).st_size
            if size > MAX_SOURCE_BYTES:
                raise ImageRejected(not_converted(f"{size / 1e6:.1f} MB, too large to be converted"))
            return self.prepare(b"".join(files.chunks(file)))

    def _convert(self, data: bytes, recipe: Recipe) -> Prepared | TooLarge | str:
        head = recipe.text.encode() + b"\n"
        try:
            answer = self._workers.ask(0, LIGHT, head, data)
            if "pixels" in _parse_head(answer):
                # Its pixels are known to the worker alone; one such image is converted at a time.
                answer = self._workers.ask(HEAVY_PIXELS + 1, ANY_SIZE, head, data)
        except TooSlow:
            return broken(f"its conversion takes more than {self._seconds:g} seconds")
        found = _parse_head(answer)
        if "reason" in found:
            return str(found["reason"])
        if "above" in found:
            return TooLarge(str(found["above"]))
        image = answer[answer.index(b"\n") + 1 :]
        sides = dimensions(image)
        if sides is None:
            return broken("it was not converted")
        reason = judge_converted(len(image), *sides, recipe)
        notes = tuple(str(note) for note in found["notes"])
        return reason or Prepared(image, *sides, notes, tuple(found["source"] or sides))


def _parse_head(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.partition(b"\n")[0])
    return found
