"""Gives a file or folder another name in the same file system, and never takes a name that exists."""

import ctypes
import errno
import os

_NOREPLACE = 1
# linux/fs.h, renameat2(2): file systems that do not know the flag, kernels and C libraries without the call.
_UNKNOWN = frozenset((errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOTTY, errno.EPERM))
# link(2): no hard links on this file system, or not of this file.
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES))


def rename_new(old: str, old_folder: int, new: str, new_folder: int, *, is_folder: bool = False) -> None:
    """Renames ``old`` in the open folder ``old_folder`` to ``new`` in ``new_folder``.

    Where the system cannot do that in one step, a file gets its second name before it loses the first one; where the
    file system has no links either, and for folders, the name is looked up first.

    Raises:
        FileExistsError: there is something of the new name.
        OSError: it cannot be renamed; ``EXDEV`` where the two folders are on different file systems.
    """
    error = _rename_in_one_step(old, old_folder, new, new_folder)
    if not error:
        return
    if error not in _UNKNOWN:
        raise OSError(error, os.strerror(error), new)
    if not is_folder:
        try:
            os.link(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder, follow_symlinks=False)
        except OSError as refused:
            if refused.errno not in _NO_LINKS:
                raise
        else:
            os.unlink(old, dir_fd=old_folder)
            return
    try:
        os.stat(new, dir_fd=new_folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _rename_in_one_step(old: str, old_folder: int, new: str, new_folder: int) -> int:
    """The number of the error, 0 where it is done, ``ENOSYS`` where there is no such call."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return errno.ENOSYS
    done = call(old_folder, os.fsencode(old), new_folder, os.fsencode(new), _NOREPLACE)
    return 0 if done == 0 else ctypes.get_errno() or errno.EIO
