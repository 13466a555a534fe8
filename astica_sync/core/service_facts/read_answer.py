"""Reads the answers of a probe as they came, with their forms, where the client's own reading evens these out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DIGITS = re.compile(r"\d{1,19}", re.ASCII)
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShownSample:
    """A sample in a view; ``size`` in megabytes, None where there is none."""

    class_id: int
    class_title: str
    sample_id: int
    uid: str
    size: float | None


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A view. ``counted`` is the number of samples that it counts, None where it does not; ``raw`` is its dataset."""

    classes: tuple[tuple[int, str], ...]
    samples: tuple[ShownSample, ...]
    counted: int | None
    raw: dict[str, Any]

    def find(self, uid: str) -> list[ShownSample]:
        """The samples with this uid, whole or cut at its end."""
        return [one for one in self.samples if one.uid and uid.startswith(one.uid)]

    @property
    def is_settled(self) -> bool:
        """Whether it lists as many samples as it counts."""
        return self.counted is None or self.counted == len(self.samples)


def read_view(body: object) -> ShownModel | None:
    """The model in an answer of ``/model/view``; None where it is something else."""
    dataset = body.get("dataset") if isinstance(body, dict) else None
    if not isinstance(dataset, dict):
        return None
    classes: list[tuple[int, str]] = []
    samples: list[ShownSample] = []
    for entry in _objects(dataset.get("class_list")):
        class_id, title = whole(entry.get("id")) or 0, _text(entry.get("title"))
        classes.append((class_id, title))
        samples += [
            ShownSample(
                class_id, title, whole(sample.get("id")) or 0, _text(sample.get("uid")), _size(sample.get("size"))
            )
            for sample in _objects(entry.get("samples"))
        ]
    return ShownModel(tuple(classes), tuple(samples), whole(dataset.get("numSample")), dataset)


def read_list(body: object) -> list[dict[str, Any]] | None:
    """The models in a list of models; None where it is something else."""
    listed = body.get("dataset_list") if isinstance(body, dict) else None
    return list(_objects(listed)) if isinstance(listed, list) else None


def whole(value: object) -> int | None:
    """An integer, also one that is written as a text."""
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(value: object) -> float | None:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))
