"""An observation in columns on the disk, so that looking up a few samples of a million reads nothing but these.

It is a cache of the last view answer, made when that is read without asking the service. One line of JSON, then all
uids with a line each, the sample ids and the numbers of their classes (both little-endian on any machine this runs on),
then a hash of all that.
"""

import json
import mmap
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, overload

import xxhash

from astica_sync.core.model import (
    CONTENT_LENGTH,
    UID_LENGTH,
    ModelInfo,
    Observation,
    RemoteClass,
    RemoteSample,
)
from astica_sync.core.view.sample_table import SampleTable
from astica_sync.local.filesystem import FileSystem

FORMAT = 1
_AT_ONCE = 1 << 16
_HASH_BYTES = 16


def name_of(body: bytes | memoryview) -> str:
    """What tells one answer of the service from another: a hash of its bytes."""
    return xxhash.xxh3_128_hexdigest(body)


def write_view_cache(fs: FileSystem, path: Path, observation: Observation) -> None:
    """Keeps the observation; one that has a uid of several lines is left alone.

    Raises:
        OSError: it cannot be written.
    """
    shown = SampleTable.of(observation.samples)
    if any("\n" in uid for uid in shown.uids):
        return
    head = {
        "format": FORMAT,
        "order": sys.byteorder,
        "name": observation.name,
        "model": asdict(observation.model),
        "asked_at": observation.asked_at,
        "classes": [(entry.class_id, entry.title, entry.samples) for entry in observation.classes],
        "places": shown.classes,
        "samples": len(shown),
        "even": all(len(uid) == UID_LENGTH for uid in shown.uids) and all(map(str.isascii, shown.uids)),
    }
    fs.write_synced(path, _chunks(json.dumps(head).encode() + b"\n", shown))


def _chunks(head: bytes, shown: SampleTable) -> Iterator[bytes]:
    hasher = xxhash.xxh3_128()

    def pieces() -> Iterator[bytes]:
        yield head
        for start in range(0, len(shown), _AT_ONCE):
            yield "".join(f"{uid}\n" for uid in shown.uids[start : start + _AT_ONCE]).encode()
        yield shown.ids.tobytes()
        yield shown.class_numbers.tobytes()

    for piece in pieces():
        hasher.update(piece)
        yield piece
    yield hasher.digest()


def read_view_cache(path: Path) -> Observation | None:
    """The observation that was kept; None where there is none, or it is not what was written."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if not _is_whole(mapped):
            return None
        end = mapped.find(b"\n") + 1
        head = json.loads(mapped[:end])
        if (head["format"], head["order"]) != (FORMAT, sys.byteorder):
            return None
        classes = tuple(RemoteClass(*entry) for entry in head["classes"])
        samples = ViewCache(mapped, end, head)
        return Observation(ModelInfo(**head["model"]), head["asked_at"], classes, samples, name=head["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_whole(mapped: mmap.mmap) -> bool:
    with memoryview(mapped) as body:
        return xxhash.xxh3_128_digest(body[:-_HASH_BYTES]) == body[-_HASH_BYTES:]


class ViewCache(Sequence[RemoteSample]):
    """The samples of an observation on the disk."""

    def __init__(self, mapped: mmap.mmap, start: int, head: dict[str, Any]) -> None:
        self._mapped, self._start = mapped, start
        self._samples = int(head["samples"])
        self._classes = [(int(class_id), str(title)) for class_id, title in head["places"]]
        self._even = bool(head["even"])
        self._shown: SampleTable | None = None

    def with_contents(self, contents: Iterable[str]) -> Iterator[RemoteSample]:
        """As ``SampleTable.with_contents``."""
        if not self._even or self._shown is not None:
            yield from self.shown().with_contents(contents)
            return
        for content in contents:
            number = bisect_left(range(self._samples), content, key=self._uid)
            while number < self._samples and self._uid(number)[:CONTENT_LENGTH] == content:
                yield RemoteSample(self._uid(number), *self._sample(number))
                number += 1

    def shown(self) -> SampleTable:
        """All samples, in memory."""
        if self._shown is None:
            ids, places = self._numbers()
            uids = self._mapped[self._start : ids].decode().split("\n")[:-1]
            self._shown = SampleTable.from_columns(
                uids,
                array("q", self._mapped[ids:places]),
                array("I", self._mapped[places:-_HASH_BYTES]),
                self._classes,
            )
        return self._shown

    def __len__(self) -> int:
        return self._samples

    @overload
    def __getitem__(self, index: int) -> RemoteSample: ...

    @overload
    def __getitem__(self, index: slice) -> list[RemoteSample]: ...

    def __getitem__(self, index: int | slice) -> RemoteSample | list[RemoteSample]:
        return self.shown()[index]

    def __iter__(self) -> Iterator[RemoteSample]:
        return iter(self.shown())

    def _numbers(self) -> tuple[int, int]:
        """Where the sample ids and the class numbers begin."""
        places = len(self._mapped) - _HASH_BYTES - self._samples * array("I").itemsize
        return places - self._samples * array("q").itemsize, places

    def _uid(self, number: int) -> str:
        start = self._start + number * (UID_LENGTH + 1)
        return self._mapped[start : start + UID_LENGTH].decode()

    def _sample(self, number: int) -> tuple[int, int, str]:
        ids, places = self._numbers()
        sample_id = array("q", self._mapped[ids + number * 8 : ids + number * 8 + 8])[0]
        place = array("I", self._mapped[places + number * 4 : places + number * 4 + 4])[0]
        return sample_id, *self._classes[place]
