"""Images as the service gets them, for all that shows, compares or checks them."""

from astica_sync.errors import ImageRejected
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import preparable, sniff
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.local.image.prepare.usable_formats import why_not_converted


def as_sent(preparer: Preparer, data: bytes) -> bytes:
    """The image, converted where it is sent so; else the same bytes, which need not be those of an image.

    Raises:
        ImageRejected: it is to be converted and cannot be; the text says what helps.
        Unworkable: no worker can be started.
    """
    return preparer.prepare(data).data if preparable(data) in preparer.recipe.formats else data


def as_shown(preparer: Preparer, data: bytes) -> bytes:
    """As ``as_sent``, but a PNG or JPEG that cannot be converted is shown as it is.

    Raises:
        ImageRejected, Unworkable: as ``as_sent``.
    """
    try:
        return as_sent(preparer, data)
    except ImageRejected:
        if sniff(data) is None:
            raise
        return data


def check_as_sent(decoder: Decoder, preparer: Preparer, data: bytes) -> bytes:
    """As ``as_sent``, for an image that is complete and within the limits of the service.

    Raises:
        ImageRejected: it is not; the text says what helps.
        Unworkable: no worker can be started.
    """
    image = as_sent(preparer, data)
    if image is not data:
        return image
    reason = _why_not_sent(decoder, data)
    if reason is not None:
        raise ImageRejected(reason)
    return data


def _why_not_sent(decoder: Decoder, data: bytes) -> str | None:
    word = preparable(data)
    return why_not_converted(word) if word and sniff(data) is None else decoder.check_bytes(data)
