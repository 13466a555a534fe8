"""The documented calls of the service, one method each. A method sends one request, once; it never waits or repeats."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from astica_sync.clock import Clock
from astica_sync.core.model import LARGEST_ID, ModelInfo, Observation
from astica_sync.core.observation.cut_uids import UidRepair
from astica_sync.errors import OutcomeUnknown, Refused
from astica_sync.remote.http_exchange import Answer, ExchangeLimits, HttpClient
from astica_sync.remote.request_body import RequestBody
from astica_sync.secret import Secret

if TYPE_CHECKING:
    # What parses answers is loaded with the first one: a command that sends no request starts faster.
    from astica_sync.remote.responses import Detection

Fields = Mapping[str, str | int]

SECONDS = 30.0
BYTES_PER_SECOND = 50_000
SMALL_ANSWER_BYTES = 1_000_000
VIEW = ExchangeLimits(seconds=900.0, idle_seconds=120.0, answer_bytes=512_000_000)
"""A view may be 100 MB over a slow line, and the service may need a while before it sends the first byte."""

TITLES_REMEMBERED = 500

OnPolicy = Callable[[bool, int, float], None]
"""Called with whether it is about detections, how many requests are allowed, and in how many seconds."""

_POLICY = re.compile(r"\bq=(\d{1,9})\b[^,]*?\bw=(\d{1,9})\b")
_PNG = b"\x89PNG\r\n\x1a\n"


def seconds_for(image_bytes: int) -> float:
    """The longest time for an exchange that sends an image of ``image_bytes`` bytes."""
    return SECONDS + image_bytes * 4 / 3 / BYTES_PER_SECOND


class ServiceClient:
    """The two endpoints of the service. For any number of threads.

    Every method raises a ``RemoteError`` (see ``astica_sync.errors``) whose ``outcome`` tells what it proves. The
    titles that the last answers showed are remembered, since an error may repeat any of them.

    Raises:
        ConfigError: an address is not allowed (see ``astica_sync.service_address``).
    """

    _class_titles: tuple[str, ...] = ()
    _model_titles: tuple[str, ...] = ()
    _on_policy: OnPolicy | None = None

    def __init__(
        self, key: Secret, train_url: str, detect_url: str, clock: Clock, on_policy: OnPolicy | None = None
    ) -> None:
        """``on_policy`` is called with what an answer says about the limit of requests."""
        self._on_policy = on_policy
        self._key = key
        self._clock = clock
        self._train = HttpClient(train_url)
        self._detect = self._train if detect_url.rstrip("/") == self._train.url else HttpClient(detect_url)

    @property
    def addresses(self) -> str:
        """The two addresses, as one text that identifies the service."""
        return f"{self._train.url} {self._detect.url}"

    def create_model(self, title: str, model_type: str, purpose: str, tags: str = "") -> None:
        """Creates a model. The answer does not contain its id."""
        fields = {"dataset_title": title, "dataset_type": model_type, "dataset_purpose": purpose, "dataset_tags": tags}
        self._call(self._train, "/model/create", fields)

    def list_models(self) -> list[ModelInfo]:
        """The account's models, by the call that the vendor's own clients use; it is not documented."""
        from astica_sync.remote.responses import parse_models

        return self._remember_models(parse_models(self._call(self._train, "/model/list", {}, limits=VIEW)))

    def list_models_by_view(self) -> list[ModelInfo]:
        """The account's models, by the documented call: a view without a model id."""
        from astica_sync.remote.responses import parse_models

        return self._remember_models(parse_models(self._call(self._train, "/model/view", {}, limits=VIEW)))

    def view_model(self, model_id: int, uid_repair: UidRepair | None = None) -> tuple[Observation, bytes]:
        """One observation, and the answer it was parsed from; ``uid_repair`` completes uids that the service has cut.

        Raises:
            NotAnObservation: the answer is incomplete or contradicts itself.
        """
        from astica_sync.remote.responses import parse_view

        asked_at = self._clock.now()
        fields = {"model_id": _checked(model_id)}
        body = self._call(self._train, "/model/view", fields, limits=VIEW)
        observation = parse_view(body, model_id, asked_at, uid_repair)
        self._class_titles = tuple(entry.title for entry in observation.classes[:TITLES_REMEMBERED])
        return observation, body

    def upload_sample(self, model_id: int, class_title: str, uid: str, image: bytes) -> None:
        """Uploads one image into a class; the service creates the class if there is none."""
        fields: Fields = {"model_id": _checked(model_id), "model_class": class_title, "uid": uid}
        self._call(self._train, "/model/upload", fields, image=image)

    def train_model(self, model_id: int) -> None:
        """Starts a training; a new model version appears some minutes later."""
        self._call(self._train, "/model/model_train", {"model_id": _checked(model_id)})

    def remove_sample(self, sample_id: int) -> None:
        """Removes one sample by its id; never by its uid, which several samples may share."""
        self._call(self._train, "/model/sample_remove", {"sample_id": _checked(sample_id), "sample_uid": ""})

    def remove_class(self, class_id: int) -> None:
        """Removes a class with all its samples."""
        self._call(self._train, "/model/class_remove", {"class_id": _checked(class_id)})

    def remove_model(self, model_id: int) -> None:
        """Removes a model with all its classes and samples."""
        self._call(self._train, "/model/model_remove", {"model_id": _checked(model_id)})

    def detect(self, model_id: int, version: str, image: bytes) -> "Detection":
        """The class that one version of a model detects in an image."""
        from astica_sync.remote.responses import parse_detection

        fields: Fields = {"model_id": _checked(model_id), "model_version": version}
        kind = "png" if image.startswith(_PNG) else "jpeg"
        body = self._call(self._detect, "/detect", fields, image=image, image_prefix=f"data:image/{kind};base64,")
        detection = parse_detection(body)
        if detection is None:
            raise OutcomeUnknown(
                f"{self._detect.host} answered OK, but not with JSON", "Run the same command again later."
            )
        return detection

    def _remember_models(self, models: list[ModelInfo]) -> list[ModelInfo]:
        self._model_titles = tuple(model.title for model in models[:TITLES_REMEMBERED])
        return models

    def close(self) -> None:
        self._train.close()
        self._detect.close()

    def _call(
        self,
        endpoint: HttpClient,
        path: str,
        fields: Fields,
        *,
        image: bytes | None = None,
        image_prefix: str = "",
        limits: ExchangeLimits | None = None,
    ) -> bytes:
        # Loaded with the first request: a command that sends none starts faster.
        from astica_sync.remote.outcome import classify
        from astica_sync.remote.remove_echoes import redact_key

        sent = (*map(str, fields.values()), *self._class_titles, *self._model_titles)
        body = _body(self._key, fields, image, image_prefix)
        limits = limits or ExchangeLimits(seconds_for(len(image or b"")), SECONDS, SMALL_ANSWER_BYTES)
        answer = endpoint.post(path, body, limits)
        error = classify(answer, host=endpoint.host, key=self._key, now=self._clock.now(), sent=sent)
        if error is not None:
            raise error
        assert isinstance(answer, Answer)
        if self._on_policy is not None and (policy := parse_policy(answer.headers.get("ratelimit-policy", ""))):
            self._on_policy(path == "/detect", *policy)
        return redact_key(answer.body, self._key.reveal())


def parse_policy(text: str) -> tuple[int, float] | None:
    """Requests and seconds of a header ``RateLimit-Policy: "default";q=90;w=60`` (an IETF draft); None where it says
    something else."""
    found = _POLICY.search(text[:200])
    return (int(found[1]), float(found[2])) if found else None


def _body(key: Secret, fields: Fields, image: bytes | None, image_prefix: str) -> RequestBody:
    try:
        return RequestBody(key, fields, image, image_prefix)
    except UnicodeEncodeError:
        reason = "a title or uid cannot be written as UTF-8"
    raise Refused(reason, "Rename the class folder.")


def _checked(number: int) -> int:
    if isinstance(number, bool) or not 0 < number <= LARGEST_ID:
        raise ValueError(f"not an id of the service: {number!r}")
    return number
