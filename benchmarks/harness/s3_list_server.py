"""A server of S3 that knows lists alone, answered from memory.

    python -m benchmarks.harness.s3_list_server KEYS CLASSES PAUSE_MS

lists ``KEYS`` objects ``data/class NNN/image NNNNNNN.png`` in the bucket ``photos``, 1,000 a page. Each page comes
``PAUSE_MS`` milliseconds late: the way to a bucket and back. Prints its port.
"""

import bisect
import hashlib
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000
SIZE = 2000
PREFIX = "data/"


def tag(number: int) -> str:
    """The ETag of an object."""
    return hashlib.md5(str(number).encode()).hexdigest()


def name(number: int, classes: int) -> str:
    return f"{PREFIX}class {number % classes:03}/image {number:07}.png"


def serve(keys: int, classes: int, pause: float) -> None:
    """Serves until it is killed."""
    entries = sorted((name(number, classes), number) for number in range(keys))
    names = [key for key, _ in entries]

    def contents(start: int, end: int, encode: Any) -> str:
        return "".join(
            f"<Contents><Key>{encode(key)}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{tag(number)}&quot;</ETag><Size>{SIZE}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key, number in entries[start:end]
        )

    pages: dict[str, bytes] = {}

    def page(query: dict[str, list[str]]) -> bytes:
        prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        url = query.get("encoding-type") == ["url"]
        encode = quote if url else escape
        start = bisect.bisect_left(names, prefix) if not after else int(after)
        last = bisect.bisect_left(names, f"{prefix}\U0010ffff")
        body, more, end = "", False, start
        if query.get("delimiter") and prefix == PREFIX:
            for number in range(min(classes, keys)):
                body += f"<CommonPrefixes><Prefix>{encode(f'{PREFIX}class {number:03}/')}</Prefix></CommonPrefixes>"
        else:
            end = min(start + PAGE, last)
            more = end < last
            body = contents(start, end, encode)
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        coding = "<EncodingType>url</EncodingType>" if url else ""
        head = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        )
        return f"{head}{coding}<IsTruncated>{str(more).lower()}</IsTruncated>{token}{body}</ListBucketResult>".encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = urlsplit(self.path).query
            if asked not in pages:
                pages[asked] = page(parse_qs(asked))
            time.sleep(pause)
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(pages[asked])))
            self.end_headers()
            self.wfile.write(pages[asked])

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000)
