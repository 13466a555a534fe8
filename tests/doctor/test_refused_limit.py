"""What ``doctor`` says of requests that the service refused for its limit."""

import time
from pathlib import Path

from astica_sync.system.refusal_record import SeenRefusals, record_refusal
from tests.harness.shell import Shell


def test_the_advised_limit_is_one_line_without_signs_that_stand_for_a_line_break(shell: Shell, store: Path) -> None:
    # Without a key those of any key are shown.
    del shell.environ["ASTICA_API_KEY"]
    record_refusal(shell.home / "state" / "astica-sync", "a", (90, 60.0), SeenRefusals(27, 39, time.time(), 500.0))
    text = " ".join(shell("doctor", "--store", store).out.split())
    advice = "12 of this machine's requests went through: export ASTICA_LIMIT=12 (where another program used the key"
    assert advice in text, text
    assert "\\n" not in text
