"""The watcher of a store whose images lie in a bucket: no file tells of a change there, so the bucket is listed."""

from astica_sync.bucket.source_binding import read_source
from astica_sync.local.layout import Layout
from astica_sync.sync.watch.fs_events import FsEvents
from astica_sync.sync.watch.watcher_lifecycle import WatchSystem

POLLING = "the images are in a bucket, which is listed at an interval"


class BucketEvents(FsEvents):
    """The events of the store's own files, and the reason to list the bucket."""

    def start(self) -> str:
        super().start()
        self.polling_reason = POLLING
        return self.polling_reason


def watch_system(layout: Layout) -> WatchSystem | None:
    """What the watcher of a store uses in place of the usual parts; None for a store in a folder.

    Raises:
        StoreChanged: it cannot be read which one it is.
    """
    return WatchSystem(events=BucketEvents) if read_source(layout) else None
