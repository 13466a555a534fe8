"""One upload from start to end.

A worker thread checks the image, copies it into the backup and reads it back from there. The driver then adds it to
the catalog, marks it as attempted and lets a worker send it. The answer decides what is recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astica_sync.core.model import Mark, content_of
from astica_sync.core.plan.plan import Upload
from astica_sync.core.rate_limit import Lane
from astica_sync.core.recipe import OVERSIZED
from astica_sync.errors import (
    BadKey,
    ImageRejected,
    NoSuchModel,
    Outcome,
    OutcomeUnknown,
    Refused,
    RemoteError,
    SourceChanged,
    StoreError,
)
from astica_sync.local.backup.backup import Backup
from astica_sync.local.db.journal import BadSample, Journal
from astica_sync.local.image.format import preparable, sniff
from astica_sync.local.scan.file_hash import hash_file
from astica_sync.remote.rate_limiter import Permit
from astica_sync.sync.apply.history_events import event_of
from astica_sync.sync.apply.pipeline import Pipeline
from astica_sync.sync.apply.result import ApplyResult, failure_of, settles
from astica_sync.sync.apply.time_forecast import Forecast
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import LocalSide, RemoteSide


def upload_samples(
    uploads: Sequence[Upload],
    pipeline: Pipeline,
    local: LocalSide,
    remote: RemoteSide,
    listener: ProgressListener,
    *,
    from_backup: bool,
) -> ApplyResult:
    """Sends the samples, several at a time.

    Args:
        from_backup: the images are those of a version and come from the backup alone: the file of that name may be
            another image by now.
    """
    recorder = _UploadRecorder(uploads, pipeline, local, remote, listener)
    formats = local.index.formats_of([content_of(upload.uid) for upload in uploads])
    jobs = (
        UploadJob(upload, local, remote, from_backup, formats.get(content_of(upload.uid), "")) for upload in uploads
    )
    error = pipeline.run(jobs, Lane.BACKLOG, recorder)
    recorder.finish(error)
    return recorder.result


@dataclass(slots=True)
class UploadJob:
    """The steps of one upload that run in worker threads. ``format`` is that of an image that is converted before it is
    sent, else ""."""

    upload: Upload
    local: LocalSide
    remote: RemoteSide
    from_backup: bool
    format: str = ""
    image: bytes = field(default=b"", repr=False)

    @property
    def size(self) -> int:
        return self.upload.size

    def prepare(self) -> None:
        content = content_of(self.upload.uid)
        if not self.from_backup:
            prepared = check_image(self.local, self.upload, self.format)
            back_up_image(self.local, self.upload)
            if prepared is not None:
                recipe = self.local.preparer.recipe.identity
                self.local.backup.prepared.add(content, self.format, prepared, recipe)
        self.image = read_image_to_send(self.local, content, self.format, from_backup=self.from_backup)

    def admit(self) -> bool:
        return True

    def send(self, permit: Permit) -> None:
        image, self.image = self.image, b""
        try:
            send_image(self.remote, permit, self.upload, image)
        except BaseException:
            # It may be sent again.
            self.image = image
            raise


def check_image(local: LocalSide, upload: Upload, image_format: str) -> bytes | None:
    """Decodes the whole image, once per content: what the backup has was checked before. An image of a format that is
    converted (``image_format``) is converted, and the result returned.

    Raises:
        ImageRejected: the service could not use it, or it cannot be converted.
        SourceChanged: the file cannot be read, or the scan did not see that it is to be converted.
    """
    if local.backup.secure(content_of(upload.uid)):
        return None
    path = local.layout.root / upload.path
    try:
        if image_format:
            return local.preparer.prepare_file(local.fs, path).data
        reason = local.decoder.check(path)
        if reason is not None and _is_oversized(local, path):
            # An earlier version of the program has scanned it.
            raise SourceChanged(f"{upload.path} has to be scanned again", "Push again.")
    except OSError as error:
        raise SourceChanged(f"cannot read {upload.path}: {error.strerror}", "Push again.") from error
    if reason is not None:
        raise ImageRejected(reason)
    return None


def _is_oversized(local: LocalSide, path: Path) -> bool:
    """Whether a file is to be converted because it is above the limits of the service."""
    found = hash_file(local.fs, path)
    return found.format == OVERSIZED and OVERSIZED in local.preparer.recipe.formats


def back_up_image(local: LocalSide, upload: Upload) -> None:
    """Copies the file into the backup. An object that exists already is compared with it: a damaged one is repaired,
    and another image with the same hash is never taken for this one.

    Raises:
        StoreError: the file is missing, unreadable or another one by now, or the backup cannot be written.
    """
    local.backup.put(local.layout.root / upload.path, content_of(upload.uid))


def read_image_to_send(local: LocalSide, content: str, image_format: str, *, from_backup: bool) -> bytes:
    """The bytes to send: from the backup, where their hash is checked (promise 1), and that of the original as well.
    What is sent in place of an image is converted here where the backup does not have it, and stored there first.

    Raises:
        BackupDamaged: the backup does not have them.
        ImageRejected: the image cannot be converted.
    """
    backup, recipe = local.backup, local.preparer.recipe.identity
    image = backup.read(content)
    if image_format or from_backup:
        prepared = backup.prepared.read(content, recipe)
        if prepared is not None:
            return prepared
    if from_backup and (sniff(image) is None or content in backup.prepared.records()):
        # Its format is known by its bytes alone where the store does not have it any more.
        image_format = preparable(image) or ""
    if not image_format:
        return image
    prepared = local.preparer.prepare(image).data
    backup.prepared.add(content, image_format, prepared, recipe)
    return prepared


def add_to_catalog(backup: Backup, uploads: Sequence[Upload], now: float) -> None:
    """Records in the backup under which class and name each image was sent."""
    backup.add_samples([(upload.class_title, upload.path, content_of(upload.uid)) for upload in uploads], now)


def mark_attempted(journal: Journal, uploads: Sequence[Upload], now: float) -> None:
    """Makes durable that the uploads are sent now (promise 5)."""
    journal.attempt([(upload.uid, upload.class_title, upload.path) for upload in uploads], now)


def send_image(remote: RemoteSide, permit: Permit, upload: Upload, image: bytes) -> None:
    """The request.

    Raises:
        RemoteError: it failed; ``outcome`` is what that proves.
    """
    remote.service.upload(permit, remote.model_id, upload.class_title, upload.uid, image)


def record_confirmed(journal: Journal, upload: Upload, now: float) -> None:
    """The service has the sample. The mark gets the time of the answer: between mark and sending this process may have
    been stopped for any time."""
    journal.agree([(upload.uid, upload.class_title, upload.path)], now)
    journal.clear_bad([upload.uid])


def record_unknown(journal: Journal, upload: Upload, now: float) -> None:
    """The outcome is unknown: the mark stays *attempted*, and the quarantine counts from now."""
    journal.resend_at([upload.uid], now)


def restore_mark(journal: Journal, upload: Upload, before: Mark | None) -> None:
    """Nothing was done on the service: the mark becomes again what it was before the attempt."""
    if before is None:
        journal.forget([upload.uid])
    else:
        journal.restore(before)


def block(journal: Journal, upload: Upload, reason: str, now: float) -> None:
    """The sample is not tried again until its bytes change or the user asks for it (promise 9)."""
    journal.set_bad([BadSample(upload.uid, upload.class_title, upload.path, reason, now)])


class _UploadRecorder:
    """The steps of uploads that belong to the driver: what is recorded before they are sent, and after."""

    def __init__(
        self,
        uploads: Sequence[Upload],
        pipeline: Pipeline,
        local: LocalSide,
        remote: RemoteSide,
        listener: ProgressListener,
    ) -> None:
        self.result = ApplyResult(left=len(uploads))
        self._clock = pipeline.clock
        self._local = local
        self._journal = local.journal
        self._listener = listener
        self._forecast = Forecast(remote.service, pipeline.clock)
        self._marks_before: dict[str, Mark | None] = {}
        self._refused: list[tuple[Upload, str]] = []

    def before_send(self, jobs: Sequence[UploadJob]) -> None:
        uploads = [job.upload for job in jobs]
        add_to_catalog(self._local.backup, uploads, self._clock.now())
        for upload in uploads:
            self._marks_before[upload.uid] = self._journal.mark(upload.uid)
        mark_attempted(self._journal, uploads, self._clock.now())

    def settle(self, results: Sequence[tuple[UploadJob, BaseException | None]]) -> None:
        with self._journal.commit():
            for job, error in results:
                if _says_nothing_about_the_sample(error):
                    if job.upload.uid in self._marks_before:
                        restore_mark(self._journal, job.upload, self._marks_before[job.upload.uid])
                else:
                    self._settle(job.upload, error)

    def _settle(self, upload: Upload, error: BaseException | None) -> None:
        now = self._clock.now()
        self.result.left -= settles(error)
        self._journal.record([event_of("upload", upload, now, self._journal.run, error)])
        if error is None:
            record_confirmed(self._journal, upload, now)
            self.result.uploaded.add(upload.uid)
            self._listener.uploaded(upload.class_title, upload.path, self._forecast.seconds(self.result.left))
        elif isinstance(error, OutcomeUnknown):
            record_unknown(self._journal, upload, now)
            self.result.doubtful_uploads.add(upload.uid)
            self._listener.note(f"{upload.path}: {error}; the next view of the service shows whether it was uploaded")
        elif isinstance(error, StoreError | Refused):
            self._settle_failure(upload, error, now)

    def _settle_failure(self, upload: Upload, error: StoreError | Refused, now: float) -> None:
        if isinstance(error, ImageRejected):
            block(self._journal, upload, str(error), now)
        elif isinstance(error, Refused):
            self._refused.append((upload, str(error)))
        elif isinstance(error, SourceChanged):
            # The index may be wrong: the next scan reads the file again, whatever its times are.
            self._local.index.forget([upload.path])
        self.result.failed.append(failure_of(upload, error))
        self._listener.failed(upload.class_title, upload.path, error.text_with_hint)

    def finish(self, error: BaseException | None) -> None:
        """Blocks the samples that were refused one by one. Where the run ended because of refusals, the reason is the
        account, and no sample is blocked."""
        self.result.error = error
        if isinstance(error, Refused):
            return
        with self._journal.commit():
            for upload, reason in self._refused:
                block(self._journal, upload, reason, self._clock.now())


def _says_nothing_about_the_sample(error: BaseException | None) -> bool:
    """Whether the sample is as it was before: nothing was done on the service, and nothing is wrong with the sample."""
    if isinstance(error, RemoteError):
        return error.outcome is Outcome.NOT_DONE or isinstance(error, BadKey | NoSuchModel)
    return isinstance(error, StoreError) and error.stops_run
