"""Creates a model, exactly once.

The service's ``create`` returns no id. So the models are listed before and after, and the new one is the one that was
not there before. The list of before is written to a file first: a second attempt after a crash finds the model of the
first instead of creating another.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from astica_sync.clock import Clock
from astica_sync.core.model import ModelInfo
from astica_sync.errors import OutcomeUnknown, RemoteError, StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import parse_json
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.shell_quote import quote_path

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 15.0
"""Seconds between two lists of the models."""
NOT_LISTED = "the service does not list the new model yet"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """The model to create; the parameters of the documentation's create call."""

    title: str
    type: str
    purpose: str
    tags: str = ""


@dataclass(frozen=True, slots=True)
class CreationAttempt:
    """The file that remembers an attempt to create a model until ``forget`` is called."""

    path: Path
    fs: FileSystem

    def read(self, request: ModelRequest) -> set[int] | None:
        """The ids of the models that existed before the attempt; None when there is none.

        Raises:
            StoreError: the file cannot be read, or is about a model with another title.
        """
        try:
            with self.fs.open_read(self.path) as file:
                state = parse_json(file.read(1 << 20))
            title, before = state["title"], {int(model_id) for model_id in state["before"]}
            is_ours = state.get("place") == self._place() != ""
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise StoreError(
                f"{self.path} remembers an attempt to create a model and cannot be read",
                "If astica-sync models lists the model, remove the file and run astica-sync init --model ID.",
            ) from None
        if not is_ours:
            # It may have come in an archive, and would make a model of this title that exists already the new one.
            raise StoreError(
                f"{self.path} remembers an attempt to create a model that was not made in this folder by this user",
                "If astica-sync models lists the model, run astica-sync init --model ID instead. Remove the file: "
                f"rm {quote_path(str(self.path))}",
            )
        if title != request.title:
            raise StoreError(
                f"an attempt to create the model {title!r} was interrupted here",
                f"Give the same command with that title to complete it, or remove {self.path}.",
            )
        return before

    def write(self, request: ModelRequest, before: set[int]) -> None:
        is_new = not self.path.parent.exists()
        state = {**asdict(request), "before": sorted(before), "place": self._place()}
        try:
            self.fs.make_folder(self.path.parent)
            self.fs.write_synced(self.path, [json.dumps(state).encode()])
        except OSError:
            if is_new:
                # As on a full disk: an empty folder would be taken for a store that is lost.
                with contextlib.suppress(OSError):
                    self.path.parent.rmdir()
            raise

    def _place(self) -> str:
        """What an archive cannot know: a hash of the path that this user's state folder alone can make."""
        return self.fs.known_stores.seal(str(self.path))

    def sync(self) -> None:
        """Makes durable what a process wrote that may have been killed before it did so itself."""
        self.fs.sync_folder(self.path.parent)

    def forget(self) -> None:
        """Ends the attempt: the model's id is written elsewhere, or no model was created. Removes the file, and its
        folder where nothing else is in it."""
        self.fs.remove(self.path)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def create_model(
    service: RateLimitedClient,
    request: ModelRequest,
    attempt: CreationAttempt,
    *,
    clock: Clock,
    quarantine: float,
    note: Callable[[str], None],
) -> ModelInfo:
    """Creates the model and finds its id.

    The caller writes the id where it belongs, then calls ``attempt.forget``. Until then the same call finds the same
    model.

    Raises:
        StoreError: there is an attempt for another model.
        RemoteError: the service refuses, or lists several new models of this title; the message names them.
    """
    before = attempt.read(request)
    if before is not None:
        note(f"An attempt to create {request.title!r} was interrupted; checking whether the model exists")
        found = find_new_model(service, request, before)
        if found is None:
            found = wait_for_model(service, request, before, clock, quarantine)
        if found is not None:
            return found
        attempt.sync()
    else:
        before = {model.model_id for model in service.models()}
        attempt.write(request, before)
    try:
        service.create_model(request.title, request.type, request.purpose, request.tags)
    except OutcomeUnknown:
        note("The answer was lost; checking whether the model was created")
    except RemoteError:
        attempt.forget()
        raise
    found = wait_for_model(service, request, before, clock, quarantine)
    if found is None:
        raise RemoteError(
            f"the service does not list the new model {request.title!r}",
            "Give the same command again: it checks the list first and creates no second model.",
        )
    return found


def find_new_model(service: RateLimitedClient, request: ModelRequest, before: set[int]) -> ModelInfo | None:
    """The model of this title that was not there before; None when the service lists none.

    Raises:
        RemoteError: there is more than one.
    """
    title = request.title.strip()
    new = [one for one in service.models() if one.model_id not in before and one.title.strip() == title]
    if len(new) > 1:
        ids = ", ".join(str(model.model_id) for model in new)
        raise RemoteError(
            f"more than one new model is called {request.title!r}: {ids}",
            "Look at them on the service's page, then name the right one with --model ID.",
        )
    return new[0] if new else None


def wait_for_model(
    service: RateLimitedClient, request: ModelRequest, before: set[int], clock: Clock, quarantine: float
) -> ModelInfo | None:
    """Lists the models until the new one appears. A list may be late, or the service still at the request, so it gets
    the quarantine; None when a list requested after it has no such model.

    Raises:
        OutcomeUnknown: there was no list for as long again, so nothing can be concluded.
    """
    settled = clock.now() + quarantine
    pause = FIRST_PAUSE
    while True:
        asked_at = clock.now()
        try:
            found = find_new_model(service, request, before)
            if found is not None or asked_at >= settled:
                return found
        except OutcomeUnknown:
            if asked_at >= settled + quarantine:
                raise
        rest = settled - clock.now()
        service.pause(min(pause, rest) if rest > 0 else pause, NOT_LISTED)
        pause = min(pause * 2, LONGEST_PAUSE)
