"""An observation in columns on the disk, so that looking up a few samples of a million reads nothing but these.

A cache of the last view, written when that is read without a request. The file has one line of JSON, all uids with a
line each, the sample ids, their sizes, the numbers of their classes (all in the byte order that the first line names),
a hash of all that, and a seal of the hash that this user alone can make: the file may have come in a downloaded store,
and what this user's program has not written is not read.
"""

import hmac
import json
import mmap
import os
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
from astica_sync.core.observation.sample_table import SampleTable
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import parse_json

FORMAT = 4
"""1 may have dates and texts out of all bounds; 2 and 3 have no seal."""
_UIDS_PER_WRITE = 1 << 16
_HASH_BYTES = 16
_END_BYTES = 2 * _HASH_BYTES


def name_of(body: bytes | memoryview) -> str:
    """The name of an observation: a hash of the bytes of the service's answer."""
    return xxhash.xxh3_128_hexdigest(body)


def write_view_cache(fs: FileSystem, path: Path, observation: Observation) -> None:
    """Writes the observation; one that has a uid with a newline is not written, nor any by a user who cannot seal it.

    Raises:
        OSError: it cannot be written.
    """
    table = SampleTable.of(observation.samples)
    if any("\n" in uid for uid in table.uids) or not _seal(fs, b""):
        return
    head = {
        "format": FORMAT,
        "order": sys.byteorder,
        "name": observation.name,
        "model": asdict(observation.model),
        "asked_at": observation.asked_at,
        "classes": [(entry.class_id, entry.title, entry.samples) for entry in observation.classes],
        "places": table.classes,
        "samples": len(table),
        "size_decimals": observation.size_decimals,
        "even": all(len(uid) == UID_LENGTH for uid in table.uids) and all(map(str.isascii, table.uids)),
    }
    fs.write_synced(path, _chunks(fs, json.dumps(head).encode() + b"\n", table))


def _seal(fs: FileSystem, digest: bytes) -> bytes:
    """What ends the file after this hash; nothing where this user's state folder cannot keep a secret."""
    seal = fs.known_stores.seal(f"columns of a view {digest.hex()}")
    return xxhash.xxh3_128_digest(seal.encode()) if seal else b""


def _chunks(fs: FileSystem, head: bytes, table: SampleTable) -> Iterator[bytes]:
    hasher = xxhash.xxh3_128()

    def pieces() -> Iterator[bytes]:
        yield head
        for start in range(0, len(table), _UIDS_PER_WRITE):
            yield "".join(f"{uid}\n" for uid in table.uids[start : start + _UIDS_PER_WRITE]).encode()
        yield table.ids.tobytes()
        yield table.sizes.tobytes()
        yield table.class_numbers.tobytes()

    for piece in pieces():
        hasher.update(piece)
        yield piece
    yield hasher.digest() + _seal(fs, hasher.digest())


_MOST_BYTES = 1 << 31
"""More than the samples of any model need. A sparse file may have any length, and all of it is hashed."""


def read_view_cache(fs: FileSystem, path: Path) -> Observation | None:
    """The observation that was written; None where there is none, or the file is damaged or not this user's."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if not _is_intact(fs, mapped):
            return None
        end = mapped.find(b"\n") + 1
        head = parse_json(mapped[:end])
        if (head["format"], head["order"]) != (FORMAT, sys.byteorder):
            return None
        classes = tuple(RemoteClass(*entry) for entry in head["classes"])
        samples = ViewCache(mapped, end, head)
        return Observation(
            ModelInfo(**head["model"]),
            head["asked_at"],
            classes,
            samples,
            size_decimals=int(head["size_decimals"]),
            name=head["name"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_intact(fs: FileSystem, mapped: mmap.mmap) -> bool:
    with memoryview(mapped) as body:
        digest = xxhash.xxh3_128_digest(body[:-_END_BYTES])
        return hmac.compare_digest(digest + _seal(fs, digest), bytes(body[-_END_BYTES:]))


class ViewCache(Sequence[RemoteSample]):
    """The samples of an observation on the disk, with the interface of ``SampleTable``."""

    def __init__(self, mapped: mmap.mmap, start: int, head: dict[str, Any]) -> None:
        self._mapped, self._start = mapped, start
        self._samples = int(head["samples"])
        self._classes = [(int(class_id), str(title)) for class_id, title in head["places"]]
        self._fixed_length = bool(head["even"])
        self._table: SampleTable | None = None

    def with_contents(self, contents: Iterable[str]) -> Iterator[RemoteSample]:
        """As ``SampleTable.with_contents``."""
        if not self._fixed_length or self._table is not None:
            yield from self.table().with_contents(contents)
            return
        for content in contents:
            number = bisect_left(range(self._samples), content, key=self._uid)
            while number < self._samples and self._uid(number)[:CONTENT_LENGTH] == content:
                yield RemoteSample(self._uid(number), *self._sample(number))
                number += 1

    def table(self) -> SampleTable:
        """All samples, loaded into memory."""
        if self._table is None:
            ids, sizes, places = self._offsets()
            uids = self._mapped[self._start : ids].decode().split("\n")[:-1]
            self._table = SampleTable.from_columns(
                uids,
                array("q", self._mapped[ids:sizes]),
                array("I", self._mapped[places:-_END_BYTES]),
                self._classes,
                array("d", self._mapped[sizes:places]),
            )
        return self._table

    def __len__(self) -> int:
        return self._samples

    @overload
    def __getitem__(self, index: int) -> RemoteSample: ...

    @overload
    def __getitem__(self, index: slice) -> list[RemoteSample]: ...

    def __getitem__(self, index: int | slice) -> RemoteSample | list[RemoteSample]:
        return self.table()[index]

    def __iter__(self) -> Iterator[RemoteSample]:
        return iter(self.table())

    def _offsets(self) -> tuple[int, int, int]:
        """The offsets of the sample ids, of the sizes and of the class numbers."""
        places = len(self._mapped) - _END_BYTES - self._samples * array("I").itemsize
        sizes = places - self._samples * array("d").itemsize
        return sizes - self._samples * array("q").itemsize, sizes, places

    def _uid(self, number: int) -> str:
        start = self._start + number * (UID_LENGTH + 1)
        return self._mapped[start : start + UID_LENGTH].decode()

    def _sample(self, number: int) -> tuple[int, int, str, float]:
        ids, sizes, places = self._offsets()
        sample_id = array("q", self._mapped[ids + number * 8 : ids + number * 8 + 8])[0]
        size = array("d", self._mapped[sizes + number * 8 : sizes + number * 8 + 8])[0]
        place = array("I", self._mapped[places + number * 4 : places + number * 4 + 4])[0]
        return sample_id, *self._classes[place], size
