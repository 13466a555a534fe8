"""``python -P -m astica_sync`` is the ``astica-sync`` command."""

import os
import sys


def leave_out_current_folder() -> None:
    """Without ``-P``, Python imports from the current folder first, which may be a downloaded store with modules in it.
    Python has imported some of its own modules before this, so that ``-P`` alone is safe."""
    if sys.flags.safe_path or not sys.path:
        return
    try:
        current = os.getcwd()  # noqa: PTH109 - pathlib would come from there
    except OSError:
        # It was deleted: nothing can be imported from it.
        current = ""
    if sys.path[0] in ("", current):
        del sys.path[0]


if __name__ == "__main__":
    leave_out_current_folder()
    from astica_sync.cli.main import main

    main()
