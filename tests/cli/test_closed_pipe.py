"""Where the reader of the output ends first, as head does, a command ends quietly with its own exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from astica_sync.cli.exit_codes import PIPE_CLOSED
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ["pull-status"],
        ["pull-status", "--json"],
        ["versions"],
        ["log"],
        ["backup", "list"],
        ["models"],
        ["adopt"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_closed_pipe_ends_a_command_quietly(
    shell: Shell, sandbox: RunningSandbox, store: Path, arguments: list[str]
) -> None:
    if arguments != ["--help"]:
        arguments = [*arguments, "--store", str(store)] if arguments != ["models"] else arguments
    if arguments[0] == "log":
        assert shell("push", "--store", store).code == 0
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "astica_sync", *arguments],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=dict(shell.environ),
            cwd=store,
            check=False,
        )
    assert ended.returncode == PIPE_CLOSED, ended.stderr
    assert b"rror" not in ended.stderr and b"Traceback" not in ended.stderr
