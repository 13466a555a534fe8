"""What is known of the service from a probe, and whether a probe left something behind."""

from contextlib import suppress

from astica_sync.clock import local_time
from astica_sync.config import Settings, machine_state_folder, service_facts_file
from astica_sync.core.service_facts.fact import Value
from astica_sync.core.service_facts.quarantine_from_lag import quarantine_for
from astica_sync.doctor.section import Section
from astica_sync.errors import ConfigError
from astica_sync.local.service_facts_file import ServiceFacts, read_service_facts, record_name

LEAST_UID = 32
"""Characters of a uid that must be kept, see ``core.observation.cut_uids``."""
SCOPED_UID = 36
"""Characters of a uid from which the class takes part in it."""
_PROBE = "astica-sync doctor --probe"


def check_service(settings: Settings | None) -> Section:
    """From the file of the last probe of the service's address; nothing is sent."""
    section = Section("service")
    with section.findings_of():
        folder = machine_state_folder()
        if next(folder.glob(record_name("*")), None) is not None:
            section.note(
                "a probe was interrupted, or is under way; its model may still be in the account",
                f"the next one removes it: {_PROBE}",
            )
        if settings is None:
            return section
        file = service_facts_file(settings.train_url)
        section.facts["probed"] = "never"
        with suppress(FileNotFoundError):
            try:
                known = read_service_facts(file)
            except ConfigError as error:
                section.facts["probed"] = None
                section.note(str(error), f"make it again: {_PROBE}")
                return section
            section.facts["probed"] = local_time(known.made_at)
            section.facts["facts in"] = str(file)
            length = _value(known, "uid_length")
            if isinstance(length, int) and length < LEAST_UID:
                section.problem(
                    f"the service keeps {length} characters of a uid, too few to distinguish samples: a push stops "
                    "after its first upload",
                    "ask the service's support for longer uids",
                )
            elif isinstance(length, int) and length < SCOPED_UID and _value(known, "repeated_uids") == "refuse":
                section.note(
                    f"the service keeps {length} characters of a uid, without those of the class, and refuses a uid "
                    "that exists: an image that moved to another class is refused while its old sample is there",
                    "move it out of the store, astica-sync push, move it to its new class, astica-sync push",
                )
            needed = quarantine_for(known.facts, 0.0)
            if needed > settings.quarantine:
                section.note(
                    f"views show a change after up to {needed / 2:.1f} s, and the quarantine is "
                    f"{settings.quarantine:g} s: an upload whose answer is lost may be sent twice, and the next push "
                    "removes the second one",
                    f"unset the setting quarantine, or make it {needed:.0f} s",
                )
    return section


def _value(known: ServiceFacts, name: str) -> Value:
    return known.facts[name].value if name in known.facts else None
