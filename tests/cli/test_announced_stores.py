"""Stores of one model know of each other by the budget server: what each manages, since when, and contradictions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.budget_servers import BudgetServerProcess, postgres_server, redis_server
from tests.harness.shell import Shell, fill

MODULES = {"redis": "redis", "postgres": "psycopg"}


@pytest.fixture(scope="module", params=["redis", pytest.param("postgres", marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest) -> Iterator[BudgetServerProcess]:
    pytest.importorskip(MODULES[request.param])
    with redis_server() if request.param == "redis" else postgres_server() as server:
        yield server


@pytest.fixture
def shared(shell: Shell, server: BudgetServerProcess, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell whose budget is on the server, which rests for a moment only."""
    monkeypatch.setattr("astica_sync.remote.shared_budget.shared_rate_limiter.UNDER_WAY_SECONDS", 0.1)
    # The end of a process waits for its last record, however busy the machine is.
    monkeypatch.setattr("astica_sync.remote.fleet.announcer.LAST_RECORD_SECONDS", 20.0)
    shell.environ |= {"ASTICA_BUDGET": server.address, "ASTICA_LIMIT_WINDOW": "0.5", "ASTICA_QUARANTINE": "0"}
    return shell


@pytest.fixture
def model(sandbox: RunningSandbox) -> int:
    return sandbox.add_model()


def make_store(shell: Shell, folder: Path, model: int, owns: str) -> Path:
    """A pushed store that owns one class, or all of them."""
    fill(folder, {owns or "Can": 2}, start=sum(map(ord, folder.name)))
    assert shell("init", folder, "--model", str(model), "--yes").code == 0
    set_owns(folder, owns)
    assert shell("push", "--store", folder).code == 0
    return folder


def set_owns(folder: Path, owns: str) -> None:
    (folder / "astica-sync.toml").write_text(f"owns = [{owns!r}]\n" if owns else "")


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_stores_that_divide_a_model_are_named_to_each_other(shared: Shell, model: int, tmp_path: Path) -> None:
    cans = make_store(shared, tmp_path / "Cans", model, "Can")
    make_store(shared, tmp_path / "Boxes", model, "Box")
    status = shared("status", "--store", cans)
    assert "Stores   Boxes on " in status.out and "manages Box since " in status.out
    assert "both manage" not in status.out
    data = shared("status", "--json", "--store", cans).json
    [other] = data["stores"]
    assert (other["store"], other["classes"], other["model"]) == ("Boxes", ["Box"], model)
    assert 0 <= other["agreed_seconds_ago"] <= other["since_seconds"] + 1
    assert data["contradictions"] == []
    fleet = shared("fleet", "--store", cans)
    assert "2 stores:" in fleet.out
    lines = fleet.out.splitlines()
    head = lines.index("2 stores:")
    assert lines[head + 1].split() == ["machine", "store", "model", "manages", "for", "in", "sync"]
    assert [tuple(line.split()[1:4]) for line in lines[head + 2 : head + 4]] == [
        ("Boxes", str(model), "Box"),
        ("Cans", str(model), "Can"),
    ]
    # Nothing is asked, so nothing of it is known.
    assert shared("status", "--offline", "--json", "--store", cans).json["stores"] == []


def test_two_stores_that_claim_one_class_are_both_shown_that(shared: Shell, model: int, tmp_path: Path) -> None:
    cans = make_store(shared, tmp_path / "Cans", model, "Can")
    everything = make_store(shared, tmp_path / "Everything", model, "")
    what = "both manage Can: set owns in each, so that each class has one store"
    assert f"this store and Everything on {other_machine(shared)} {what}" in seen_from(shared, cans)
    assert f"Cans on {other_machine(shared)} and this store {what}" in seen_from(shared, everything)
    fleet = shared("fleet", "--store", cans)
    assert f"model {model}: Cans on " in fleet.out and what in unwrapped(fleet.out)
    assert shared("fleet", "--json", "--store", cans).json["contradictions"][0]["classes"] == ["Can"]
    # Once they are divided, it is gone.
    set_owns(everything, "Box")
    assert shared("push", "--yes", "--store", everything).code == 0
    assert "both manage" not in seen_from(shared, cans)


def seen_from(shell: Shell, store: Path) -> str:
    return unwrapped(shell("status", "--store", store).out)


def other_machine(shell: Shell) -> str:
    machines = {one["machine"] for one in shell("fleet", "--json").json["stores"]}
    assert len(machines) == 1
    return machines.pop()


def test_init_asks_about_a_model_that_a_store_on_the_server_manages(shared: Shell, model: int, tmp_path: Path) -> None:
    first = fill(tmp_path / "First", {"Can": 1})
    assert shared("init", first, "--model", str(model)).code == 0
    (first / "Can" / "000.png").unlink()
    # It has announced itself, and sent nothing that the model could show.
    assert shared("push", "--store", first).code == 0
    second = fill(tmp_path / "Second", {"Box": 1})
    refused = shared("init", second, "--model", str(model))
    assert refused.code == 4
    said = unwrapped(refused.err)
    assert "this model is managed by First on " in said and "(all classes)" in said
    assert "set owns in the astica-sync.toml of each" in said
    assert not (second / ".astica-sync" / "store.json").exists()
    made = shared("init", second, "--model", str(model), "--yes")
    assert made.code == 0 and "managed by First" in unwrapped(made.err)


def test_a_server_that_is_away_hides_the_other_stores_and_nothing_else(
    shared: Shell, model: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cans = make_store(shared, tmp_path / "Cans", model, "Can")
    make_store(shared, tmp_path / "Boxes", model, "Box")

    def away(*_: object) -> None:
        from astica_sync.errors import DatabaseError

        raise DatabaseError("away", "")

    monkeypatch.setattr("astica_sync.remote.fleet.read_fleet.read_fleet", away)
    status = shared("status", "--store", cans)
    assert status.code == 0 and "Boxes" not in status.out
