"""The files in which ``doctor --probe`` keeps what a service does, one for each address."""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astica_sync.core.service_facts.fact import Fact, facts_as_data, facts_from_data
from astica_sync.errors import ConfigError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import read_small_json
from astica_sync.system.error_advice import reason_of, remedy

FORMAT = "astica-sync-service-facts"
VERSION = 1
MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """The result of one probe. ``made_at`` is in seconds since the epoch; ``program`` is the version that made it."""

    train_url: str
    detect_url: str
    made_at: float
    program: str
    requests: int
    facts: dict[str, Fact]

    def as_data(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "train_url": self.train_url,
            "detect_url": self.detect_url,
            "made_at": self.made_at,
            "program": self.program,
            "requests": self.requests,
            "facts": facts_as_data(self.facts),
        }


def record_name(account: str) -> str:
    """The file in the user's state folder that names the model of a probe while there is one. ``account`` is the name
    of the account's request budget."""
    return f"probe-{account}.json"


def read_service_facts(file: Path) -> ServiceFacts:
    """
    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it cannot be read, or is no file of facts.
    """
    try:
        # The user may name a link to the file.
        return _parse(read_small_json(FileSystem(), Path(os.path.realpath(file)), MOST_BYTES))
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.EINVAL):
            raise ConfigError(f"{file} cannot be read: {reason_of(error)}", remedy(error, file)) from None
        # Too long, or no file.
        reason = f"it is {str(error.strerror).removeprefix('the file is ')}"
    except (json.JSONDecodeError, UnicodeDecodeError):
        reason = "it is not JSON"
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error)
    raise ConfigError(
        f"{file} has no facts about a service: {reason[:200]}",
        "make such a file: astica-sync doctor --probe --out FILE",
    )


def _parse(data: Any) -> ServiceFacts:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if data.get("version") != VERSION:
        raise ValueError(f"its version is {data.get('version')!r}, and this program reads {VERSION}")
    made_at, requests = data.get("made_at"), data.get("requests")
    if not isinstance(made_at, int | float) or not isinstance(requests, int):
        raise ValueError("made_at or requests is no number")
    return ServiceFacts(
        str(data.get("train_url")),
        str(data.get("detect_url")),
        float(made_at),
        str(data.get("program")),
        requests,
        facts_from_data(data.get("facts")),
    )


def write_service_facts(file: Path, known: ServiceFacts) -> None:
    """Writes the file, or replaces it in one step.

    Raises:
        ConfigError: it cannot be written.
    """
    text = json.dumps(known.as_data(), indent=2, ensure_ascii=False) + "\n"
    try:
        # A text of the service may hold half of a surrogate pair.
        FileSystem().write_synced(file, [text.encode(errors="backslashreplace")], mode=0o600)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {reason_of(error)}", remedy(error, file)) from None
