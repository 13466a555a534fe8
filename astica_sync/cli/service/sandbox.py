"""``astica-sync sandbox``."""

import os
import secrets
from pathlib import Path

import click

from astica_sync.cli.render.messages import print_lines, print_note
from astica_sync.cli.render.text import number, safe
from astica_sync.cli.temporary_folder import check_temporary_folder
from astica_sync.config import KEY_VARIABLE
from astica_sync.core.service_facts.fact import MEANINGS
from astica_sync.core.service_facts.sandbox_switches import switches_like
from astica_sync.errors import AsticaSyncError, ConfigError
from astica_sync.local.service_facts_file import read_service_facts


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8777, show_default=True, help="0 for any free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep all data in this folder.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=90, show_default=True, help="Requests allowed in one window."
)
@click.option(
    "--window",
    type=click.FloatRange(min=0.001),
    default=60.0,
    show_default=True,
    help="Length of the window in seconds.",
)
@click.option(
    "--switch",
    "switches",
    multiple=True,
    metavar="NAME=VALUE",
    help="A behaviour of the service; the manual lists them under The sandbox.",
)
@click.option(
    "--like",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Behave as the service of this file, made by doctor --probe.",
)
@click.option(
    "--fault", "faults", multiple=True, metavar="RULE", help="A fault, such as upload:3=lost-after or view@5%=5xx."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random faults.")
@click.option("--latency", default="0", show_default=True, help="Time each answer takes: 20-50ms, 0.2-2s.")
def sandbox(
    port: int,
    host: str,
    data: Path | None,
    limit: int,
    window: float,
    switches: tuple[str, ...],
    like: Path | None,
    faults: tuple[str, ...],
    seed: int,
    latency: str,
) -> int:
    """Run a local service for trials and tests.

    It implements the whole documented API, trains a small classifier and runs it. Its key is ASTICA_API_KEY; when that
    is not set, a key is made and printed. The page "The sandbox" of the manual lists all switches and faults.

    \b
    astica-sync sandbox --port 8777 --data ./sandbox
    astica-sync sandbox --switch titles=fold
    astica-sync sandbox --like service.json
    astica-sync sandbox --fault upload@10%=lost-after
    """
    try:
        from astica_sync.sandbox.http.faults import Faults
        from astica_sync.sandbox.options import Options
        from astica_sync.sandbox.server import serve
        from astica_sync.sandbox.switches import Switches
    except ImportError as error:
        raise ConfigError(
            f"the sandbox needs {error.name}, which is not installed", "Run: pip install 'astica-sync[sandbox]'"
        ) from None
    if data is None:
        check_temporary_folder(", or name one with --data")
    given = os.environ.get(KEY_VARIABLE, "").strip()
    key = given or secrets.token_urlsafe(16)

    def ready(url: str) -> None:
        print_lines(
            [f"The sandbox runs at {url} and allows {number(limit, 'request')} in {window:g} s. Ctrl-C stops it."]
        )
        click.echo("To use it in another terminal:")
        click.echo(f"  export ASTICA_TRAIN_URL={url} ASTICA_DETECT_URL={url}")
        if not given:
            click.echo(f"  export {KEY_VARIABLE}={key}")

    pairs = {"limit_header": "shown", **_like(like), **dict(_pair(text) for text in switches)}
    try:
        wanted = Switches.from_texts(pairs)
        acted = Faults.parse(*faults, seed=seed, latency=latency)
        serve(Options(host, port, data, key, limit, window, wanted, acted), ready)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise AsticaSyncError(
            f"the sandbox cannot start: {error.strerror or error}", "Use another --port or --data folder."
        ) from None
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--switch takes NAME=VALUE, not {text!r}")
    return name.strip(), value.strip()


def _like(file: Path | None) -> dict[str, str]:
    """The switches of a sandbox with the habits that the file names."""
    if file is None:
        return {}
    try:
        known = read_service_facts(file)
    except FileNotFoundError:
        raise ConfigError(f"{file} does not exist", "Make it: astica-sync doctor --probe --out FILE") from None
    switches, left_out = switches_like(known.facts)
    for name in left_out:
        print_note(f"A sandbox cannot copy this: {MEANINGS[name]}: {safe(str(known.facts[name].value))}")
    return switches
