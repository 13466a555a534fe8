"""Images that are no files: addresses, images of PIL, arrays of numpy."""

import io
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from astica_sync.errors import AsticaSyncError
from astica_sync.local.image.format import MAX_BYTES
from astica_sync.training.find_images import find_inputs
from astica_sync.training.image_download import download_image
from astica_sync.training.in_memory_images import encode_image

GRADIENT = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4)


class Pictures(BaseHTTPRequestHandler):
    """Serves one picture, and answers that are none."""

    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        if self.path == "/gone.png":
            self.send_error(404)
            return
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "http://user:secret@127.0.0.1/other.png?token=1")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/large.png":
            # More than any image, and without an end.
            try:
                while True:
                    self.wfile.write(bytes(1 << 20))
            except OSError:
                return
        if self.path == "/slow.png":
            stop = time.monotonic() + 20
            try:
                while time.monotonic() < stop:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    threading.Event().wait(0.02)
            except OSError:
                return
        self.wfile.write(png(1))

    def log_message(self, *_: object) -> None:
        pass


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 40, 90)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, str]]]]:
    Pictures.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", Pictures.seen
        running.shutdown()


def test_an_address_is_read_when_it_is_needed_and_without_anything_of_the_user(
    server: tuple[str, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTICA_API_KEY", "the-key-of-this-user")
    address, seen = server
    (image,) = find_inputs([f"{address}/can.png?size=8"], lambda: b"")
    assert seen == [] and image.name == f"{address}/can.png?size=8"
    assert image.read() == (len(png(1)), png(1))
    (asked,) = seen
    assert asked["path"] == "/can.png?size=8" and asked["accept-encoding"] == "identity"
    assert "the-key-of-this-user" not in str(asked) and not {"cookie", "authorization"} & asked.keys()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/gone.png", "status 404"),
        ("/moved.png", "it redirects to http://…@127.0.0.1/other.png?…, which is not followed"),
    ],
)
def test_an_answer_that_is_no_image_has_its_reason(
    server: tuple[str, list[dict[str, str]]], path: str, reason: str
) -> None:
    with pytest.raises(OSError, match=re.escape(reason)):
        download_image(server[0] + path)
    assert len(server[1]) == 1, "no redirect is followed"


def test_size_and_time_of_a_download_are_bounded(server: tuple[str, list[dict[str, str]]]) -> None:
    size, data = download_image(f"{server[0]}/large.png")
    assert MAX_BYTES < size < MAX_BYTES + (2 << 20) and data == b""
    started = time.monotonic()
    with pytest.raises(OSError, match="timed out before the answer was complete"):
        download_image(f"{server[0]}/slow.png", 0.5)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("http://example.org/a.png", "is not encrypted"),
        ("https://", "is no address of an image"),
        ("https://user:secret@example.org/a.png", "is no address of an image"),
        ("https://example.org/a b.png", "is no address of an image"),
        ("https://[1::/a.png", "is no address of an image"),
    ],
)
def test_an_address_that_is_not_asked(address: str, text: str) -> None:
    with pytest.raises(AsticaSyncError, match=text) as caught:
        find_inputs([address], lambda: b"")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_an_image_of_pil_is_sent_with_the_same_pixels(mode: str) -> None:
    image = Image.fromarray(GRADIENT).convert(mode)
    data = encode_image(image)
    assert data is not None
    with Image.open(io.BytesIO(data)) as sent:
        assert sent.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_an_image_of_pil_is_turned_as_it_says() -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(GRADIENT[:, :, :3])
    image.save(file, "PNG", exif=exif)
    data = encode_image(Image.open(file))
    assert data is not None
    with Image.open(io.BytesIO(data)) as sent:
        assert np.array_equal(np.array(sent), np.rot90(GRADIENT[:, :, :3], -1))
        assert sent.getexif().get(0x0112) is None


@pytest.mark.parametrize(
    "part", [np.s_[:, :, 0], np.s_[:, :, :1], np.s_[:, :, :3], np.s_[:, :, :], np.s_[::2, ::-1, 2::-1]]
)
def test_an_array_is_sent_with_the_same_numbers(part: tuple[slice, ...]) -> None:
    array = GRADIENT[part]
    data = encode_image(array)
    assert data is not None
    with Image.open(io.BytesIO(data)) as sent:
        assert np.array_equal(np.array(sent), array.squeeze())


@pytest.mark.parametrize(
    "wrong",
    [
        GRADIENT / 255,
        GRADIENT.astype(np.uint16),
        GRADIENT[:, :, :2],
        GRADIENT[np.newaxis],
        GRADIENT[:0],
        Image.new("CMYK", (4, 4)),
        Image.new("F", (4, 4)),
    ],
)
def test_pixels_that_would_change_are_refused(wrong: object) -> None:
    with pytest.raises(AsticaSyncError) as caught:
        encode_image(wrong)
    assert caught.value.hint


def test_a_damaged_image_of_pil_is_an_error_of_ours() -> None:
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(whole, "PNG")
    file = io.BytesIO(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(AsticaSyncError, match="cannot be read"):
        encode_image(Image.open(file))
    assert encode_image("a.png") is None
