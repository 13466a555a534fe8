"""Import of a zip archive, compared with unpacking it and hashing the files.

python -m benchmarks.local.import_archive ARCHIVE FOLDER      imports into a new folder
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path

from benchmarks.harness.measure import Command, Figure, has, judge, skipped, take_turns, value

OURS = "astica-sync's import"
UNZIP = "unzip, then xxh128sum"
_CLASSES = 20


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    sizes = ((100_000, 100_000), (100_000, 1_000)) if full else ((2_000, 100_000), (10_000, 1_000))
    return [figure for images, size in sizes for figure in _figures(scratch, images, size, 1 if full else times)]


def _figures(scratch: Path, images: int, size: int, times: int) -> list[Figure]:
    archive = make(scratch, images, size)
    work = f"import of a zip, {images:,} images of {size // 1000} kB"
    folder = scratch / "imported"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    ours = [sys.executable, "-m", "benchmarks.local.import_archive", archive, folder]
    commands = {OURS: Command(ours, prepare=prepare)}
    missing = []
    if has("unzip") and has("xxh128sum"):
        unpack = f"unzip -q '{archive}' -d . && find . -type f -print0 | xargs -0 -n 5000 xxh128sum > /dev/null"
        commands[UNZIP] = Command(["sh", "-c", unpack], folder, prepare=prepare)
    elif has("unzip"):
        hashing = f"{sys.executable} -m benchmarks.local.import_archive --hash '{folder}'"
        unpack = f"unzip -q '{archive}' -d '{folder}' && {hashing}"
        commands[UNZIP] = Command(["sh", "-c", unpack], prepare=prepare)
    else:
        missing.append(skipped(work, UNZIP, "unzip is not installed"))
    costs = take_turns(commands, times, warm=False)
    shutil.rmtree(folder, ignore_errors=True)
    peak = max(cost.peak_mb for cost in costs[OURS])
    memory = value(work, "memory of the import", peak, "MB", "<= 200", runs=times)
    return [*judge(work, costs, {(OURS, UNZIP): "<= 1.5"}), memory, *missing]


def make(scratch: Path, images: int, size: int) -> Path:
    """An archive of images that cannot be compressed; one of an earlier run is used again."""
    archive = scratch / f"images-{images}-{size}.zip"
    if not archive.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(".part")
        with zipfile.ZipFile(part, "w") as zipped:
            for number in range(images):
                name = f"set/class {number % _CLASSES}/{number:07}.jpg"
                zipped.writestr(zipfile.ZipInfo(name), b"\xff\xd8\xff" + os.urandom(size))
        part.rename(archive)
    return archive


def _import(archive: Path, folder: Path) -> None:
    from astica_sync.core.exchange.import_plan import ImportFolder
    from astica_sync.exchange.import_run import ImportRequest, ImportTarget, run_import
    from astica_sync.exchange.known_contents import known_in_folder
    from astica_sync.exchange.layouts.find_layout import find_layout
    from astica_sync.exchange.sources.open_source import open_source

    with open_source(str(archive)) as source:
        _, data_set = find_layout(source)
        run_import(data_set, {ImportFolder.STORE: ImportTarget(folder, known_in_folder(folder))}, ImportRequest())


def _hash(folder: Path) -> None:
    import xxhash

    for path in folder.rglob("*"):
        if path.is_file():
            xxhash.xxh3_128(path.read_bytes()).digest()


if __name__ == "__main__":
    if sys.argv[1] == "--hash":
        _hash(Path(sys.argv[2]))
    else:
        _import(Path(sys.argv[1]), Path(sys.argv[2]))
