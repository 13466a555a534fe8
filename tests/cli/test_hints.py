"""What a message tells the user to paste does what it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, in_store, on_service


@pytest.mark.parametrize("title", ["Bo\u200cttle", "Bottle's", "Bottle ", "B\u043ettle"])
def test_the_command_that_confirms_a_new_class_can_be_pasted(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, title: str
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    draw(pushed / title / "new.png", 77)
    refused = shell("push", "--store", pushed)
    if refused.code == 0:
        # It is like no other class, so nothing was asked.
        assert title == "Bottle's"
        return
    assert refused.code == 4
    (command,) = re.findall(r"astica-sync (push --new-class .*)", refused.out + refused.err)
    ran = shell.finish(shell.start_shell(bash, f"{sys.executable} -m {shell.program} {command} --store {pushed}"))
    assert ran.code == 0, ran.err
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_commands_with_another_home_share_the_budget_where_they_share_the_state_folder(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    """As under sudo, in cron and in a container."""
    shell.environ |= {"ASTICA_LIMIT": "3", "ASTICA_LIMIT_WINDOW": "3600", "COLUMNS": "200"}
    shell.environ["XDG_STATE_HOME"] = str(tmp_path / "shared")
    for home in ("one", "two", "three"):
        shell.environ |= {"HOME": str(tmp_path / home), "XDG_CONFIG_HOME": str(tmp_path / home / "config")}
        assert shell("models").code == 0
    sandbox.clear_log()
    waiting = shell.start("models")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(5)
    waiting.terminate()
    waiting.communicate()
    assert sandbox.log == []
    shell.environ["XDG_STATE_HOME"] = str(tmp_path / "another")
    assert shell("models").code == 0
