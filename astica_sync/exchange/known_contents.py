"""Which images a folder of class folders has already, by content: what the index knows, and what it does not hash."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import xxhash

from astica_sync.core.model import content_of
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.db.index import Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem, Kind, kind_of

FindClasses = Callable[[str], Iterable[str]]


class KnownContents:
    """The classes in which a folder has an image of a given content.

    Files that ``classes_of`` does not know are hashed when an image of their size comes, each once.
    """

    def __init__(self, root: Path, unhashed: Iterable[str], classes_of: FindClasses = lambda _: ()) -> None:
        self._root, self._classes_of = root, classes_of
        self._files = FileSystem(root)
        self._by_size: dict[int, list[str]] = defaultdict(list)
        self._found: dict[bytes, tuple[str, ...]] = {}
        self._titles: dict[tuple[str, ...], tuple[str, ...]] = {}
        for path in unhashed:
            try:
                self._by_size[self._files.lstat(root / path).st_size].append(path)
            except OSError:
                continue

    def classes(self, content: str, size: int) -> set[str]:
        for path in self._by_size.pop(size, ()):
            if (hashed := self._hash(path)) is not None:
                self.add(hashed, class_title_of(path.partition("/")[0]) or "")
        return {*self._classes_of(content), *self._found.get(bytes.fromhex(content), ())}

    def add(self, content: str, title: str) -> None:
        key = bytes.fromhex(content)
        titles = (*self._found.get(key, ()), title)
        # One for all images of a class.
        self._found[key] = self._titles.setdefault(titles, titles)

    def _hash(self, path: str) -> str | None:
        hasher = xxhash.xxh3_128()
        try:
            with self._files.open_read(self._root / path) as file:
                for chunk in self._files.chunks(file):
                    hasher.update(chunk)
        except OSError:
            return None
        return hasher.hexdigest()


def known_in_store(root: Path, index: Index) -> KnownContents:
    """What the store has, by its index, which was just filled by a scan."""

    def classes_of(content: str) -> set[str]:
        titles = (class_title_of(path.partition("/")[0]) for path in index.paths_with(content) if "/" in path)
        return {title for title in titles if title is not None}

    return KnownContents(root, (problem.path for problem in index.problems() if "/" in problem.path), classes_of)


def held_contents(journal: Journal) -> set[str]:
    """The content hashes of the images that ``split`` has held out and whose files are still there: what brings images
    into the store leaves them out, since an evaluation counts on images that no version was trained on."""
    # A place is any text: what is no path does not exist.
    return {content_of(uid) for uid, place in journal.held_out().items() if os.path.lexists(place)}


def known_in_folder(root: Path) -> KnownContents:
    """What a folder of class folders has that is no store."""
    return KnownContents(root, _files_in(root))


def _files_in(root: Path) -> Iterable[str]:
    files = FileSystem(root)
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            listed = list(files.scan_folder(root / below if below else root))
        except OSError:
            continue
        for name, status in listed:
            if status is None or name.startswith("."):
                continue
            path = f"{below}/{name}" if below else name
            if kind_of(status) is Kind.FOLDER:
                waiting.append(path)
            elif kind_of(status) is Kind.FILE and below:
                yield path


def list_titles(root: Path) -> dict[str, str]:
    """The class folders of a folder: the name of the folder by its title."""
    found: dict[str, str] = {}
    try:
        listed = sorted(FileSystem(root).scan_folder(root), key=lambda one: os.fsencode(one[0]))
    except OSError:
        return found
    for name, status in listed:
        title = class_title_of(name)
        if status is not None and kind_of(status) is Kind.FOLDER and title is not None and not name.startswith("."):
            found.setdefault(title, name)
    return found
