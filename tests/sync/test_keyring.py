"""The key in the system's keyring, by the real library over a keyring that this test brings."""

from collections.abc import Iterator

import keyring
import keyring.backend
import keyring.errors
import pytest

from astica_sync.config import KEYRING_SERVICE, load_key
from astica_sync.errors import ConfigError


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory; one that is locked refuses."""

    priority = 1.0

    def __init__(self, held: dict[tuple[str, str], str], *, locked: bool = False) -> None:
        super().__init__()
        self.held = held
        self.locked = locked

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("nobody typed the password")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


@pytest.fixture
def ring() -> Iterator[Ring]:
    before = keyring.get_keyring()
    made = Ring({})
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_key_that_the_keyring_holds_is_found_and_shows_itself_to_nobody(ring: Ring) -> None:
    keyring.set_password(KEYRING_SERVICE, "api-key", " the-key \n")
    key = load_key({})
    assert key.reveal() == "the-key"
    assert "the-key" not in repr(key) + str(key)


def test_the_environment_is_asked_before_the_keyring(ring: Ring) -> None:
    keyring.set_password(KEYRING_SERVICE, "api-key", "kept")
    assert load_key({"ASTICA_API_KEY": "given"}).reveal() == "given"


@pytest.mark.parametrize("held", ["", "  ", None])
def test_an_empty_keyring_is_no_key(ring: Ring, held: str | None) -> None:
    if held is not None:
        keyring.set_password(KEYRING_SERVICE, "api-key", held)
    with pytest.raises(ConfigError, match="no API key"):
        load_key({})


def test_a_keyring_that_is_locked_is_no_key_and_no_crash(ring: Ring) -> None:
    ring.locked = True
    with pytest.raises(ConfigError, match="no API key") as told:
        load_key({})
    assert "keyring set" in told.value.hint


def test_a_key_in_the_keyring_that_cannot_be_one_is_refused_unseen(ring: Ring) -> None:
    keyring.set_password(KEYRING_SERVICE, "api-key", "two words")
    with pytest.raises(ConfigError, match="white space") as told:
        load_key({})
    assert "two words" not in str(told.value)
