"""What the service holds besides samples: the models of the account, and trainings, each of which makes a version."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.oracle_versions import Asking

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Terms:
    """How the service trains in one walk. ``shows`` says by what a version is known: "both", its "name" or its "date";
    ``takes`` how many seconds a training takes at least and at most; ``lag`` how old the answers about it may be;
    ``listed`` whether ``/model/list`` is known, ``list_tells`` whether a list shows versions."""

    seed: int
    shows: str = "both"
    takes: tuple[float, float] = (1.0, 60.0)
    lag: float = 0.0
    listed: bool = True
    list_tells: bool = True


@dataclass(slots=True)
class Training:
    """One training. ``asking`` is the request it came of, None for one from the vendor's page; ``extra`` says that no
    promise covers it, since the request was carried out a second time, or very late; ``held`` are the contents of the
    samples that the service had then."""

    number: int
    name: str
    date: int
    finished: float
    asking: "Asking | None"
    extra: bool
    held: frozenset[str] = frozenset()

    def key(self, shows: str) -> tuple[str, int]:
        """What the service shows of its version."""
        return ("" if shows == "date" else self.name, 0 if shows == "name" else self.date)


@dataclass(slots=True)
class Model:
    model_id: int
    title: str
    made: float
    origin: str
    extra: bool


@dataclass(frozen=True, slots=True)
class Reported:
    """What an answer tells: the version of the model, as ``Training.key``, and the models that were listed."""

    version: tuple[str, int] | None
    models: tuple[Model, ...] | None = None


@dataclass(slots=True)
class Account:
    world: World
    terms: Terms
    trainings: list[Training] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    draw: random.Random = field(init=False)
    contents: Callable[[], frozenset[str]] = frozenset
    """The contents of the samples that the service has."""
    odd_date: Any = None
    """What is shown in place of the date of the version."""

    def __post_init__(self) -> None:
        self.draw = random.Random(self.terms.seed)

    def perform(self, path: str, fields: dict[str, Any], origin: str, late: bool) -> Answer:
        """Trains, or makes a model; a request that is carried out twice does it twice."""
        extra = late or "executed" in fields
        fields["executed"] = True
        if path == "/model/model_train":
            self.train(fields.get("asking"), extra)
        else:
            self.models.append(Model(9000 + len(self.models), fields["dataset_title"], self.world.time, origin, extra))
        return 200, {}, b'{"status": "OK"}'

    def train(self, asking: "Asking | None", extra: bool) -> Training:
        number = len(self.trainings) + 1
        finished = self.world.time + self.draw.uniform(*self.terms.takes)
        # One training after the other, and the date tells them apart.
        finished = max(finished, self.trainings[-1].finished + 1.0 if self.trainings else 0.0)
        training = Training(number, f"7_{number}", int(finished), finished, asking, extra, self.contents())
        self.trainings.append(training)
        return training

    def reported(self, listing: bool) -> Reported:
        """What an answer of this moment tells of the version, and of the models where it is a list."""
        when = self.world.time - (self.draw.random() * self.terms.lag if self.terms.lag else 0.0)
        last = next((each for each in reversed(self.trainings) if each.finished <= when), None)
        version = last.key(self.terms.shows) if last and (self.terms.list_tells or not listing) else None
        models = tuple(model for model in self.models if model.made <= when) if listing else None
        return Reported(version, models)

    def fields(self, reported: Reported, number: Callable[[int], Any]) -> dict[str, Any]:
        """The version in the words of the documentation."""
        if reported.version is None:
            return {"trained": number(0), "model_version": "", "date_trained": number(0)}
        name, date = reported.version
        shown: dict[str, Any] = {"trained": number(1)}
        if name:
            shown["model_version"] = name
        if date:
            shown["date_trained"] = number(date) if self.odd_date is None else self.odd_date
        return shown

    def list_body(self, reported: Reported, model: int, number: Callable[[int], Any]) -> bytes:
        listed = [{"id": number(model), "title": "m", **(self.fields(reported, number) if reported.version else {})}]
        listed += [{"id": number(each.model_id), "title": each.title} for each in reported.models or ()]
        return json.dumps({"status": "OK", "dataset_list": listed}).encode()
