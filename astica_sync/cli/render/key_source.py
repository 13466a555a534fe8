"""Where the key that the service refused comes from: the engine names the variable alone."""

import contextlib
import os

from astica_sync.config import FILE_SOURCE, KEY_FILE_VARIABLE, KEY_VARIABLE, find_key
from astica_sync.errors import ConfigError

_CHECK = f"Check {KEY_VARIABLE};"


def name_key_source(text: str) -> str:
    """The text, with the file or the keyring that has the key in place of the variable, where the key comes from
    there. Where both variables are set, it says which one is not used."""
    if _CHECK not in text:
        return text
    with contextlib.suppress(ConfigError):
        _, source = find_key(os.environ)
        if source != KEY_VARIABLE:
            return text.replace(_CHECK, f"Check the key in {source.removeprefix(FILE_SOURCE)};")
        if os.environ.get(KEY_FILE_VARIABLE, "").strip():
            return text.replace(
                _CHECK, f"Check {KEY_VARIABLE}, or unset it to use {KEY_FILE_VARIABLE}, which is not used beside it;"
            )
    return text
