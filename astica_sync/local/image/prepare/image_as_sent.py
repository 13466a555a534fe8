"""Images as the service gets them, for all that shows, compares or checks them."""

from astica_sync.core.recipe import OVERSIZED
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
    if image is data and (reason := why_not_sent(decoder, preparer, data)):
        raise ImageRejected(reason)
    return image


def why_not_sent(decoder: Decoder, preparer: Preparer, data: bytes) -> str | None:
    """Why an image that is not converted cannot be sent either, or None.

    Raises:
        ImageRejected: as ``Preparer.prepare``, for an image above the limits: the text names the setting that helps.
        Unworkable: no worker can be started.
    """
    word = preparable(data)
    if word and sniff(data) is None:
        return why_not_converted(word)
    if word == OVERSIZED and word in preparer.recipe.formats:
        preparer.prepare(data)
    return decoder.check_bytes(data)
