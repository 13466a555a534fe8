"""System calls that fail: strace answers some of those that a command makes with errors of its own.

Which calls a command makes is recorded once. Then the same command runs with one of them failing, once or from there
on, in any way a file system, a sandbox or a limit may fail it: it says so or does without, the same command without the
fault does the work, and each image is on the service once. A sample is played here; all of them are played by
``python -m tests.syscalls``.
"""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.harness.shell import in_store, on_service
from tests.syscalls.faults import Fault, Site, can_inject, in_turn, sites
from tests.syscalls.ground import COMMANDS, Ground, ground_in, unclear
from tests.syscalls.saved_tree import put_back, save

pytestmark = pytest.mark.long

PAIRS = 8
"""How many faults of each command the test plays, each of another call and error."""
SEED = 1


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if not can_inject():
        pytest.skip("strace cannot make system calls fail here")
    with ground_in(tmp_path_factory.mktemp("ground")) as ground:
        yield ground


@pytest.mark.parametrize("name", COMMANDS)
def test_a_call_that_fails_ends_in_a_message_and_the_same_command_then_does_the_work(ground: Ground, name: str) -> None:
    faults = in_turn(ground.faults(name), random.Random(SEED))
    wrong = [f"{fault}: {reason}" for fault in islice(faults, PAIRS) if (reason := ground.play(name, fault))]
    assert wrong == []


OPTIONAL = {
    "fsync": ("EINVAL", "ENOSYS", "EOPNOTSUPP"),
    "copy_file_range": ("EIO", "EINVAL", "EPERM", "EOVERFLOW", "EBADF"),
    "linkat": ("EPERM", "EOPNOTSUPP", "EMLINK", "EXDEV"),
    "fchmod": ("EPERM",),
    "chmod": ("EPERM", "EOPNOTSUPP"),
    "statfs": ("ENOSYS",),
    "prlimit64": ("EPERM",),
    "setpriority": ("EPERM",),
    "sched_getaffinity": ("ENOSYS",),
    "inotify_init": ("EMFILE",),
    "inotify_add_watch": ("ENOSPC",),
}
"""Calls that a push does without, from the first one on."""
PAIRS_OF_OPTIONAL = [(call, error) for call, errors in OPTIONAL.items() for error in errors]


def never_works(call: str, error: str) -> list[str]:
    return Fault(Site(call, "", 1, all_threads=True), error, always=True).tracer


@pytest.mark.parametrize(("call", "error"), PAIRS_OF_OPTIONAL, ids=str)
def test_an_optional_call_that_never_works_does_not_stop_a_push(ground: Ground, call: str, error: str) -> None:
    ground.reset_for("push")
    done = ground.run("push", never_works(call, error))
    assert done.returncode == 0, done.stderr
    assert on_service(ground.box, ground.model) == in_store(ground.store)


@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP", "EIO"])
def test_without_locks_nothing_is_sent_and_the_message_says_so(ground: Ground, error: str) -> None:
    ground.reset_for("push")
    before = on_service(ground.box, ground.model)
    done = ground.run("push", never_works("flock", error))
    assert done.returncode == 1
    assert ("cannot lock files" in done.stderr) == (error != "EIO"), done.stderr
    assert on_service(ground.box, ground.model) == before
    assert ground.run("push").returncode == 0


def test_a_fault_is_played_and_what_it_breaks_is_found(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep sees what it is there for: samples that are gone, copies, lost images, and messages of no use."""
    fault = Fault(Site("statfs", "", 1), "EIO")

    def play_after(change: str) -> str:
        run = Ground.run

        def change_then_run(self: Ground, name: str, tracer: list[str]) -> object:
            done = run(self, name, tracer)
            sample = self.box.samples(self.model)[0]
            match change:
                case "remove":
                    self.box.remove_sample(sample.sample_id)
                case "double":
                    self.box.add_sample(self.model, sample.class_title, sample.image, sample.uid)
                case "delete":
                    next(self.store.glob("one/*")).unlink()
            return done

        with monkeypatch.context() as patch:
            patch.setattr(Ground, "run", change_then_run)
            return ground.play("verify", fault)

    assert play_after("nothing") == ""
    assert "lost on the service" in play_after("remove")
    assert "two copies existed" in play_after("double")
    assert "the images of the store are others" in play_after("delete")


def test_a_message_without_a_name_or_a_remedy_is_found(ground: Ground) -> None:
    fault = Fault(Site("read", "", 1), "EIO")
    done = ground.run("verify")

    def ended(code: int, error: str) -> str:
        done.returncode, done.stderr = code, error
        return unclear(done, fault)

    assert ended(1, "astica-sync: /store/a: Input/output error\n  see dmesg\n") == ""
    assert "names nothing" in ended(1, "astica-sync: Input/output error\n  see dmesg\n")
    assert "no remedy" in ended(1, "astica-sync: /store/a: Input/output error\n")
    assert "exit code" in ended(-9, "")
    assert "Traceback" in ended(0, "Traceback (most recent call last)\n")


def test_sites_are_the_calls_after_the_start_on_files_that_are_not_of_python(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(
        '7 openat(AT_FDCWD</here>, "/data/early", O_RDONLY) = 3</data/early>\n'
        '7 newfstatat(AT_FDCWD</here>, "a-command-begins-here", 0x7ffc, 0) = -1 ENOENT\n'
        '7 openat(AT_FDCWD</here>, "/data/store/12.png", O_RDONLY) = 3</data/store/12.png>\n'
        '7 openat(4</data/store>, "13.png", O_RDONLY) = 3</data/store/13.png>\n'
        '7 openat(AT_FDCWD</here>, "/usr/lib/python3.11/x.py", O_RDONLY) = 3</usr/lib/x.py>\n'
        "7 clone3({flags=CLONE_THREAD} => {parent_tid=[8]}, 88) = 8\n"
        "8 fsync(3</data/store/12.png>) = 0\n"
        "7 vfork() = 9\n"
        '9 execve("/bin/true", [], 0x0) = 0\n'
        "9 fsync(3</data/other>) = 0\n"
    )
    assert sites(trace, Path("/data")) == [
        Site("openat", "store/#.png", 2, "first"),
        Site("openat", "store/#.png", 3, "last"),
        Site("clone3", "", 1),
        Site("fsync", "store/#.png", 1, all_threads=True),
    ]


def test_a_folder_is_put_back_as_it_was(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "kept" / "deep").mkdir(parents=True)
    for name in ("changed", "removed", "same", "kept/deep/file"):
        (tree / name).write_text(name)
    save(tree, tmp_path / "saved")
    same, folder = (tree / "same").stat(), (tree / "kept").stat()
    (tree / "changed").write_text("other")
    (tree / "removed").unlink()
    (tree / "removed").mkdir()
    (tree / "kept" / "deep" / "file").unlink()
    (tree / "kept" / "more" / "of").mkdir(parents=True)
    put_back(tmp_path / "saved", tree)
    assert {str(path.relative_to(tree)) for path in tree.rglob("*")} == {
        "changed",
        "kept",
        "kept/deep",
        "kept/deep/file",
        "removed",
        "same",
    }
    assert (tree / "changed").read_text() == "changed"
    assert (tree / "kept" / "deep" / "file").read_text() == "kept/deep/file"
    assert (tree / "same").stat() == same
    assert ((tree / "kept").stat().st_ino, (tree / "kept").stat().st_mtime_ns) == (folder.st_ino, folder.st_mtime_ns)
