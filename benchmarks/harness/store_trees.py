"""Creates the stores that are measured: small, different PNG files, spread over classes.

    python -m benchmarks.harness.store_trees FOLDER FILES [--classes N] [--size BYTES] [--files-only]

creates a store that is in sync: every sample is agreed and in the last observation. The index comes from a real scan;
the marks are written by the program's journal, and the observation in the format of the service's answers.
"""

import argparse
import json
import os
import random
import struct
import time
import zlib
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from astica_sync.clock import SystemClock
from astica_sync.local.create_store import create_store
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.layout import Layout
from astica_sync.local.scan.scanner import scan_store

MODEL = 1001
"""The id of the first model of a new sandbox, so that a sandbox can serve the same store."""

URL = "http://127.0.0.1:9"
WHEN = 1_700_000_000
PIECE = 20_000


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


_HEAD = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
_ROWS = _chunk(b"IDAT", zlib.compress((b"\0" + b"\x20\x60\xa0" * 8) * 8))
_END = _chunk(b"IEND", b"")


def png(number: int, size: int, filling: bytes) -> bytes:
    """A complete PNG of about ``size`` bytes. Its number is in an ancillary chunk, which decoders ignore."""
    room = max(8, size - len(_HEAD) - len(_ROWS) - len(_END) - 12)
    return _HEAD + _ROWS + _chunk(b"biGz", number.to_bytes(8, "big") + filling[: room - 8]) + _END


def write_files(folder: Path, files: int, classes: int, size: int) -> None:
    """Writes ``files`` files of ``size`` bytes; the same arguments give the same bytes."""
    classes = min(classes, files)
    for number in range(classes):
        (folder / f"class {number:03}").mkdir(parents=True, exist_ok=True)
    starts = range(0, files, PIECE)
    if len(starts) == 1:
        _write_piece(folder, 0, files, classes, size)
        return
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done in [
            pool.submit(_write_piece, folder, start, min(start + PIECE, files), classes, size) for start in starts
        ]:
            done.result()


def _write_piece(folder: Path, first: int, end: int, classes: int, size: int) -> None:
    filling = random.Random(size).randbytes(size)
    for number in range(first, end):
        path = f"{folder}/class {number % classes:03}/image {number:07}.png"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(descriptor, png(number, size, filling))
        os.close(descriptor)


def change_files(folder: Path, changed: int, files: int, classes: int, size: int) -> None:
    """Changes the first files; their size changes too, so that a scan notices the change without reading them."""
    _write_piece(folder, 0, changed, min(classes, files), size + 1000)


def restore_files(folder: Path, changed: int, files: int, classes: int, size: int) -> None:
    """Restores the original bytes of the first files."""
    _write_piece(folder, 0, changed, min(classes, files), size)


def bind(folder: Path, url: str = URL, model: int = MODEL) -> Layout:
    """Makes the folder a store of a model; sends no request."""
    create_store(folder, model_id=model, train_url=url, now=time.time(), rebind=True)
    return Layout(folder)


def agree_all(layout: Layout) -> int:
    """Scans the store, and records in journal and last observation that the service has every sample."""
    clock = SystemClock()
    with Index(layout.index_db) as index, Journal(layout.journal_db, "made") as journal:
        scan_store(layout, index, clock=clock)
        with journal.commit():
            journal.agree(
                ((s.uid, s.class_title, s.paths[0]) for s in index.local_samples(MODEL)), at=clock.now() - 86400
            )
            journal.set_meta("uids_proven", True)
        samples = ((s.uid, s.class_title) for s in index.local_samples(MODEL))
        return write_view(layout.last_view, samples, clock.now())


def write_view(path: Path, samples: Iterable[tuple[str, str]], now: float) -> int:
    """Writes the answer of a service that has these (uid, class) pairs as the last observation; returns the count."""
    classes: dict[str, list[str]] = {}
    count = 0
    for count, (uid, title) in enumerate(samples, 1):
        entry = f'{{"id": {100_000 + count}, "uid": "{uid}", "size": 0.253747, "date_created": "{WHEN}"}}'
        classes.setdefault(title, []).append(entry)
    with path.open("w") as file:
        file.write(json.dumps({"model_id": MODEL, "asked_at": now}) + "\n")
        file.write('{"status": "OK", "astica": {"request": "dataset", "requestType": "view"}, "dataset": ')
        file.write(json.dumps({"id": MODEL, "title": "A model", "numClass": len(classes), "numSample": count})[:-1])
        file.write(', "total_size": 5.04, "class_list": [')
        for number, (title, entries) in enumerate(classes.items(), 1):
            head = json.dumps({"id": number, "title": title, "date_created": WHEN})[:-1]
            file.write(("," if number > 1 else "") + head + ', "samples": [' + ",".join(entries) + "]}")
        file.write("]}}")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description="Creates a store that is in sync with its last observation.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=int)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--files-only", action="store_true", help="no store, only the files")
    given = parser.parse_args()
    began = time.monotonic()
    write_files(given.folder, given.files, given.classes, given.size)
    written = time.monotonic()
    if not given.files_only:
        agree_all(bind(given.folder))
    print(f"files {written - began:.1f} s, store {time.monotonic() - written:.1f} s")


if __name__ == "__main__":
    main()
