"""The error of a request to a bucket, as an error of the file system.

What the bucket does not answer is unknown and not absent, so only the answer that there is no such object becomes a
``FileNotFoundError``.
"""

import errno


class BucketError(PermissionError):
    """A bucket has not answered, or refused. It has the number EACCES, for which messages take ``advice``, whatever the
    cause is."""

    def __init__(self, reason: str, advice: str, path: str) -> None:
        super().__init__(errno.EACCES, reason, path)
        self.advice = advice


DENIED = "look at the rights of your credentials: a store needs to list the bucket and to read its objects"
AWAY = "run the command again once the bucket answers"
CHANGED = "run the command again, which scans it again"
