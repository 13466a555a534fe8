"""Finds, lists and reads the images that a version is run on, those of held-out folders included."""

import contextlib
import errno
import glob
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.detections import hash_bytes
from astica_sync.local.filesystem import FileSystem, Kind, kind_of
from astica_sync.local.image.format import HEAD_BYTES, MAX_BYTES, TEXTS, describe, is_image, preparable, sniff
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES
from astica_sync.local.image.prepare.usable_formats import usable_recipe
from astica_sync.local.layout import IGNORE_FILE
from astica_sync.local.scan.ignore import Ignore, is_hidden
from astica_sync.local.scan.litter import is_litter
from astica_sync.system.open_below import link_refused
from astica_sync.training.image_download import check_image_address, download_image, is_address

SUFFIXES = (".jpg", ".jpeg", ".png")
STDIN = "-"


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image to run a version on: a file, or bytes from another source under a name. Without a source, the name is
    an address, which is read when it is needed.

    What was found in the folder ``inside`` is read only if no part of its path below that folder is a link: a
    downloaded folder chooses no other file. A file that the user named may be a link.
    """

    name: str
    source: Path | bytes | None
    inside: Path | None = None

    def read(self) -> tuple[int, bytes]:
        """The size, and the bytes; none where they are too many to be sent.

        Raises:
            OSError: it cannot be read.
        """
        if self.source is None:
            return download_image(self.name)
        return (len(self.source), self.source) if isinstance(self.source, bytes) else _read(self.source, self.inside)


def find_inputs(
    names: Iterable[str], stdin: Callable[[], bytes], formats: Collection[str] | None = None
) -> Iterator[ImageInput]:
    """The images that ``names`` refer to: files, folders with every image below them, see ``list_images``, patterns
    such as ``'new/*.png'``, https addresses, and ``-`` for one image on standard input.

    Raises:
        AsticaSyncError: a name is none of these, or a folder contains no image. Raised before the first image is
            yielded.
    """
    sources: list[tuple[Path | str, Path | None]] = []
    for name in names:
        path = Path(name)
        if name == STDIN:
            sources.append((name, None))
        elif is_address(name):
            check_image_address(name)
            sources.append((name, None))
        elif path.is_dir():
            inside = list_images(path, formats)
            if not inside:
                if formats := count_formats(list_unsupported(path, formats)):
                    raise AsticaSyncError(
                        f"{path} contains no image that can be sent or converted; it has {formats}",
                        "Convert these to PNG or JPEG, or name another folder, or files.",
                    )
                raise AsticaSyncError(f"{path} contains no image", "Name another folder, or files.")
            sources += [(image, path) for image in inside]
        elif path.exists():
            sources.append((path, None))
        else:
            # Path.glob refuses absolute patterns.
            matching = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []  # noqa: PTH207
            if not matching:
                raise AsticaSyncError(f"no such file: {name}", "Name files or folders that exist.")
            sources += [(Path(match), Path(match).parent) for match in matching if not Path(match).is_dir()]
    return (
        ImageInput(str(source), stdin() if source == STDIN else None if isinstance(source, str) else source, inside)
        for source, inside in sources
    )


def list_images(folder: Path, formats: Collection[str] | None = None) -> list[Path]:
    """Every image below a folder, sorted: what is sent or converted by its first bytes, as for a push, and what has the
    name of a PNG or JPEG and is none, so that it is not left out in silence. A link is among them and is not followed.

    ``formats`` are those that are converted, see ``Recipe``; by default those that the default recipe converts here.

    Hidden files, litter and what an ignore file in the folder excludes are skipped.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    formats = _or_default(formats)
    return sorted(path for path in _walk(folder) if _looks_like_image(path, formats))


@dataclass(frozen=True, slots=True)
class UnsupportedFile:
    """A file that can be neither sent nor converted and so is not among the images of a folder. ``format`` is what it
    is."""

    path: Path
    format: str


def list_unsupported(folder: Path, formats: Collection[str] | None = None) -> list[UnsupportedFile]:
    """What ``list_images`` passes over by its first bytes, sorted: images in other formats, videos and the like. Text
    is not among it, since the files that belong to a data set are text.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    found, formats = [], _or_default(formats)
    for path in _walk(folder):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if kind_of(status) is not Kind.FILE or _looks_like_image(path, formats):
                continue
            with FileSystem().open_read(path) as file:
                kind = describe(file.read(HEAD_BYTES), status.st_size).partition(":")[0]
            if kind not in TEXTS:
                found.append(UnsupportedFile(path, kind))
    return sorted(found, key=lambda one: one.path)


def count_formats(files: Iterable[UnsupportedFile]) -> str:
    """``3 HEIC, 1 TIFF``; "" where there are no files."""
    counts = Counter(
        "in no known format" if one.format == "not an image in a known format" else one.format.removesuffix(" image")
        for one in files
    )
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _or_default(formats: Collection[str] | None) -> Collection[str]:
    return usable_recipe().formats if formats is None else formats


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder, and the links, that are not hidden, no litter and not in its ignore file.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    ignore = Ignore.load(folder)
    for place, folders, names in os.walk(folder):
        below = Path(place).relative_to(folder)
        folders[:] = [
            name for name in folders if not is_hidden(name) and not ignore.skips((below / name).as_posix(), folder=True)
        ]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in names + links:
            if not is_hidden(name) and not ignore.skips((below / name).as_posix(), folder=False):
                yield Path(place) / name


def list_ignored(folder: Path, formats: Collection[str] | None = None) -> list[Path]:
    """Every image that the ignore file of a folder leaves out, sorted.

    Raises:
        StoreError: the ignore file cannot be read.
    """
    if not (folder / IGNORE_FILE).exists():
        return []
    formats = _or_default(formats)
    taken = set(list_images(folder, formats))
    ignored: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name) and not is_litter(name, folder=True)]
        paths = (Path(place) / name for name in names if not is_hidden(name) and not is_litter(name, folder=False))
        ignored += (path for path in paths if path not in taken and _looks_like_image(path, formats))
    return sorted(ignored)


def hash_image(path: Path, inside: Path) -> str:
    """The content hash of an image in a folder. That of a link, and of a file that is too large to be read, is one of
    its own: neither is read, and ``Detector.run`` names it.

    Raises:
        OSError: it cannot be read.
    """
    try:
        size, data = _read(path, inside)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return hash_bytes(os.fsencode(path))
    return hash_bytes(os.fsencode(path) if size and not data else data)


def _read(path: Path, inside: Path | None) -> tuple[int, bytes]:
    """The size of a file, and its bytes where they are not too many.

    Raises:
        OSError: it cannot be read; ``ELOOP`` where a part of its path below ``inside`` is a link.
    """
    if inside is None:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            return size, b"" if size > _most_bytes(head) else head + file.read()
    files = FileSystem(inside.absolute())
    try:
        with files.open_read(path.absolute()) as file:
            most = _most_bytes(file.read(HEAD_BYTES))
        status, data, _ = files.read_small(path.absolute(), most)
    except OSError as error:
        raise (link_refused(str(path)) if error.errno == errno.ELOOP else error) from error
    return status.st_size, data or b""


def _most_bytes(head: bytes) -> int:
    """How many bytes a file may have to be read: more where it may be converted."""
    return MAX_SOURCE_BYTES if is_image(head) else MAX_BYTES


def _looks_like_image(path: Path, formats: Collection[str]) -> bool:
    named = path.suffix.lower() in SUFFIXES
    with contextlib.suppress(OSError):
        kind = kind_of(path.lstat())
        if kind is not Kind.FILE:
            return kind is Kind.SYMLINK
        if named:
            return True
        with FileSystem().open_read(path) as file:
            head = file.read(HEAD_BYTES)
        return sniff(head) is not None or preparable(head) in formats
    return named
