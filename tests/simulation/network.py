"""The way to the service and back, with everything that can go wrong on it.

Stands below the real client: requests arrive as the bytes of their body, and what comes back is an HTTP answer or
silence. What a fault proves to the sender of the request is noted with it, for the oracle.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from astica_sync.clock import Clock
from astica_sync.remote.client import ServiceClient
from astica_sync.remote.http_exchange import Answer, ExchangeLimits, NoAnswer
from astica_sync.secret import Secret
from tests.simulation.account import Reported
from tests.simulation.service import MODEL, Service, View
from tests.simulation.world import Process, World

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle

KEY = "canary-key"
_PAGE = (200, {}, b"<html><title>Log in</title></html>")

CHANGE_FAULTS = (
    "unreachable", "slow", "lost before", "lost after", "late", "twice", "twice late", "5xx before", "5xx after",
    "page before", "page after", "cut after", "ok under 500", "limit", "refusal", "stumble before", "stumble after",
    "bad key", "redirect", "proxy",
)  # fmt: skip
VIEW_FAULTS = (
    "unreachable", "slow", "lost before", "5xx before", "page before", "stumble before", "limit", "bad key", "redirect",
    "cut view", "list view", "partial view", "other model", "no dataset", "no counts",
)  # fmt: skip
_LOOKS = ("/model/view", "/model/list")
OUTSIDE = ("very late", "empty view")
"""Faults no promise covers wholly: an execution after the quarantine, a view that lies and adds up."""


@dataclass(slots=True)
class Faults:
    """What can go wrong in one walk, and how often. ``reach`` is how late the service may still act, in seconds."""

    kinds: frozenset[str] = frozenset()
    rate: float = 0.0
    reach: float = 30.0

    def draw(self, draw: random.Random, path: str) -> str:
        if not self.rate or draw.random() >= self.rate:
            return ""
        possible = VIEW_FAULTS + OUTSIDE[1:] if path in _LOOKS else CHANGE_FAULTS + OUTSIDE[:1]
        kinds = [kind for kind in possible if kind in self.kinds]
        return draw.choice(kinds) if kinds else ""


class Reply:
    """An answer on its way, with what it proves: "done", "not done", "refused", or "unknown"."""

    __slots__ = ("asked", "outcome", "proof", "reported", "view")

    def __init__(
        self, outcome: Answer | NoAnswer, proof: str, view: View | None = None, reported: Reported | None = None
    ) -> None:
        self.outcome = outcome
        self.proof = proof
        self.view = view
        self.reported = reported
        self.asked = 0.0


class SimConnection:
    """``astica_sync.remote.http_exchange.HttpClient`` for one process."""

    url = "https://sim.invalid"
    host = "sim.invalid"

    def __init__(
        self, process: Process, machine: Any, service: Service, faults: Faults, oracle: "Oracle", draw: random.Random
    ) -> None:
        self._process = process
        self._machine = machine
        self._service = service
        self._faults = faults
        self._oracle = oracle
        self._world: World = process.world
        self.draw = draw
        self.scripted: dict[int, str] = {}
        """The fault of the nth request, for sweeps."""
        self.posts = 0

    def close(self) -> None:
        pass

    def post(self, path: str, body: Any, limits: ExchangeLimits) -> Answer | NoAnswer:
        process, world, draw = self._process, self._world, self.draw
        process.effect("send")
        fields = msgspec.json.decode(b"".join(body))
        self.posts += 1
        fault = self.scripted.get(self.posts) or self._service.trouble or self._faults.draw(draw, path)
        if fault == "unreachable":
            world.tell(lambda: f"{process.name}: {_name(path, fields)}: unreachable")
            process.wait(world.time + draw.random())
            return NoAnswer(False, "connection refused")
        asked = world.time
        process.posts += 1
        self._oracle.sending(process, path, fields)
        world.tell(lambda: f"{process.name}: {_name(path, fields)}{f'  [{fault}]' if fault else ''}")
        wake = process.waker()
        box: list[Reply] = []

        def deliver(reply: Reply) -> None:
            if not box:
                box.append(reply)
                wake()

        self._travel(path, fields, fault, limits, deliver)
        process.pause()
        process.effect("answered")
        reply = box[0]
        reply.asked = asked
        self._oracle.delivered(process, path, fields, reply)
        return reply.outcome

    def _travel(
        self, path: str, fields: dict[str, Any], fault: str, limits: ExchangeLimits, deliver: Callable[[Reply], None]
    ) -> None:
        world, draw, service = self._world, self.draw, self._service
        sent, boot = world.time, self._machine.boots
        way = draw.uniform(1.0, 20.0) if fault == "slow" else draw.random() * 0.3

        def arrive() -> None:
            if self._machine.boots != boot:
                return
            if not service.arrive(self._machine.name) or fault == "limit":
                back(_answer(service.refuse_for_limit(draw)), "not done")
            elif path in _LOOKS:
                self._look(fault, back, path, "model_id" not in fields)
            else:
                self._change(path, fields, fault, sent, back)

        def back(outcome: Answer, proof: str, view: View | None = None, reported: Reported | None = None) -> None:
            world.at(world.time + draw.random() * 0.3, lambda: deliver(Reply(outcome, proof, view, reported)))

        arrives = fault != "lost before" or draw.random() < 0.5
        if fault in ("lost before", "lost after", "late", "very late") or (
            fault == "twice late" and draw.random() < 0.5
        ):
            silent_at = sent + way + draw.choice((0.1, min(20.0, limits.seconds - way), draw.random() * 5))
            world.at(silent_at, lambda: deliver(Reply(NoAnswer(True, "timed out"), "unknown")))
            back = _nowhere
        if arrives:
            world.at(sent + way, arrive)

    def _change(
        self, path: str, fields: dict[str, Any], fault: str, sent: float, back: Callable[[Answer, str], None]
    ) -> None:
        world, draw, service = self._world, self.draw, self._service
        process = self._process

        def act(late: bool = False, again: bool = False) -> Answer:
            made = len(service.ever)
            # A removal that is carried out once more, when its id is another sample's by now, is no act of this store.
            stray = path == "/model/sample_remove" and service.is_made_since(fields["sample_id"], sent)
            answer = _answer(service.perform(path, fields, process.store_name, late or stray))
            for sample in service.ever[made:]:
                sample.again = again
            world.tell(lambda: f"  service: {_name(path, fields)} is done{' very late' if late else ''}")
            return answer

        if fault in ("lost before", "5xx before", "page before", "stumble before"):
            failures = {
                "5xx before": (503, {}, b"unavailable"),
                "page before": _PAGE,
                "stumble before": service.error("Internal error, try again"),
            }
            if fault in failures:
                back(_answer(failures[fault]), "unknown")
        elif fault in ("refusal", "bad key", "redirect", "proxy"):
            refusals = {
                "refusal": (service.error(self._refusal(fields)), "refused"),
                "bad key": (service.error("Invalid API key"), "not done"),
                "redirect": ((302, {"location": "https://elsewhere.invalid"}, b""), "refused"),
                "proxy": ((403, {}, b"<html>no</html>"), "refused"),
            }
            answer, proof = refusals[fault]
            back(_answer(answer), proof)
        elif fault == "late":
            world.at(sent + max(world.time - sent, draw.random() * self._faults.reach), act)
        elif fault == "very late":
            world.at(sent + 62 + draw.random() * 200, lambda: act(late=True))
        else:
            answer = act()
            proof = "done" if b"OK" in answer.body else "refused"
            if fault in ("twice", "twice late"):
                again = world.time if fault == "twice" else sent + draw.random() * self._faults.reach
                world.at(max(again, world.time), lambda: act(again=True))
            if fault in ("5xx after", "page after", "cut after", "ok under 500", "stumble after", "lost after"):
                proof = "unknown"
                answer = {
                    "5xx after": Answer(502, {}, b"bad gateway"),
                    "page after": _answer(_PAGE),
                    "cut after": Answer(200, {}, answer.body[:7]),
                    "ok under 500": Answer(500, {}, answer.body),
                    "stumble after": _answer(service.error("Internal error")),
                }.get(fault, answer)
            back(answer, proof)

    def _refusal(self, fields: dict[str, Any]) -> str:
        """Why a request is refused; a service may repeat what was sent."""
        if self._service.repeats_titles and "model_class" in fields:
            return f"This image cannot be used in the class {fields['model_class']}"
        return "This image cannot be used"

    def _look(self, fault: str, back: Callable[..., None], path: str, listing: bool) -> None:
        service, draw = self._service, self.draw
        failures = {
            "lost before": (503, {}, b""),
            "5xx before": (503, {}, b"unavailable"),
            "page before": _PAGE,
            "stumble before": service.error("Internal error"),
            "bad key": service.error("Invalid API key"),
            "redirect": (302, {"location": "https://elsewhere.invalid"}, b""),
            "list view": (200, {}, b'{"status": "OK", "dataset_list": [{"id": 7, "title": "m"}]}'),
            "no dataset": (200, {}, b'{"status": "OK", "dataset": {}}'),
        }
        if fault in failures and not (listing and fault == "list view"):
            back(_answer(failures[fault]), "unknown")
            return
        reported = service.account.reported(listing) if service.account else None
        if listing:
            assert service.account is not None and reported is not None
            if path == "/model/list" and not service.account.terms.listed:
                back(_answer(service.error("Unknown endpoint")), "refused")
                return
            body = service.account.list_body(reported, MODEL, service.number)
            if fault in ("cut view", "partial view"):
                body, reported = body[: draw.randint(0, len(body) - 1)], None
            back(Answer(200, {}, body), "done", None, reported)
            return
        listed, seen = service.view(draw)
        body = service.view_body(listed, reported=reported)
        if fault == "empty view":
            back(Answer(200, {}, service.view_body(())), "done", ())
            self._oracle.lied()
        elif fault == "cut view":
            back(Answer(200, {}, body[: draw.randint(0, len(body) - 1)]), "unknown")
        elif fault == "other model":
            back(Answer(200, {}, service.view_body(listed[:1], MODEL + 1)), "unknown")
        elif fault == "no counts":
            back(Answer(200, {}, body.replace(b"num", b"Num")), "unknown")
        elif fault == "partial view" and seen:
            back(Answer(200, {}, _without_some(body, draw)), "unknown")
        elif counts := service.ahead(listed):
            self._oracle.ran_ahead(self._process)
            back(Answer(200, {}, _with_counts(body, counts)), "unknown", None, reported)
        else:
            back(Answer(200, {}, body), "done", seen, reported)


class SimClient(ServiceClient):
    """The real client over the simulated connection."""

    def __init__(self, connection: SimConnection, clock: Clock) -> None:
        self._key = Secret(KEY)
        self._clock = clock
        self._train = self._detect = connection  # type: ignore[assignment]


def _without_some(body: bytes, draw: random.Random) -> bytes:
    """The same counts over fewer samples: what a service shows that could not gather them all."""
    view = json.loads(body)
    filled = [entry for entry in view["dataset"]["class_list"] if entry["samples"]]
    entry = draw.choice(filled)
    entry["samples"].pop(draw.randrange(len(entry["samples"])))
    return json.dumps(view).encode()


def _with_counts(body: bytes, counts: tuple[int, int]) -> bytes:
    view = json.loads(body)
    view["dataset"]["numClass"], view["dataset"]["numSample"] = counts
    return json.dumps(view).encode()


def _answer(parts: tuple[int, dict[str, str], bytes]) -> Answer:
    return Answer(*parts)


def _nowhere(*_: Any) -> None:
    """Where the answer to a lost request goes."""


def _name(path: str, fields: dict[str, Any]) -> str:
    if path == "/model/upload":
        return f"upload {fields['uid'][:6]}..{fields['uid'][32:]} into {fields['model_class']!r}"
    if path == "/model/sample_remove":
        return f"remove sample {fields['sample_id']}"
    if path == "/model/class_remove":
        return f"remove class {fields['class_id']}"
    if path in ("/model/model_train", "/model/create"):
        return f"train {fields['model_id']}" if "model_id" in fields else f"create {fields['dataset_title']!r}"
    if path == "/detect":
        return f"detect with version {fields['model_version']}"
    return "view" if "model_id" in fields else "list"
