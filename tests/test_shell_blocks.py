"""The commands in the ``sh`` blocks of README and manual run as they stand there: each ends as it should in a folder of
photos that was pushed and trained twice. What a ``console`` block shows is compared whole in ``test_docs``."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import console_examples
import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.budget_servers import redis_server
from tests.harness.digits import write_digits
from tests.harness.trained_store import NO_LIMIT

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("astica-sync ", "mkdir ", "cd ")
"""How lines begin that are run. The others are of other programs: make, pip, docker, systemctl, cron and the like."""
ENDLESS = re.compile(r"astica-sync (watch(?! --once| status| pause| resume| install| uninstall)|page|sandbox)\b")
"""Commands that go on until they are stopped."""
CANNOT_RUN = {
    "s3://": "there is no such bucket; tests/mirror and tests/exchange run the same commands on a local S3 server",
    "dask://": "there is no such cluster; tests/cli/test_inspect_on_a_cluster.py runs the same command on a local one",
    "sandbox --like": "it needs the file of a probe; tests/doctor makes one and starts such a sandbox",
}
PAGES = {
    page.relative_to(ROOT).as_posix(): page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if any(
        line.startswith("astica-sync ")
        for block in BLOCK.findall(page.read_text("utf-8"))
        for line in block.splitlines()
    )
}


class World:
    """A home with ``photos``, a store that was pushed and trained twice; ``cans`` and ``bottles``, stores as well;
    images that no store has in ``held-out`` and ``new.jpg``; and a folder ``nas``."""

    def __init__(self, box: RunningSandbox, home: Path) -> None:
        self.box, self.home = box, home
        self.environ = {
            **console_examples.environment(home),
            "ASTICA_TRAIN_URL": box.url,
            "ASTICA_DETECT_URL": box.url,
            "ASTICA_API_KEY": box.key,
            # What a service reads: it gets no key of a terminal.
            "ASTICA_API_KEY_FILE": str(home / "key"),
            "ASTICA_LIMIT": str(NO_LIMIT),
            "BROWSER": "true",
        }
        self.photos = write_digits(home / "photos", 6, names=("zero", "one"))
        write_digits(home / "held-out", 3, start=20, names=("zero", "one"))
        shutil.copyfile(self.photos / "one" / "000.png", home / "new.jpg")
        (home / "nas").mkdir()
        (home / "key").touch(0o600)
        (home / "key").write_text(box.key)
        for name in ("cans", "bottles"):
            write_digits(home / name, 2, start=9, names=("zero", "one"))
            self.must(f"astica-sync init {name} --model {box.add_model(name)}", home)
            self.must("astica-sync push", home / name)
        self.must(f"astica-sync init photos --model {box.add_model('Digits')}", home)
        self.must("astica-sync push && astica-sync train", self.photos)
        (self.photos / "one" / "000.png").unlink()
        self.must("astica-sync push && astica-sync train", self.photos)

    def must(self, line: str, folder: Path) -> str:
        """What the line prints on a terminal, with yes as the answer to each question."""
        script = f"{line}\necho @@@ $?"
        printed = console_examples.run_on_terminal(["bash", "-c", script], folder, self.environ, ["y"] * 9)
        shown, _, code = printed.rpartition("@@@ ")
        assert code.strip() == "0", f"$ {line}\n{shown}ended with {code}"
        return shown

    def starts(self, line: str, folder: Path) -> None:
        """The line runs until it is stopped, and then ends as after Ctrl-C or a stop."""
        out = self.home / "out"
        (folder / "watch.log").unlink(missing_ok=True)
        with out.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=file,
                stderr=file,
            )  # fmt: skip
        until = time.monotonic() + 60
        while process.poll() is None and not (out.stat().st_size or _written(folder)) and time.monotonic() < until:
            time.sleep(0.05)
        assert process.poll() is None, f"$ {line}\n{out.read_text('utf-8')}"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130), f"$ {line}\n{out.read_text('utf-8')}"


def _written(folder: Path) -> bool:
    log = folder / "watch.log"
    return log.exists() and log.stat().st_size > 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(limit=NO_LIMIT) as box:
        yield World(box, tmp_path)


@pytest.fixture
def budget_address() -> Iterator[str]:
    with redis_server() as server:
        yield server.address


def lines_of(page: Path) -> list[str]:
    """The lines that are run, without their comments; a line that ends with a backslash has the next one with it."""
    text = "\n".join(BLOCK.findall(page.read_text("utf-8"))).replace("\\\n", " ")
    lines = (line.partition("   #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line.startswith(RUN) and not any(one in line for one in CANNOT_RUN)]


def prepared(line: str, world: World) -> tuple[str, Path]:
    """The line with what this machine has in place of what it names, and the folder that it is run in."""
    at_home = re.search(r"(?<![/\w])photos\b|^mkdir", line.replace("~/photos", "")) is not None
    line = line.replace("/data/photos", "~/photos").replace("/var/lib/node_exporter", "~/nas")
    if re.search(r"\binit\b.*--(model|create)", line):
        line = re.sub(r"\b1495\b", str(world.box.add_model("Another")), line)
        shutil.rmtree(world.photos / ".astica-sync", ignore_errors=True)
    if " sandbox " in line or " --metrics " in line:
        line = re.sub(r"--metrics \d+", "--metrics 0", line) + (" --port 0" if " sandbox " in line else "")
    if "split --to" in line:
        # The images that it holds out were trained on here, and those of the other folder were not.
        line = line.replace("../held-out", "../split")
    return line, world.home if at_home else world.photos


@pytest.mark.parametrize("page", PAGES)
def test_each_command_of_a_page_runs(page: str, world: World, request: pytest.FixtureRequest) -> None:
    for shown in lines_of(PAGES[page]):
        line, folder = prepared(shown, world)
        if shown.startswith("astica-sync fleet"):
            world.environ["ASTICA_BUDGET"] = request.getfixturevalue("budget_address")
        if shown.startswith("cd "):
            assert (world.home / shlex.split(shown)[1]).is_dir()
        elif ENDLESS.match(shown):
            world.starts(line, folder)
        else:
            world.must(line, folder)


def test_what_cannot_run_is_in_a_page() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES.values())
    assert [one for one in CANNOT_RUN if one not in text] == []
    assert os.access(Path(sys.executable).parent / "astica-sync", os.X_OK)
