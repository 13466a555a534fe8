"""Runs the commands that the pages show, and compares what they print with what the page shows.

A block ```` ```console ```` is a session on a terminal: each line that begins with ``$ `` is a command, and the lines
below it are its whole output. All sessions of one page are one shell, in an empty folder that is also the home folder,
next to a copy of ``fixtures``. Words after ``console`` change how a block is run:

    norun       the block is not run (it needs the network or a real account)
    exit=4      the last command of the block ends with this code; without it every command has to end with 0
    answer=n    what is typed when the program asks a question, once for each time the word is given

A comment ``<!-- run: COMMANDS -->`` is run as well and shows nothing; its output is ignored.

Two outputs are the same when ``normalise`` makes the same text of both. ``python docs/console_examples.py [PAGE …]``
writes the real output into the pages where it is not the same, and draws the picture again where that is outdated.
"""

import contextlib
import itertools
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DOCS = Path(__file__).parent
COLUMNS = 100
PORT = "8777"
"""The port in the pages; a run takes a free one."""

BLOCK = re.compile(r"^```console([^\n]*)\n(.*?)^```$|^<!-- run: (.*?) -->$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^@@@ (\d+) (\d+)\n", re.MULTILINE)
QUESTION = re.compile(rb"(\[y/N\]|\]|\?): ?$")
TIMEOUT = 300.0

DIFFERS = (
    # The pace of the requests decides whether a push takes a second.
    (r"(?m)^(To upload: .*), about .*$", r"\1"),
    (r"\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?", "DATE"),
    (r"\b\d\d:\d\d(?::\d\d)?\b", "TIME"),
    (r"\b[0-9a-f]{8,64}\b(?:…|\.\.\.)?", "HASH"),
    (r"\bunder a second\b|\b\d+(?:\.\d+)? ?(?:ms|s|min|seconds?|minutes?)\b", "DURATION"),
    (r"\b\d+(?:\.\d+)? ?%", "PERCENT"),
    (r"\bprocess \d+", "process PID"),
    (r"#\d+", "#SAMPLE"),
    (r"[ ─]{2,}", "  "),
)
"""What differs from run to run, and what stands for it in a comparison. Folders and ports are replaced already."""
UNORDERED = ("DATE  ", "  - ", "  ~ ")
"""How lines begin whose order depends on which upload was answered first: entries of the log, and samples that are
removed or held, which are listed by their ids on the service."""


@dataclass(slots=True)
class Step:
    """One command of a page. ``start`` and ``end`` are the place of its output in the page; ``hidden`` has none."""

    command: str
    start: int = 0
    end: int = 0
    exit_code: int = 0
    answers: list[str] = field(default_factory=list)
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    step: Step
    shown: str
    printed: str
    exit_code: int

    @property
    def same(self) -> bool:
        return normalise(self.shown) == normalise(self.printed)


def normalise(text: str) -> str:
    """``text`` without what differs from run to run: dates, times, durations, hashes, shares, ids of samples and
    processes, the width of columns, the order in which uploads were answered, and the lines that are printed only
    where a training of the sandbox takes longer than the first look at it, or something takes long on a busy one."""
    text = re.sub(r"(?m)^Training on .*\n", "", text)
    # What goes on for ten seconds is named with its duration.
    text = re.sub(r"(?m)^[A-Z][a-z]+ing .*, \d+ (?:s|min \d+ s)\n", "", text)
    text = re.sub(r"(?m)^\d[\d,]* of \d[\d,]* samples done,.*\n(?:  .*\n)*", "", text)
    for pattern, stands_for in DIFFERS:
        text = re.sub(pattern, stands_for, text)
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    groups = itertools.groupby(lines, lambda line: next((start for start in UNORDERED if line.startswith(start)), ""))
    return "\n".join(line for start, group in groups for line in (sorted(group) if start else group))


def pages() -> list[Path]:
    """Every page that shows a session that can be run."""
    return [page for page in sorted(DOCS.rglob("*.md")) if read_steps(page.read_text("utf-8"))]


def read_steps(text: str) -> list[Step]:
    steps: list[Step] = []
    for block in BLOCK.finditer(text):
        if block[3] is not None:
            steps += [Step(line.strip(), hidden=True) for line in block[3].strip().splitlines()]
            continue
        words = block[1].split()
        if "norun" in words:
            continue
        place, inside = block.start(2), []
        for line in block[2].splitlines(keepends=True):
            place += len(line)
            if line.startswith("$ "):
                inside.append(Step(line.removeprefix("$ ").rstrip("\n"), place, place))
            elif inside:
                inside[-1].end = place
        for word in words:
            name, _, value = word.partition("=")
            if name == "exit":
                inside[-1].exit_code = int(value)
            elif name == "answer":
                inside[-1].answers.append(value)
        steps += inside
    return steps


def run(page: Path) -> list[Result]:
    """Runs the sessions of a page, and returns what each command printed. Raises ``AssertionError`` where one ends with
    another exit code than the page tells."""
    text = page.read_text("utf-8")
    steps = read_steps(text)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        shutil.copytree(DOCS.parent / "fixtures", folder / "fixtures")
        outputs = _run_steps(steps, folder)
    results = []
    for number, step in enumerate(steps):
        printed, code = outputs.get(number, ("", -1))
        if code != step.exit_code:
            before = "".join(f"$ {steps[done].command}\n{outputs[done][0]}" for done in range(number))
            raise AssertionError(f"{before}$ {step.command}\n{printed}ended with {code}, not {step.exit_code}")
        if not step.hidden:
            results.append(Result(step, text[step.start : step.end], printed, code))
    return results


def rewrite(page: Path) -> bool:
    """Writes the real outputs into the page where they differ; returns whether any did."""
    text = page.read_text("utf-8")
    results = [result for result in run(page) if not result.same]
    if page.read_text("utf-8") != text:
        raise AssertionError(f"{page} was edited meanwhile")
    for result in reversed(results):
        text = text[: result.step.start] + result.printed + text[result.step.end :]
    page.write_text(text, "utf-8")
    return bool(results)


def _run_steps(steps: list[Step], folder: Path) -> dict[int, tuple[str, int]]:
    """Output and exit code of each step by its number; those after the first wrong exit code are missing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    wait = f"until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done; sleep 0.5"
    # What runs in the background holds the terminal, so it must not outlive the shell.
    script = ["trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for number, step in enumerate(steps):
        script += [step.command.replace(PORT, port), "code=$?"]
        if step.command.rstrip().endswith("&"):
            script.append(wait)
        script += [f'echo "@@@ {number} $code"', f"[ $code = {step.exit_code} ] || exit 1"]
    answers = [answer for step in steps for answer in step.answers]
    printed = run_on_terminal(["bash", "-c", "\n".join(script)], folder, environment(folder), answers)
    printed = plain(printed).replace(port, PORT).replace(str(folder), "~")
    parts = MARK.split(printed)
    return {
        int(number): (output, int(code))
        for output, number, code in zip(parts[0::3], parts[1::3], parts[2::3], strict=False)
    }


def plain(printed: str) -> str:
    """What is to be read on the screen in the end: no colours, and of a line that was written over its last form."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed).split("\n")
    return "\n".join(line.rpartition("\r")[2].rstrip() for line in lines)


def environment(home: Path) -> dict[str, str]:
    """A user's environment with an empty home folder, on a terminal that cannot move its cursor."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "dumb",
        "COLUMNS": str(COLUMNS),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
    }


def run_on_terminal(command: list[str], folder: Path, environ: dict[str, str], answers: list[str]) -> str:
    """What a command prints on a terminal, where ``answers`` are typed one after another when it asks."""
    terminal, behind = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdin=behind, stdout=behind, stderr=behind, start_new_session=True
    ) as process:
        os.close(behind)
        printed, left = b"", iter(answers)
        try:
            for piece in _pieces(terminal, time.monotonic() + TIMEOUT):
                printed += piece
                if QUESTION.search(printed) and (answer := next(left, None)) is not None:
                    os.write(terminal, f"{answer}\n".encode())
        except TimeoutError:
            raise AssertionError(f"does not end within {TIMEOUT} s:\n{printed.decode()}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            os.close(terminal)
    return printed.decode().replace("\r\n", "\n")


def _pieces(terminal: int, deadline: float) -> Iterator[bytes]:
    while True:
        if not select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            # On Linux this is the end of file of a terminal that no process has open any more.
            return
        if not piece:
            return
        yield piece


def main(names: list[str]) -> None:
    for page in [Path(name).resolve() for name in names] or pages():
        sys.stdout.write(f"{page.relative_to(DOCS.parent)}: {'rewritten' if rewrite(page) else 'as shown'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
