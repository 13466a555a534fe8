"""Running a model on images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from astica_sync.errors import AsticaSyncError, RemoteError
from astica_sync.remote.service import Service
from astica_sync.store.image import describe, judge_bytes, sniff

HEAD = 4096


@dataclass(frozen=True, slots=True)
class Detected:
    """What a model sees in one file; ``error`` says why there is nothing. ``confidence`` is in percent."""

    path: Path
    label: str = ""
    confidence: float = 0.0
    error: str = ""


def detect_files(service: Service, model_id: int, version: str, paths: Iterable[Path]) -> Iterator[Detected]:
    """Runs the model on each file in turn; a file that fails is a result.

    Raises:
        RemoteError: the service is out of reach or refuses the key; going on makes no sense.
    """
    for path in paths:
        try:
            reason = judge_bytes(path.stat().st_size)
            image = b"" if reason else path.read_bytes()
        except OSError as error:
            yield Detected(path, error=f"cannot be read: {error.strerror}")
            continue
        if reason is None and sniff(image[:HEAD]) is None:
            reason = describe(image[:HEAD], len(image))
        if reason is not None:
            yield Detected(path, error=reason)
            continue
        try:
            found = service.detect(model_id, version, image)
        except RemoteError as error:
            if error.stops_run:
                raise
            yield Detected(path, error=str(error))
        else:
            yield Detected(path, found.label, found.confidence)


def files_in(named: Iterable[Path]) -> list[Path]:
    """The files a person named: files as they are, folders with every PNG and JPEG in them, sorted.

    Raises:
        AsticaSyncError: a name is neither, or a folder has no image.
    """
    files: list[Path] = []
    for path in named:
        if path.is_dir():
            inside = sorted(
                entry
                for entry in path.rglob("*")
                if entry.suffix.lower() in (".jpg", ".jpeg", ".png") and entry.is_file()
            )
            if not inside:
                raise AsticaSyncError(f"{path} holds no PNG or JPEG file", "Name another folder, or files.")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise AsticaSyncError(f"no such file: {path}", "Name files or folders that exist.")
    return files
