"""What ``--debug`` prints: the traceback of an error, without the key and without other secrets."""

import os
import re
import traceback
from collections.abc import Mapping

import click

from astica_sync.cli.render.text import safe
from astica_sync.secret import known_secrets

LEFT_OUT = "(left out)"
SHORTEST_VALUE = 8
"""A shorter value of a variable is a word that may stand in any text."""
_SECRET_NAME = re.compile(r"KEY$|SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL", re.IGNORECASE)
_HEADER = re.compile(
    r"""(\b(?:proxy-)?authorization\b\s*['"]?\s*[:=,]\s*[bru]?['"]?)(?:[\w-]+\s+)?[^\s'",)}\]]+""", re.IGNORECASE
)
_PASSWORD = re.compile(r"(\w://)[^\s/@'\"]*:[^\s/'\"]*@")


def print_traceback(error: BaseException) -> None:
    """Prints it to standard error, with control characters escaped."""
    for line in redacted_traceback(error, os.environ):
        click.echo(safe(line), err=True)


def redacted_traceback(error: BaseException, environ: Mapping[str, str]) -> list[str]:
    """The lines of the traceback, as ``without_secrets`` leaves them."""
    return without_secrets("".join(traceback.format_exception(error)), environ).splitlines()


def without_secrets(text: str, environ: Mapping[str, str]) -> str:
    """The text without the key in any form, the values of ``Authorization`` headers, passwords of addresses, and the
    values of variables of the environment that are named as secrets. Paths and names stay."""
    # Loaded here: few commands fail, and fewer with --debug.
    from astica_sync.remote.remove_echoes import without_key

    secrets = {text for text in known_secrets() if text}
    secrets |= {value for name, value in environ.items() if _SECRET_NAME.search(name) and len(value) >= SHORTEST_VALUE}
    lines = []
    for line in text.splitlines():
        line = _PASSWORD.sub(rf"\1{LEFT_OUT}@", _HEADER.sub(rf"\1{LEFT_OUT}", line))
        for secret in sorted(secrets, key=len, reverse=True):
            line = without_key(line, secret)
        lines.append(line)
    return "\n".join(lines)
