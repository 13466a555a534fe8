"""A bucket of an object store, opened by obstore: S3, Google Cloud Storage, Azure.

Credentials come from the environment of each provider and are never stored.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from astica_sync.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ACCESS = (
    "Check the address and your credentials, which are read as the provider's own programs read them "
    "(AWS_ACCESS_KEY_ID, AWS_ENDPOINT, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, ...)."
)
RETRY_S = 180.0
"""So long a request is repeated that a bucket refuses for its rate, in seconds."""


_TOOK = re.compile(r" in \d+(\.\d+)?(ns|µs|ms|s)\b|, after \d+ retries, max_retries: \d+, retry_timeout: \S+")


@dataclass(frozen=True, slots=True)
class Bucket:
    """The store that an address names, with obstore's functions and its exceptions."""

    store: "ObjectStore"
    obstore: Any
    errors: ModuleType


def open_bucket(url: str, retry_s: float = RETRY_S) -> Bucket:
    """Sends no request.

    Raises:
        ConfigError: obstore is not installed.
        ValueError: it is no address of a bucket.
    """
    try:
        import obstore
        from obstore import exceptions
        from obstore.store import from_url
    except ImportError as error:
        raise ConfigError(
            f"buckets need a library that is not installed: {error}",
            "to use buckets, install the extra: pip install 'astica-sync[buckets]'",
        ) from error
    retry = {"max_retries": 10, "retry_timeout": timedelta(seconds=retry_s)}
    try:
        return Bucket(from_url(url, retry_config=cast(Any, retry)), obstore, exceptions)
    except (exceptions.BaseError, ValueError) as error:
        raise ValueError(shown_error(error)) from error


def shown_error(error: Exception) -> str:
    """The first line of an error of obstore, which may go on with the whole answer, and without how long it took: the
    same error has the same text."""
    return _TOOK.sub("", " ".join(str(error).split("\n\nDebug source", 1)[0].split()))[:400]
