"""What a probe uploads: title, uid and kind of image of each upload; and whether a sample is one of them."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from astica_sync.core.service_facts.read_answer import ShownSample

TITLE = "astica-sync probe"
_TITLE = re.compile(rf"{TITLE} ([0-9a-f]{{12}})")

FIRST_TITLE = unicodedata.normalize("NFC", "Caf\u00e9 & co")
OTHER_FORM = unicodedata.normalize("NFD", FIRST_TITLE)
OTHER_CASE = FIRST_TITLE.upper()
OUTER_SPACES = f" {FIRST_TITLE} "
AGAIN_TITLE = unicodedata.normalize("NFD", "Encore une fois d\u00e9j\u00e0")
"""A title of its own, in the Unicode form that is less usual."""
JUNK_TITLE = "Probe of a text file"
LONELY_TITLE = "Alone"
SIZES_TITLE = "Sizes"
STANDING, LYING = "Standing", "Lying"

SAFE_UID = 12
"""A uid that is cut shorter than this could be that of another sample of the account."""


@dataclass(frozen=True, slots=True)
class ProbeUpload:
    """One upload. ``image`` is the kind of its image, see ``astica_sync.doctor.probe.images``; ``uid_of`` is the upload
    whose uid it repeats."""

    name: str
    title: str
    image: str
    uid_of: str = ""


FIRST = ProbeUpload("first", FIRST_TITLE, "noise")
BASIC = (
    ProbeUpload("again", AGAIN_TITLE, "noise"),
    ProbeUpload("other form", OTHER_FORM, "noise"),
    ProbeUpload("other case", OTHER_CASE, "noise"),
    ProbeUpload("outer spaces", OUTER_SPACES, "noise"),
    ProbeUpload("repeated", AGAIN_TITLE, "large noise", uid_of="again"),
    ProbeUpload("junk", JUNK_TITLE, "text"),
    ProbeUpload("tagged", SIZES_TITLE, "tagged jpeg"),
    ProbeUpload("smallest", SIZES_TITLE, "one pixel"),
    ProbeUpload("side 16000", SIZES_TITLE, "side 16000"),
    ProbeUpload("side 16001", SIZES_TITLE, "side 16001"),
    ProbeUpload("url", SIZES_TITLE, "url"),
    ProbeUpload("alone", LONELY_TITLE, "noise"),
)
"""The uploads after the first one, in their order."""

PER_CLASS = 3
TRAINING = tuple(
    ProbeUpload(f"{title} {number}", title, f"{title} {number}")
    for title in (STANDING, LYING)
    for number in range(PER_CLASS)
)
"""The pixels of a standing image lie, and its orientation tag makes it stand; those of a lying one stand, and its tag
makes it lie."""

LARGE = (
    ProbeUpload("20 MiB", SIZES_TITLE, "20971520 bytes"),
    ProbeUpload("20 MB", SIZES_TITLE, "20000000 bytes"),
)


def title_of(token: str) -> str:
    """The title of the probe's model."""
    return f"{TITLE} {token}"


def token_in(title: str) -> str | None:
    """The token in the title of a probe's model; None where it is another title."""
    found = _TITLE.fullmatch(title)
    return found[1] if found else None


def uid_for(token: str, upload: ProbeUpload) -> str:
    """A uid as long as those of samples, which no other probe and no sample has."""
    name = (upload.uid_of or upload.name).encode()
    text = hashlib.blake2s(token.encode() + b" " + name, digest_size=20).hexdigest()
    return f"{text[:32]}-{text[32:]}"


def find_foreign(token: str, samples: Iterable[ShownSample]) -> list[ShownSample]:
    """The samples that the probe with this token did not upload."""
    every = [uid_for(token, upload) for upload in (FIRST, *BASIC, *TRAINING, *LARGE)]
    return [one for one in samples if not (one.uid and any(uid.startswith(one.uid) for uid in every))]
