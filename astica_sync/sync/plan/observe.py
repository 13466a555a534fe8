"""Where observations come from: one view of the model, or what was kept of the last one."""

import contextlib
import json
from dataclasses import replace

from astica_sync.core.model import Observation
from astica_sync.core.rate_limit import Lane
from astica_sync.core.versions.matching import rename_adopted
from astica_sync.core.view.uid_repair import UidRepair
from astica_sync.errors import NotAnObservation, StoreError
from astica_sync.local.backup.records import Records
from astica_sync.local.db.view_cache import name_of, read_view_cache, write_view_cache
from astica_sync.sync.plan.uid_repair import spelling_of
from astica_sync.sync.session import Session


def observe(session: Session) -> Observation:
    """Asks for one view and keeps it as the last observation."""
    session.listener.phase("Asking the service")
    spelling = spelling_of(session)
    observation, body = session.service.view(session.model_id, Lane.INTERACTIVE, spelling)
    name = _name(body, spelling)
    head = {"model_id": session.model_id, "asked_at": observation.asked_at, "name": name}
    try:
        session.fs.write_synced(session.layout.last_view, [json.dumps(head).encode(), b"\n", body])
    except OSError as error:
        session.listener.note(f"the last observation could not be kept for --offline: {error.strerror or error}")
    return _with_adopted(session, observation, name)


def look_before_removal(session: Session) -> Observation:
    """What the service shows now, read as ``observe`` reads it; nothing is kept of it."""
    observation = session.service.view(session.model_id, Lane.REMOVAL, spelling_of(session))[0]
    return _with_adopted(session, observation, "")


def last_observation(session: Session) -> Observation:
    """The observation of an earlier run.

    Raises:
        StoreError: there is none for this model.
    """
    layout = session.layout
    try:
        with layout.last_view.open("rb") as file:
            about = json.loads(file.readline())
            if about["model_id"] == session.model_id:
                asked_at = float(about["asked_at"])
                known = read_view_cache(layout.last_columns)
                # What an earlier version kept has no name.
                if known is not None and about.get("name", known.name) == known.name and known.asked_at == asked_at:
                    observation = known
                else:
                    # Needed once after each view; the columns are there from then on.
                    from astica_sync.remote.responses import parse_view

                    # The bytes alone: a second copy of a large answer would be half of all memory.
                    body = file.read()
                    spelling = spelling_of(session)
                    observation = parse_view(body, session.model_id, asked_at, spelling)
                    observation = replace(observation, name=_name(body, spelling))
                    del body
                    if observation.name:
                        with contextlib.suppress(OSError):
                            write_view_cache(session.fs, layout.last_columns, observation)
                return _with_adopted(session, observation, observation.name)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, NotAnObservation):
        raise StoreError("the last observation cannot be read any more", "Run it once without --offline.") from None
    raise StoreError("nothing has been observed yet for this model", "Run it once without --offline.")


def _name(body: bytes, spelling: UidRepair) -> str:
    """The answer's name; none where what it says depends on the store that reads it."""
    return "" if spelling.mattered else name_of(body)


def _with_adopted(session: Session, observation: Observation, name: str) -> Observation:
    adopted = Records(session.backup.root, session.fs, session.model_id).adopted()
    if adopted and name:
        name += "-" + name_of(repr(adopted).encode())
    return replace(rename_adopted(observation, adopted), name=name)
