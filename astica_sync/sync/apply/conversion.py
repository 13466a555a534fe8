"""Converting images before anything is sent, where the size of the result decides what is."""

from collections.abc import Sequence

from astica_sync.clock import Clock
from astica_sync.core.model import content_of
from astica_sync.core.plan.plan import Conversion
from astica_sync.errors import ImageRejected, SourceChanged, StoreError
from astica_sync.local.db.journal import BadSample
from astica_sync.sync.apply.result import ApplyResult, failure_of
from astica_sync.sync.session import LocalSide


def convert_images(
    local: LocalSide, clock: Clock, conversions: Sequence[Conversion], *, from_backup: bool
) -> ApplyResult:
    """Converts the images and stores originals and results in the backup. One that cannot be converted is not tried
    again until its bytes change, as after an upload.

    Args:
        from_backup: the images are those of a version: the file of that name may be another image by now.

    Raises:
        StoreError: the backup or the journal cannot be written.
    """
    result = ApplyResult()
    formats = local.index.formats_of([content_of(one.uid) for one in conversions])
    for one in conversions:
        content = content_of(one.uid)
        try:
            if not (from_backup and local.backup.secure(content)):
                local.backup.put(local.layout.root / one.path, content)
            image = local.preparer.prepare(local.backup.read(content)).data
            local.backup.prepared.add(content, formats.get(content, ""), image, local.preparer.recipe.identity)
        except StoreError as error:
            if error.stops_run:
                raise
            if isinstance(error, ImageRejected):
                local.journal.set_bad([BadSample(one.uid, one.class_title, one.path, str(error), clock.now())])
            elif isinstance(error, SourceChanged):
                local.index.forget([one.path])
            result.unconverted.add(one.uid)
            result.failed.append(failure_of(one, error))
    return result
