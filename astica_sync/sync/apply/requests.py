"""The two kinds of requests that change the remote's samples, and what must come before each."""

from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.core.model import content_of
from astica_sync.core.plan.decision import RemovalReason
from astica_sync.core.plan.plan import RemoveSample, Upload
from astica_sync.errors import BackupDamaged, ImageRejected, SourceChanged
from astica_sync.local.scan.recheck import is_still_absent
from astica_sync.remote.rate_limiter import Permit
from astica_sync.sync.session import Session


def source_of(session: Session, path: str) -> Path:
    return session.local.layout.root / path


def keep(session: Session, path: str, content: str) -> None:
    """Brings the bytes of a store file into the backup, where they are not yet, or no longer what they should be.

    Raises:
        StoreError: the file is gone, unreadable or another one by now, or the backup cannot take it.
    """
    session.local.backup.put(source_of(session, path), content)


@dataclass(slots=True)
class UploadJob:
    """One upload. What is sent was read from the backup and is what its hash says (promise 1)."""

    session: Session
    upload: Upload
    image: bytes = field(default=b"", repr=False)

    @property
    def size(self) -> int:
        return self.upload.size

    @property
    def content(self) -> str:
        return content_of(self.upload.uid)

    def prepare(self) -> None:
        """Checks the image, once per content, and reads it from the backup. Where an object stands already it is
        compared with the file: a broken one is healed, and another image of the same hash is never taken for this one.

        The data of a version is read from the backup alone: the file of that name may be another image by now.
        """
        if self.session.target is not None:
            self.image = self.session.local.backup.read(self.content)
            return
        if not self.session.local.backup.secure(self.content):
            try:
                reason = self.session.local.decoder.check(source_of(self.session, self.upload.path))
            except OSError as error:
                raise SourceChanged(f"{self.upload.path} cannot be read: {error.strerror}", "Push again.") from error
            if reason is not None:
                raise ImageRejected(reason)
        keep(self.session, self.upload.path, self.content)
        self.image = self.session.local.backup.read(self.content)

    def admit(self) -> bool:
        return True

    def send(self, permit: Permit) -> None:
        image, self.image = self.image, b""
        try:
            self.session.remote.service.upload(
                permit, self.session.remote.model_id, self.upload.class_title, self.upload.uid, image
            )
        except BaseException:
            self.image = image
            raise


@dataclass(slots=True)
class RemovalJob:
    """One removal, of a sample that the backup can give back (promise 2) and that is gone twice over (promise 3)."""

    session: Session
    removal: RemoveSample

    @property
    def size(self) -> int:
        return 0

    def prepare(self) -> None:
        prove_kept(self.session, self.removal)

    def admit(self) -> bool:
        return may_go(self.session, self.removal)

    def send(self, permit: Permit) -> None:
        self.session.remote.service.remove_sample(permit, self.removal.sample_id)


def prove_kept(session: Session, removal: RemoveSample) -> None:
    """Re-reads the backup object of a sample that is to go, durably; heals it where the store still has the file.

    Raises:
        BackupDamaged: the bytes cannot be put back, so the sample stays on the service.
        StoreError: that they can cannot be made sure.
    """
    content = content_of(removal.uid)
    reason = session.local.backup.check(content)
    if reason is not None and removal.why in (RemovalReason.EXTRA, RemovalReason.MISPLACED):
        keep(session, removal.path, content)
        reason = session.local.backup.check(content)
    # Who healed it may have been killed before its name was durable, and a power cut would bring the rotten one back.
    if reason is None and not session.local.backup.secure(content):
        reason = "missing in the backup"
    if reason is not None:
        raise BackupDamaged(
            f"stays on the service, since its backup is broken: {reason}",
            "run astica-sync backup verify, or put the file back; good bytes heal it",
        )


def may_go(session: Session, removal: RemoveSample) -> bool:
    """The second look: a sample that should be gone from the store is looked for once more.

    What is not in a version's data has no second look: a manifest that hashes to its name proves absence, while the
    file may well stand in the store. Its bytes are proven in the backup all the same.
    """
    if removal.why in (RemovalReason.EXTRA, RemovalReason.MISPLACED, RemovalReason.NOT_IN_VERSION):
        return True
    known = {removal.path, *session.local.index.paths_of(removal.class_title, content_of(removal.uid))} - {""}
    return is_still_absent(
        session.local.layout,
        session.local.index,
        session.local.fs,
        removal.class_title,
        content_of(removal.uid),
        tuple(sorted(known)),
    )
