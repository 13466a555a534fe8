"""What to do about an error of the operating system: one sentence for each kind, which names the limit or the command.

Every message about a file that could not be read or written takes its advice from here, so that a full disk, missing
permissions, a read-only mount, a limit of this process and a broken disk are never explained by the same sentence.
An error of a bucket brings its own (``advice``).
"""

import contextlib
import errno
import functools
import os
import stat
from pathlib import Path

from astica_sync.errors import AsticaSyncError
from astica_sync.shell_quote import quote_path
from astica_sync.system.user_folders import STATE_VARIABLE, user_state_folder

_MOUNT_WITH_LOCKS = (
    "the file system there cannot lock files, by which two commands are kept apart: mount it with locks (NFS: with "
    "lockd, or -o local_lock=all on one machine; Lustre: -o flock), or "
)
_NO_LOCKS = f"{_MOUNT_WITH_LOCKS}keep the folder on a local disk"
_NO_LOCKS_FOR_STATE = f"{_MOUNT_WITH_LOCKS}set {STATE_VARIABLE} to a folder on a local disk, for this and every command"
_GONE = "the disk is gone or does not answer: mount it again, then run the command again"
_FULL = "free disk space: df -h {path} (and df -i {path}) shows what is left"

REMEDIES: dict[int, str] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "your quota on this disk is used up: remove files there, or get a larger one (quota -s)",
    errno.EROFS: "the disk is mounted read-only: findmnt -T {path} names it, and dmesg may have the reason; to make it "
    "writable again, as root: mount -o remount,rw and the TARGET that findmnt shows",
    errno.EIO: "the disk or the connection to it fails: see dmesg, and copy what can be read to another disk",
    errno.EMFILE: "this process may open too few files: raise the limit with ulimit -n 1024",
    errno.ENFILE: "the whole system has too many open files: end other programs, or raise fs.file-max",
    errno.EAGAIN: "this user may start no more processes or threads, and a push needs about 30: end some, or raise the "
    "limit (ulimit -u 100; in a container: --pids-limit)",
    errno.ENOMEM: "memory is used up: end other programs, or raise the limit (ulimit -v)",
    errno.ENAMETOOLONG: "the name is too long for this file system: rename it",
    errno.EFBIG: "the file is larger than allowed there: raise ulimit -f, or use another file system than FAT",
    errno.ENOLCK: _NO_LOCKS,
    errno.ELOOP: "a symbolic link is in the way, and none is followed: put the real folder or file in its place",
    errno.ENOTDIR: "a part of the path is a file and not a folder: ls -ld {path}",
    errno.EISDIR: "it is a folder, where a file is needed: name a file, or rename the folder (ls -ld {path})",
    errno.ENOENT: "the file or a folder above it is gone: check that the disk is mounted, then run the command again",
    errno.EEXIST: "something of that name is in the way: ls -ld {path}",
    errno.EBUSY: "another program uses it: end that program, then run the command again",
    errno.ETXTBSY: "another program runs from this file: end it, then run the command again",
    errno.EMLINK: "the file has a second name (a hard link), or too many: copy it, and put the copy in its place",
    errno.EXDEV: "the two folders are on different disks: choose one on the same disk",
    errno.EILSEQ: "the file system there cannot store this name: rename it, or use a file system that stores UTF-8",
    errno.EINTR: "a signal interrupted it: run the command again",
    errno.EINVAL: "the file system there refuses this: keep the folder on another one (findmnt -T {path})",
    errno.ENOSYS: "this system lacks that call, or a sandbox around the program forbids it: allow it there",
    errno.EOPNOTSUPP: "the file system there lacks this operation: keep the folder on another one (findmnt -T {path})",
    **dict.fromkeys((errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO), _GONE),
    **dict.fromkeys((errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNABORTED), _GONE),
}
"""The advice for each number of an error, where ``{path}`` stands for the path."""

_CONNECTION: dict[int, str] = {
    **{number: REMEDIES[number] for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)},
    errno.ENOBUFS: REMEDIES[errno.ENOMEM],
    # A sandbox may answer with any number.
    **dict.fromkeys(
        (
            errno.EACCES,
            errno.EPERM,
            errno.ENOSYS,
            errno.EINVAL,
            errno.EOPNOTSUPP,
            errno.EIO,
            errno.ENOSPC,
            errno.ENOLCK,
        ),
        "a firewall or a sandbox on this machine forbids the connection: allow it there",
    ),
}
"""The advice where a connection fails with an error that is not the network's."""

NEAR_MEMORY = 256 << 20
"""With less than so many bytes left a thread may not get its stack, and a library not the memory that it reserves."""

_OWNERS = {"r": stat.S_IRUSR, "rx": stat.S_IRUSR | stat.S_IXUSR}


def remedy(error: OSError, path: str | os.PathLike[str], *, writing: bool = True) -> str:
    """The advice for an error at ``path``, "" where the system names no file. ``writing`` is whether something was to
    be written there."""
    if advice := getattr(error, "advice", ""):
        return str(advice)
    if not os.fspath(path) and error.errno in (errno.EACCES, errno.EPERM, None):
        return "a sandbox around the program (seccomp, AppArmor, SELinux) may forbid it: --debug shows which call"
    if error.errno == errno.EAGAIN:
        return thread_remedy()
    if error.errno == errno.EFBIG and (limit := file_size_limit()) is not None:
        return (
            f"no file of this process may be larger than {limit:,} bytes: raise the limit: ulimit -f unlimited, "
            "in a new shell where that is refused"
        )
    path = path or "."
    shown = quote_path(os.fspath(path))
    if error.errno in (errno.EACCES, errno.EPERM):
        return _about_permissions(Path(path), writing)
    known = REMEDIES.get(error.errno or 0, "")
    if "{path}" in known and not os.path.lexists(path):
        # These commands need a path that exists.
        shown = quote_path(os.fspath(_existing(Path(path))[0]))
    if not known:
        return f"the system gives no better reason: see ls -ld {shown}, df -h {shown} and dmesg"
    return known.format(path=shown)


def thread_remedy() -> str:
    """The advice where no thread or process can be started: the system gives one error for both causes."""
    if memory := memory_limit():
        return memory
    limit = _address_space()
    also = "" if limit is None else f"; or raise the memory limit (ulimit -v is {limit // 1024} now)"
    return (
        "this user may start no more processes or threads, and a push needs about 30: end some, or raise the limit "
        f"(ulimit -u 100; in a container: --pids-limit){also}"
    )


def memory_limit(needed: int = NEAR_MEMORY) -> str:
    """The memory limit that leaves this process fewer bytes than that, and how to raise it; "" where none does."""
    limit = _address_space()
    if limit is not None and limit - _used_address_space() < needed:
        return (
            f"the memory limit of this process is too low (ulimit -v is {limit // 1024}): "
            "raise it: ulimit -v unlimited, in a new shell where that is refused"
        )
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text(encoding="ascii"))
        if most - int((group / "memory.current").read_text(encoding="ascii")) < min(needed, most // 10):
            return (
                f"the memory of this container or service is nearly used up ({most >> 20} MB): give it more "
                "(docker: --memory, systemd: MemoryMax)"
            )
    return ""


def _address_space() -> int | None:
    """How many bytes of addresses this process may have; None where that is not limited."""
    return _limit("RLIMIT_AS")


def file_size_limit() -> int | None:
    """The largest file in bytes that this process may write; None where that is not limited."""
    return _limit("RLIMIT_FSIZE")


def _limit(name: str) -> int | None:
    """A limit of this process by its name in ``resource``; None where there is none."""
    try:
        import resource

        soft = resource.getrlimit(getattr(resource, name))[0]
    except (ImportError, AttributeError, OSError, ValueError):
        return None
    return None if soft == resource.RLIM_INFINITY else soft


def _used_address_space() -> int:
    """0 where the system does not tell it."""
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def lock_remedy(error: Exception, path: str | os.PathLike[str]) -> str:
    """The advice where a file cannot be locked."""
    lacking = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
    if not isinstance(error, OSError) or error.errno in lacking:
        return _NO_LOCKS_FOR_STATE if _is_in_state_folder(Path(path)) else _NO_LOCKS
    return remedy(error, path)


def _is_in_state_folder(path: Path) -> bool:
    with contextlib.suppress(AsticaSyncError):
        return path.is_relative_to(user_state_folder())
    return False


def reading_remedy(error: OSError) -> str:
    """The advice where a file or folder may not be read, by the path in the error: what its reader can do."""
    if advice := getattr(error, "advice", ""):
        return str(advice)
    unknown = "fix the permissions: chmod u+r on a file, chmod u+rx on a folder"
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else Path()
    if not path.is_absolute():
        return unknown
    place, owner = _existing(path)
    if owner is None or place not in (path, path.parent):
        return unknown
    mode, user, shown = place.lstat().st_mode, os.geteuid(), quote_path(str(place))
    needed = "rx" if stat.S_ISDIR(mode) else "r"
    if owner == user:
        if mode & _OWNERS[needed] != _OWNERS[needed]:
            return f"fix the permissions: chmod u+{needed} {shown}"
        return f"its permissions allow it, so the mount, an access list or a sandbox forbids it: see ls -ld {shown}"
    name = _user_name(owner)
    if user == 0:
        return f"root may not either, so the mount or a sandbox forbids it: run the command as {name}, whose it is"
    return f"it belongs to {name}: sudo chmod a+{needed} {shown}, or ask {name} to do it"


def connection_remedy(error: BaseException) -> str:
    """The advice where this machine, and not the network, refuses a connection, by the first error of the system among
    the causes; "" where it is another one, or there is none."""
    cause: BaseException | None = error
    # The errors of TLS and of names are subclasses with numbers of their own.
    while cause is not None and type(cause) not in (OSError, PermissionError, InterruptedError):
        cause = cause.__cause__ or cause.__context__
    return _CONNECTION.get(cause.errno or 0, "") if isinstance(cause, OSError) else ""


def reason_of(error: OSError) -> str:
    """What the system says, without its number."""
    return error.strerror or str(error) or type(error).__name__


def _about_permissions(path: Path, writing: bool) -> str:
    place, owner = _existing(path)
    shown = quote_path(str(place))
    if owner is not None and owner != os.geteuid() and os.geteuid() != 0:
        name = _user_name(owner)
        return f"it belongs to {name}: run the command as that user, or let them change it (ls -ld {shown})"
    command = f"fix the permissions: chmod -R u+{'rw' if writing else 'r'}X {shown}"
    if os.geteuid() == 0:
        return f"{command}; where root may not either, the mount or a sandbox forbids it (lsattr -d {shown})"
    return command


def _existing(path: Path) -> tuple[Path, int | None]:
    """The path, or the nearest folder above it that can be looked at, and its owner."""
    for place in (path, *path.parents):
        try:
            return place, place.lstat().st_uid
        except OSError:
            continue
    return path, None


@functools.cache
def _user_name(user: int) -> str:
    """How the system calls a user, or the number where it has no name for it."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except (KeyError, OverflowError):
        return f"user id {user}"
