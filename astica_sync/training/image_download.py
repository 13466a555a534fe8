"""Fetches an image from an address that the user has named: bounded in size and time, and without the API key."""

import errno
import re
from urllib.parse import urlsplit

from astica_sync.errors import AsticaSyncError
from astica_sync.local.image.format import MAX_BYTES
from astica_sync.service_address import is_this_machine, shown_address

DOWNLOAD_SECONDS = 60.0
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def is_address(name: str) -> bool:
    """Whether a name is an address and no file."""
    return _ADDRESS.match(name) is not None


def check_image_address(address: str) -> None:
    """Checks an address before anything is asked for.

    Raises:
        AsticaSyncError: it has no host, a user or a password, or is plain http to another machine.
    """
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0 and address.isprintable() and " " not in address
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.password is not None:
        raise AsticaSyncError(
            f"{shown_address(address)} is no address of an image",
            "Name one without spaces, a user or a password, such as https://example.org/can.jpg.",
        )
    if parts.scheme.lower() == "http" and not is_this_machine(parts.hostname or ""):
        raise AsticaSyncError(
            f"{shown_address(address)} is not encrypted, so the image could be another one",
            "Name an https:// address, or download the image and name the file.",
        )


def download_image(address: str, seconds: float = DOWNLOAD_SECONDS) -> tuple[int, bytes]:
    """The size and the bytes of an image; no bytes where it is larger than the service takes. No redirect is followed.

    Raises:
        OSError: it cannot be fetched within so many ``seconds``; the text of the error is the reason.
    """
    from astica_sync.remote.connection_pool import open_client, reason_of
    from astica_sync.remote.deadline import ThreadDeadline

    deadline = ThreadDeadline()
    deadline.start(seconds)
    data = bytearray()
    try:
        # Compressed bytes could become any number of others.
        with (
            open_client(address, deadline) as client,
            client.stream("GET", address, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.is_redirect:
                target = shown_address(answer.headers.get("Location", "")[:200])
                raise OSError(errno.EREMOTE, f"it redirects to {target}, which is not followed")
            if answer.status_code != 200:
                raise OSError(errno.ENODATA, f"the server answered with status {answer.status_code}")
            for piece in answer.iter_raw():
                data += piece
                if len(data) > MAX_BYTES:
                    return len(data), b""
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, reason_of(error)) from error
    return len(data), bytes(data)
