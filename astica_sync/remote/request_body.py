"""The body of a request: JSON with the key, and an image that is encoded while it is sent."""

from binascii import b2a_base64
from collections.abc import Iterator, Mapping

from astica_sync.secret import Secret

PIECE = 48 * 1024
"""Bytes of the image encoded at a time: a multiple of three, so that there is no padding inside, and 64 KiB as
base64."""


class RequestBody:
    """The bytes to send. Each iteration builds them again, so that no attribute and no traceback contains the key.

    Args:
        fields: the parameters of the request, without the key and the image.
        image: sent as ``input`` in base64, after ``image_prefix`` (the start of a data URI, or nothing).

    Raises:
        ValueError: a field cannot be encoded as UTF-8.
    """

    def __init__(
        self, key: Secret, fields: Mapping[str, str | int], image: bytes | None = None, image_prefix: str = ""
    ) -> None:
        self._key = key
        self._fields = dict(fields)
        self._image = image
        self._image_prefix = image_prefix
        self._length = len(self._head())
        if image is not None:
            self._length += (len(image) + 2) // 3 * 4 + len(_TAIL)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        yield self._head()
        if self._image is not None:
            view = memoryview(self._image)
            for start in range(0, len(view), PIECE):
                yield b2a_base64(view[start : start + PIECE], newline=False)
            yield _TAIL

    def __repr__(self) -> str:
        return f"<RequestBody of {self._length} bytes>"

    def _head(self) -> bytes:
        # Loaded with the first request: a command that sends none starts faster.
        import msgspec

        whole = msgspec.json.encode({"tkn": self._key.reveal(), **self._fields})
        if self._image is None:
            return whole
        return whole[:-1] + b',"input":"' + self._image_prefix.encode("ascii")


_TAIL = b'"}'
