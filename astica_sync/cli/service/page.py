"""``astica-sync page``."""

import os
from pathlib import Path

import click

from astica_sync.cli.context import store_option
from astica_sync.errors import ConfigError

PORT = 8778


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

    def ready(address: str) -> None:
        click.echo(f"The page is at {address}")
        click.echo("The address works once, in one browser. Ctrl-C ends the page.")
        if not no_open:
            _open_browser(address)

    def announce(address: str) -> None:
        click.echo(f"For another browser: {address}")

    serve(store, port, ready, announce, network=preview_network, held_out=held_out)
    return 0


def _open_browser(address: str) -> None:
    """Opens the address, where the machine has a browser. The API key is no concern of the browser's processes."""
    import webbrowser

    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("ASTICA_")}
    try:
        opened = webbrowser.open(address)
    except (webbrowser.Error, OSError):
        opened = False
    finally:
        os.environ.update(kept)
    if not opened:
        click.echo("No browser could be opened; open the address yourself.")
