"""Settings with where each comes from, the source of the key, and the addresses that a store's files ask for."""

from collections.abc import Mapping

from astica_sync.config import SETTINGS, find_key
from astica_sync.doctor.section import Section
from astica_sync.local.layout import Layout
from astica_sync.open_session import settings_for, store_addresses, trust_file
from astica_sync.service_address import spelled_address
from astica_sync.shell_quote import quote
from astica_sync.store_trust import untrusted


def check_settings(layout: Layout | None, environ: Mapping[str, str]) -> Section:
    """The values that apply to this store. The key itself is never a fact."""
    section = Section("settings")
    with section.findings_of():
        settings = settings_for(layout, offline=True)
        for setting in SETTINGS:
            value, source = getattr(settings, setting.name), settings.sources[setting.name]
            section.facts[setting.name] = f"{value} ({source})"
    with section.findings_of():
        _, source = find_key(environ)
        section.facts["key"] = f"from {source}"
    section.facts.setdefault("key", None)
    if layout is not None:
        with section.findings_of():
            refused = untrusted(trust_file(), layout.root, store_addresses(layout))
            section.facts["addresses not allowed"] = len(refused)
            for address in refused:
                section.problem(
                    f"the store's files ask to send your API key to {spelled_address(address)}, which you have not "
                    "allowed",
                    f"if you want that, allow it once: astica-sync trust --store {quote(str(layout.root))}",
                )
    return section
