"""``astica-sync page``."""

import contextlib
import subprocess
import sys
import threading
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import click

from astica_sync.cli.open_store import store_option
from astica_sync.cli.render.live.progress import reading
from astica_sync.config import machine_state_folder
from astica_sync.errors import AsticaSyncError, ConfigError
from astica_sync.file_owner import make_private_folder
from astica_sync.local.child_process import environment_without_key
from astica_sync.local.filesystem import write_new

PORT = 8778
_OPENER = (sys.executable, "-I", "-c", "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))")
_REDIRECT = (
    '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>astica-sync page</title>'
    '<meta http-equiv="refresh" content="0; url={0}"><p><a href="{0}">Open the page</a>\n'
)


@click.command("page")
@store_option
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 for any free port.")
@click.option("--no-open", is_flag=True, help="Print the address and open no browser.")
@click.option(
    "--preview-network",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="An ONNX file that makes the features of the local preview.",
)
@click.option(
    "--held-out",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Show the images of this held-out folder too. Those that split made next to the store are found.",
)
def page(store: Path | None, port: int, no_open: bool, preview_network: Path | None, held_out: tuple[Path, ...]) -> int:
    """Show the store in a browser on this machine.

    Prints an address that works once and opens it. The page shows every image with its state, and changes the files of
    the store by the same functions as the commands. Where there is no store, it offers to make one. No other user can
    use it, and Ctrl-C ends it. It may run while a watcher or a push runs.

    \b
    astica-sync page
    astica-sync page --port 0 --no-open
    """
    try:
        from astica_sync.page.server import serve
    except ImportError as error:
        raise ConfigError(
            f"the page needs {error.name}, which is not installed", "Run: pip install 'astica-sync[page]'"
        ) from None

    opening, looking = contextlib.ExitStack(), contextlib.ExitStack()

    def ready(address: str) -> None:
        looking.close()
        click.echo(f"The page is at {address}")
        click.echo("The address works once, in one browser. Ctrl-C ends the page.")
        if not no_open:
            _open_browser(address, opening)

    def announce(address: str) -> None:
        opening.close()
        click.echo(f"For another browser: {address}")

    with opening, looking:
        looking.enter_context(reading(store if store is not None else Path()))
        serve(store, port, ready, announce, network=preview_network, held_out=held_out)
    return 0


def redirect_to(address: str) -> bytes:
    """A page that leads to the address."""
    return _REDIRECT.format(escape(address)).encode()


def _open_browser(address: str, opening: contextlib.ExitStack) -> None:
    """Opens the address in a process of its own, where the machine has a browser; ``opening`` ends with its use.

    Every user of the machine can read the arguments of a browser, so it gets the path of a file that only this user can
    read, and that file leads to the address. A browser in the terminal returns only when it is closed, so nothing waits
    for it. The API key is no concern of the browser's processes.
    """
    try:
        folder = machine_state_folder()
        make_private_folder(folder)
        file = folder / f"page-{urlsplit(address).port}.html"
        write_new(file, redirect_to(address))
        opening.callback(file.unlink, missing_ok=True)
        browser = subprocess.Popen((*_OPENER, file.as_uri()), env=environment_without_key())
    except (OSError, AsticaSyncError):
        _say_not_opened()
        return

    def wait() -> None:
        if browser.wait():
            _say_not_opened()

    threading.Thread(target=wait, daemon=True).start()


def _say_not_opened() -> None:
    click.echo("No browser could be opened; open the address yourself.")
