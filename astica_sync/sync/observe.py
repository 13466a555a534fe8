"""Observations: one view of the model from the service, or the stored answer of the last one."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace

from astica_sync.core.model import Observation, content_of, make_scope, make_uid
from astica_sync.core.observation.cut_uids import UidRepair
from astica_sync.core.rate_limit import Lane
from astica_sync.core.versions.match_unmanaged import rename_adopted
from astica_sync.errors import CountsDiffer, NotAnObservation, StoreError
from astica_sync.local.backup.service_records import Records
from astica_sync.local.db.view_cache import name_of, read_view_cache, write_view_cache
from astica_sync.local.jsonl import LONGEST_LINE, parse_json
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import LocalSide, RemoteSide, VersionAsStore

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between views that wait until the service shows what was done; each pause is twice as long as the last."""


def pause_before_look(looks: int) -> float:
    """Seconds before the next of such views, after so many."""
    return min(FIRST_PAUSE * 2.0 ** min(looks, 30), LONGEST_PAUSE)


def observe(
    local: LocalSide, remote: RemoteSide, listener: ProgressListener, target: VersionAsStore | None = None
) -> Observation:
    """Requests one view and stores the answer as the last observation.

    Raises:
        RemoteError: there is no observation; nothing may be concluded.
    """
    listener.phase("Requesting a view of the model")
    try:
        observation, body, repair = request_view(
            local, remote, listener, lambda: uid_repair_for(local, remote.model_id, target)
        )
    finally:
        listener.phase_ended()
    name = _name_of(body, repair)
    head = {"model_id": remote.model_id, "asked_at": observation.asked_at, "name": name}
    try:
        local.fs.write_synced(local.layout.last_view, [json.dumps(head).encode(), b"\n", body])
    except OSError as error:
        why = error.strerror or error
        listener.note(f"cannot store the observation for --offline in {local.layout.last_view}: {why}")
    return _rename_adopted(local, remote.model_id, observation, name)


def request_view(
    local: LocalSide,
    remote: RemoteSide,
    listener: ProgressListener,
    make_repair: Callable[[], UidRepair] = UidRepair,
) -> tuple[Observation, bytes, UidRepair]:
    """Requests one view, and further ones while a change of this store explains that the counts are ahead of the lists.

    Returns the view, its bytes, and its repair of uids, of which each view gets a new one. Stores nothing.

    Raises:
        RemoteError: there is no observation.
        Interrupted: the user asked to stop while it waited.
    """
    lists = ListsBehind(local, remote, listener)
    while True:
        repair = make_repair()
        try:
            return *remote.service.view(remote.model_id, Lane.INTERACTIVE, repair), repair
        except CountsDiffer as error:
            lists.wait(error)


class ListsBehind:
    """Waits while the lists of a view may be behind its counts, since this store changed something shortly before."""

    def __init__(self, local: LocalSide, remote: RemoteSide, listener: ProgressListener) -> None:
        self._local, self._remote, self._listener = local, remote, listener
        self._looks = 0
        self._changed_at: float | None = None

    def wait(self, error: CountsDiffer) -> None:
        """Waits until the next view is worth a request.

        Raises:
            CountsDiffer: no change of this store explains it any longer, or none did.
            Interrupted: the user asked to stop.
        """
        clock, quarantine = self._remote.service.clock, self._remote.quarantine
        now = clock.now()
        if self._changed_at is None:
            changed_at = self._local.journal.last_change_at()
            if changed_at is None:
                raise error
            # A later time came from a clock that was wrong.
            self._changed_at = min(changed_at, now)
        left = self._changed_at + quarantine - now
        if left <= 0:
            if self._looks:
                raise _still_differs(error, now - self._changed_at)
            raise error
        pause = min(pause_before_look(self._looks), left)
        self._looks += 1
        self._listener.waits(pause, "the service counts a change of this store that its lists do not show yet")
        clock.sleep(pause)


def _still_differs(error: CountsDiffer, seconds: float) -> CountsDiffer:
    return CountsDiffer(
        f"{error}, and that {seconds:.0f} s after the last change of this store",
        "Nothing was removed or sent again because of it. Look at the model on the service's page, and run the same "
        "command again later.",
    )


def observe_before_removal(local: LocalSide, remote: RemoteSide, target: VersionAsStore | None = None) -> Observation:
    """Requests one view, read as ``observe`` reads it, in the lane of removals; stores nothing.

    Raises:
        RemoteError: there is no observation.
        Interrupted: the user asked to stop while it waited.
    """
    observation = remote.service.view(remote.model_id, Lane.REMOVAL, uid_repair_for(local, remote.model_id, target))[0]
    return _rename_adopted(local, remote.model_id, observation, "")


def last_observation(local: LocalSide, model_id: int, target: VersionAsStore | None = None) -> Observation:
    """The observation of an earlier run.

    Raises:
        StoreError: there is none for this model.
    """
    layout = local.layout
    try:
        with layout.last_view.open("rb") as file:
            about = parse_json(file.readline(LONGEST_LINE))
            if about["model_id"] == model_id:
                asked_at = float(about["asked_at"])
                cached = read_view_cache(local.fs, layout.last_columns)
                # An answer that an earlier version of the program stored has no name.
                if cached is not None and about.get("name", cached.name) == cached.name and cached.asked_at == asked_at:
                    observation = cached
                else:
                    # Once after each view; the columns written below serve from then on.
                    from astica_sync.remote.responses import parse_view

                    # The bytes alone: a second copy of a large answer would be half of all memory.
                    body = file.read()
                    repair = uid_repair_for(local, model_id, target)
                    observation = parse_view(body, model_id, asked_at, repair)
                    observation = replace(observation, name=_name_of(body, repair))
                    del body
                    if observation.name:
                        with contextlib.suppress(OSError):
                            write_view_cache(local.fs, layout.last_columns, observation)
                return _rename_adopted(local, model_id, observation, observation.name)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, OverflowError, NotAnObservation):
        raise StoreError("cannot read the last observation", "Run the command once without --offline.") from None
    raise StoreError("this model has not been observed yet", "Run the command once without --offline.")


def uid_repair_for(local: LocalSide, model_id: int, target: VersionAsStore | None) -> UidRepair:
    """Completes uids that the service has cut, by the class titles and samples that the store (or the target) has.

    It serves one view. Its questions go to index and journal, so only the thread that opened them may use it.
    """

    def titles() -> set[str]:
        known = local.index.folders().values() if target is None else target.samples
        return {one.class_title for one in known if one.class_title is not None}.union(local.journal.classes())

    def present(uid: str, title: str) -> bool:
        if target is None:
            content = content_of(uid)
            is_there = bool(local.index.paths_of(title, content))
            return is_there and uid == make_uid(content, make_scope(model_id, title, local.index.recipe_of(content)))
        return any(sample.uid == uid for sample in target.samples)

    return UidRepair(titles, present, lambda uid, _: local.journal.mark(uid) is not None, local.known_recipes)


def _name_of(body: bytes, repair: UidRepair) -> str:
    """The name of the answer; empty where its meaning depends on the store that reads it."""
    return "" if repair.depends_on_store else name_of(body)


def _rename_adopted(local: LocalSide, model_id: int, observation: Observation, name: str) -> Observation:
    """Gives samples that were made elsewhere and adopted the uids under which the store knows them."""
    adopted = Records(local.backup.root, local.fs, model_id).adopted()
    if adopted and name:
        name += "-" + name_of(repr(adopted).encode())
    return replace(rename_adopted(observation, adopted), name=name)
