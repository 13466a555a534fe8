"""The mirror of a backup in a bucket of a local S3 server, compared with rclone.

python -m benchmarks.local.mirror_backup serve      an S3 server in its own process
"""

import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.measure import ASTICA, ROOT, Command, Figure, has, judge, run, skipped, start, take_turns
from benchmarks.harness.store_trees import bind
from benchmarks.local import store_status
from benchmarks.push import upload_speed

OURS = "astica-sync backup mirror"
AGAIN = "with nothing new"
RCLONE = "rclone copy"
_BUCKET = "off-site"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    """The ratio is that of the times: a rate of 0.8 times rclone's takes 1.25 times as long."""
    count = 10_000 if full else 500
    work = f"mirror of {count:,} objects of 300 kB to a local S3 server"
    try:
        import moto.server  # noqa: F401
        import obstore  # noqa: F401
    except ImportError as error:
        return [skipped(work, OURS, f"{error.name} is not installed")]
    photos = upload_speed.make(scratch, count)
    try:
        _back_up(photos)
        with _server() as address:
            return _figures(photos, work, address, min(times, 3))
    finally:
        shutil.rmtree(photos / ".astica-sync", ignore_errors=True)


def _figures(photos: Path, work: str, address: str, times: int) -> list[Figure]:
    settings = store_status.home_of(photos) | {
        "AWS_ENDPOINT": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        # rclone cannot use one.
        "AWS_CA_BUNDLE": "",
    }
    marker = photos / ".astica-sync" / "mirror.json"

    def empty() -> None:
        marker.unlink(missing_ok=True)
        _call(f"{address}/moto-api/reset", "POST")
        _call(f"{address}/{_BUCKET}", "PUT")

    mirror = [*ASTICA, "backup", "mirror", f"s3://{_BUCKET}/cans", "--new", "--json", "--store", photos]
    commands = {OURS: Command(mirror, ROOT, settings, empty)}
    missing = []
    if has("rclone"):
        remote = f":s3,provider=Other,env_auth=true,region=us-east-1,endpoint='{address}':{_BUCKET}/cans"
        backup = photos / ".astica-sync" / "backup"
        copy: list[str | Path] = ["rclone", "copy", "--config", "/dev/null", backup, remote]
        commands[RCLONE] = Command(copy, ROOT, settings, empty)
    else:
        missing.append(skipped(work, RCLONE, "rclone is not installed"))
    costs = take_turns(commands, times, warm=False)
    empty()
    run(Command(mirror, ROOT, settings))
    again = take_turns({AGAIN: Command(mirror, ROOT, settings)}, times, warm=False)
    return [*judge(work, {**costs, **again}, {(OURS, RCLONE): "<= 1.25"}), *missing]


def _back_up(photos: Path) -> None:
    """Pushes the photos to a sandbox, so that the backup has all of them."""
    shutil.rmtree(photos / ".astica-sync", ignore_errors=True)
    with upload_speed.sandbox(photos.parent, "0") as (url, models):
        bind(photos, url, next(models))
        push = [*ASTICA, "push", "--json", "--store", photos]
        run(Command(push, ROOT, upload_speed.push_environ(photos, url)))


@contextmanager
def _server() -> Iterator[str]:
    """An S3 server in a process of its own, as rclone and the program have theirs."""
    command = Command([sys.executable, "-m", __name__, "serve"])
    with start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def _serve() -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    for _ in sys.stdin:
        pass
    server.stop()


def _call(url: str, method: str) -> None:
    auth = "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    with urllib.request.urlopen(urllib.request.Request(url, b"", {"Authorization": auth}, method=method)):
        pass


if __name__ == "__main__":
    _serve()
