"""A command on a real terminal, and a user who answers its question."""

import os
import pty
import select
import time
from pathlib import Path

from tests.harness.shell import Ran, Shell

PATIENCE = 30.0


def converse(shell: Shell, question: str, answer: str, *arguments: str | Path) -> Ran:
    """Runs the command on a terminal of its own and types the answer once the question shows.

    Raises:
        AssertionError: the question was not asked.
    """
    leader, follower = pty.openpty()
    process = shell.start(*arguments, stdin=follower, stdout=follower, stderr=follower, start_new_session=True)
    os.close(follower)
    until = time.monotonic() + PATIENCE
    said = b""
    asked = False
    try:
        while time.monotonic() < until:
            if not select.select([leader], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(leader, 65536)
            except OSError:
                # How a terminal reports that its other end is closed.
                break
            said += piece
            if not asked and question.encode() in said:
                asked = True
                os.write(leader, f"{answer}\n".encode())
        assert asked, f"the question {question!r} was not asked: {said.decode()}"
        return Ran(process.wait(PATIENCE), said.decode(), "")
    finally:
        process.kill()
        process.wait()
        os.close(leader)
