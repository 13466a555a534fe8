"""What a push says of requests that the service has refused for its limit or for the account's quota."""

import re
from pathlib import Path

import pytest

from astica_sync.cli.render.text import number
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill


def started(shell: Shell, folder: Path) -> Path:
    store = fill(folder, {"Can": 12})
    assert shell("init", store, "--create", "Cans", "--purpose", "test").code == 0
    return store


def test_a_quota_that_ends_a_push_contradicts_nothing_of_it(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    store = started(shell, tmp_path / "photos")
    sandbox.clear_log()
    sandbox.set_limit(8, 3600)
    sandbox.set_switches(limit_refusal="quota-text", limit_header="hidden")
    ran = shell("push", "--store", store)
    refused = sum(request.outcome == "limited" for request in sandbox.log)
    assert ran.code == 1
    uploaded = len(sandbox.samples(sandbox.models()[0][0]))
    assert 0 < uploaded < 12 and refused, [request.outcome for request in sandbox.log]
    last = next(line for line in ran.out.splitlines() if line.startswith("Uploaded"))
    assert f"Uploaded {uploaded}, " in last
    assert f"with {len(sandbox.log)} requests, {refused} of them refused" in last
    assert f"{12 - uploaded} samples left to do." in last and "run the same command" not in last
    assert "This request changed nothing" in ran.err and "Nothing was changed" not in ran.err
    assert "status --offline" in ran.err


@pytest.mark.long
def test_a_push_counts_what_was_refused_for_the_limit(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    store = started(shell, tmp_path / "photos")
    sandbox.clear_log()
    sandbox.set_limit(6, 2)
    sandbox.set_switches(limit_refusal="429-retry-after", limit_header="hidden")
    ran = shell("push", "--store", store, "--json")
    refused = sum(request.outcome == "limited" for request in sandbox.log)
    assert (ran.code, ran.json["uploaded"]) == (0, 12)
    assert ran.json["requests_refused"] == refused > 0
    assert ran.json["requests"] == len(sandbox.log)


@pytest.mark.long
def test_a_push_says_what_to_set_where_the_limit_is_lower(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    store = started(shell, tmp_path / "photos")
    assert "ASTICA_LIMIT" not in shell("push", "--store", store).out
    fill(store, {"Jar": 12}, 500)
    sandbox.set_limit(6, 2)
    sandbox.set_switches(limit_refusal="429-retry-after", limit_header="hidden")
    said = " ".join(shell("push", "--store", store).out.split())
    assert "of them refused for the limit. The service is in sync" in said
    named = re.search(
        r"before the last refusal (\d+) of this machine's requests went through: export ASTICA_LIMIT=(\d+)", said
    )
    assert named is not None and named[1] == named[2] and 6 <= int(named[1]) < 90, said
    # An hour later, a doctor knows it as well, until the limit is lowered.
    found = shell("doctor", "--store", store, "--json").json
    refused = sum(request.outcome == "limited" for request in sandbox.log)
    assert found["request_budget"]["last refused by the service"].startswith(f"{refused} request")
    notes = [one for one in found["findings"] if "because of its rate limit" in one["text"]]
    assert [one["text"].partition(", the last one at ")[0] for one in notes] == [
        f"the service refused {number(refused, 'request')} because of its rate limit"
    ]
    assert f"export ASTICA_LIMIT={named[1]} (where another program" in notes[0]["hint"]
    record = shell.home / "state" / "astica-sync" / "refusals.json"
    assert sandbox.key not in record.read_text()
    shell.environ["ASTICA_LIMIT"] = named[1]
    after = shell("doctor", "--store", store, "--json").json
    assert not [one for one in after["findings"] if "because of its rate limit" in one["text"]]
    assert after["request_budget"]["last refused by the service"].startswith(f"{refused} request")
    # Another program used the rest of the limit, and has ended.
    sandbox.set_limit(10_000, 2)
    fill(store, {"Pot": 30}, 700)
    shell.environ["ASTICA_LIMIT"] = "90"
    assert shell("push", "--store", store).code == 0
    later = shell("doctor", "--store", store, "--json").json
    assert not [one for one in later["findings"] if "because of its rate limit" in one["text"]]
    assert later["request_budget"]["most that passed in one window since"] > int(named[1])


def test_no_number_is_named_where_the_account_is_at_its_quota(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    store = started(shell, tmp_path / "photos")
    sandbox.set_limit(8, 3600)
    sandbox.set_switches(limit_refusal="quota-text", limit_header="hidden")
    assert "ASTICA_LIMIT" not in shell("push", "--store", store).out
    shown = shell("doctor", "--store", store, "--json").json["request_budget"]
    assert shown["last refused by the service"] == "no refusal is recorded"


def test_a_refused_key_is_named_by_its_file(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    store = started(shell, tmp_path / "photos")
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text("another")
    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(file)
    said = " ".join(shell("push", "--store", store).err.split())
    assert f"Check the key in {file};" in said and "another" not in said
    sandbox.clear_log()
    file.write_text(f"ASTICA_API_KEY={sandbox.key}")
    ran = shell("push", "--store", store)
    assert "begins with the name of a variable" in ran.err and sandbox.key not in ran.err
    assert (ran.code, sandbox.log) == (1, [])
