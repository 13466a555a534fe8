"""Settings with where each comes from, the source of the key, and the addresses that a store's files ask for."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from astica_sync.bucket.source_binding import is_source
from astica_sync.clock import local_time
from astica_sync.config import (
    FILE_SOURCE,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    KEYRING,
    KEYRING_SERVICE,
    SETTINGS,
    find_key,
    machine_state_folder,
)
from astica_sync.doctor.section import Section
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import Layout
from astica_sync.open_session import budget_name, settings_for, store_addresses, trust_file
from astica_sync.secret import Secret, SecretAddress
from astica_sync.service_address import is_this_machine, spelled_address
from astica_sync.shell_quote import quote_path
from astica_sync.store_trust import untrusted
from astica_sync.system.error_record import read_errors
from astica_sync.system.refusal_record import read_refused_keys
from astica_sync.system.user_folders import user_state_folder

BAD_KEY = "bad_key"
"""The kind of the error of a refused key."""
LAST_REFUSED_KEY = "last refused key"
"""Where it came from; it may be another than the one of now."""
ALL_CLASSES = "all classes"
MOST_TITLES, MOST_LETTERS = 10, 60
"""So many class titles of a setting are shown, and so much of each."""


def check_settings(layout: Layout | None, environ: Mapping[str, str]) -> Section:
    """The values that apply to this store. The key itself is never a fact."""
    section = Section("settings")
    with section.findings_of():
        settings = settings_for(layout, offline=True)
        for setting in SETTINGS:
            value, source = getattr(settings, setting.name), settings.sources[setting.name]
            section.facts[setting.name] = f"{_value_text(value)} ({source})"
        written_in = Path(settings.sources["budget"])
        secret = isinstance(settings.budget, SecretAddress) and settings.budget.reveal() != str(settings.budget)
        if secret and written_in.is_file() and written_in.stat().st_mode & 0o077:
            section.note(
                f"{written_in} has a password in it, and other users can read it",
                f"chmod 600 {quote_path(str(written_in))}",
            )
    with section.findings_of():
        key, source = find_key(environ)
        section.facts["key"] = f"from {source}"
        file = environ.get(KEY_FILE_VARIABLE, "").strip()
        if file and source == KEY_VARIABLE:
            section.note(
                f"{KEY_FILE_VARIABLE} is set and not used, since {KEY_VARIABLE} is set as well",
                f"to use the file: unset {KEY_VARIABLE}",
            )
        elif file:
            section.facts["key file changed"] = local_time(Path(os.path.expanduser(file)).stat().st_mtime)  # noqa: PTH111
        _check_refused(section, layout, key, source)
    section.facts.setdefault("key", None)
    section.facts["a key was last refused"] = _last_refusal()
    with section.findings_of():
        # The key of a cron job is another one than that of this terminal.
        sources = [one.source for one in read_refused_keys(machine_state_folder()).values()]
        section.facts[LAST_REFUSED_KEY] = f"from {sources[-1]}" if sources else None
    if layout is not None:
        with section.findings_of():
            refused = untrusted(trust_file(), layout.root, store_addresses(layout))
            section.facts["addresses not allowed"] = len(refused)
            for address in refused:
                asks = "read with your credentials" if is_source(address) else "send your API key to"
                section.problem(
                    f"the store's files ask to {asks} {spelled_address(address)}, which you have not allowed",
                    f"if you want that, allow it once: astica-sync trust --store {quote_path(str(layout.root))}",
                )
    return section


def _value_text(value: object) -> str:
    """A value as a settings file has it, without quotation marks."""
    if isinstance(value, tuple):
        return _titles_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _titles_text(titles: Sequence[str]) -> str:
    """Class titles, the first of them where they are many or long: a store from elsewhere may name any."""
    if not titles:
        return ALL_CLASSES
    shown = [one if len(one) <= MOST_LETTERS else f"{one[: MOST_LETTERS - 1]}…" for one in titles[:MOST_TITLES]]
    more = f" and {len(titles) - MOST_TITLES:,} more" if len(titles) > MOST_TITLES else ""
    return f"{', '.join(shown)}{more}"


def _check_refused(section: Section, layout: Layout | None, key: Secret, source: str) -> None:
    """A problem where the service has refused this very key, and no command has used it with success since."""
    refused_keys = read_refused_keys(machine_state_folder())
    if not refused_keys:
        return
    settings = settings_for(layout, offline=True)
    names = {budget_name(key, settings, endpoint) for endpoint in ("train", "detect")}
    request = "models" if layout is None else f"status --store {quote_path(str(layout.root))}"
    for refused in (one for name, one in refused_keys.items() if name in names):
        section.problem(
            f"{refused.host} refused the API key from {source}, the last time at {local_time(refused.at)}",
            f"{_how_to_replace(source, refused.host)}; then try it: astica-sync {request}",
        )


def _how_to_replace(source: str, host: str) -> str:
    is_sandbox = is_this_machine(urlsplit(f"//{host}").hostname or "")
    made = (
        f"the key of a sandbox is the {KEY_VARIABLE} that it was started with, or the one that it printed"
        if is_sandbox
        else "keys are made on the service's web page"
    )
    if source == KEY_VARIABLE:
        return f"{made}; set it: export {KEY_VARIABLE}=KEY"
    if source == KEYRING:
        return f"{made}; store it: keyring set {KEYRING_SERVICE} api-key"
    return f"{made}; write it, and nothing else, to {quote_path(source.removeprefix(FILE_SOURCE))}"


def _last_refusal() -> str:
    """When the service has last refused a key of this user, as far as the last errors of commands say."""
    with contextlib.suppress(AsticaSyncError, ValueError, OverflowError, OSError):
        times = [error.get("at") for error in read_errors(user_state_folder()) if error.get("error") == BAD_KEY]
        if times and isinstance(times[-1], int | float):
            return local_time(times[-1])
    return "not by one of the last commands"
