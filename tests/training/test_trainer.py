"""The trainer on answers that are odd: what it records of a version."""

from pathlib import Path
from typing import Any, cast

from astica_sync.clock import SystemClock
from astica_sync.core.model import ModelInfo
from astica_sync.errors import OutcomeUnknown
from astica_sync.local.backup.service_records import Records
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem
from astica_sync.training.train import Trainer

SNAPSHOT = "5" * 32


class OneModel:
    """A service with one model, which can be trained."""

    def __init__(self, model: ModelInfo) -> None:
        self.model = model

    def models(self) -> list[ModelInfo]:
        return [self.model]

    def train(self, model_id: int) -> None:
        pass


def test_a_failed_training_that_changes_the_date_alone_gives_the_old_version_no_other_data(tmp_path: Path) -> None:
    service = OneModel(ModelInfo(7, "M", version="7_1", trained_at=100.0))
    (tmp_path / "backup").mkdir()
    records = Records(tmp_path / "backup", FileSystem(), 7)
    with Journal(tmp_path / "journal.db", "run") as journal:
        trainer = Trainer(cast("Any", service), journal, records, SystemClock(), 60.0, 7)
        trainer.begin(service.model, SNAPSHOT, 10, lambda _: None)
        service.model = ModelInfo(7, "M", version="7_1", trained_at=200.0)
        state = trainer.poll()
        assert state.version is not None and state.version.snapshot is None
        assert state.version.unknown_because.startswith("it has the name of the version before it")

        trainer.begin(service.model, SNAPSHOT, 10, lambda _: None)
        service.model = ModelInfo(7, "M", version="7_2", trained_at=300.0)
        state = trainer.poll()
        assert state.version is not None and state.version.snapshot == SNAPSHOT


class Outages(OneModel):
    """Some of its answers are lost, by their numbers; the training ends with the last of them."""

    def __init__(self, model: ModelInfo, lost: set[int], last: int) -> None:
        super().__init__(model)
        self.lost, self.last, self.asked = lost, last, 0

    def models(self) -> list[ModelInfo]:
        self.asked += 1
        if self.asked in self.lost:
            raise OutcomeUnknown(f"no answer to request {self.asked}")
        if self.asked >= self.last:
            self.model = ModelInfo(7, "M", version="7_2", trained_at=300.0)
        return [self.model]


class Waiting:
    """A clock whose sleeps take no time."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_each_outage_while_a_training_is_waited_for_is_reported_once(tmp_path: Path) -> None:
    service = Outages(ModelInfo(7, "M", version="7_1", trained_at=100.0), {2, 3, 4, 6}, 8)
    (tmp_path / "backup").mkdir()
    records = Records(tmp_path / "backup", FileSystem(), 7)
    with Journal(tmp_path / "journal.db", "run") as journal:
        trainer = Trainer(cast("Any", service), journal, records, cast("Any", Waiting()), 60.0, 7)
        training = trainer.begin(service.model, SNAPSHOT, 10, lambda _: None)
        failures: list[str] = []
        passed: list[float] = []
        state = trainer.wait(training, passed.append, failures.append)
    assert state.version is not None and state.version.name == "7_2"
    assert failures == ["no answer to request 2", "no answer to request 6"]
    assert len(passed) == 7
