"""The options of a watcher that ``watch install`` takes as well: they go into the command of the service."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from astica_sync.mirror.open_place import folder_of, is_bucket, refuse_password


class Minutes(click.IntRange):
    """A whole number of minutes; its name is in the message for what is none."""

    name = "number of minutes (digits alone)"


_OPTIONS = (
    click.option("--poll", is_flag=True, help="Scan at an interval instead of receiving file system events."),
    click.option(
        "--metrics",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="Serve Prometheus metrics on http://127.0.0.1:PORT/metrics; 0 chooses a free port.",
    ),
    click.option(
        "--metrics-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the metrics to this file, every 15 seconds.",
    ),
    click.option(
        "--notify", is_flag=True, help="Show a desktop notification when the watcher needs a decision or is halted."
    ),
    click.option(
        "--from",
        "from_inbox",
        metavar="URL",
        help="Also take in the images that astica-sync watch --to URL of other machines puts there.",
    ),
    click.option("--mirror", metavar="URL", help="Also copy the backup there, as: astica-sync backup mirror URL."),
    click.option(
        "--mirror-every",
        type=Minutes(1, 10_080),
        metavar="MINUTES",
        default=60,
        help="How often; by default hourly.",
    ),
)
_NAMES = ("poll", "metrics", "metrics_file", "notify", "from_inbox", "mirror", "mirror_every")
_ADDRESSES = {"from_inbox": "inbox", "mirror": "mirror"}
"""What the address of each of these options is called."""


def watch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_options(*contexts: click.Context) -> dict[str, str]:
    """The options that the user gave to these commands, each by its name on the command line with its value, "" for one
    that has none; the last command counts. Paths are absolute, since a service has another current folder.

    Raises:
        ConfigError: the address of the mirror or the inbox has a password in it.
    """
    given = {}
    for context in contexts:
        for param in context.command.params:
            name = param.name or ""
            if name in _NAMES and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
                given[param.opts[0]] = _text(name, context.params[name])
    return given


def _text(name: str, value: Any) -> str:
    if value is True:
        return ""
    if name == "metrics_file":
        return str(value.absolute())
    if name in _ADDRESSES:
        # Before it is written down anywhere.
        refuse_password(value, _ADDRESSES[name])
        if not is_bucket(value):
            return str(folder_of(value).absolute())
    return str(value)
