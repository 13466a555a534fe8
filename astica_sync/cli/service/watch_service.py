"""``astica-sync watch install`` and ``uninstall``: a service of the user's own, by systemd or launchd, without root."""

import hashlib
import os
import re
import sys
from html import escape
from pathlib import Path

import click

from astica_sync.cli.context import find, store_option
from astica_sync.cli.render.text import safe
from astica_sync.config import KEY_FILE_VARIABLE, KEY_VARIABLE
from astica_sync.errors import AsticaSyncError
from astica_sync.local.layout import Layout

_UNIT = """\
[Unit]
Description=Keeps {title} equal to its model
Documentation=https://pypi.org/project/astica-sync/
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

# What the service must know of this terminal's environment; the key itself is never written anywhere.
_PASSED = (KEY_FILE_VARIABLE, "ASTICA_TRAIN_URL", "ASTICA_DETECT_URL", "ASTICA_LIMIT", "ASTICA_LIMIT_WINDOW")


@click.command("install")
@store_option
def install(store: Path | None) -> int:
    """Write a service of your own that watches the store from login on, and show it.

    Nothing is started: the commands that do it are printed. Linux gets a systemd user unit, macOS a launchd agent.
    """
    layout = find(store)
    file, text = _service(layout)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    except OSError as error:
        raise AsticaSyncError(f"cannot write {file}: {error.strerror}", "Mend the rights of your own folder.") from None
    click.echo(text)
    click.echo(f"Written to {safe(str(file))}. To start it, now and at every login:")
    for line in _start_lines(file):
        click.echo(f"  {line}")
    if os.environ.get(KEY_VARIABLE) and not os.environ.get(KEY_FILE_VARIABLE):
        click.echo(
            f"The service does not see {KEY_VARIABLE} of this terminal: put the key into a file that only you can "
            f"read, set {KEY_FILE_VARIABLE} to it and run this again; or keep it in the system keyring.",
            err=True,
        )
    return 0


@click.command("uninstall")
@store_option
def uninstall(store: Path | None) -> int:
    """Take the service of this store away again."""
    file, _ = _service(find(store))
    if not file.exists():
        click.echo(f"There is no {safe(str(file))}.")
        return 0
    click.echo("If it runs, stop it first:")
    stop = f"systemctl --user disable --now {file.name}" if file.suffix == ".service" else f"launchctl unload {file}"
    click.echo(f"  {stop}")
    try:
        file.unlink()
    except OSError as error:
        raise AsticaSyncError(f"cannot remove {file}: {error.strerror}", "Remove it by hand.") from None
    click.echo(f"Removed {safe(str(file))}.")
    return 0


def _service(layout: Layout) -> tuple[Path, str]:
    """Where the service of this store is written down, and its text."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", layout.root.name).strip("-") or "store"
    name = f"{words}-{hashlib.blake2s(os.fsencode(layout.root), digest_size=3).hexdigest()}"
    command = [sys.executable, "-m", "astica_sync", "watch", str(layout.root)]
    passed = {key: os.environ[key] for key in _PASSED if os.environ.get(key)}
    if KEY_FILE_VARIABLE in passed:
        passed[KEY_FILE_VARIABLE] = str(Path(passed[KEY_FILE_VARIABLE]).expanduser().resolve())
    if sys.platform == "darwin":
        label = f"astica-sync.{name}"
        text = _AGENT.format(
            label=escape(label),
            arguments="".join(f"<string>{escape(word)}</string>" for word in command),
            environment="".join(
                f"<key>{escape(key)}</key><string>{escape(value)}</string>" for key, value in passed.items()
            ),
        )
        return Path.home() / "Library" / "LaunchAgents" / f"{label}.plist", text
    text = _UNIT.format(
        title=_quoted(layout.root.name).strip('"'),
        command=" ".join(_quoted(word, dollars=True) for word in command),
        environment="".join(f"Environment={_quoted(f'{key}={value}')}\n" for key, value in passed.items()),
    )
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    return folder / f"astica-sync-{name}.service", text


def _quoted(word: str, *, dollars: bool = False) -> str:
    """One word as systemd.syntax(7) reads it back: quotes, escapes, specifiers; and variables in a command line."""
    if any(not sign.isprintable() for sign in word):
        raise AsticaSyncError(f"a service cannot name {safe(word)}", "Give the folder a name without such characters.")
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word.replace("$", "$$") if dollars else word}"'


def _start_lines(file: Path) -> list[str]:
    if file.suffix == ".plist":
        return [f"launchctl load -w '{file}'"]
    return [
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {file.name}",
        "loginctl enable-linger      # to go on while you are not logged in",
    ]
