"""Makes the trees that are measured: small files that look like PNG from outside, spread over classes.

    python -m benchmarks.trees FOLDER FILES [--classes N] [--size BYTES]

makes a store whose every sample is agreed and was observed, so that nothing is left to do.
"""

import argparse
import json
import os
import time
from pathlib import Path

from astica_sync.clock import SystemClock
from astica_sync.store.index import Index
from astica_sync.store.journal import Journal
from astica_sync.store.layout import Layout, create_store
from astica_sync.store.scan import scan_store

HEAD = b"\x89PNG\r\n\x1a\n"
MODEL = 1001
URL = "http://127.0.0.1:9"
WHEN = 1_700_000_000


def write_files(folder: Path, files: int, classes: int, size: int, first: int = 0) -> None:
    """``files`` files of ``size`` bytes, no two alike."""
    filling = os.urandom(size)
    for number in range(classes):
        (folder / f"class {number:03}").mkdir(parents=True, exist_ok=True)
    for number in range(first, first + files):
        start = HEAD + number.to_bytes(8, "big")
        path = f"{folder}/class {number % classes:03}/image {number:07}.png"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(descriptor, start + filling[len(start) :])
        os.close(descriptor)


def bind(folder: Path, url: str = URL, model: int = MODEL) -> Layout:
    """Makes the folder the store of a model, without a word to any service."""
    create_store(folder, model_id=model, train_url=url, now=time.time())
    return Layout(folder)


def agree_all(layout: Layout) -> int:
    """Scans the store and writes down that the service has every sample, by journal and last observation."""
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


def write_view(path: Path, samples: "object", now: float) -> int:
    """The answer of a service that has these (uid, class) pairs, kept as the last observation; its samples."""
    classes: dict[str, list[str]] = {}
    count = 0
    for count, (uid, title) in enumerate(samples, 1):  # type: ignore[call-overload]
        entry = {"id": 100_000 + count, "uid": uid, "size": 0.253747, "date_created": str(WHEN)}
        classes.setdefault(title, []).append(json.dumps(entry))
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
    parser = argparse.ArgumentParser(description="Makes a store in which nothing is left to do.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=int)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--size", type=int, default=2000)
    given = parser.parse_args()
    write_files(given.folder, given.files, given.classes, given.size)
    os.sync()
    agree_all(bind(given.folder))


if __name__ == "__main__":
    main()
