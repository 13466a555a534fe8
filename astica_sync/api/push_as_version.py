"""A version's data as the local side of a session, in place of the store (``push --as``), and which version the service
follows."""

from dataclasses import replace

from astica_sync.sync.plan.find_status import FOLLOWS
from astica_sync.sync.session import Session, VersionAsStore
from astica_sync.training.version_history import NamedSnapshot, VersionHistory


def followed_version(session: Session) -> NamedSnapshot | None:
    """The version whose data the last ``push --as`` sent to the service; None if the service follows the store."""
    fields = session.local.journal.get_meta(FOLLOWS)
    return None if fields is None else NamedSnapshot(*fields)


def with_version_as_store(session: Session, history: VersionHistory, target: NamedSnapshot) -> Session:
    """The same session with the data of a version as its local side.

    Raises:
        StoreError: the manifest of the snapshot cannot be read, or is damaged.
    """
    local, recipe = session.local, session.local.index.recipe_identity
    converted = {*local.index.prepared(), *local.backup.prepared.records()} if recipe else ()
    samples = history.snapshots.local_samples(target.snapshot, session.remote.model_id, recipe, converted)
    return replace(session, target=VersionAsStore(target.name, target.snapshot, samples))
