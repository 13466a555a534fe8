"""The trainer on answers that are odd: what it records of a version."""

from pathlib import Path
from typing import Any, cast

from astica_sync.clock import SystemClock
from astica_sync.core.model import ModelInfo
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
