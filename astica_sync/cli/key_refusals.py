"""Records an API key that the service has refused, for ``doctor``."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from astica_sync.config import Settings, find_key, machine_state_folder
from astica_sync.errors import BadKey, ConfigError
from astica_sync.open_session import budget_name
from astica_sync.system.refusal_record import KEYS_FILE, RefusedKey, forget_refused_key, record_refused_key


@contextlib.contextmanager
def key_refusals_recorded(settings: Settings, requests: Callable[[], int], *, detects: bool = False) -> Iterator[None]:
    """Records the key of this user where the service refuses it in the block. One that was refused earlier is forgotten
    where the block ends well and has sent requests.

    Args:
        requests: how many were sent.
        detects: whether the block sends requests to the detection endpoint.
    """
    try:
        yield
    except BadKey as error:
        record_key_refusal(settings, error)
        raise
    if requests() and (machine_state_folder() / KEYS_FILE).exists():
        _forget(settings, ("train", "detect") if detects else ("train",))


def record_key_refusal(settings: Settings, error: BadKey) -> None:
    """Records the key of this user as refused by the endpoint that the error names."""
    train, detect = (urlsplit(url).netloc for url in (settings.train_url, settings.detect_url))
    host, endpoint = (detect, "detect") if error.host == detect != train else (train, "train")
    with contextlib.suppress(ConfigError):
        key, source = find_key(os.environ)
        refused = RefusedKey(time.time(), host, source)
        record_refused_key(machine_state_folder(), budget_name(key, settings, endpoint), refused)


def _forget(settings: Settings, endpoints: tuple[str, ...]) -> None:
    with contextlib.suppress(ConfigError):
        key, _ = find_key(os.environ)
        for endpoint in endpoints:
            forget_refused_key(machine_state_folder(), budget_name(key, settings, endpoint))
