"""System calls that fail under a real command: which ones it makes, and the same command with one of them failing.

strace records the calls of the command's main thread once. A *site* is one call on one kind of file, and the number by
which strace counts it. A site is then made to fail with an error, once or from there on.
"""

import functools
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = ("%file", "%desc", "%network", "%process", "prlimit64", "setitimer", "statfs", "getrandom", "sched_getaffinity")
START = "a-command-begins-here"
"""The interpreter's own start is left out: the harness looks for a file of this name after it."""
_LINE = re.compile(r"^(?P<pid>\d+) +(?P<call>\w+)\((?P<rest>.*)$")
_PYTHON = re.compile(
    r"/(usr|lib\d*|opt|proc/self/fd)/|\.(py|so|pyc)\b|site-packages|/astica_sync\b|__pycache__|/tests/|/bin/"
)
_NEVER = frozenset(
    ("execve", "exit_group", "exit", "close", "wait4", "vfork", "rt_sigreturn", "mmap", "munmap", "lseek")
)
"""What the interpreter needs for itself, or what has no error a program could see."""
ERRORS = ("ENOSYS", "EINVAL", "EPERM", "EACCES", "EOPNOTSUPP", "EIO", "ENOSPC", "EMFILE", "ENOLCK", "EINTR")


@dataclass(frozen=True)
class Site:
    """The ``number``-th call of this name in a thread, on a file of this kind."""

    call: str
    what: str
    number: int


@dataclass(frozen=True)
class Fault:
    """A site and how it fails; ``always``: the later calls of this name fail as well."""

    site: Site
    error: str
    always: bool = False

    def __str__(self) -> str:
        more = "+" if self.always else ""
        return f"{self.site.call} {self.site.number}{more} ({self.site.what}) {self.error}"

    @property
    def under(self) -> list[str]:
        """What stands before the command."""
        call = self.site.call
        when = f"{self.site.number}{'+' if self.always else ''}"
        begin = ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", f"trace={call}"]
        return [*begin, "-e", f"inject={call}:error={self.error}:when={when}"]


@functools.cache
def can_inject() -> bool:
    """Whether strace can make system calls fail here."""
    if shutil.which("strace") is None:
        return False
    tried = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:error=EIO:when=1",
        "true",
    ]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def record(trace: Path) -> list[str]:
    """What stands before a command whose calls are recorded in a file."""
    return ["strace", "-f", "-qq", "-y", "-s", "300", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]


def sites(trace: Path) -> list[Site]:
    """The first and the last call of each kind of the main thread, after the interpreter has started."""
    found: dict[tuple[str, str], list[int]] = {}
    for call, what, number in _calls(trace):
        found.setdefault((call, what), []).append(number)
    return [Site(call, what, number) for (call, what), numbers in found.items() for number in {numbers[0], numbers[-1]}]


def _calls(trace: Path) -> Iterator[tuple[str, str, int]]:
    counts: Counter[str] = Counter()
    main, started = "", False
    for line in trace.read_text("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        main = main or match["pid"]
        if match["pid"] != main:
            continue
        counts[match["call"]] += 1
        if START in line:
            started = True
        elif started and match["call"] not in _NEVER and not _PYTHON.search(match["rest"].split(" = ")[0]):
            yield match["call"], _kind_of_file(match["rest"]), counts[match["call"]]


def _kind_of_file(rest: str) -> str:
    """The file of a call, without what differs between two runs."""
    names = re.findall(r'"([^"]*)"|<([^>]*)>', rest.split(" = ")[0])
    text = next((one or other for one, other in names if one or other), "")
    text = re.sub(r"/tmp/[^/]*(/[^/]*)*?/(store|home|target)", r"\2", text)
    text = re.sub(r"[0-9a-f]{8,}|\d+", "#", text)
    return text[-60:]


def faults(found: Sequence[Site]) -> list[Fault]:
    """Each site with each error, once and for ever. A signal does not interrupt for ever, and where nothing can be
    written, there is no message."""
    every = [Fault(site, error, always) for site in found for error in ERRORS for always in (False, True)]
    return [one for one in every if not (one.always and (one.error == "EINTR" or one.site.call == "write"))]


def drawn(every: Sequence[Fault], dice: random.Random) -> Iterator[Fault]:
    """All faults in an order that gives each kind of call its turn."""
    by_call: dict[str, list[Fault]] = {}
    for fault in every:
        by_call.setdefault(fault.site.call, []).append(fault)
    for ones in by_call.values():
        dice.shuffle(ones)
    while by_call:
        for call in dice.sample(sorted(by_call), len(by_call)):
            yield by_call[call].pop()
            if not by_call[call]:
                del by_call[call]
