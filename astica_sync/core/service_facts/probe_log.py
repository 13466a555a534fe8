"""The exchanges of a probe: each request with the step it belongs to, and its answer as it came."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LIST, VIEW, CREATE, UPLOAD, DETECT = "/model/list", "/model/view", "/model/create", "/model/upload", "/detect"


class ProbeStep(StrEnum):
    """What a request of the probe is for. Uploads have steps of their own, see ``probe_uploads``."""

    CREATE = "create"
    LIST_BY_VIEW = "list by view"
    FIRST_VIEW = "first view"
    SETTLED = "settled"
    REMOVE_SAMPLE = "remove sample"
    AFTER_REMOVAL = "after removal"
    TRAIN = "train"
    TRAINED = "trained"
    DETECT_PLAIN = "detect plain"
    DETECT_TAGGED = "detect tagged"
    REMOVE_MODEL = "remove model"
    MISSING_MODEL = "missing model"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        step: a ``ProbeStep``, or the name of an upload.
        path: such as ``/model/view``.
        started: when it was sent, by a clock that never goes back.
        ended: when its answer was complete.
        status: the HTTP status; None where no complete answer came.
        headers: of the answer, with names in small letters.
        body: the JSON of the answer as plain values; None where it is not JSON.
        taken_as: the name of the error that the client made of it, "" where it was served.
        sent_bytes: the size of its image.
    """

    step: str
    path: str
    started: float = 0.0
    ended: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    taken_as: str = ""
    sent_bytes: int = 0

    @property
    def served(self) -> bool:
        return self.taken_as == "" and self.status is not None

    @property
    def is_error(self) -> bool:
        """Whether the service answered with status ERROR."""
        return isinstance(self.body, dict) and str(self.body.get("status", "")).strip().upper() == "ERROR"

    @property
    def error_text(self) -> str:
        """The reason in an answer with status ERROR, "" where there is none."""
        return str(self.body.get("error") or self.body.get("message") or "") if self.is_error else ""


class ProbeLog:
    """The exchanges of one probe, in their order; more may be added."""

    def __init__(self, exchanges: Iterable[Exchange] = ()) -> None:
        self.exchanges: list[Exchange] = list(exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.exchanges)

    def all_of(self, step: str, path: str = "") -> list[Exchange]:
        return [one for one in self.exchanges if one.step == step and path in ("", one.path)]

    def last(self, step: str) -> Exchange | None:
        return next((one for one in reversed(self.exchanges) if one.step == step), None)

    def served(self, step: str) -> bool:
        """Whether the last request of the step was served."""
        one = self.last(step)
        return one is not None and one.served
