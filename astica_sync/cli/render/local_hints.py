"""What this machine knows of an error of the service, for its hint: where a refused key comes from, as the engine names
the variable alone, and that a sandbox was at an address where nothing answers."""

import contextlib
import errno
import os
from urllib.parse import urlsplit

from astica_sync.config import FILE_SOURCE, KEY_FILE_VARIABLE, KEY_VARIABLE, find_key
from astica_sync.errors import ConfigError, Unreachable
from astica_sync.service_address import is_this_machine

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


def name_sandbox(error: Unreachable) -> str:
    """The hint of the error; with the command that starts a sandbox, where nothing listens at an address of this
    machine."""
    if os.strerror(errno.ECONNREFUSED) not in str(error):
        return error.hint
    with contextlib.suppress(ValueError):
        address = urlsplit(f"//{str(error).partition(' ')[0]}")
        if address.port and is_this_machine(address.hostname or ""):
            return (
                f"{error.hint} If a sandbox was there, start it again with the --data folder and the key that it had: "
                f"astica-sync sandbox --port {address.port} --data DIR"
            )
    return error.hint
