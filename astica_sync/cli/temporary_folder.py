"""The folder for temporary files, which must not be in a store."""

import tempfile
from pathlib import Path

from astica_sync.cli.render.text import safe
from astica_sync.errors import ConfigError
from astica_sync.local.layout import look_for_store


def check_temporary_folder(others: str = "") -> None:
    """Checks where temporary files are made: where no other folder can be written, as in a read-only container, Python
    takes the current one. ``others`` is what else helps, as an end of the hint.

    Raises:
        ConfigError: the folder is in a store, where a folder of images counts as a class.
    """
    folder = Path(tempfile.gettempdir()).resolve()
    for above in (folder, *folder.parents):
        if look_for_store(above, closed_is_none=True):
            raise ConfigError(
                f"temporary files would be made in {safe(str(folder))}, which is in the store {safe(str(above))}; "
                "nothing was made",
                f"set TMPDIR to a folder outside of the store that you can write{others}",
            )
