"""The documented calls, one method each. A method sends one request, once: no waiting and no repeating in here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from astica_sync.clock import Clock
from astica_sync.core.model import LARGEST_ID, ModelInfo, Observation
from astica_sync.core.view.uid_repair import UidRepair
from astica_sync.errors import OutcomeUnknown, Refused
from astica_sync.remote.http import Answer, ExchangeLimits, HttpClient
from astica_sync.remote.request_body import RequestBody
from astica_sync.secret import Secret

if TYPE_CHECKING:
    # What reads answers is loaded with the first one: a command that asks for nothing starts sooner without.
    from astica_sync.remote.responses import Detection

Fields = Mapping[str, str | int]

SECONDS = 30.0
BYTES_PER_SECOND = 50_000
VIEW = ExchangeLimits(seconds=900.0, quiet_seconds=120.0, answer_bytes=512_000_000)
"""A view may be 100 MB over a slow line, after a while of silence in which the service gathers it."""

_PNG = b"\x89PNG\r\n\x1a\n"


def seconds_for(image: int) -> float:
    """The longest an exchange may take that sends an image of so many bytes."""
    return SECONDS + image * 4 / 3 / BYTES_PER_SECOND


class Client:
    """Speaks to the two endpoints. For any number of threads.

    Every method raises a ``RemoteError`` (see ``astica_sync.errors``) whose ``outcome`` says what it proves.

    Raises:
        ConfigError: an address would show the key to the network.
    """

    def __init__(self, key: Secret, train_url: str, detect_url: str, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._train = HttpClient(train_url)
        self._detect = self._train if detect_url.rstrip("/") == self._train.url else HttpClient(detect_url)

    def create_model(self, title: str, model_type: str, purpose: str, tags: str = "") -> None:
        """Makes a model. The answer does not say its id."""
        fields = {"dataset_title": title, "dataset_type": model_type, "dataset_purpose": purpose, "dataset_tags": tags}
        self._call(self._train, "/model/create", fields)

    def list_models(self) -> list[ModelInfo]:
        """The account's models, by the call the vendor's own clients use; not every service may know it."""
        from astica_sync.remote.responses import parse_models

        body = self._call(self._train, "/model/list", {}, bounds=VIEW)
        return parse_models(body)

    def list_models_by_view(self) -> list[ModelInfo]:
        """The account's models, by the documented call: a view without a model id."""
        from astica_sync.remote.responses import parse_models

        body = self._call(self._train, "/model/view", {}, bounds=VIEW)
        return parse_models(body)

    def view_model(self, model_id: int, spelling: UidRepair | None = None) -> tuple[Observation, bytes]:
        """One observation, and the answer it was read from; ``spelling`` completes uids that the service has cut.

        Raises:
            NotAnObservation: nothing may be concluded from the answer.
        """
        from astica_sync.remote.responses import parse_view

        asked_at = self._clock.now()
        fields = {"model_id": _checked(model_id)}
        body = self._call(self._train, "/model/view", fields, bounds=VIEW)
        return parse_view(body, model_id, asked_at, spelling), body

    def upload_sample(self, model_id: int, class_title: str, uid: str, image: bytes) -> None:
        """Sends one image into a class, which the service makes where it does not exist."""
        fields: Fields = {"model_id": _checked(model_id), "model_class": class_title, "uid": uid}
        self._call(self._train, "/model/upload", fields, image=image)

    def train_model(self, model_id: int) -> None:
        """Starts a training round; a new model version comes of it some minutes later."""
        self._call(self._train, "/model/model_train", {"model_id": _checked(model_id)})

    def remove_sample(self, sample_id: int) -> None:
        """Removes one sample by its id; never by a uid, which may be on several."""
        self._call(self._train, "/model/sample_remove", {"sample_id": _checked(sample_id), "sample_uid": ""})

    def remove_class(self, class_id: int) -> None:
        """Removes a class and everything in it."""
        self._call(self._train, "/model/class_remove", {"class_id": _checked(class_id)})

    def remove_model(self, model_id: int) -> None:
        """Removes a model and everything in it."""
        self._call(self._train, "/model/model_remove", {"model_id": _checked(model_id)})

    def detect(self, model_id: int, version: str, image: bytes) -> "Detection":
        """What one version of a model sees in an image."""
        from astica_sync.remote.responses import parse_detection

        fields: Fields = {"model_id": _checked(model_id), "model_version": version}
        kind = "png" if image.startswith(_PNG) else "jpeg"
        body = self._call(self._detect, "/detect", fields, image=image, image_prefix=f"data:image/{kind};base64,")
        found = parse_detection(body)
        if found is None:
            raise OutcomeUnknown(f"{_host(self._detect)} answered OK without an output", "Ask again later.")
        return found

    def close(self) -> None:
        self._train.close()
        self._detect.close()

    def _call(
        self,
        connection: HttpClient,
        path: str,
        fields: Fields,
        *,
        image: bytes | None = None,
        image_prefix: str = "",
        bounds: ExchangeLimits | None = None,
    ) -> bytes:
        # Loaded with the first request: a command that sends none need not know how one can fail.
        from astica_sync.remote.outcome import classify

        body = _body(self._key, fields, image, image_prefix)
        outcome = connection.post(
            path, body, bounds or ExchangeLimits(seconds_for(len(image or b"")), SECONDS, 1_000_000)
        )
        error = classify(outcome, host=_host(connection), key=self._key, now=self._clock.now())
        if error is not None:
            raise error
        assert isinstance(outcome, Answer)
        return outcome.body


def _body(key: Secret, fields: Fields, image: bytes | None, image_prefix: str) -> RequestBody:
    try:
        return RequestBody(key, fields, image, image_prefix)
    except UnicodeEncodeError:
        reason = "a title or uid cannot be written as UTF-8"
    raise Refused(reason, "Rename the folder.")


def _host(connection: HttpClient) -> str:
    return urlsplit(connection.url).netloc


def _checked(number: int) -> int:
    if isinstance(number, bool) or not 0 < number <= LARGEST_ID:
        raise ValueError(f"not an id of the service: {number!r}")
    return number
