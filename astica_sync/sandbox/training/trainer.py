"""Trains versions in the background and runs them; every version stays available."""

import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from astica_sync.sandbox.account import Account, NotFound
from astica_sync.sandbox.account_paths import create_part
from astica_sync.sandbox.image_input import BadInput, open_image
from astica_sync.sandbox.switches import Switches

if TYPE_CHECKING:
    from PIL import Image

    from astica_sync.features.descriptor import Floats
    from astica_sync.sandbox.training.classifier import Classifier

_LOADED = 16
"""The number of versions kept in memory."""

_log = logging.getLogger(__name__)


class CannotTrain(ValueError):
    """The model cannot be trained now, or not with this data; the text says why."""


class BackgroundTrainer:
    """Trains one version at a time, in the order of the requests.

    A version is *training*, then *ready* or *failed*. A training that the end of the sandbox interrupted is started
    again by the next sandbox on the folder, with the samples of that time.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._loaded: dict[str, Classifier] = {}
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        for version_id, model_id, name in account.rows(
            "SELECT id, model_id, name FROM versions WHERE state = 'training' ORDER BY id"
        ):
            self._begin(version_id, model_id, name, Switches())

    def start(self, model_id: int, switches: Switches) -> str:
        """Starts the training of a new version and returns its name.

        Raises:
            NotFound: there is no such model.
            CannotTrain: fewer than two classes with samples, or the model is being trained, or the switch ``training``
                refuses.
        """
        account = self._account
        with account.change() as db:
            if not account.has_model(model_id):
                raise NotFound("Model")
            classes = {title for title, _, _, _ in account.images_of(model_id)}
            if len(classes) < 2:
                raise CannotTrain("A model can be trained after adding at least two different classes")
            if account.rows("SELECT 1 FROM versions WHERE model_id = ? AND state = 'training'", model_id):
                raise CannotTrain("Training is already in progress")
            if switches.training == "refused":
                raise CannotTrain("Training is not available at the moment")
            now = account.now()
            ((last,),) = account.rows("SELECT seq FROM sqlite_sequence WHERE name = 'versions'")
            name = f"{model_id}_{last + 1}" if switches.version_form == "number" else self._free_date(now)
            version_id = db.execute(
                "INSERT INTO versions (model_id, name, state, started) VALUES (?, ?, 'training', ?)",
                (model_id, name, now),
            ).lastrowid
        assert version_id is not None
        self._begin(version_id, model_id, name, switches)
        return name

    def _free_date(self, now: float) -> str:
        """A name that is free: two versions of the same second get different names."""
        while True:
            name = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d_%H%M%S")
            if not self._account.rows("SELECT 1 FROM versions WHERE name = ?", name):
                return name
            now += 1

    def _begin(self, version_id: int, model_id: int, name: str, switches: Switches) -> None:
        thread = threading.Thread(
            target=self._run, args=(version_id, model_id, name, switches), name=f"training {name}", daemon=True
        )
        with self._lock:
            # Who waits joins each of them, and one that was not started cannot be joined.
            thread.start()
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]

    def _run(self, version_id: int, model_id: int, name: str, switches: Switches) -> None:
        from astica_sync.sandbox.training.classifier import Classifier

        try:
            with self._one_at_a_time:
                features, labels = self._gather(model_id, switches)
                if self._stopping.is_set():
                    return
                if self._stopping.wait(switches.training_time):
                    return
                if switches.training == "fails":
                    raise CannotTrain("the switch training lets each training fail")
                classifier = Classifier.train(features, labels)
                path = self._account.version_file(name)
                part, descriptor = create_part(path)
                with open(descriptor, "wb") as file:
                    classifier.save(file)
                part.replace(path)
                state = "ready"
        except CannotTrain as error:
            _log.warning("training %s failed: %s", name, error)
            state = "failed"
        except Exception:  # noqa: BLE001 - this version has failed, the sandbox continues
            if self._stopping.is_set():
                return
            _log.exception("training %s failed", name)
            state = "failed"
        if self._stopping.is_set():
            return
        with self._account.change() as db:
            db.execute(
                "UPDATE versions SET state = ?, finished = ? WHERE id = ? AND state = 'training'",
                (state, self._account.now(), version_id),
            )

    def _gather(self, model_id: int, switches: Switches) -> "tuple[list[Floats], list[str]]":
        from astica_sync.features.descriptor import describe
        from astica_sync.sandbox.training.classifier import CELL

        features: list[Floats] = []
        labels: list[str] = []
        for title, _, _, path in self._account.images_of(model_id):
            if self._stopping.is_set():
                break
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # removed since the training began
                continue
            try:
                image = open_image(content, switches.largest_side, turned=switches.orientation == "turned")
                features.append(describe(image, CELL))
            except BadInput:
                _log.warning("a sample of class %r is not used for training: it cannot be decoded", title)
                continue
            labels.append(title)
        return features, labels

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until no version is being trained; False when that takes longer than ``timeout`` seconds."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in threads)

    def stop(self) -> None:
        """Interrupts the trainings; the next sandbox on this folder starts them again."""
        self._stopping.set()
        self.wait(10)

    def detect(self, model_id: int, version: str, image: "Image.Image") -> tuple[str, float]:
        """The label that a version of a model detects, and its probability from 0 to 1.

        Raises:
            NotFound: the model has no such version, or it is not ready.
        """
        from astica_sync.features.descriptor import describe
        from astica_sync.sandbox.training.classifier import CELL

        return self._load(model_id, version).detect(describe(image, CELL))

    def _load(self, model_id: int, version: str) -> "Classifier":
        from astica_sync.sandbox.training.classifier import Classifier

        account = self._account
        if not account.rows(
            "SELECT 1 FROM versions WHERE name = ? AND model_id = ? AND state = 'ready'", version, model_id
        ):
            raise NotFound("Model version")
        with self._lock:
            classifier = self._loaded.pop(version, None)
            if classifier is None:
                try:
                    classifier = Classifier.load(account.version_file(version))
                except FileNotFoundError:
                    raise NotFound("Model version") from None
            self._loaded[version] = classifier
            while len(self._loaded) > _LOADED:
                del self._loaded[next(iter(self._loaded))]
        return classifier
