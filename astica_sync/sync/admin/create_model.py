"""Making a model, exactly once.

``create`` answers without an id, so the account is listed before and after, and the new model is the one that was not
there before. What was there before is written down first: a second attempt after a crash finds the first model
instead of making another.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from astica_sync.clock import Clock
from astica_sync.core.model import ModelInfo
from astica_sync.errors import OutcomeUnknown, RemoteError, StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.remote.service import Service

LIST_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """The model somebody wants; the words of the documentation's create call."""

    title: str
    type: str
    purpose: str
    tags: str = ""


def create_model(
    service: Service,
    wish: ModelRequest,
    intent: Path,
    *,
    fs: FileSystem,
    clock: Clock,
    quarantine: float,
    tell: Callable[[str], None],
) -> ModelInfo:
    """Makes the model and finds its id.

    ``intent`` is the file that remembers the attempt. It stays until the caller has the id where it must be, and calls
    ``forget_attempt``: until then the same call finds the same model.

    Raises:
        StoreError: an attempt for another model is open there.
        RemoteError: the model cannot be told from others; the message names them.
    """
    before = _open_attempt(intent, wish, fs)
    if before is not None:
        tell(f"An attempt to make {wish.title!r} was interrupted; looking for what became of it")
        found = _appeared(service, wish, before)
        if found is None:
            found = _wait_for(service, wish, before, clock, quarantine)
        if found is not None:
            return found
        # Whoever wrote it may have died before its name was durable.
        fs.sync_folder(intent.parent)
    else:
        before = {model.model_id for model in service.models()}
        state = {"title": wish.title, "before": sorted(before)}
        fs.make_folder(intent.parent)
        fs.write_synced(intent, [json.dumps(state).encode()])
    try:
        service.create_model(wish.title, wish.type, wish.purpose, wish.tags)
    except OutcomeUnknown:
        tell("The answer was lost; looking for the new model")
    except RemoteError:
        forget_attempt(intent, fs)
        raise
    found = _wait_for(service, wish, before, clock, quarantine)
    if found is None:
        raise RemoteError(
            f"the service does not list the new model {wish.title!r}",
            "Give the same command again: it looks first and makes no second model.",
        )
    return found


def forget_attempt(intent: Path, fs: FileSystem) -> None:
    """Ends an attempt: the model's id is written down elsewhere, or nothing was made. Takes the folder with it that
    was made for the file alone."""
    fs.remove(intent)
    with contextlib.suppress(OSError):
        intent.parent.rmdir()


def _open_attempt(intent: Path, wish: ModelRequest, fs: FileSystem) -> set[int] | None:
    try:
        with fs.open_read(intent) as file:
            state = json.loads(file.read())
        title, before = state["title"], {int(model_id) for model_id in state["before"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            f"{intent} should tell of an attempt to make a model and cannot be read",
            "Look at astica-sync models whether the model is there, remove the file, and init with --model ID.",
        ) from None
    if title != wish.title:
        raise StoreError(
            f"an attempt to make the model {title!r} was interrupted here",
            f"Give that title once more to finish it, or remove {intent}.",
        )
    return before


def _appeared(service: Service, wish: ModelRequest, before: set[int]) -> ModelInfo | None:
    fresh = [model for model in service.models() if model.model_id not in before]
    mine = [model for model in fresh if model.title.strip() == wish.title.strip()]
    if len(mine) > 1:
        names = ", ".join(str(model.model_id) for model in mine)
        raise RemoteError(
            f"more than one new model is called {wish.title!r}: {names}",
            "Look at them on the service's page and name the right one with --model ID.",
        )
    return mine[0] if mine else None


def _wait_for(
    service: Service, wish: ModelRequest, before: set[int], clock: Clock, quarantine: float
) -> ModelInfo | None:
    """Lists until the model shows; a list that lags, or a request the service is still at, gets the quarantine.

    None when a list that was asked for after it has no such model.

    Raises:
        OutcomeUnknown: for as long again no list came, so nothing can be said.
    """
    settled = clock.now() + quarantine
    pause = LIST_AGAIN
    while True:
        asked_at = clock.now()
        try:
            found = _appeared(service, wish, before)
            if found is not None or asked_at >= settled:
                return found
        except OutcomeUnknown:
            if asked_at >= settled + quarantine:
                raise
        rest = settled - clock.now()
        clock.sleep(min(pause, rest) if rest > 0 else pause)
        pause = min(pause * 2, 15.0)
