"""The switches of a sandbox: the behaviour that the documentation of the service leaves open."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from astica_sync.sandbox.image_input import MAX_BYTES, MAX_SIDE


def choice(meaning: str, *choices: str) -> Any:
    """A field of a dataclass with one of these values; the first one is the default."""
    return field(default=choices[0], metadata={"help": meaning, "choices": choices})


def setting(meaning: str, default: object) -> Any:
    """A field of a dataclass with any value of its type."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, slots=True)
class Switches:
    """One field for each behaviour of the service that its documentation leaves open; the first choice is the default.

    Raises:
        ValueError: a value is not one of the choices; the message lists them.
    """

    error_status: str = choice("HTTP status of an answer with status ERROR", "200", "4xx")
    error_texts: str = choice("whether an error repeats the class title and the uid that were sent", "short", "repeat")
    limit_refusal: str = choice(
        "how a request over the limit is refused: as one per minute, or (quota-text) as the limit of a month",
        "429",
        "429-retry-after",
        "error-text",
        "quota-text",
    )
    repeated_uids: str = choice("the effect of an upload with a uid that exists", "allow", "refuse", "replace")
    empty_class: str = choice("whether a class without samples stays or is removed", "stays", "goes")
    titles: str = choice(
        "which class titles are the same class: exactly equal ones (exact), or also those that differ in case or outer "
        "spaces (fold); nfc and nfd: the service stores titles in that Unicode form; html: with &, <, > and quotes as "
        "entities",
        "exact",
        "fold",
        "nfc",
        "nfd",
        "html",
    )
    integers: str = choice("how integers are written in answers", "int", "string")
    untrained: str = choice("the version fields of an untrained model", "empty", "missing", "null")
    list_counts: str = choice("whether a list of models has the counts of classes and samples", "shown", "missing")
    model_list: str = choice(
        "whether /model/list exists, in addition to /model/view without a model id", "known", "unknown"
    )
    version_form: str = choice("the form of a version name: 1001_20001 or 20230710_212503", "number", "date")
    confidence: str = choice('the form of a confidence: "97.5", 97.5 or "97.5%"', "string", "number", "percent")
    training: str = choice(
        "whether a training makes a version, fails without a version, or is refused", "works", "fails", "refused"
    )
    training_time: float = setting("seconds that a training takes at least", 0.0)
    urls: str = choice("whether an https URL as input is refused or fetched", "refused", "fetched")
    view_lag: float = setting("seconds until a view shows a change", 0.0)
    sample_list_lag: float = setting("seconds that the lists of a view are behind its counts", 0.0)
    list_lag: float = setting("seconds until a list of models shows a change", 0.0)
    uid_length: int | None = setting("characters of a uid that are kept (none: all)", None)
    limit_header: str = choice(
        "whether each answer names the limit in the header RateLimit-Policy (the command sandbox shows it)",
        "hidden",
        "shown",
    )
    invalid_image: str = setting("the error text for an input that is not a PNG or JPEG image", "Invalid image")
    largest_image: int = setting("bytes of the largest image that is accepted", MAX_BYTES)
    largest_side: int = setting("pixels of the longest side that is accepted", MAX_SIDE)
    orientation: str = choice(
        "whether the orientation tag of a JPEG is ignored or turns the image, in training and detection",
        "ignored",
        "turned",
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            choices = one.metadata.get("choices")
            value = getattr(self, one.name)
            if choices and value not in choices:
                raise ValueError(f"switch {one.name} is one of {', '.join(choices)}, not {value!r}")
        if min(self.view_lag, self.sample_list_lag, self.list_lag) < 0:
            raise ValueError("a lag cannot be negative")
        if self.training_time < 0:
            raise ValueError("switch training_time cannot be negative")
        if self.uid_length is not None and self.uid_length < 1:
            raise ValueError("switch uid_length is at least 1")
        if min(self.largest_image, self.largest_side) < 1:
            raise ValueError("the switches largest_image and largest_side are at least 1")

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Switches from texts such as ``{"titles": "fold", "view-lag": "2.5"}``; the rest keep their defaults.

        Raises:
            ValueError: an unknown switch or a value it cannot have.
        """
        known = {one.name for one in fields(cls)}
        values: dict[str, Any] = {}
        for text_name, text in texts.items():
            name = text_name.replace("-", "_")
            if name not in known:
                raise ValueError(f"no switch {text_name!r}; there are {', '.join(sorted(known))}")
            try:
                values[name] = _READERS.get(name, str)(text)
            except ValueError:
                raise ValueError(f"switch {name} is a number, not {text!r}") from None
        return cls(**values)


def _read_length(text: str) -> int | None:
    return None if text.strip().lower() in ("", "none", "all") else int(text)


_READERS: dict[str, Any] = {
    "view_lag": float,
    "sample_list_lag": float,
    "list_lag": float,
    "training_time": float,
    "uid_length": _read_length,
    "largest_image": int,
    "largest_side": int,
}
