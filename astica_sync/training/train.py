"""Starting a training and waiting for the version it makes."""

from collections.abc import Callable

from astica_sync.clock import Clock
from astica_sync.core.sample import ModelInfo
from astica_sync.errors import OutcomeUnknown, RemoteError
from astica_sync.remote.service import Service

SECONDS_PER_SAMPLE = 0.1
"""The documentation's figure for larger vision models (section "Initialize Training")."""

LONGEST = 3600.0
FIRST_LOOK, LONGEST_PAUSE = 1.0, 20.0


def find_model(service: Service, model_id: int) -> ModelInfo:
    """The model as the service describes it now.

    Raises:
        RemoteError: the account has no such model, or did not answer.
    """
    return service.view(model_id)[0].model


def is_newer(before: ModelInfo, now: ModelInfo) -> bool:
    """Whether a training finished between two looks: the version changed, or else the date of training."""
    if now.version != before.version:
        return bool(now.version)
    return now.trained_at is not None and now.trained_at != before.trained_at


def start_training(service: Service, model_id: int, tell: Callable[[str], None]) -> None:
    """Asks for a training round. A lost answer is no second request: what the service then shows settles it."""
    try:
        service.train(model_id)
    except OutcomeUnknown as error:
        tell(f"{error}; waiting whether a version appears")


def wait_for_version(service: Service, before: ModelInfo, *, clock: Clock, tell: Callable[[float], None]) -> ModelInfo:
    """Looks at the model until it has a version it did not have ``before``; ``tell`` hears the seconds waited.

    Raises:
        RemoteError: none appeared within an hour.
    """
    started = clock.now()
    pause = FIRST_LOOK
    while True:
        clock.sleep(pause)
        now = find_model(service, before.model_id)
        if is_newer(before, now):
            return now
        waited = clock.now() - started
        tell(waited)
        if waited > LONGEST:
            raise RemoteError(
                "the training has not finished within an hour",
                "It may go on at the service; astica-sync models show tells when a version is there.",
            )
        pause = min(pause * 1.5, LONGEST_PAUSE)
