"""The documented service in memory: classes, samples, the limit, and every undocumented habit as a switch."""

import functools
import json
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from astica_sync.core.model import CONTENT_LENGTH
from tests.simulation.account import Account, Reported, Terms
from tests.simulation.world import World

MODEL = 7


@dataclass(slots=True)
class Switches:
    """Habits of the service; see the brief, section 6. ``lag`` is how many seconds a view may be behind."""

    errors_4xx: bool = False
    limit_refusal: str = "429"
    repeated_uids: str = "allow"
    empty_class_stays: bool = True
    titles_fold: bool = False
    integers_as_strings: bool = False
    uid_length: int = 100
    lag: float = 0.0
    ids_reused: bool = False
    newest_class: bool = False


@dataclass(slots=True)
class Sample:
    """One sample on the service. ``uid`` is what the service kept of what was sent; ``origin`` is who sent it;
    ``late`` that it was made so long after its sending that no promise covers it; ``size`` is in megabytes,
    ``made`` is when; ``forged`` that its uid is one of ours, and its bytes are not; ``again`` that a request
    made it which was carried out before."""

    sample_id: int
    uid: str
    origin: str
    late: bool = False
    size: float = 0.0
    made: float = 0.0
    forged: bool = False
    again: bool = False


@dataclass(slots=True)
class Class:
    class_id: int
    title: str
    samples: list[Sample] = field(default_factory=list)


class Seen(NamedTuple):
    """One sample as a view shows it."""

    sample_id: int
    uid: str
    class_id: int
    title: str
    forged: bool = False


Answer = tuple[int, dict[str, str], bytes]
View = tuple[Seen, ...]
Listing = tuple[tuple[int, str, tuple[tuple[int, str, float], ...]], ...]
"""What a view says, class by class: id, title, and the id, uid and size of each sample."""
ODD_NUMBERS = (1e300, -1e300, -1, 0, 2**63, 2**70, "1e400", "-inf", "nan", "12,5", "", None, True, 0.1)
"""What a number of an answer may be that nothing depends on."""


class Service:
    """One account with one model. Requests of each machine are counted, so that the limit can be checked."""

    def __init__(self, world: World, switches: Switches, limit: int, window: float, terms: Terms | None = None) -> None:
        self.world = world
        self.account = Account(world, terms) if terms else None
        self.switches = switches
        self.limit = limit
        self.window = window
        self.classes: list[Class] = []
        self.ever: list[Sample] = []
        """Every sample that was made, removed ones included."""
        self.taken: list[tuple[float, str]] = []
        """When samples or classes were removed, and by whom: "" on the vendor's page."""
        self.arrivals: dict[str, list[float]] = {}
        self.served: list[float] = []
        self.changed: Callable[[], None] = lambda: None
        self.label = ""
        """What its version sees in every image."""
        self.sizes = False
        """Whether a view shows the size of each sample."""
        self.counts_ahead = False
        """Whether the counts of a view are those of this moment, however old its lists are."""
        self.repeats_titles = False
        """Whether a refusal names the class that was sent."""
        self.odd: random.Random | None = None
        """Draws odd numbers for the fields of a view that nothing depends on."""
        self.trouble = ""
        """A fault that every request meets while it lasts."""
        self._next_id = 1000
        self._free_ids: list[int] = []
        self._history: list[tuple[float, Listing, View]] = []
        self._keep_history()
        if self.account is not None:
            self.account.contents = lambda: frozenset(sample.uid[:CONTENT_LENGTH] for _, sample in self.samples())

    @property
    def last_change(self) -> float:
        return self._history[-1][0]

    # The request's moment at the service.

    def arrive(self, machine: str) -> bool:
        """Counts one request; False when it is over the limit."""
        now = self.world.time
        times = self.arrivals.setdefault(machine, [])
        times.append(now)
        if len(times) > self.limit and now - times[-1 - self.limit] < self.window - 1e-6:
            self.world.violate(6, f"{self.limit + 1} requests within {now - times[-1 - self.limit]:.3f} s")
        self.served = [time for time in self.served if time > now - self.window]
        if len(self.served) >= self.limit:
            return False
        self.served.append(now)
        return True

    def refuse_for_limit(self, draw: random.Random) -> Answer:
        kind = self.switches.limit_refusal
        if kind == "text":
            return self.error("Rate limit exceeded: too many requests")
        headers = {"retry-after": str(draw.randint(1, 40))} if kind == "429 with time" else {}
        return 429, headers, b'{"status": "ERROR", "error": "Too many requests"}'

    def error(self, text: str) -> Answer:
        """Refuses a request, in words of its own."""
        status = 400 if self.switches.errors_4xx else 200
        return status, {}, json.dumps({"status": "ERROR", "error": text}).encode()

    def perform(self, path: str, fields: dict[str, Any], origin: str, late: bool = False) -> Answer:
        """Does what a request asks for."""
        if path == "/model/upload":
            return self._upload(fields, origin, late)
        if path == "/model/sample_remove":
            self.taken.append((self.world.time, "" if late else origin))
            return self._remove_sample(int(fields["sample_id"]))
        if path == "/model/class_remove":
            self.taken.append((self.world.time, "" if late else origin))
            return self._remove_class(int(fields["class_id"]))
        if path in ("/model/model_train", "/model/create") and self.account:
            return self.account.perform(path, fields, origin, late)
        if path == "/detect":
            names = (
                [each.name for each in self.account.trainings if each.finished <= self.world.time]
                if self.account
                else []
            )
            if fields["model_version"] not in names:
                return self.error("Unknown model version")
            return 200, {}, json.dumps({"status": "OK", "output": self.label, "confidence": 97.5}).encode()
        raise AssertionError(f"not simulated: {path}")

    def _upload(self, fields: dict[str, Any], origin: str, late: bool) -> Answer:
        uid = fields["uid"][: self.switches.uid_length]
        same = [(entry, sample) for entry in self.classes for sample in entry.samples if sample.uid == uid]
        if same and self.switches.repeated_uids == "refuse":
            return self.error("A sample with this uid exists")
        if same and self.switches.repeated_uids == "replace":
            for entry, sample in same:
                entry.samples.remove(sample)
        self.add(fields["model_class"], uid, origin, late, len(fields["input"]) * 0.75 / 1e6)
        return 200, {}, b'{"status": "OK"}'

    def _remove_sample(self, sample_id: int) -> Answer:
        for entry in self.classes:
            for sample in entry.samples:
                if sample.sample_id == sample_id:
                    entry.samples.remove(sample)
                    if self.switches.ids_reused:
                        self._free_ids.append(sample_id)
                    self._tidy(entry)
                    return 200, {}, b'{"status": "OK"}'
        return self.error("Sample not found")

    def _remove_class(self, class_id: int) -> Answer:
        for entry in self.classes:
            if entry.class_id == class_id:
                self.classes.remove(entry)
                self._keep_history()
                return 200, {}, b'{"status": "OK"}'
        return self.error("Class not found")

    # What happens on the vendor's page, too.

    def add(
        self, title: str, uid: str, origin: str, late: bool = False, size: float = 0.0, *, forged: bool = False
    ) -> Sample:
        kept = self._kept_title(title)
        entries = [entry for entry in self.classes if self._same_title(entry.title, kept)]
        entry = entries[-1 if self.switches.newest_class else 0] if entries else self.add_class(kept)
        sample = Sample(self._new_id(), uid, origin, late, size, self.world.time, forged)
        entry.samples.append(sample)
        self.ever.append(sample)
        self._keep_history()
        return sample

    def add_class(self, title: str) -> Class:
        entry = Class(self._new_id(), title)
        self.classes.append(entry)
        self._keep_history()
        return entry

    def remove(self, sample_id: int) -> None:
        self.taken.append((self.world.time, ""))
        self._remove_sample(sample_id)

    def remove_class(self, class_id: int) -> None:
        self.taken.append((self.world.time, ""))
        self._remove_class(class_id)

    def samples(self) -> list[tuple[Class, Sample]]:
        return [(entry, sample) for entry in self.classes for sample in entry.samples]

    def is_made_since(self, sample_id: int, when: float) -> bool:
        return any(sample.sample_id == sample_id and sample.made > when for _, sample in self.samples())

    # The view.

    def view(self, draw: random.Random) -> tuple[Listing, View]:
        """The model as a view of this moment shows it: as it is, or as it was up to ``lag`` seconds ago."""
        when = self.world.time - (draw.random() * self.switches.lag if self.switches.lag else 0.0)
        for since, listing, seen in reversed(self._history):
            if since <= when:
                return listing, seen
        return self._history[0][1:]

    def view_body(self, listing: Listing, model: int = MODEL, reported: Reported | None = None) -> bytes:
        number = str if self.switches.integers_as_strings else int
        if self.odd is None and (reported is None or self.account is None):
            return _write_view(listing, model, number, self.sizes)
        dataset = _dataset(listing, model, number, self.sizes)
        if reported is not None and self.account:
            dataset |= self.account.fields(reported, number)
        if self.odd is not None:
            _add_odd_numbers(dataset, self.odd)
        return _dump(dataset)

    def ahead(self, listing: Listing) -> tuple[int, int] | None:
        """The counts of a view that are ahead of its lists: of classes and samples; None where they agree."""
        if not self.counts_ahead:
            return None
        counts = len(self.classes), sum(len(entry.samples) for entry in self.classes)
        return None if counts == (len(listing), sum(len(entry[2]) for entry in listing)) else counts

    def number(self, value: int) -> Any:
        return str(value) if self.switches.integers_as_strings else value

    def _keep_history(self) -> None:
        listing = tuple(
            (entry.class_id, entry.title, tuple((one.sample_id, one.uid, one.size) for one in entry.samples))
            for entry in self.classes
        )
        seen = tuple(
            Seen(sample.sample_id, sample.uid, entry.class_id, entry.title, sample.forged)
            for entry in self.classes
            for sample in entry.samples
        )
        now = self.world.time
        while len(self._history) > 1 and self._history[1][0] <= now - 60:
            self._history.pop(0)
        self._history.append((now, listing, seen))
        self.changed()

    def _tidy(self, entry: Class) -> None:
        if not entry.samples and not self.switches.empty_class_stays and entry in self.classes:
            self.classes.remove(entry)
        self._keep_history()

    def _kept_title(self, title: str) -> str:
        return title.strip() if self.switches.titles_fold else title

    def _same_title(self, one: str, other: str) -> bool:
        if self.switches.titles_fold:
            return _fold(one) == _fold(other)
        return one == other

    def _new_id(self) -> int:
        if self._free_ids:
            return self._free_ids.pop()
        self._next_id += 1
        return self._next_id


def _fold(title: str) -> str:
    return unicodedata.normalize("NFC", title).strip().casefold()


@functools.lru_cache(maxsize=32)
def _write_view(listing: Listing, model: int, number: Callable[[int], Any], sizes: bool) -> bytes:
    return _dump(_dataset(listing, model, number, sizes))


def _dump(dataset: dict[str, Any]) -> bytes:
    return json.dumps({"status": "OK", "dataset": dataset}).encode()


def _dataset(listing: Listing, model: int, number: Callable[[int], Any], sizes: bool) -> dict[str, Any]:
    return {
        "id": number(model),
        "title": "m",
        "numClass": number(len(listing)),
        "numSample": number(sum(len(entry[2]) for entry in listing)),
        "class_list": [
            {
                "id": number(class_id),
                "title": title,
                "samples": [
                    {"id": number(sample_id), "uid": uid, "size": size}
                    if sizes
                    else {"id": number(sample_id), "uid": uid}
                    for sample_id, uid, size in inside
                ],
            }
            for class_id, title, inside in listing
        ],
    }


def _add_odd_numbers(dataset: dict[str, Any], draw: random.Random) -> None:
    for name in ("total_size", "date_created"):
        dataset[name] = draw.choice(ODD_NUMBERS)
    for entry in dataset["class_list"]:
        entry["totalSize"] = draw.choice(ODD_NUMBERS)
        for sample in entry["samples"]:
            sample["date_created"] = draw.choice(ODD_NUMBERS)
