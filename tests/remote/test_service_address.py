"""One check of addresses, for the settings and for the client."""

import pytest

from astica_sync.config import load_settings
from astica_sync.errors import ConfigError
from astica_sync.remote.http_exchange import HttpClient
from astica_sync.service_address import checked_address, is_this_machine

REFUSED = [
    "http://train.astica.ai",
    "http://192.168.0.1",
    "http://127.0.0.1.example.com",
    "http://127.0.0.999",
    "http://localhost.example.com",
    "ftp://train.astica.ai",
    "train.astica.ai",
    "https://",
    "https://[::1",
    "https://train.astica.ai:0",
    "https://train.astica.ai:port",
    "https://train.astica.ai?query",
    "https://train.astica.ai#part",
    "https://user:secret@train.astica.ai",
    "",
]
ACCEPTED = [
    "https://train.astica.ai",
    "https://train.astica.ai:8443/base",
    "http://localhost:8000",
    "http://LOCALHOST",
    "http://127.8.9.10",
    "http://[::1]:8000",
    "http://[0:0:0:0:0:0:0:1]",
]


@pytest.mark.parametrize("url", REFUSED)
def test_settings_and_client_refuse_the_same_addresses(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        checked_address(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError) as refused:
        HttpClient(url)
    assert "secret" not in str(refused.value) + refused.value.hint
    with pytest.raises(ConfigError):
        load_settings({}, flags={"train_url": url})


@pytest.mark.parametrize("url", ACCEPTED)
def test_settings_and_client_accept_the_same_addresses(url: str) -> None:
    assert checked_address(url) == url
    assert HttpClient(url).url == url
    assert load_settings({}, flags={"train_url": url}).train_url == url


def test_an_address_has_no_slash_at_its_end_and_no_spaces_around_it() -> None:
    assert checked_address(" https://train.astica.ai// ") == "https://train.astica.ai"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1"])
def test_the_names_of_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host", ["", "localhost.", "0.0.0.0", "127.1", "127.0.0.999", "::2", "example.com", "10.0.0.1"]
)
def test_no_other_name_is_this_machine(host: str) -> None:
    assert not is_this_machine(host)
