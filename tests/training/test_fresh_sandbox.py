"""A fresh service that gives out the ids and names of the one before it: nothing of the old one is shown as its own."""

import socket
import time
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import running
from tests.harness.digits import write_digits
from tests.harness.shell import Shell
from tests.harness.trained_store import NO_LIMIT

# Two real trainings.
pytestmark = pytest.mark.long


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def train(shell: Shell, store: Path) -> str:
    assert shell("push", "--yes", "--store", store).code == 0
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    return ran.out.strip()


def test_the_answers_and_scores_of_an_earlier_service_are_not_those_of_a_fresh_one(
    shell: Shell, tmp_path: Path
) -> None:
    port = free_port()
    shell.environ |= {"ASTICA_LIMIT": str(NO_LIMIT)}
    store, images = tmp_path / "digits", write_digits(tmp_path / "new", 4, start=8)
    clocks = (time.time, lambda: time.time() + 100)
    for round_number, names in enumerate((("zero", "one", "two", "three"), ("nil", "ace", "duo", "trey"))):
        # Dates have seconds, and both trainings may end within one.
        with running(port=port, limit=NO_LIMIT, now=clocks[round_number]) as box:
            shell.environ |= {
                "ASTICA_TRAIN_URL": box.url,
                "ASTICA_DETECT_URL": box.url,
                "ASTICA_API_KEY": box.key,
            }
            model = box.add_model("Digits")
            if round_number:
                for old, new in zip(("zero", "one", "two", "three"), names, strict=True):
                    (store / old).rename(store / new)
                    (images / old).rename(images / new)
            else:
                write_digits(store, 6, names=names)
                assert shell("init", store, "--model", str(model)).code == 0
            version = train(shell, store)
            assert version == f"{model}_20001", "the same names again"
            ran = shell("detect", images, "--csv", "--store", store)
            assert ran.code == 0, ran.err
            assert {line.split(",")[1] for line in ran.out.splitlines()[1:]} <= set(names)
            assert len(box.requests_of("detect")) == 16, "asked of this service"
            assert shell("evaluate", images, "--store", store).code == 0
            listed = shell("versions", "--json", "--store", store).json["versions"]
            # With two versions of one name it is not known which one the new score is about.
            assert [len(one["scores"]) for one in listed] == ([1, 0] if round_number else [1])


def test_binding_a_store_to_another_model_deletes_what_was_cached_of_the_first(shell: Shell, tmp_path: Path) -> None:
    with running(limit=NO_LIMIT) as box:
        shell.environ |= {"ASTICA_TRAIN_URL": box.url, "ASTICA_DETECT_URL": box.url, "ASTICA_API_KEY": box.key}
        shell.environ |= {"ASTICA_LIMIT": str(NO_LIMIT)}
        store = write_digits(tmp_path / "digits", 4)
        first, second = box.add_model("First"), box.add_model("Second")
        assert shell("init", store, "--model", str(first)).code == 0
        train(shell, store)
        assert shell("detect", store / "one", "--store", store).code == 0
        state = store / ".astica-sync"
        assert (state / "detections.db").exists() and (state / "last-view.json").exists()
        assert shell("init", store, "--model", str(first)).code == 0
        assert (state / "detections.db").exists(), "the same model again"
        assert shell("init", store, "--model", str(second), "--rebind").code == 0
        assert not list(state.glob("detections.db*")) and not list(state.glob("last-view.*"))
        assert shell("pull-status", "--offline", "--store", store).code == 1
