"""Lists a bucket of S3 exactly: keys that are no paths (``..``, ``//``, control characters) are named one by one.

The client of ``open_bucket`` ends a list at the first such key. Requests are signed with the credentials of the
environment (AWS Signature Version 4).
"""

import datetime
import hashlib
import hmac
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlsplit
from xml.etree import ElementTree

from astica_sync.bucket.bucket_error import AWAY, DENIED, BucketError
from astica_sync.bucket.list_ahead import ListAhead
from astica_sync.bucket.listed_page import ListedObject, ListedPage, is_usable
from astica_sync.bucket.open_bucket import without_secrets

if TYPE_CHECKING:
    import httpx

_MOST_BYTES = 64 << 20
"""More bytes than any page of 1,000 keys has."""
_REPEATED = (408, 429, 500, 502, 503, 504)
_EMPTY = hashlib.sha256(b"").hexdigest()
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where a bucket is and with what it is read. ``url`` is the address of the bucket itself."""

    url: str
    region: str
    key: str
    secret: str
    token: str

    def __repr__(self) -> str:
        return f"S3Access({self.url!r})"


def read_access(environ: Mapping[str, str], bucket: str) -> S3Access | None:
    """The access that the environment gives, by the names that ``open_bucket`` reads too; None where it has no key and
    the client finds credentials elsewhere."""

    def first(*names: str) -> str:
        return next((environ[name] for name in names if environ.get(name)), "")

    key, secret = first("AWS_ACCESS_KEY_ID"), first("AWS_SECRET_ACCESS_KEY")
    region = first("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = first("AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL").rstrip("/")
    plain = first("AWS_ALLOW_HTTP").lower() in ("1", "true", "yes", "on")
    if not key or not secret or (endpoint.startswith("http://") and not plain):
        return None
    if first("AWS_VIRTUAL_HOSTED_STYLE_REQUEST").lower() in ("1", "true", "yes", "on"):
        url = endpoint or f"https://{bucket}.s3.{region}.amazonaws.com"
    else:
        url = f"{endpoint or f'https://s3.{region}.amazonaws.com'}/{quote(bucket)}"
    return S3Access(url, region, key, secret, first("AWS_SESSION_TOKEN", "AWS_TOKEN"))


class S3Lister:
    """As ``Lister``, for any thread. ``prefix`` is that of the source, with a slash at its end where it is
    not empty. A request without an answer is repeated for ``retry_s`` seconds."""

    def __init__(self, access: S3Access, prefix: str, name: str, retry_s: float) -> None:
        self._access, self._prefix, self._name, self._retry_s = access, prefix, name, retry_s
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._ahead = ListAhead(self._fetch)

    def pages(self, prefix: str) -> Iterator[ListedPage]:
        place = f"{self._name}/{prefix}"
        token = ""
        while True:
            root = self._parse(self._ahead.get(prefix, token), place)
            last, token = token, _text(root, "NextContinuationToken")
            goes_on = _text(root, "IsTruncated") == "true"
            if goes_on and token not in ("", last):
                self._ahead.start(prefix, token)
            yield _page_of(root, f"{self._prefix}{prefix}")
            if not goes_on:
                return
            if token in ("", last):
                raise BucketError("the bucket says that its list goes on, and not where", AWAY, place)

    def has_any(self, prefix: str) -> bool:
        place = f"{self._name}/{prefix}"
        root = self._parse(self._get({"max-keys": "1", "prefix": f"{self._prefix}{prefix}"}, place), place)
        page = _page_of(root, f"{self._prefix}{prefix}")
        return not page.is_empty or page.has_mark

    def expect(self, prefixes: Iterable[str]) -> None:
        self._ahead.expect(prefixes)

    def _fetch(self, prefix: str, token: str) -> bytes:
        query = {"delimiter": "/", "prefix": f"{self._prefix}{prefix}"}
        return self._get(query | ({"continuation-token": token} if token else {}), f"{self._name}/{prefix}")

    def _parse(self, data: bytes, place: str) -> ElementTree.Element:
        try:
            # Expat, which reads it, bounds the growth of entities.
            root = ElementTree.fromstring(data)  # noqa: S314
        except ElementTree.ParseError as error:
            raise BucketError(f"the list of the bucket is cut off or damaged ({error})", AWAY, place) from error
        if root.tag.rpartition("}")[2] != "ListBucketResult" or _text(root, "IsTruncated") not in ("true", "false"):
            raise BucketError("the answer of the bucket is no list", AWAY, place)
        return root

    def _open(self) -> "httpx.Client":
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False)
                weakref.finalize(self, self._client.close)
            return self._client

    def _get(self, query: Mapping[str, str], place: str) -> bytes:
        import httpx

        client, query = self._open(), {**query, "encoding-type": "url", "list-type": "2"}
        ends, pause = time.monotonic() + self._retry_s, 0.2
        while True:
            try:
                url, headers = _signed(self._access, query, datetime.datetime.now(datetime.UTC))
                with client.stream("GET", url, headers=headers) as answer:
                    status, pieces, size = answer.status_code, list[bytes](), 0
                    for piece in answer.iter_bytes():
                        pieces.append(piece)
                        size += len(piece)
                        if size > _MOST_BYTES:
                            raise BucketError("the answer of the bucket is too long for a list", AWAY, place)
                    data = b"".join(pieces)
                reason = f"{status} {_sentence(data) or answer.reason_phrase}".strip()
            except httpx.HTTPError as error:
                status, data, reason = 0, b"", f"no answer ({type(error).__name__}: {error})"
            if status == 200:
                return data
            if (status and status not in _REPEATED) or time.monotonic() + pause > ends:
                advice = DENIED if status in (401, 403) else AWAY
                raise BucketError(f"the bucket cannot be listed: {without_secrets(reason)}", advice, place)
            time.sleep(pause)
            pause = min(pause * 2, 10.0)


def _page_of(root: ElementTree.Element, above: str) -> ListedPage:
    """One page. With ``encoding-type=url`` the server writes keys as in an address, if it knows that."""
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    is_encoded = root.findtext(f"{space}EncodingType") == "url"
    cut = len(above)
    objects: list[ListedObject] = []
    folders: list[str] = []
    odd: list[str] = []
    has_mark = False
    key_tag, size_tag, time_tag, etag_tag = (f"{space}{one}" for one in ("Key", "Size", "LastModified", "ETag"))
    for entry in root.iterfind(f"{space}Contents"):
        key = entry.findtext(key_tag) or ""
        if is_encoded and ("%" in key or "+" in key):
            key = unquote_plus(key)
        name = key[cut:]
        if not name:
            has_mark = True
            continue
        if not is_usable(name):
            odd.append(name)
            continue
        stamp = datetime.datetime.fromisoformat(entry.findtext(time_tag) or "1970-01-01T00:00:00+00:00")
        size = int(entry.findtext(size_tag) or 0)
        objects.append(ListedObject(name, size, int(stamp.timestamp()), (entry.findtext(etag_tag) or "").strip('"')))
    for entry in root.iterfind(f"{space}CommonPrefixes"):
        key = entry.findtext(f"{space}Prefix") or ""
        name = (unquote_plus(key) if is_encoded else key)[cut:].removesuffix("/")
        (folders if is_usable(name) else odd).append(name or "/")
    return ListedPage(objects, folders, odd, has_mark)


def _text(root: ElementTree.Element, name: str) -> str:
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    return root.findtext(f"{space}{name}") or ""


def _sentence(data: bytes) -> str:
    """What the server says of an error."""
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - as above
    except ElementTree.ParseError:
        return ""
    said = f"{_text(root, 'Code')}: {_text(root, 'Message')}".strip(": ")
    return " ".join(said.split())[:200]


def _signed(access: S3Access, query: Mapping[str, str], now: datetime.datetime) -> tuple[str, dict[str, str]]:
    """The address and the headers of a GET request with Signature Version 4."""
    parts = urlsplit(access.url)
    at = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": at}
    if access.token:
        headers["x-amz-security-token"] = access.token
    asked = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
    names = ";".join(sorted(headers))
    path = parts.path or "/"
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join(["GET", path, asked, *lines, "", names, _EMPTY])
    scope = f"{at[:8]}/{access.region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256(request.encode()).hexdigest()])
    signing = f"AWS4{access.secret}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    signature = hmac.digest(signing, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return f"{parts.scheme}://{parts.netloc}{path}?{asked}", headers
