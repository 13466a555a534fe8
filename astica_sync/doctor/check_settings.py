"""Settings with where each comes from, the source of the key, and the addresses that a store's files ask for."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from astica_sync.clock import local_time
from astica_sync.config import KEY_FILE_VARIABLE, KEY_VARIABLE, SETTINGS, find_key
from astica_sync.doctor.section import Section
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import Layout
from astica_sync.open_session import settings_for, store_addresses, trust_file
from astica_sync.secret import SecretAddress
from astica_sync.service_address import spelled_address
from astica_sync.shell_quote import quote_path
from astica_sync.store_trust import untrusted
from astica_sync.system.error_record import read_errors
from astica_sync.system.user_folders import user_state_folder

BAD_KEY = "bad_key"
"""The kind of the error of a refused key."""


def check_settings(layout: Layout | None, environ: Mapping[str, str]) -> Section:
    """The values that apply to this store. The key itself is never a fact."""
    section = Section("settings")
    with section.findings_of():
        settings = settings_for(layout, offline=True)
        for setting in SETTINGS:
            value, source = getattr(settings, setting.name), settings.sources[setting.name]
            section.facts[setting.name] = f"{value} ({source})"
        written_in = Path(settings.sources["budget"])
        secret = isinstance(settings.budget, SecretAddress) and settings.budget.reveal() != str(settings.budget)
        if secret and written_in.is_file() and written_in.stat().st_mode & 0o077:
            section.note(
                f"{written_in} has a password in it, and other users can read it",
                f"chmod 600 {quote_path(str(written_in))}",
            )
    with section.findings_of():
        _, source = find_key(environ)
        section.facts["key"] = f"from {source}"
        file = environ.get(KEY_FILE_VARIABLE, "").strip()
        if file and source == KEY_VARIABLE:
            section.note(
                f"{KEY_FILE_VARIABLE} is set and not used, since {KEY_VARIABLE} is set as well",
                f"to use the file: unset {KEY_VARIABLE}",
            )
        elif file:
            section.facts["key file changed"] = local_time(Path(os.path.expanduser(file)).stat().st_mtime)  # noqa: PTH111
    section.facts.setdefault("key", None)
    section.facts["a key was last refused"] = _last_refusal()
    if layout is not None:
        with section.findings_of():
            refused = untrusted(trust_file(), layout.root, store_addresses(layout))
            section.facts["addresses not allowed"] = len(refused)
            for address in refused:
                section.problem(
                    f"the store's files ask to send your API key to {spelled_address(address)}, which you have not "
                    "allowed",
                    f"if you want that, allow it once: astica-sync trust --store {quote_path(str(layout.root))}",
                )
    return section


def _last_refusal() -> str:
    """When the service has last refused a key of this user, as far as the last errors of commands say."""
    with contextlib.suppress(AsticaSyncError, ValueError, OverflowError, OSError):
        times = [error.get("at") for error in read_errors(user_state_folder()) if error.get("error") == BAD_KEY]
        if times and isinstance(times[-1], int | float):
            return local_time(times[-1])
    return "not by one of the last commands"
