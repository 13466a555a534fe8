"""Images as the service gets them, for all that shows, compares or checks them."""

from astica_sync.errors import ImageRejected
from astica_sync.local.image.decoder import Decoder
from astica_sync.local.image.format import preparable, sniff
from astica_sync.local.image.prepare.preparer import Preparer
from astica_sync.local.image.prepare.usable_formats import why_not_converted


def as_shown(preparer: Preparer, data: bytes) -> bytes:
    """What is sent of the image; a PNG or JPEG that cannot be converted is shown as it is.

    Raises:
        ImageRejected: another image that cannot be converted; the text says what helps.
        Unworkable: no worker can be started.
    """
    try:
        return preparer.convert(data)
    except ImageRejected:
        if sniff(data) is None:
            raise
        return data


def check_as_sent(decoder: Decoder, preparer: Preparer, data: bytes) -> bytes:
    """What is sent of the image, if it is complete and within the limits of the service.

    Raises:
        ImageRejected: it is not; the text says what helps.
        Unworkable: no worker can be started.
    """
    image = preparer.convert(data)
    if image is data and (reason := _why_not_sent(decoder, data)):
        raise ImageRejected(reason)
    return image


def _why_not_sent(decoder: Decoder, data: bytes) -> str | None:
    word = preparable(data)
    return why_not_converted(word) if word and sniff(data) is None else decoder.check_bytes(data)
