"""The program of the manual for leaving Custom Vision, against a server that answers as its documentation says."""

import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.harness.shell import draw

PAGE = Path(__file__).parents[2] / "docs" / "from-other-services.md"
KEY = "a training key"


class _Service:
    """The answers of one project; ``broken`` are images whose download fails."""

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.downloads: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, image: bytes, *tags: str, regions: int = 0) -> str:
        name = str(uuid.UUID(int=len(self.images) + 1))
        self.files[f"/files/{name}"] = image
        self.images.append(
            {
                "id": name,
                "originalImageUri": f"{self.url}/files/{name}",
                "tags": [{"tagId": "t", "tagName": tag} for tag in tags],
                "regions": [{"tagName": tags[0]}] * regions,
            }
        )
        return name

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        status, data = 200, b""
        if parts.path in self.files:
            self.downloads.append(parts.path)
            status, data = (500, b"") if parts.path in self.broken else (200, self.files[parts.path])
        elif parts.path == "/customvision/v3.3/training/projects/project/images/tagged":
            assert request.headers["Training-Key"] == KEY
            query = parse_qs(parts.query)
            skip, take = int(query["skip"][0]), int(query["take"][0])
            data = json.dumps(self.images[skip : skip + min(take, 3)]).encode()
        else:
            status = 404
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)


@pytest.fixture
def service() -> Iterator[_Service]:
    made = _Service()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    file = tmp_path / "custom_vision.py"
    file.write_text(source)
    return file


def _run(program: Path, service: _Service, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), f"{service.url}/", "project", str(folder)]
    return subprocess.run(command, env={"TRAINING_KEY": KEY}, capture_output=True, text=True, check=False)


def test_each_image_with_one_tag_comes_into_its_class_folder(service: _Service, program: Path, tmp_path: Path) -> None:
    images = [draw(tmp_path / f"{number}.png", number).read_bytes() for number in range(7)]
    names = [service.add(image, "Can") for image in images[:4]]
    names.append(service.add(b"\xff\xd8\xff rest", "on/off"))
    service.add(images[4], "Can", "Bottle")
    service.add(images[5], "Can", regions=1)
    service.add(images[6], "..")
    ran = _run(program, service, tmp_path / "photos")
    assert ran.stdout.startswith("8 images, 3 left out") and ran.returncode == 0, ran.stderr
    found = {str(path.relative_to(tmp_path / "photos")) for path in (tmp_path / "photos").rglob("*") if path.is_file()}
    assert found == {*(f"Can/{name}.png" for name in names[:4]), f"on-off/{names[4]}.jpg"}
    assert (tmp_path / "photos" / "Can" / f"{names[0]}.png").read_bytes() == images[0]


def test_what_was_broken_off_goes_on_and_downloads_nothing_twice(
    service: _Service, program: Path, tmp_path: Path
) -> None:
    names = [service.add(draw(tmp_path / f"{number}.png", number).read_bytes(), "Can") for number in range(5)]
    service.broken.add(f"/files/{names[3]}")
    assert _run(program, service, tmp_path / "photos").returncode != 0
    assert len(list((tmp_path / "photos" / "Can").glob("*.png"))) == 3
    service.broken.clear()
    service.downloads.clear()
    assert _run(program, service, tmp_path / "photos").returncode == 0
    assert len(list((tmp_path / "photos" / "Can").iterdir())) == 5
    assert service.downloads == [f"/files/{name}" for name in names[3:]]
