"""Takes an image that was dropped on the page: checked to the last pixel, named safely, never over another file."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import xxhash
from starlette.requests import Request

from astica_sync.core.gallery.file_names import safe_file_name
from astica_sync.core.gallery.page_change import ChangeOutcome, ChangeStep, StepKind, describe
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import MAX_BYTES, judge_bytes, sniff
from astica_sync.page.access.access_gate import TooLong
from astica_sync.page.changes.change_maker import ChangeMaker, count_files

_MOST_NAME = 30_000


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """An image that was checked, and the name that it gets if that is free."""

    data: bytes
    content: str
    name: str


async def read_body(request: Request) -> bytes:
    """The bytes of an upload.

    Raises:
        TooLong: there are more than the service takes; no more is read.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or len(length) > 15 or int(length) > MAX_BYTES:
        raise TooLong
    pieces, total = [], 0
    async for piece in request.stream():
        total += len(piece)
        if total > MAX_BYTES:
            raise TooLong
        pieces.append(piece)
    return b"".join(pieces)


def check_upload(data: bytes, name: str, decoder: Decoder) -> UploadedImage | str:
    """The image, or why it is none.

    Raises:
        Unworkable: the decoder cannot be started.
    """
    reason = judge_bytes(len(data)) or decoder.check_bytes(data)
    if reason:
        return reason
    extension = "png" if sniff(data) == "png" else "jpg"
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
