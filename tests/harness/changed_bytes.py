"""Images with some bytes changed."""

import random

from astica_sync.errors import ImageRejected
from astica_sync.local.image.decoder_process import check_image
from astica_sync.local.image.prepare.preparer import Preparer


def check_changed_bytes(preparer: Preparer, image: bytes, seed: str) -> None:
    """Each of forty changed copies of the image is converted whole, or refused with a reason, and ends no worker."""
    chance = random.Random(seed)
    for _ in range(40):
        data = bytearray(image)
        for _ in range(chance.choice((1, 3, 20))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            prepared = preparer.prepare(bytes(data))
        except ImageRejected as error:
            assert ".astica-ignore" in str(error)
            assert "ended by" not in str(error)
        else:
            assert check_image(prepared.data) is None
