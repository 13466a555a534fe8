"""``astica-sync watch install`` and ``uninstall``: a user service of systemd or launchd, without root."""

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path

import click

from astica_sync.cli.open_store import find, settings_for, store_option
from astica_sync.cli.render.messages import print_lines
from astica_sync.cli.render.text import safe
from astica_sync.cli.watch.watch_options import given_options, watch_options
from astica_sync.config import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    find_key,
    key_from_keyring,
    machine_state_folder,
    user_config_file,
)
from astica_sync.errors import AsticaSyncError, ConfigError
from astica_sync.local.layout import Layout
from astica_sync.local.target_folder import write_user_file
from astica_sync.mirror.open_place import is_bucket
from astica_sync.shell_quote import quote, quote_path
from astica_sync.system.error_advice import remedy
from astica_sync.system.optional_packages import require

_UNIT = """\
[Unit]
Description=Keep {title} in sync with its model (astica-sync)
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
{environment}Restart=on-failure
RestartSec=30
SuccessExitStatus=130
TimeoutStopSec=30
WatchdogSec=120
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
UMask=0077

[Install]
WantedBy=default.target
"""

_AGENT = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>{label}</string>
  <key>ProgramArguments</key>
  <array>{arguments}</array>
  <key>EnvironmentVariables</key>
  <dict>{environment}</dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>30</integer>
  <key>ProcessType</key><string>Background</string>
</dict>
</plist>
"""

# Variables of this terminal that the service needs; the key itself is never written to a file.
_VARIABLES = (
    KEY_FILE_VARIABLE,
    "ASTICA_TRAIN_URL",
    "ASTICA_DETECT_URL",
    "ASTICA_LIMIT",
    "ASTICA_LIMIT_WINDOW",
    "ASTICA_BUDGET_SHARE",
    "ASTICA_BUDGET_POOL",
)
SYSTEMD_RUNS = Path("/run/systemd/system")
"""Is there while systemd runs the machine, as sd_booted(3) has it."""


@click.command("install")
@store_option
@watch_options
def install(store: Path | None, **_options: object) -> int:
    """Install a user service that watches this store.

    On Linux this writes a systemd user unit, on macOS a launchd agent. The file is shown, and the commands that start
    the service are printed; nothing is started. Where systemd does not run, the commands that start the watcher without
    it and that push from cron are printed in place of these; the unit is written all the same.

    The service reads the key from the file that ASTICA_API_KEY_FILE names, or from the system keyring. Without either,
    nothing is written.

    The other options are those of astica-sync watch, and the service gets them.

    \b
    astica-sync watch install
    astica-sync watch install --store ~/cans
    astica-sync watch install --mirror ~/nas/cans
    """
    layout = find(store)
    # An address that would be refused is not written down either: it may have a password in it.
    settings = settings_for(layout, offline=True)
    if settings.sources["budget"] == "ASTICA_BUDGET":
        raise ConfigError(
            "ASTICA_BUDGET is set in this terminal alone, and may have a password in it, so no service gets it",
            f"Set budget in {user_config_file()}, unset ASTICA_BUDGET and run this command again.",
        )
    context = click.get_current_context()
    options = given_options(*([context.parent] if context.parent is not None else []), context)
    _require_key()
    _require_packages(options)
    file, text = _service(layout, options)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_user_file(file, text.encode(), 0o600)
    except OSError as error:
        raise AsticaSyncError(
            f"cannot write {file}: {error.strerror}",
            remedy(error, file),
        ) from None
    click.echo(text)
    if file.suffix == ".service" and not SYSTEMD_RUNS.is_dir():
        _explain_other_ways(file, layout, options)
    else:
        print_lines([f"Written to {safe(str(file))}. To start the service now and at every login:"])
        print_lines([f"  {line}" for line in _start_lines(file)])
    mirror = options.get("--mirror", "")
    if is_bucket(mirror) or is_bucket(options.get("--from", "")):
        print_lines(
            [
                "The service does not get the credentials of the bucket from this terminal, nor does cron. How to "
                'give them: the page "Off-site backup" of the manual'
            ],
            err=True,
        )
    elif mirror and not Path(mirror).is_dir():
        print_lines(
            [
                f"The folder of the mirror {safe(mirror)} is not there, and nothing is copied to it before it is: "
                f"mount its disk, or make it: mkdir -p {quote_path(mirror)}"
            ],
            err=True,
        )
    return 0


def _require_packages(options: Mapping[str, str]) -> None:
    """The service would end at once where an option needs a package that is not installed."""
    if "--metrics" in options or "--metrics-file" in options:
        require("prometheus_client", "metrics")
    if any(is_bucket(options.get(name, "")) for name in ("--mirror", "--from")):
        require("obstore", "buckets")


def _require_key() -> None:
    """
    Raises:
        ConfigError: the service would find no key.
    """
    try:
        find_key({name: value for name, value in os.environ.items() if name != KEY_VARIABLE})
    except ConfigError as error:
        if os.environ.get(KEY_FILE_VARIABLE):
            raise
        what = (
            f"the service cannot read {KEY_VARIABLE} of this terminal" if os.environ.get(KEY_VARIABLE) else str(error)
        )
        raise ConfigError(
            f"{what}; no service was written",
            f"Write the key to a file that only you can read, set {KEY_FILE_VARIABLE} to its path and run this command "
            f"again{key_from_keyring()[1]}",
        ) from None


@click.command("uninstall")
@store_option
def uninstall(store: Path | None) -> int:
    """Remove the user service of this store.

    With systemd, a service that starts at every login has to be stopped before, by the command that this prints: a unit
    whose file is gone cannot be disabled.

    \b
    astica-sync watch uninstall
    """
    file, _ = _service(find(store), {})
    if not file.exists():
        click.echo(f"No service is installed: {safe(str(file))} does not exist.")
        return 0
    if os.path.lexists(file.parent / "default.target.wants" / file.name):
        raise AsticaSyncError(
            f"the service {file.name} starts at every login, and would go on without its file; nothing was removed",
            f"Stop it, and run this command again: systemctl --user disable --now {file.name}",
        )
    try:
        file.unlink()
    except OSError as error:
        raise AsticaSyncError(
            f"cannot remove {file}: {error.strerror}", f"Remove it yourself: rm {quote_path(str(file))}"
        ) from None
    if file.suffix == ".service" and not SYSTEMD_RUNS.is_dir():
        click.echo(f"Removed {safe(str(file))}")
        return 0
    click.echo(f"Removed {safe(str(file))}. If the service still runs, this stops it:")
    click.echo(
        f"  systemctl --user stop {file.name}" if file.suffix == ".service" else f"  launchctl remove {file.stem}"
    )
    return 0


def _service(layout: Layout, options: Mapping[str, str]) -> tuple[Path, str]:
    """The file of the store's service, and its content. ``options`` are those of the watcher."""
    title = re.sub(r"[^A-Za-z0-9]+", "-", layout.root.name).strip("-") or "store"
    name = f"{title}-{hashlib.blake2s(os.fsencode(layout.root), digest_size=3).hexdigest()}"
    command = _command(layout, options)
    variables = _variables()
    if sys.platform == "darwin":
        label = f"astica-sync.{name}"
        text = _AGENT.format(
            label=escape(label),
            arguments="".join(f"<string>{escape(word)}</string>" for word in command),
            environment="".join(
                f"<key>{escape(key)}</key><string>{escape(value)}</string>" for key, value in variables.items()
            ),
        )
        return Path.home() / "Library" / "LaunchAgents" / f"{label}.plist", text
    text = _UNIT.format(
        title=_quote(layout.root.name).strip('"'),
        command=" ".join(_quote(word, dollars=True) for word in command),
        environment="".join(f"Environment={_quote(f'{key}={value}')}\n" for key, value in variables.items()),
    )
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    return folder / f"astica-sync-{name}.service", text


_PROGRAM = (sys.executable, "-P", "-m", "astica_sync")


def _command(layout: Layout, options: Mapping[str, str]) -> list[str]:
    words = [word for option in options.items() for word in option if word]
    return [*_PROGRAM, "watch", *words, str(layout.root)]


def _variables() -> dict[str, str]:
    """What the watcher needs of this terminal's environment."""
    variables = {key: os.environ[key] for key in _VARIABLES if os.environ.get(key)}
    if KEY_FILE_VARIABLE in variables:
        key_file = os.path.expanduser(variables[KEY_FILE_VARIABLE])  # noqa: PTH111 - Path raises where the user is unknown
        variables[KEY_FILE_VARIABLE] = str(Path(key_file).resolve())
    return variables


def _explain_other_ways(file: Path, layout: Layout, options: Mapping[str, str]) -> None:
    """How to watch the store on a machine where nothing reads the unit."""
    print_lines(
        [
            f"Written to {safe(str(file))}, but systemd does not run on this machine, so nothing starts the watcher "
            "from it: start it yourself in a terminal, or let cron push every five minutes. To remove the file: "
            "astica-sync watch uninstall",
            "To watch until the machine is turned off, also after you log out:",
        ]
    )
    # Whole lines, so that they can be copied.
    log = quote_path(str(machine_state_folder() / f"{file.stem}.log"))
    # As in the line for cron: it is copied to another terminal, or to a script, where the variables are not set.
    variables = [f"{key}={quote(value)}" for key, value in _variables().items()]
    words = [*(["env", *variables] if variables else []), *map(quote, _command(layout, options))]
    click.echo(f"  nohup {' '.join(words)} >> {log} 2>&1 &")
    print_lines(["To push from cron, add this line with crontab -e:"])
    inbox = {"--from": options["--from"]} if "--from" in options else {}
    _echo_cron_line("*/5 * * * *", _command(layout, {"--once": "", "-q": "", **inbox}))
    if mirror := options.get("--mirror"):
        often, times = _times_of_mirror(int(options.get("--mirror-every", "60")))
        print_lines([f"And this one, which copies the backup to the mirror {often}:"])
        _echo_cron_line(times, [*_PROGRAM, "backup", "mirror", mirror, "--store", str(layout.root)], " > /dev/null")


def _times_of_mirror(minutes: int) -> tuple[str, str]:
    """How often cron copies, and its five fields: the longest interval up to ``minutes`` that cron keeps. An interval
    that does not divide an hour or a day would begin again with each of these."""
    every = max(one for one in (*_parts(60), *(60 * hours for hours in _parts(24)), 1440, 10_080) if one <= minutes)
    if every < 60:
        return ("every minute" if every == 1 else f"every {every} minutes"), f"*/{every} * * * *"
    if every < 1440:
        hours = every // 60
        return ("every hour", "17 * * * *") if hours == 1 else (f"every {hours} hours", f"17 */{hours} * * *")
    return ("every day", "17 3 * * *") if every == 1440 else ("every week", "17 3 * * 0")


def _parts(whole: int) -> list[int]:
    return [one for one in range(1, whole) if whole % one == 0]


def _echo_cron_line(times: str, command: list[str], end: str = "") -> None:
    words = [f"{key}={quote(value)}" for key, value in _variables().items()]
    words += map(quote, command)
    # In a crontab a per cent sign ends the command.
    click.echo(f"  {times}  {' '.join(words)}".replace("%", "\\%") + end)


def _quote(value: str, *, dollars: bool = False) -> str:
    """A value quoted for systemd.syntax(7): quotes, escapes and specifiers, and with ``dollars`` also variables."""
    if any(not character.isprintable() for character in value):
        raise AsticaSyncError(
            f"a service file cannot contain the name {safe(value)}", "Rename the folder: use printable characters."
        )
    value = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{value.replace("$", "$$") if dollars else value}"'


def _start_lines(file: Path) -> list[str]:
    if file.suffix == ".plist":
        return [f"launchctl load -w {quote_path(str(file))}"]
    return [
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {file.name}",
        "loginctl enable-linger  # run while you are logged out",
    ]
