"""System calls that fail under a real command: which ones it makes, and the same command with one of them failing.

strace records the calls of a command once. A *site* is the first or the last call of one name on one kind of file. A
*fault* is a site that fails with an error, once or from there on; a *pair* is the call and the error of a fault.
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
"""The start of Python is left out: a command looks for a file of this name after it."""
_LINE = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)$")
_NEW_THREAD = re.compile(r"^(?P<parent>\d+) .*\b(?:clone3?|v?fork)\b.* = (?P<thread>\d+)$")
_PYTHON = re.compile(
    r"/(usr|lib\d*|opt|proc/self/fd)/|\.(py|so|pyc)\b|site-packages|/astica_sync\b|__pycache__|/tests/|/bin/"
)
_CURRENT_FOLDER = re.compile(r"AT_FDCWD<[^>]*>(, )?")
_BELOW = re.compile(r'^\d+<(?P<folder>[^>]*)>, "(?P<name>[^"/][^"]*)"')
_NEVER = frozenset(
    ("execve", "exit_group", "exit", "close", "wait4", "vfork", "rt_sigreturn", "mmap", "munmap", "lseek")
)
"""What Python needs for itself, or what has no error that a program could see."""
ERRORS = ("ENOSYS", "EINVAL", "EPERM", "EACCES", "EOPNOTSUPP", "EIO", "ENOSPC", "EMFILE", "ENOLCK", "EINTR")


@dataclass(frozen=True)
class Site:
    """The ``number``-th call of this name of the main thread, ``place`` among those on a kind of file; with
    ``all_threads`` that of each thread and child, for calls that the main thread does not make."""

    call: str
    what: str
    number: int
    place: str = "first"
    all_threads: bool = False


@dataclass(frozen=True)
class Fault:
    """A site and how it fails; ``always``: the later calls of this name fail as well."""

    site: Site
    error: str
    always: bool = False

    def __str__(self) -> str:
        threads = " in each thread" if self.site.all_threads else ""
        how = "from there on" if self.always else "once"
        return f"{self.site.call} {self.site.place} {self.site.what or '-'}{threads}: {self.error} {how}"

    @property
    def pair(self) -> tuple[str, str]:
        return self.site.call, self.error

    @property
    def tracer(self) -> list[str]:
        """strace that makes it fail, without the process."""
        when = f"{self.site.number}{'+' if self.always else ''}"
        inject = ["-e", f"trace={self.site.call}", "-e", f"inject={self.site.call}:error={self.error}:when={when}"]
        return ["strace", *(["-f"] if self.site.all_threads else []), "-qq", "-o", "/dev/null", *inject]


@functools.cache
def can_inject() -> bool:
    """Whether strace can make system calls fail here."""
    if shutil.which("strace") is None:
        return False
    tried = [*Fault(Site("fsync", "", 1), "EIO").tracer, "true"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def record(trace: Path) -> list[str]:
    """strace that records the calls of a process in a file."""
    return ["strace", "-f", "-qq", "-y", "-s", "300", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]


def sites(trace: Path, root: Path) -> list[Site]:
    """The first and the last call of each kind of the main thread after the start, then those that other threads of
    the process alone make. Names of files are shown from ``root`` on."""
    kinds: dict[tuple[bool, str, str], list[int]] = {}
    for is_main, call, rest, number in _calls(trace.read_text("utf-8", "replace").splitlines()):
        kinds.setdefault((not is_main, call, _kind_of_file(call, rest, root)), []).append(number)
    found = []
    for (in_threads, call, what), numbers in sorted(kinds.items(), key=lambda one: one[0][0]):
        if in_threads and (False, call, what) in kinds:
            continue
        found.append(Site(call, what, numbers[0], "first", in_threads))
        if max(numbers) > numbers[0]:
            found.append(Site(call, what, max(numbers), "last", in_threads))
    return found


def _calls(lines: Sequence[str]) -> Iterator[tuple[bool, str, str, int]]:
    """Whether the main thread made it, its name, its arguments and its number in its thread, for each call."""
    counts: Counter[tuple[str, str]] = Counter()
    children = _child_processes(lines)
    main, started = "", False
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        thread, call, rest = match["thread"], match["call"], match["rest"]
        main = main or thread
        counts[thread, call] += 1
        started = started or START in line
        rest = _CURRENT_FOLDER.sub("", rest.split(" = ")[0]).removesuffix(" <unfinished ...>")
        if started and START not in line and thread not in children and call not in _NEVER and not _PYTHON.search(rest):
            yield thread == main, call, rest, counts[thread, call]


def _child_processes(lines: Sequence[str]) -> set[str]:
    """The processes that run another program, and what they start: its beginning is that of an interpreter."""
    children = {match["thread"] for line in lines if (match := _LINE.match(line)) and match["call"] == "execve"}
    for line in lines:
        match = _NEW_THREAD.match(line)
        if match is not None and match["parent"] in children:
            children.add(match["thread"])
    return children


def _kind_of_file(call: str, rest: str, root: Path) -> str:
    """The file of a call, without what differs between two runs."""
    if call == "getrandom":
        return ""
    below = _BELOW.match(rest) if call.endswith(("at", "at2")) else None
    names = re.findall(r'"([^"]*)"|<([^>]*)>', rest)
    text = f"{below['folder']}/{below['name']}" if below else next((one or other for one, other in names), "")
    text = text.removeprefix(f"{root}/").removeprefix(f"{root.parent}/")
    text = re.sub(r"\.tmp-[^/]*", ".tmp-#", text)
    text = re.sub(r"[0-9a-f]{8,}|\d+", "#", text)
    return text[-60:]


def faults(found: Sequence[Site]) -> list[Fault]:
    """Each site with each error, once and for ever. A signal does not interrupt for ever, and where nothing can be
    written, there is no message."""
    every = [Fault(site, error, always) for site in found for error in ERRORS for always in (False, True)]
    return [one for one in every if not (one.always and (one.error == "EINTR" or one.site.call == "write"))]


def in_turn(every: Sequence[Fault], dice: random.Random) -> Iterator[Fault]:
    """All faults, in an order that takes one of each pair, then another one of each, and so on; a pair begins with a
    site of the main thread where it has one."""
    by_pair: dict[tuple[str, str], list[Fault]] = {}
    for fault in sorted(every, key=str):
        by_pair.setdefault(fault.pair, []).append(fault)
    for ones in by_pair.values():
        dice.shuffle(ones)
        ones.sort(key=lambda one: not one.site.all_threads)
    while by_pair:
        for pair in dice.sample(sorted(by_pair), len(by_pair)):
            yield by_pair[pair].pop()
            if not by_pair[pair]:
                del by_pair[pair]
