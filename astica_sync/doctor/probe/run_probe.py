"""The whole of a probe: the model, the requests about it, its removal, and the facts."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from astica_sync.clock import SystemClock
from astica_sync.config import Settings, machine_state_folder
from astica_sync.core.service_facts.fact import Fact
from astica_sync.core.service_facts.judge import judge
from astica_sync.core.service_facts.probe_log import ProbeLog
from astica_sync.doctor.probe.probe_client import ProbeService, open_probe_service
from astica_sync.doctor.probe.probe_lock import probe_lock
from astica_sync.doctor.probe.probe_model import ProbeModel
from astica_sync.doctor.probe.probe_requests import OVER_LIMIT, Cost, ProbeOptions, ProbeRequests, cost_of, exceed_limit
from astica_sync.errors import AsticaSyncError, Interrupted
from astica_sync.local.service_facts_file import record_name
from astica_sync.secret import Secret
from astica_sync.sync.progress import ProgressListener


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found, and how many requests it sent."""

    facts: dict[str, Fact]
    requests: int


def price_of(options: ProbeOptions, limit: int | None) -> Cost:
    """What a probe costs; ``limit`` is the limit of requests that it exceeds at its end, None where it does not."""
    cost = cost_of(options)
    return cost if limit is None else cost + Cost(limit + OVER_LIMIT, limit + OVER_LIMIT)


def run_probe(
    settings: Settings,
    key: Secret,
    clock: SystemClock,
    listener: ProgressListener,
    options: ProbeOptions,
    *,
    over_limit: bool = False,
    note: Callable[[str], None],
) -> ProbeResult:
    """Tries the service. The many parameters are what a command knows of its user and settings.

    Args:
        over_limit: also send more requests than the limit allows.

    Raises:
        AsticaSyncError: the probe could not be made; what it made was removed, or is named in a note.
    """
    from astica_sync.remote.rate_limiter import limiter_name

    record = machine_state_folder() / record_name(limiter_name(key, settings.train_url))
    with open_probe_service(settings, key, clock, listener) as service, probe_lock(record):
        model = ProbeModel(record, service, clock, settings.quarantine)
        if (left := model.remove_leftover(note)) is not None:
            note(f"Removed model {left} of an earlier probe")
        token = _try_model(service, model, clock, options, note)
        log, requests, limit = ProbeLog(service.client.log), service.requests, service.limit
    if over_limit:
        note("Sending more requests than the limit allows, until one is refused")
        raised = replace(
            settings, limit=limit + OVER_LIMIT, sources={**settings.sources, "limit": "astica-sync doctor --probe"}
        )
        with open_probe_service(raised, key, clock, listener, over_limit=True) as service:
            exceed_limit(service, limit)
            log = ProbeLog([*log, *service.client.log])
            requests += service.requests
    return ProbeResult(judge(log, token), requests)


def _try_model(
    service: ProbeService,
    model: ProbeModel,
    clock: SystemClock,
    options: ProbeOptions,
    note: Callable[[str], None],
) -> str:
    """Makes the model, sends the requests about it and removes it; returns its token."""
    most = service.requests + cost_of(options).most
    model_id, token = model.create(note)
    run = ProbeRequests(service, clock, options, (model_id, token), most)
    try:
        run.run(note)
    except Interrupted:
        _remove(model, model_id, token, note)
        raise Interrupted("stopped", "The probe's model is removed, and nothing was written.") from None
    except BaseException:
        _remove(model, model_id, token, note)
        raise
    _remove(model, model_id, token, note)
    run.ask_for_the_missing()
    return token


def _remove(model: ProbeModel, model_id: int, token: str, note: Callable[[str], None]) -> None:
    try:
        model.remove(model_id, token)
    except AsticaSyncError:
        note(f"Model {model_id} of the probe is still in the account; the next doctor --probe removes it")
        raise
