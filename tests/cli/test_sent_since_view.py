"""After a push, what the service has confirmed counts as on the service, although the last view is older."""

import shutil
from pathlib import Path

import pytest

from astica_sync import Store
from astica_sync.core.gallery.image_state import ImageState
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, in_store


def test_a_status_after_a_push_shows_what_the_service_has_confirmed(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = in_store(store).total()
    assert shell("push", "--store", store).code == 0
    ran = shell("status", "--offline", "--exit-code", "--store", store)
    assert ran.code == 0, ran.out
    assert "Waiting" not in ran.out and "waiting" not in ran.out
    assert "The service is in sync with the store." in ran.out
    found = shell("status", "--offline", "--json", "--store", store).json
    assert found["in_sync"] is True and found["waiting"] == []
    assert found["remote"]["samples"] == found["remote"]["managed"] == count
    assert 0 < found["confirmed_since"] <= count
    assert f"{found['confirmed_since']} samples that the service has confirmed since" in " ".join(ran.out.split())
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    with Store(store) as opened:
        states = {one.state for one in opened.samples(opened.status(offline=True))}
    assert states == {ImageState.ON_SERVICE}


def test_what_the_service_has_removed_since_the_view_is_not_counted_on_it(shell: Shell, pushed: Path) -> None:
    count = in_store(pushed).total()
    one, *_ = sorted((pushed / "Can").glob("*.png"))
    one.unlink()
    # All samples of a class are removed by one request.
    shutil.rmtree(pushed / "Bottle")
    left = in_store(pushed).total()
    assert 1 < count - left < count
    assert shell("push", "--store", pushed, "--yes").code == 0
    found = shell("status", "--offline", "--json", "--store", pushed).json
    assert found["in_sync"] is True and found["removed_since"] == count - left
    assert found["remote"]["samples"] == found["remote"]["managed"] == left
    ran = shell("status", "--offline", "--store", pushed)
    assert f"and {count - left} removals that the service has confirmed since" in " ".join(ran.out.split())
    counted = {
        row.split()[0]: row.split()[1:] for row in ran.out.partition("class ")[2].splitlines()[1:] if row[:1] > " "
    }
    assert counted["Can"][0] == counted["Can"][1] and "Bottle" not in counted
    assert shell("status", "--store", pushed).code == 0
    assert shell("status", "--offline", "--json", "--store", pushed).json["removed_since"] == 0


def test_what_a_later_view_does_not_show_still_waits(shell: Shell, pushed: Path, sandbox: RunningSandbox) -> None:
    shell.environ["ASTICA_QUARANTINE"] = "600"
    draw(pushed / "Can" / "new.png", 70)
    assert shell("push", "--store", pushed).code == 0
    sandbox.set_switches(view_lag=3600.0)
    assert shell("status", "--store", pushed).code == 0
    ran = shell("status", "--offline", "--store", pushed)
    assert "~ Can/new.png  (confirmed by the service, not shown by it yet)" in ran.out
    assert shell("status", "--offline", "--json", "--store", pushed).json["confirmed_since"] == 0
