"""Check, backup and upload of photos to a service without a limit, compared with a copy and the vendor's script.

    python -m benchmarks.push.upload_speed serve FOLDER                  the sandbox in its own process
    python -m benchmarks.push.upload_speed vendor FOLDER URL KEY MODEL    the vendor's script: read, encode, POST
    python -m benchmarks.push.upload_speed push-without-backup         a push that writes no backup

The vendor's script opens a connection for each request; here it may use one for all.
"""

import base64
import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.harness.measure import ASTICA, ROOT, Command, Figure, judge, ratio_of, start, take_turns, value
from benchmarks.harness.store_trees import bind
from benchmarks.local import store_status

WORK = "check, backup and upload of {count:,} photos of 300 kB"
OURS, BARE, VENDOR, COPY = (
    "astica-sync push",
    "astica-sync push, no backup",
    "cp and the vendor's script",
    "cp --reflink=auto",
)
LATENCIES = {"a service on this machine": "0", "a service that takes 20-50 ms": "20-50ms"}
KEY = "a-key-for-benchmarks"


def figures(scratch: Path, full: bool, times: int) -> list[Figure]:
    count = 10_000 if full else 500
    photos = make(scratch, count)
    found = []
    for where, latency in LATENCIES.items():
        # Ten thousand photos take minutes for each turn, so there is no unmeasured turn. Times with a slow service
        # hardly vary.
        turns = 3 if not full else times if latency == "0" else 1
        found += _figures(photos, f"{WORK.format(count=count)}, {where}", latency, min(times, turns), warm=not full)
    return found


def make(scratch: Path, count: int) -> Path:
    folder = scratch / f"{count} photos"
    if not folder.exists():
        making = folder.with_name(f"{folder.name}, being made")
        shutil.rmtree(making, ignore_errors=True)
        (making / "home").mkdir(parents=True)
        store_status.call(sys.executable, "-m", "benchmarks.harness.photos", making / "photos", count)
        making.rename(folder)
    return folder / "photos"


def _figures(photos: Path, work: str, latency: str, times: int, *, warm: bool) -> list[Figure]:
    copy = photos.parent / "copy"
    with sandbox(photos.parent, latency) as (url, models):
        settings = push_environ(photos, url)

        def fresh() -> None:
            shutil.rmtree(photos / ".astica-sync", ignore_errors=True)
            bind(photos, url, next(models))

        def no_copy() -> None:
            shutil.rmtree(copy, ignore_errors=True)

        copying = f'cp -r --reflink=auto "{photos}" "{copy}"'
        vendor = f'"{sys.executable}" -m benchmarks.push.upload_speed vendor "{photos}" {url} {KEY} {next(models)}'
        push = ["push", "--json", "--store", photos]
        commands = {
            OURS: Command([*ASTICA, *push], ROOT, settings, fresh),
            BARE: Command(
                [sys.executable, "-m", "benchmarks.push.upload_speed", "push-without-backup"], photos, settings, fresh
            ),
            COPY: Command(["sh", "-c", copying], ROOT, prepare=no_copy),
            VENDOR: Command(["sh", "-c", f"{copying} && {vendor}"], ROOT, prepare=no_copy),
        }
        costs = take_turns(commands, times, warm=warm)
        no_copy()
        shutil.rmtree(photos / ".astica-sync")
    lines = judge(work, costs)
    walls = {name: [cost.wall for cost in each] for name, each in costs.items()}
    speed = ratio_of(walls[VENDOR], walls[OURS])
    added = 100 * (ratio_of(walls[OURS], walls[BARE]) - 1)
    cpu = 100 * (
        statistics.median(cost.cpu for cost in costs[OURS]) / statistics.median(c.cpu for c in costs[BARE]) - 1
    )
    return [
        *lines,
        value(work, "speed relative to the vendor's script", speed, "times", ">= 2", runs=times),
        value(work, "the backup adds", added, "%", "<= 15", f"and {cpu:.0f} % of processor time", times),
    ]


def push_environ(photos: Path, url: str) -> dict[str, str]:
    home = store_status.home_of(photos)
    return home | {
        "ASTICA_API_KEY": KEY,
        "ASTICA_TRAIN_URL": url,
        "ASTICA_DETECT_URL": url,
        "ASTICA_LIMIT": "1000000000",
    }


@contextmanager
def sandbox(scratch: Path, latency: str) -> Iterator[tuple[str, Iterator[int]]]:
    """A sandbox in its own process, as a service would be; yields its address, and new models on demand."""
    with tempfile.TemporaryDirectory(dir=scratch) as data:
        command = Command([sys.executable, "-m", "benchmarks.push.upload_speed", "serve", data, latency])
        with start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None) as process:
            assert process.stdin is not None and process.stdout is not None
            questions, answers = process.stdin, process.stdout

            def models() -> Iterator[int]:
                while True:
                    questions.write("model\n")
                    questions.flush()
                    yield int(answers.readline())

            try:
                yield answers.readline().strip(), models()
            finally:
                questions.close()


def serve(folder: str, latency: str) -> None:
    from astica_sync.sandbox.embedded import running

    with running(Path(folder), key=KEY, limit=10**9) as box:
        box.set_faults(latency=latency)
        print(box.url, flush=True)
        for _ in sys.stdin:
            print(box.add_model(), flush=True)


def vendor(folder: str, url: str, key: str, model: str) -> None:
    server = urlsplit(url).netloc
    connection = http.client.HTTPConnection(server)
    for path in sorted(Path(folder).glob("class */*")):
        fields = {
            "tkn": key,
            "model_id": int(model),
            "model_class": path.parent.name,
            "uid": path.name,
            "input": base64.b64encode(path.read_bytes()).decode(),
        }
        connection.request("POST", "/model/upload", json.dumps(fields), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        assert answer["status"] == "OK", answer


def push_without_backup() -> None:
    """A push without a backup: each file is read and hashed once, and sent."""
    from astica_sync.cli.main import run
    from astica_sync.local.backup import backup
    from astica_sync.local.backup.object_store import Stored

    class NoBackup(backup.Backup):
        """Reads each content from its file in the store."""

        sources: dict[str, Path]

        def put(self, source: Path, content: str) -> Stored:
            self._of(content, source)
            return Stored(content, source, 0, True)

        def read(self, content: str) -> bytes:
            data = self._of(content).read_bytes()
            hasher = self._hasher()
            hasher.update(data)
            assert hasher.hexdigest() == content
            return data

        def secure(self, content: str) -> bool:
            return False

        def add_samples(self, samples: object, at: float) -> None:
            pass

        def _of(self, content: str, source: Path | None = None) -> Path:
            known = self.__dict__.setdefault("sources", {})
            if source is not None:
                known[content] = source
            return known[content]

    backup.Backup = NoBackup  # type: ignore[misc]
    sys.exit(run(["push", "--json", "--store", str(Path.cwd())]))


def main() -> None:
    task, *rest = sys.argv[1:]
    {"serve": serve, "vendor": vendor, "push-without-backup": push_without_backup}[task](*rest)


if __name__ == "__main__":
    main()
