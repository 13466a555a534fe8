"""A bucket of an object store, opened by obstore: S3, Google Cloud Storage, Azure.

Credentials come from the environment of each provider and are never stored.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote

from astica_sync.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ACCESS = (
    "Check the address and your credentials, which are read from the environment: AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY (a profile in ~/.aws is not read), GOOGLE_APPLICATION_CREDENTIALS, "
    "AZURE_STORAGE_CONNECTION_STRING, ...; another server: AWS_ENDPOINT. An address with http:// needs "
    "AWS_ALLOW_HTTP=true or AZURE_ALLOW_HTTP=true as well. Cron and services have no variable of your terminal: the "
    'page "Off-site backup" of the manual shows how to give them the credentials.'
)
_MACHINE_CREDENTIALS = "169.254.169.254"
"""Where a machine in a cloud has its credentials; it is asked where the environment has none."""
RETRY_S = 180.0
"""So long a request is repeated that a bucket refuses for its rate, in seconds."""


_AZURE = re.compile(r"(az|azure|abfs|abfss|adl)://", re.IGNORECASE)
_ANSWER = re.compile(r"<\?xml.*")
_SENTENCE = re.compile(r"<Message>([^<]*)</Message>")
_SECRET_VARIABLE = re.compile(r"(AWS|AZURE|GOOGLE)_.*(SECRET|TOKEN|KEY|SAS|PASSWORD|CONNECTION_STRING)")
_NO_SECRET = frozenset(("AWS_ACCESS_KEY_ID",))
_SECRET_PART = re.compile(r"((?:\bsig|signature|token)=|\bbearer\s+)[^\s&\"'<>]+", re.IGNORECASE)
"""The signature of a shared address of Azure, which is as good as a password, and passwords for an hour."""
_SHORTEST_SECRET = 6
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
        config = read_azure_names(os.environ) if _AZURE.match(url) else {}
        store = from_url(url, config=cast(Any, config), retry_config=cast(Any, retry))
        return Bucket(store, obstore, exceptions)
    except (exceptions.BaseError, ValueError) as error:
        raise ValueError(shown_error(error)) from error


def read_azure_names(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that Azure's own command line reads from the environment, and obstore under other names alone, as
    obstore calls them. Its own names win."""
    if "AZURE_STORAGE_ACCOUNT_NAME" in environ:
        return {}
    pairs = (part.strip().partition("=") for part in environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";"))
    parts = {name.lower(): value for name, _, value in pairs if value}
    account, suffix = parts.get("accountname", ""), parts.get("endpointsuffix", "")
    found = {
        "account_name": account or environ.get("AZURE_STORAGE_ACCOUNT", ""),
        "account_key": parts.get("accountkey", "") if parts else environ.get("AZURE_STORAGE_KEY", ""),
        "sas_key": parts.get("sharedaccesssignature", ""),
        "endpoint": parts.get("blobendpoint", "") or (f"https://{account}.blob.{suffix}" if account and suffix else ""),
    }
    return {name: value for name, value in found.items() if value}


def tag_of(about: Mapping[str, Any]) -> str | None:
    """The ETag of an object by what obstore gives about it, as a header has it. In a list of Azure, and of some servers
    in place of the others, it has no quotes."""
    tag = about.get("e_tag")
    return f'"{tag}"' if tag and not tag.endswith('"') else tag


def shown_error(error: Exception) -> str:
    """The first line of an error of obstore, which may go on with the whole answer, and without how long it took: the
    same error has the same text. A server may repeat what it was sent, so what is a credential is taken out."""
    text = " ".join(str(error).split("\n\nDebug source", 1)[0].split())
    if _MACHINE_CREDENTIALS in text:
        return f"no credentials are in the environment, and this machine has none (at http://{_MACHINE_CREDENTIALS})"
    # The answer of S3 and of its like, of which the sentence in it is for people.
    text = _ANSWER.sub(lambda found: said[1] if (said := _SENTENCE.search(found[0])) else "", text)
    return _TOOK.sub("", without_secrets(text))[:400]


def without_secrets(text: str) -> str:
    """What a server has said, without the credentials for buckets that are in the environment."""
    for secret in sorted(set(_secrets(os.environ)), key=len, reverse=True):
        text = re.sub(re.escape(secret), "…", text, flags=re.IGNORECASE)
    return _SECRET_PART.sub(r"\1…", text)


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """The credentials for buckets in the environment, as they are and as they stand in an address."""
    for name, value in environ.items():
        if not _SECRET_VARIABLE.fullmatch(name) or name in _NO_SECRET:
            continue
        parts = [value]
        if name == "AZURE_STORAGE_CONNECTION_STRING":
            fields = (part.strip().partition("=") for part in value.split(";"))
            parts = [found for field, _, found in fields if field.lower() in ("accountkey", "sharedaccesssignature")]
        for part in parts:
            yield from (one for one in (part, unquote(part), quote(part, safe="")) if len(one) >= _SHORTEST_SECRET)
