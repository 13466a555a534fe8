"""The documented calls of the service, one method each, within the request budget."""

import contextlib
import os
from pathlib import Path
from typing import Self

from astica_sync.clock import SystemClock
from astica_sync.config import load_key, load_settings, user_config_file
from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import NoSuchModel
from astica_sync.open_session import open_service
from astica_sync.remote.responses import Detection
from astica_sync.remote.service import Service
from astica_sync.secret import Secret
from astica_sync.sync.progress import ProgressListener


class Client:
    """One account. Every call waits for the budget that all processes of this machine share, and is sent once.

    What it changes, no store knows of: nothing is kept in a backup, and nothing is looked at twice. For a data set
    that must not be lost, use ``Store``.

    Args:
        key: the API key; from the environment or the keyring when left out.
        train_url: address of the training endpoint; from the settings when left out.
        detect_url: address of the detection endpoint; from the settings when left out.

    Raises:
        ConfigError: there is no key, or an address would show it to the network.
    """

    def __init__(self, key: str | None = None, *, train_url: str | None = None, detect_url: str | None = None) -> None:
        flags: dict[str, object] = {"train_url": train_url, "detect_url": detect_url}
        settings = load_settings(os.environ, user_file=user_config_file(), flags=flags)
        clock = SystemClock()
        self._opened = contextlib.ExitStack()
        secret = Secret(key) if key is not None else load_key(os.environ)
        self._service: Service = self._opened.enter_context(open_service(settings, secret, clock, ProgressListener()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    @property
    def requests(self) -> int:
        """How many requests this object sent."""
        return self._service.requests

    def create_model(self, title: str, *, type: str, purpose: str, tags: str = "") -> None:
        """Makes a model. The answer does not say its id: look at ``models`` before and after.

        Raises:
            RemoteError: see ``outcome`` for what it proves.
        """
        self._service.create_model(title, type, purpose, tags)

    def models(self) -> list[ModelInfo]:
        """Every model of the account.

        Raises:
            RemoteError: the service did not answer.
        """
        return self._service.models()

    def model(self, model_id: int) -> ModelInfo:
        """One model as the list shows it.

        Raises:
            NoSuchModel: the account has none of this id.
        """
        for model in self.models():
            if model.model_id == model_id:
                return model
        raise NoSuchModel(f"the account has no model {model_id}", "astica-sync models lists them.")

    def view(self, model_id: int) -> Observation:
        """All classes and samples of a model.

        Raises:
            NotAnObservation: the answer does not add up.
        """
        return self._service.view(model_id)[0]

    def upload(self, model_id: int, class_title: str, image: bytes | Path, uid: str = "") -> None:
        """Sends one PNG or JPEG into a class, which is made where it does not exist.

        Raises:
            OutcomeUnknown: the answer was lost; only a ``view`` tells whether the sample is there.
            RemoteError: see ``outcome``.
        """
        data = image if isinstance(image, bytes) else image.read_bytes()
        self._service.upload(self._service.wait_for_permit(Lane.INTERACTIVE), model_id, class_title, uid, data)

    def train(self, model_id: int) -> None:
        """Starts a training; a new version shows in ``model`` some minutes later."""
        self._service.train(model_id)

    def detect(self, model_id: int, version: str, image: bytes | Path) -> Detection:
        """What one version of a model sees in an image."""
        return self._service.detect(model_id, version, image if isinstance(image, bytes) else image.read_bytes())

    def remove_sample(self, sample_id: int) -> None:
        """Removes one sample for good; the service gives none back."""
        self._service.remove_sample(self._service.wait_for_permit(Lane.REMOVAL), sample_id)

    def remove_class(self, class_id: int) -> None:
        """Removes a class and all that is in it, for good."""
        self._service.remove_class(self._service.wait_for_permit(Lane.REMOVAL), class_id)

    def remove_model(self, model_id: int) -> None:
        """Removes a model and all that is in it, for good."""
        self._service.remove_model(model_id)
