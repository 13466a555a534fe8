"""A line about the files of a folder that can be neither sent nor converted."""

from collections.abc import Sequence

from astica_sync.cli.render.messages import print_note
from astica_sync.cli.render.text import number
from astica_sync.training.find_images import UnsupportedFile, count_formats


def print_unsupported(files: Sequence[UnsupportedFile], command: str, *, as_json: bool) -> None:
    """One line with the number of each format; nothing where there are no such files."""
    if files:
        takes = f"{command} takes PNG and JPEG, and what is converted to them"
        line = f"{number(len(files), 'file')} left out: {count_formats(files)} ({takes})"
        print_note(line if as_json else f"{line}; --json lists them")
