"""Where observations come from: one view of the model, or what was kept of the last one."""

import contextlib
import json
from dataclasses import replace

from astica_sync.core.pace import Lane
from astica_sync.core.pairing import rename_adopted
from astica_sync.core.sample import Observation
from astica_sync.core.spelling import Spelling
from astica_sync.errors import NotAnObservation, StoreError
from astica_sync.store.columns import name_of, read_columns, write_columns
from astica_sync.store.records import Records
from astica_sync.sync.parts import Parts
from astica_sync.sync.spelling import spelling_of


def observe(parts: Parts) -> Observation:
    """Asks for one view and keeps it as the last observation."""
    parts.listener.phase("Asking the service")
    spelling = spelling_of(parts)
    observation, body = parts.service.view(parts.model_id, Lane.PERSON, spelling)
    name = _name(body, spelling)
    head = {"model_id": parts.model_id, "asked_at": observation.asked_at, "name": name}
    try:
        parts.disk.write_synced(parts.layout.last_view, [json.dumps(head).encode(), b"\n", body])
    except OSError as error:
        parts.listener.note(f"the last observation could not be kept for --offline: {error.strerror or error}")
    return _with_adopted(parts, observation, name)


def look_before_removal(parts: Parts) -> Observation:
    """What the service shows now, read as ``observe`` reads it; nothing is kept of it."""
    observation = parts.service.view(parts.model_id, Lane.REMOVAL, spelling_of(parts))[0]
    return _with_adopted(parts, observation, "")


def last_observation(parts: Parts) -> Observation:
    """The observation of an earlier run.

    Raises:
        StoreError: there is none for this model.
    """
    layout = parts.layout
    try:
        with layout.last_view.open("rb") as file:
            about = json.loads(file.readline())
            if about["model_id"] == parts.model_id:
                asked_at = float(about["asked_at"])
                known = read_columns(layout.last_columns)
                # What an earlier version kept has no name.
                if known is not None and about.get("name", known.name) == known.name and known.asked_at == asked_at:
                    observation = known
                else:
                    # Needed once after each view; the columns are there from then on.
                    from astica_sync.remote.wire import parse_view

                    # The bytes alone: a second copy of a large answer would be half of all memory.
                    body = file.read()
                    spelling = spelling_of(parts)
                    observation = parse_view(body, parts.model_id, asked_at, spelling)
                    observation = replace(observation, name=_name(body, spelling))
                    del body
                    if observation.name:
                        with contextlib.suppress(OSError):
                            write_columns(parts.disk, layout.last_columns, observation)
                return _with_adopted(parts, observation, observation.name)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, NotAnObservation):
        raise StoreError("the last observation cannot be read any more", "Run it once without --offline.") from None
    raise StoreError("nothing has been observed yet for this model", "Run it once without --offline.")


def _name(body: bytes, spelling: Spelling) -> str:
    """The answer's name; none where what it says depends on the store that reads it."""
    return "" if spelling.mattered else name_of(body)


def _with_adopted(parts: Parts, observation: Observation, name: str) -> Observation:
    adopted = Records(parts.backup.root, parts.disk, parts.model_id).adopted()
    if adopted and name:
        name += "-" + name_of(repr(adopted).encode())
    return replace(rename_adopted(observation, adopted), name=name)
