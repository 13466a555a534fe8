"""Which output ``watch`` has."""

import sys

from astica_sync.cli.render.live.can_draw import can_draw
from astica_sync.cli.render.live.watch_screen import WatchScreen
from astica_sync.cli.render.verbosity import Verbosity, verbosity
from astica_sync.cli.render.watch_output import DesktopOutput, JsonWatchOutput, QuietWatchOutput, WatchOutput


def open_output(*, as_json: bool, notify: bool) -> WatchOutput:
    """The output that fits the options and the kind of standard output; with ``notify`` also on the desktop."""
    if as_json:
        kind: type[WatchOutput] = JsonWatchOutput
    elif verbosity() is Verbosity.QUIET:
        kind = QuietWatchOutput
    else:
        kind = WatchScreen if can_draw(sys.stdout) else WatchOutput
    return DesktopOutput(kind()) if notify else kind()
