"""The key in the system's keyring: the real library with a keyring in memory."""

from collections.abc import Iterator

import keyring
import keyring.backend
import keyring.errors
import pytest
from keyring.backends import fail

from astica_sync.config import KEYRING_SERVICE, load_key
from astica_sync.errors import ConfigError


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory; one that is locked refuses."""

    priority = 1.0

    def __init__(self, held: dict[tuple[str, str], str], *, locked: bool = False) -> None:
        super().__init__()
        self.held = held
        self.locked = locked
        self.error: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.error is not None:
            raise self.error
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
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


def test_a_key_in_the_keyring_is_found_and_appears_in_no_text(ring: Ring) -> None:
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


def test_a_locked_keyring_is_reported_with_the_command_that_helps(ring: Ring) -> None:
    ring.locked = True
    with pytest.raises(ConfigError, match="no API key") as caught:
        load_key({})
    assert "the system keyring is locked" in caught.value.hint and "keyring set" in caught.value.hint


def test_an_invalid_key_in_the_keyring_is_refused_without_showing_it(ring: Ring) -> None:
    keyring.set_password(KEYRING_SERVICE, "api-key", "two words")
    with pytest.raises(ConfigError, match="white space") as caught:
        load_key({})
    assert "two words" not in str(caught.value)


def test_without_a_keyring_on_the_machine_the_other_ways_are_named(ring: Ring) -> None:
    keyring.set_keyring(fail.Keyring())
    with pytest.raises(ConfigError, match="no API key") as caught:
        load_key({})
    assert caught.value.hint == (
        "Set ASTICA_API_KEY, or set ASTICA_API_KEY_FILE to a file; this machine has no system keyring, as most servers "
        "and containers"
    )


def test_a_keyring_that_fails_in_its_own_way_is_no_key(ring: Ring) -> None:
    ring.error = ConnectionRefusedError("no session bus for the-key")
    with pytest.raises(ConfigError, match="no API key") as caught:
        load_key({})
    assert "cannot be read (ConnectionRefusedError)" in caught.value.hint and "the-key" not in caught.value.hint
    assert load_key({"ASTICA_API_KEY": "given"}).reveal() == "given"
