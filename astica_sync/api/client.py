"""A client for programs and notebooks: one method for each documented call of the service."""

import contextlib
import os
from pathlib import Path
from typing import Self

from astica_sync.clock import SystemClock
from astica_sync.config import load_key, load_settings, user_config_file
from astica_sync.core.model import ModelInfo, Observation
from astica_sync.core.rate_limit import Lane
from astica_sync.errors import AsticaSyncError, ConfigError, NoSuchModel
from astica_sync.open_session import open_service
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.remote.responses import Detection
from astica_sync.secret import Secret
from astica_sync.sync.progress import ProgressListener


class Client:
    """One account of the service. Each call waits for the request budget that all processes of this machine share, and
    is sent once.

    A client knows no store: it writes no backup and no journal, and does not check the outcome after a lost answer.
    For a data set that must not be lost, use ``Store``.

    Args:
        key: the API key; by default from the environment or the keyring.
        train_url: address of the training endpoint; by default from the settings.
        detect_url: address of the detection endpoint; by default from the settings.

    Raises:
        ConfigError: there is no key, or an address would send it unencrypted over the network.
    """

    def __init__(self, key: str | None = None, *, train_url: str | None = None, detect_url: str | None = None) -> None:
        flags: dict[str, object] = {"train_url": train_url, "detect_url": detect_url}
        settings = load_settings(os.environ, user_file=user_config_file(), flags=flags)
        clock = SystemClock()
        self._opened = contextlib.ExitStack()
        self._closed = False
        secret = Secret(key) if key is not None else load_key(os.environ)
        self._open_service: RateLimitedClient = self._opened.enter_context(
            open_service(settings, secret, clock, ProgressListener())
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the client; calling it again does nothing."""
        self._closed = True
        self._opened.close()

    @property
    def _service(self) -> RateLimitedClient:
        if self._closed:
            raise ConfigError("this client is closed", "Make another one: Client().")
        return self._open_service

    @property
    def requests(self) -> int:
        """The number of requests this client has sent."""
        return self._service.requests

    def create_model(self, title: str, *, type: str, purpose: str, tags: str = "") -> None:
        """Creates a model. The answer does not contain its id: compare ``models`` before and after.

        Raises:
            RemoteError: the request failed; ``outcome`` says whether the model may have been created.
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
            NoSuchModel: the account has no model with this id.
        """
        for model in self.models():
            if model.model_id == model_id:
                return model
        raise NoSuchModel(f"the account has no model {model_id}", "List them: astica-sync models")

    def view(self, model_id: int) -> Observation:
        """All classes and samples of a model.

        Raises:
            NotAnObservation: the answer does not add up.
        """
        return self._service.view(model_id)[0]

    def upload(self, model_id: int, class_title: str, image: bytes | str | Path, uid: str = "") -> None:
        """Uploads one PNG or JPEG image into a class, which is created if it does not exist.

        Raises:
            OutcomeUnknown: the answer was lost; only ``view`` shows whether the sample is there.
            RemoteError: the request failed; see ``outcome``.
        """
        data = _read(image)
        self._service.upload(self._service.wait_for_permit(Lane.INTERACTIVE), model_id, class_title, uid, data)

    def train(self, model_id: int) -> None:
        """Starts a training; some minutes later ``model`` shows a new version."""
        self._service.train(model_id)

    def detect(self, model_id: int, version: str, image: bytes | str | Path) -> Detection:
        """Runs one version of a model on an image."""
        return self._service.detect(model_id, version, _read(image))

    def remove_sample(self, sample_id: int) -> None:
        """Removes one sample permanently."""
        self._service.remove_sample(self._service.wait_for_permit(Lane.REMOVAL), sample_id)

    def remove_class(self, class_id: int) -> None:
        """Removes a class and all its samples permanently."""
        self._service.remove_class(self._service.wait_for_permit(Lane.REMOVAL), class_id)

    def remove_model(self, model_id: int) -> None:
        """Removes a model and all its samples permanently."""
        self._service.remove_model(model_id)


def _read(image: bytes | str | Path) -> bytes:
    """The bytes of an image.

    Raises:
        AsticaSyncError: it is a file that cannot be read, or neither a path nor bytes.
    """
    if isinstance(image, bytes):
        return image
    try:
        return Path(image).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AsticaSyncError(f"{image} cannot be read: {reason}", "Pass the path or the bytes of an image.") from error
    except TypeError:
        raise AsticaSyncError("an image is a path or bytes", "Pass the path or the bytes of an image.") from None
