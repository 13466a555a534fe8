"""Archives that tests import."""

import io
import tarfile
import zipfile
from pathlib import Path


def pack(archive: Path, files: dict[str, bytes]) -> None:
    """Makes a zip or tar archive, by the ending of its name."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            for name, data in files.items():
                zipped.writestr(zipfile.ZipInfo(name), data)
        return
    mode = "w" if archive.suffix == ".tar" else f"w:{archive.suffix[1:]}"
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            add_member(tar, name, data)


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Adds a file to an open tar archive."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
