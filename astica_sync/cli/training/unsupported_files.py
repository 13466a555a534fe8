"""A line about the files of a folder that are neither PNG nor JPEG."""

from collections.abc import Sequence

from astica_sync.cli.render.messages import print_note
from astica_sync.cli.render.text import number
from astica_sync.training.find_images import UnsupportedFile, count_formats


def print_unsupported(files: Sequence[UnsupportedFile], command: str, *, as_json: bool) -> None:
    """One line with the number of each format; nothing where there are no such files."""
    if files:
        line = f"{number(len(files), 'file')} left out: {count_formats(files)} ({command} takes PNG and JPEG)"
        print_note(line if as_json else f"{line}; --json lists them")
