"""Why a version may have other data than the training that it seems to be the result of, decided from views."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from astica_sync.core.model import CONTENT_LENGTH, RemoteSample, is_uid

SampleKey = tuple[int, str]
"""The id of a sample with its content: a service may give the id of a removed sample to another one."""


@dataclass(frozen=True, slots=True)
class ChangesAtRequest:
    """What the view just after the request showed otherwise than the view before it: samples that were ``gone``,
    samples of others that were ``added``, and the ``version``."""

    gone: set[SampleKey]
    added: set[SampleKey]
    version: str


@dataclass(frozen=True, slots=True)
class DataChanges:
    """What others may have changed: samples ``added`` before the training, samples ``removed`` from its data until now,
    and samples that were ``gone`` just after the request and have not been shown again."""

    added: int
    removed: int
    gone: int


def key_of(sample: RemoteSample) -> SampleKey:
    return (sample.sample_id, sample.uid[:CONTENT_LENGTH])


def keys_of(samples: Iterable[RemoteSample]) -> set[SampleKey]:
    return {key_of(sample) for sample in samples}


def find_gone(before: Iterable[RemoteSample], after: Sequence[RemoteSample]) -> list[SampleKey]:
    """What the view ``after`` lacks of the view ``before``. A copy in the same class that was there before as well has
    the same data; one with another id was made meanwhile."""
    before = list(before)
    known, shown = keys_of(before), keys_of(after)
    copies = {_place_of(sample) for sample in after if key_of(sample) in known and is_uid(sample.uid)}
    return sorted(key_of(one) for one in before if key_of(one) not in shown and _place_of(one) not in copies)


def _place_of(sample: RemoteSample) -> tuple[str, str]:
    return (sample.class_title, sample.uid[:CONTENT_LENGTH])


def doubt_about(changes: DataChanges) -> str:
    """The reason in words; "" where nothing was changed."""
    if changes.gone and not changes.added:
        return (
            f"{_samples(changes.gone)} no longer shown just after it was requested, so it may have been trained without"
        )
    parts = [
        f"{_samples(count)} {what} elsewhere"
        for count, what in ((changes.added, "added"), (changes.removed, "removed"))
        if count
    ]
    when = " before it was trained" if changes.added else ""
    return f"{' and '.join(parts)}{when}, so it may be another training's" if parts else ""


def doubt_about_name(before: str, now: str) -> str:
    """The reason where a training that finished shows the name of the version before it under another date: each
    training gives a new name, and one that failed may change the date alone."""
    return "it has the name of the version before it, so the training may have failed" if now and now == before else ""


def doubt_about_skipped(names: Sequence[str]) -> str:
    """The reason where only versions that were never shown speak against it: samples that others changed for their
    training may be as before by now."""
    between = "1 version was" if len(names) == 1 else f"{len(names):,} versions were"
    return f"{between} made and not shown before it, so it may be another training's" if names else ""


def _samples(count: int) -> str:
    return "1 sample was" if count == 1 else f"{count:,} samples were"
