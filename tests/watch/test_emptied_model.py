"""A model that was emptied elsewhere: the watcher uploads new images and waits for confirmation of the others."""

import json
from pathlib import Path

import pytest

from astica_sync.local.layout import Layout
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill
from tests.harness.watch_process import Start, in_sync, wait_until


@pytest.mark.long
def test_a_watcher_uploads_nothing_again_to_an_emptied_model_without_confirmation(
    shell: Shell, sandbox: RunningSandbox, store: Path, watch: Start
) -> None:
    fill(store, {"Glass": 40}, start=100)
    [(model_id, _)] = sandbox.models()
    assert shell("push", "--store", store).code == 0
    for sample in sandbox.samples(model_id):
        sandbox.remove_sample(sample.sample_id)
    sandbox.clear_log()
    # A small batch, so that most of the plan is left for later batches.
    shell.environ |= {"ASTICA_QUARANTINE": "0", "ASTICA_LIMIT": "200"}
    watching = watch(store)
    wait_until(lambda: watching.reported("refused", "nothing is sent again: the service shows 0 of 45 samples"))
    draw(store / "Glass" / "new.png", 200)
    wait_until(lambda: sandbox.samples(model_id))
    report = Layout(store).watch_state
    wait_until(lambda: (status := json.loads(report.read_text()))["state"] == "idle" and status["queue"] == 45)
    assert len(sandbox.samples(model_id)) == 1
    assert shell("push", "--yes", "--store", store).code == 0
    assert in_sync(sandbox, model_id, store)
    assert len(sandbox.requests_of("upload")) == 46
