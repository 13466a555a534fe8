"""Takes an image that was dropped on the page: checked to the last pixel, named safely, never over another file."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import xxhash
from starlette.requests import Request

from astica_sync.core.gallery.page_change import ChangeOutcome, ChangeStep, StepKind, describe
from astica_sync.core.gallery.safe_names import safe_file_name
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import MAX_BYTES, preparable, sniff
from astica_sync.local.image.prepare.image_as_sent import check_as_sent
from astica_sync.local.image.prepare.preparer import MAX_SOURCE_BYTES, Preparer
from astica_sync.page.access.access_gate import TooLong
from astica_sync.page.changes.change_maker import ChangeMaker, count_files

_MOST_NAME = 30_000
_EXTENSIONS = {"png": "png", "jpeg": "jpg", "tiff": "tif", "jpeg2000": "jp2"}
"""That of a format, where it is not the word for it."""


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """An image that was checked, and the name that it gets if that is free."""

    data: bytes
    content: str
    name: str


async def read_body(request: Request) -> bytes:
    """The bytes of an upload.

    Raises:
        TooLong: there are more than the service takes, or than are converted; no more is read.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or len(length) > 15 or int(length) > MAX_SOURCE_BYTES:
        raise TooLong
    pieces, total, most = [], 0, MAX_BYTES
    async for piece in request.stream():
        total += len(piece)
        pieces.append(piece)
        if most == MAX_BYTES < total and preparable(b"".join(pieces)):
            most = MAX_SOURCE_BYTES
        if total > most:
            raise TooLong
    return b"".join(pieces)


def check_upload(data: bytes, name: str, decoder: Decoder, preparer: Preparer) -> UploadedImage:
    """The image as it is, if it can be sent, or what it is converted to.

    Raises:
        ImageRejected: it cannot; the text says what helps.
        Unworkable: no process can be started to open it.
    """
    check_as_sent(decoder, preparer, data)
    word = sniff(data) or preparable(data) or ""
    extension = _EXTENSIONS.get(word, word)
    return UploadedImage(data, xxhash.xxh3_128_hexdigest(data), safe_file_name(name, extension))


def name_of(request: Request) -> str:
    """The name that the browser gives."""
    return unquote(request.headers.get("x-file-name", "")[:_MOST_NAME], errors="replace")


def add_image(maker: ChangeMaker, image: UploadedImage, title: str, batch: str) -> tuple[int | None, ChangeOutcome]:
    """Writes the image into the folder of a class, as one step that can be undone.

    Raises:
        BadRequest: no class can have this title.
    """
    place = maker.place_for(title)
    maker.offer(image.content, image.data)
    step = ChangeStep(StepKind.ADD, "", f"{place}/{image.name}", image.content)
    return maker.make(_label, [step], batch)


def _label(steps: Sequence[ChangeStep]) -> str:
    """A drop of several folders is one change of several classes."""
    places = {step.after.partition("/")[0] for step in steps if step.kind is StepKind.ADD}
    titles = {class_title_of(place) or place for place in places}
    return describe("upload", count_files(steps), to=titles.pop() if len(titles) == 1 else f"{len(titles)} classes")
