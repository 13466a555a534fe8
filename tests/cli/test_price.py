"""What a status and a dry run say that a push costs is what it sends, whatever there is to do."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from astica_sync import Store
from astica_sync.sandbox.embedded import RunningSandbox
from tests.fixtures_cli import push
from tests.harness.shell import Shell, draw, fill, in_store, on_service

DAMAGED = Path(__file__).parents[2] / "fixtures" / "damaged"


def test_with_a_limit_of_one_request_a_class_is_removed_sample_by_sample(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    shell.environ |= {"ASTICA_LIMIT": "1", "ASTICA_LIMIT_WINDOW": "0.1"}
    shutil.rmtree(pushed / "Can")
    assert_exact(shell, sandbox, pushed, "--yes")


@contextmanager
def open_store(shell: Shell, store: Path) -> Iterator[Store]:
    """The store in Python, with the settings of the commands."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shell.environ.items():
            patch.setenv(name, value)
        with Store(store) as opened:
            yield opened


def assert_exact(shell: Shell, sandbox: RunningSandbox, store: Path, *flags: str) -> int:
    """The price that a dry run names is what the push sends, and its exit code is that of the push. A status and the
    store in Python name the same price, where no flag allows more."""
    plan = shell("push", "--dry-run", "--json", "--store", store, *flags).json
    assert plan["unchecked"] == 0
    if not flags:
        status = shell("pull-status", "--json", "--store", store).json["plan"]
        assert {**status, "eta_seconds": 0, "refusals": plan["refusals"]} == {**plan, "eta_seconds": 0}
    with open_store(shell, store) as opened:
        checked = opened.status(check_seconds=60)
        assert flags or opened.requests_for(checked) == plan["requests"]
    dry = shell("push", "--dry-run", "--store", store, *flags)
    sandbox.clear_log()
    ran = shell("push", "--json", "--store", store, *flags)
    assert dry.code == ran.code, (dry, ran)
    assert ran.json["requests"] == len(sandbox.log) == plan["requests"], (plan, ran.json)
    return ran.code


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 25))])
def test_over_many_stores_the_price_is_what_the_service_counts(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    shell.environ["ASTICA_QUARANTINE"] = "0"
    store = fill(tmp_path / "store", {"Can": rng.randint(0, 6), "Bottle": rng.randint(1, 6)})
    assert shell("init", store, "--model", str(sandbox.add_model("Cans"))).code == 0
    number = 1000
    for _ in range(4):
        assert_exact(shell, sandbox, store, *rng.choice([(), (), ("--yes",), ("--max-remove", "2"), ("--retry",)]))
        for _ in range(rng.randint(0, 5)):
            number += 1
            files = sorted(store.glob("*/*.png"))
            match rng.choice(["new", "delete", "move", "damage", "class", "gone"]):
                case "new":
                    draw(store / rng.choice(["Can", "Bottle", "Glass", "can "]) / f"{number}.png", number)
                case "delete" if files:
                    rng.choice(files).unlink()
                case "move" if files:
                    (store / "Lid").mkdir(exist_ok=True)
                    rng.choice(files).rename(store / "Lid" / f"{number}.png")
                case "damage":
                    (store / "Can").mkdir(exist_ok=True)
                    shutil.copy(rng.choice(sorted(DAMAGED.glob("*.png"))), store / "Can" / f"{number}.png")
                case "class":
                    fill(store, {f"New{number}": 4}, start=number * 5)
                case "gone" if files:
                    shutil.rmtree(rng.choice(files).parent)


def test_a_file_that_is_no_good_image_is_named_by_the_status_and_not_in_its_price(
    shell: Shell, sandbox: RunningSandbox, pushed: Path
) -> None:
    for number in range(10):
        (pushed / "Can" / f"cut{number}.png").write_bytes((DAMAGED / "cut-in-half.png").read_bytes() + bytes([number]))
    ran = shell("push", "--dry-run", "--store", pushed)
    assert "Problems (10):" in ran.out and "Nothing to send. Check what is listed above." in ran.out
    status = shell("pull-status", "--json", "--exit-code", "--store", pushed)
    assert (status.code, status.json["in_sync"], status.json["plan"]["requests"]) == (5, False, 1)
    assert len(status.json["problems"]) == 10
    assert assert_exact(shell, sandbox, pushed) == 3


def test_what_a_status_has_no_time_to_check_is_said(
    shell: Shell, sandbox: RunningSandbox, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astica_sync.cli.daily.status.CHECK_SECONDS", 0.0)
    assert "4 images are not checked yet; the push checks the rest." in shell("pull-status", "--store", store).out
    assert shell("pull-status", "--json", "--store", store).json["plan"]["unchecked"] == 4


def test_a_refused_plan_names_no_requests_that_are_not_sent(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    store = fill(tmp_path / "many", {"Can": 14})
    assert shell("init", store, "--model", str(sandbox.add_model("Cans"))).code == 0
    push(shell, store, sandbox)
    for path in sorted((store / "Can").iterdir())[:11]:
        path.unlink()
    ran = shell("push", "--dry-run", "--store", store)
    assert ran.code == 4
    assert "A push would remove nothing" in ran.out
    assert ran.out.rstrip().endswith("A push would send nothing but its view of the model.")
    assert assert_exact(shell, sandbox, store) == 4
    assert "A push would send 12 requests" in shell("push", "--dry-run", "--yes", "--store", store).out


def test_a_damaged_backup_copy_is_named_by_the_status(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    gone = pushed / "Can" / "000.png"
    image = gone.read_bytes()
    gone.unlink()
    for path in (pushed / ".astica-sync" / "backup").rglob("*"):
        if path.is_file() and path.read_bytes() == image:
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    status = shell("pull-status", "--store", pushed)
    assert "its backup copy is damaged" in status.out
    assert_exact(shell, sandbox, pushed)
    assert len(on_service(sandbox, model_id)) == len(in_store(pushed)) + 1


def test_a_dry_run_ends_with_the_exit_code_of_the_push(shell: Shell, pushed: Path) -> None:
    def both(*flags: str) -> tuple[int, int]:
        return (
            shell("push", "--dry-run", "--store", pushed, *flags).code,
            shell("push", "--store", pushed, *flags).code,
        )

    assert both() == (0, 0)
    (pushed / "Can" / "notes.png").write_text("text")
    assert both() == (0, 0)
    (pushed / "Can" / "cut.png").write_bytes((DAMAGED / "cut-in-half.png").read_bytes())
    assert both() == (3, 3)
    # It failed before, and is not tried again.
    assert both() == (3, 3)
    assert both("--retry") == (3, 3)
    assert shell("push", "--dry-run", "--json", "--store", pushed).code == 3
    (pushed / "Can" / "cut.png").unlink()
    assert both() == (0, 0)
    gone = pushed / "Can" / "000.png"
    image = gone.read_bytes()
    gone.unlink()
    for path in (pushed / ".astica-sync" / "backup").rglob("*"):
        if path.is_file() and path.read_bytes() == image:
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    assert both() == (3, 3)
