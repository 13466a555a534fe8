"""The model of a probe: made, found again after an interruption, and removed.

The record of its creation is written before the request, see ``sync.admin.create_model``, and deleted once the model is
removed. Its title has a random token, so no other model is taken for it.
"""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from astica_sync.clock import Clock
from astica_sync.core.service_facts.judge_samples import first_shown
from astica_sync.core.service_facts.probe_log import ProbeStep
from astica_sync.core.service_facts.probe_uploads import find_foreign, title_of, token_in
from astica_sync.core.service_facts.read_answer import read_view
from astica_sync.doctor.probe.probe_client import ProbeService
from astica_sync.errors import GuardRefused, NoSuchModel, OutcomeUnknown, RemoteError, StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.shell_quote import quote_path
from astica_sync.sync.admin.create_model import (
    CreationAttempt,
    ModelRequest,
    create_model,
    find_new_model,
    wait_for_model,
)

TYPE = "image"
PURPOSE = "A trial of the service by astica-sync doctor --probe, which removes it at its end"
_MOST_BYTES = 1 << 20
_VIEWS = 3
_REMOVALS = 2
"""How often the removal of the model is sent where its answer is lost."""


class ProbeModel:
    """The model of one account's probe. ``file`` is the record.

    Args:
        quarantine: for how long a list may lack a model whose creation was requested.
    """

    def __init__(self, file: Path, service: ProbeService, clock: Clock, quarantine: float) -> None:
        self._attempt = CreationAttempt(file, FileSystem())
        self._service = service
        self._clock = clock
        self._quarantine = quarantine

    def create(self, note: Callable[[str], None]) -> tuple[int, str]:
        """Makes a model; returns its id and its token.

        Raises:
            RemoteError: the service refuses it, or does not list it.
        """
        token = secrets.token_hex(6)
        self._service.client.step = ProbeStep.CREATE
        model = create_model(
            self._service,
            ModelRequest(title_of(token), TYPE, PURPOSE),
            self._attempt,
            clock=self._clock,
            quarantine=self._quarantine,
            note=note,
        )
        return model.model_id, token

    def remove_leftover(self, note: Callable[[str], None]) -> int | None:
        """Removes the model that an interrupted probe left; returns its id, None where there is none.

        Raises:
            StoreError: the record cannot be read.
            GuardRefused: the model holds samples that the probe did not upload.
        """
        record = read_record(self._attempt.path)
        if record is None:
            return None
        token, before = record
        note("An earlier probe was interrupted; checking whether its model is still there")
        request = ModelRequest(title_of(token), TYPE, PURPOSE)
        found = find_new_model(self._service, request, before)
        if found is None:
            found = wait_for_model(self._service, request, before, self._clock, self._quarantine)
        if found is not None:
            self.remove(found.model_id, token)
            return found.model_id
        self._attempt.forget()
        return None

    def remove(self, model_id: int, token: str) -> None:
        """Removes the model, unless it holds what the probe did not upload; then deletes the record.

        Raises:
            GuardRefused: it does.
            RemoteError: the service did not confirm the removal.
        """
        self._service.client.step = ProbeStep.REMOVE_MODEL
        try:
            self._refuse_foreign(model_id, token)
            self._send_removal(model_id)
        except NoSuchModel:
            # An earlier removal was carried out.
            pass
        self._attempt.forget()

    def _send_removal(self, model_id: int) -> None:
        for left in reversed(range(_REMOVALS)):
            try:
                self._service.remove_model(model_id)
            except OutcomeUnknown:
                if not left:
                    raise
            else:
                return

    def _refuse_foreign(self, model_id: int, token: str) -> None:
        client = self._service.client
        self._service.ask(lambda: client.view_as_it_came(model_id), tries=_VIEWS)
        view = read_view(client.log.exchanges[-1].body)
        if view is None:
            raise RemoteError(
                f"the view of the probe's model {model_id} cannot be read, so it was not removed",
                "Run astica-sync doctor --probe again: it removes the model first.",
            )
        first = first_shown(client.log)
        ours = {one.sample_id for one in first.samples} if first else set()
        foreign = [one for one in find_foreign(token, view.samples) if one.sample_id not in ours]
        if foreign:
            samples = "1 sample" if len(foreign) == 1 else f"{len(foreign)} samples"
            raise GuardRefused(
                f"the probe's model {model_id} holds {samples} that the probe did not upload; it was not removed",
                f"Look at it: astica-sync models show {model_id}. To remove it: astica-sync models remove {model_id}; "
                f"then rm {quote_path(str(self._attempt.path))}",
            )


def read_record(file: Path) -> tuple[str, set[int]] | None:
    """The token of the probe in a record, and the ids of the models before it; None where there is no record.

    Raises:
        StoreError: the record cannot be read.
    """
    try:
        with FileSystem().open_read(file) as opened:
            state = json.loads(opened.read(_MOST_BYTES))
        token = token_in(state["title"])
        before = {int(model_id) for model_id in state["before"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        token, before = None, set()
    if token is None:
        raise StoreError(
            f"{file} is about a probe that was interrupted, and cannot be read",
            "If astica-sync models lists a model whose title begins with 'astica-sync probe', remove it by its id; "
            f"then rm {quote_path(str(file))}",
        )
    return token, before
