"""Settings from every source, the key, and the type that keeps it secret."""

import json
import os
import pickle
import traceback
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.config import SETTINGS, load_key, load_settings, machine_state_folder, user_config_file
from astica_sync.errors import ConfigError
from astica_sync.secret import Secret
from astica_sync.service_address import shown_address


def test_a_secret_appears_in_no_text_and_cannot_be_pickled() -> None:
    key = Secret("the-key-itself")
    shown = [str(key), repr(key), f"{key}", f"{key!s:>20}", "%s" % key, str({"key": key}), str([key])]  # noqa: UP031
    try:
        raise ValueError(key)
    except ValueError as error:
        shown.append("".join(traceback.format_exception(error)))
    assert not [text for text in shown if "the-key-itself" in text]
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert key.reveal() == "the-key-itself"


def test_each_source_of_a_setting_overrides_the_weaker_ones(tmp_path: Path) -> None:
    user, store = tmp_path / "user.toml", tmp_path / "store.toml"

    def limit(environ: dict[str, str], flag: int | None = None) -> tuple[int, str]:
        found = load_settings(environ, store_file=store, user_file=user, flags={"limit": flag})
        return found.limit, found.sources["limit"]

    assert limit({}) == (90, "default")
    user.write_text("limit = 25")
    assert limit({}) == (25, str(user))
    store.write_text("limit = 20")
    assert limit({}) == (20, str(store))
    assert limit({"ASTICA_LIMIT": "30"}) == (30, "ASTICA_LIMIT")
    assert limit({"ASTICA_LIMIT": "30"}, 40) == (40, "the command line")
    assert limit({"ASTICA_LIMIT": ""}) == (20, str(store)), "an empty variable is none"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_settings_file_may_begin_with_a_byte_order_mark(end: str, tmp_path: Path) -> None:
    file = tmp_path / "store.toml"
    file.write_bytes(f"# as Notepad writes it{end}limit = 20{end}".encode("utf-8-sig"))
    assert load_settings({}, store_file=file).limit == 20


@pytest.mark.parametrize("data", ["limit = 20".encode("utf-16"), b"limit = 20 # \xfc", b"limit = 20\0", b"\r limit"])
def test_a_settings_file_in_another_encoding_is_refused(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "store.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match="cannot read the settings file"):
        load_settings({}, store_file=file)


def test_a_name_of_any_length_is_cut_in_the_message(tmp_path: Path) -> None:
    file = tmp_path / "store.toml"
    file.write_text("limi" + "x" * 70_000 + " = 20")
    with pytest.raises(ConfigError) as caught:
        load_settings({}, store_file=file)
    assert len(str(caught.value)) < 1000
    with pytest.raises(ConfigError) as caught:
        load_settings({}, flags={"train_url": "x" * 70_000})
    assert len(str(caught.value)) < 1000


@given(name=st.sampled_from([setting.name for setting in SETTINGS]), value=st.text(max_size=20))
def test_any_text_is_a_good_value_or_an_error_that_names_the_setting(name: str, value: str) -> None:
    try:
        load_settings({}, flags={name: value})
    except ConfigError as error:
        assert name in str(error) and error.hint.startswith("Set it to ")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e400", "0x10", "", "1.5"])
def test_a_limit_is_a_whole_number(value: str) -> None:
    with pytest.raises(ConfigError, match="limit is"):
        load_settings({}, flags={"limit": value})


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://train.astica.ai/", True),
        ("http://localhost:8777", True),
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://127.0.0.1.example.com", False),
        ("https://user:word@host", False),
        ("https://host?x=1", False),
        ("https://", False),
        ("http://[::1", False),
        ("https://host:99999", False),
        ("https://host:port", False),
        ("file:///etc/passwd", False),
    ],
)
def test_addresses(url: str, right: bool) -> None:
    if right:
        assert load_settings({"ASTICA_TRAIN_URL": url}).train_url == url.rstrip("/")
    else:
        with pytest.raises(ConfigError, match="train_url") as caught:
            load_settings({"ASTICA_TRAIN_URL": url})
        assert caught.value.hint.startswith("Set it to an ")


def test_a_key_comes_from_the_environment_or_a_file_and_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "key"
    assert load_key({"ASTICA_API_KEY": " abc\n"}).reveal() == "abc"
    for wrong in ({"ASTICA_API_KEY": "a b"}, {"ASTICA_API_KEY": "a\x00b"}, {"ASTICA_API_KEY_FILE": str(file)}):
        with pytest.raises(ConfigError) as caught:
            load_key(wrong)
        assert "a b" not in str(caught.value)
    file.write_bytes(b"")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="is empty"):
        load_key({"ASTICA_API_KEY_FILE": str(file)})
    file.write_text("abc\n")
    assert load_key({"ASTICA_API_KEY_FILE": str(file)}).reveal() == "abc"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfabc\n",
        "\ufeffabc\r\n".encode("utf-16-le"),
        "\ufeffabc\r\n".encode("utf-16-be"),
        b"  abc\t\r\n\r\n",
        b"abc",
    ],
)
def test_a_key_file_may_have_a_mark_at_its_beginning_and_blanks_around_the_key(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_bytes(data)
    assert load_key({"ASTICA_API_KEY_FILE": str(file)}).reveal() == "abc"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'"s3cret"', "has a quotation mark before or after it"),
        (b"s3cret'", "has a quotation mark before or after it"),
        ("\u201cs3cret\u201d".encode(), "has a quotation mark before or after it"),
        (b"export ASTICA_API_KEY=s3cret\n", "begins with the name of a variable"),
        (b"ASTICA_API_KEY='s3cret'\r\n", "begins with the name of a variable"),
        (b"ASTICA_API_KEY = s3cret", "begins with the name of a variable"),
        (b"api_key: s3cret", "begins with the name of a variable"),
        (b'"api_key": "s3cret"', "begins with the name of a variable|quotation mark"),
        (b"# mine\ns3cret\n", "has several lines with text, and a key is one"),
        (b"s3cret s3cret", "contains white space or control characters"),
        ("s3cret".encode("utf-16-le"), "contains white space or control characters"),
        (b"s3cret\xff", "is not text in UTF-8 or UTF-16"),
        (b"\xff\xfes3cre", "is not text in UTF-8 or UTF-16"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
    ],
)
def test_a_key_file_with_more_than_a_key_is_refused_without_showing_it(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_key({"ASTICA_API_KEY_FILE": str(file)})
    assert f"key file {file} " in str(caught.value) and f"cat > {file}" in caught.value.hint
    assert "s3cr" not in caught.value.text_with_hint.replace(str(file), "")


def test_a_variable_with_more_than_a_key_is_refused() -> None:
    for text in ("'s3cret'", "ASTICA_API_KEY=s3cret"):
        with pytest.raises(ConfigError, match="the API key from ASTICA_API_KEY ") as caught:
            load_key({"ASTICA_API_KEY": text})
        assert "s3cret" not in caught.value.text_with_hint
    for key in ("a" * 20 + "==", "KEY=", "monkey==", "Tk-28D3B1CF:A", "Zm9v/key+=="):
        assert load_key({"ASTICA_API_KEY": key}).reveal() == key


def test_a_name_that_is_no_place_is_not_repeated_as_the_key_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for key in (
        "Sk4pQ7zvK2mWx9TbN8rJ",
        "Sk4pQ7zv/K2mWx9Tb/N8rJ",
        "/Sk4pQ7zvK2mWx9Tb",
        "~Sk4pQ7zv",
        "a" * 5000,
        "/b/" * 900,
    ):
        with pytest.raises(ConfigError) as caught:
            load_key({"ASTICA_API_KEY_FILE": key})
        assert str(caught.value) == "ASTICA_API_KEY_FILE names no file"
        assert key not in caught.value.hint
        assert ("looks like a key" in caught.value.hint) == ("~" not in key)
    for place in (str(tmp_path / "nowhere"), "../nowhere"):
        with pytest.raises(ConfigError, match=r"the key file .*nowhere does not exist"):
            load_key({"ASTICA_API_KEY_FILE": place})
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot read the key file folder: "):
        load_key({"ASTICA_API_KEY_FILE": "folder"})


@pytest.mark.parametrize(
    "address",
    [
        "https://user:hunter2@train.example",
        "https://hunter2@train.example/",
        "http://us@er:hunter2@train.example",
        "user:hunter2@train.example",
        "https://train.example?key=hunter2",
        "https://train.example#hunter2",
        "https://train.example/x?a=1&key=hunter2#y",
        "https://user:hunter2@[::1",
    ],
)
def test_a_password_in_an_address_is_never_printed(address: str, tmp_path: Path) -> None:
    store = tmp_path / "store.toml"
    store.write_text(f"detect_url = {json.dumps(address)}")
    for given_as in (
        lambda: load_settings({"ASTICA_TRAIN_URL": address}),
        lambda: load_settings({}, store_file=store),
        lambda: load_settings({}, user_file=store),
        lambda: load_settings({}, flags={"train_url": address}),
    ):
        with pytest.raises(ConfigError) as caught:
            given_as()
        shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
        assert "hunter2" not in shown
        assert "train_url" in shown or "detect_url" in shown


def test_an_address_without_a_secret_is_shown_as_it_is() -> None:
    assert shown_address("ftp://train.example/a") == "ftp://train.example/a"
    assert shown_address("https://user:word@train.example/a?b") == "https://…@train.example/a?…"


@pytest.mark.parametrize("given", ["config", "./config", "~/.config"])
def test_settings_below_the_current_folder_are_never_the_users(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, find, file in (
        ("XDG_CONFIG_HOME", "user_config_path", user_config_file),
        ("XDG_STATE_HOME", "user_state_path", machine_state_folder),
    ):
        # platformdirs 4.0 takes the variable as it is; later ones leave such a path out.
        monkeypatch.setattr(platformdirs, find, lambda name, variable=variable: Path(os.environ[variable], name))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv(variable, given)
        with pytest.raises(ConfigError, match=f"{variable} is '{given}', which is no path from the root"):
            file()
        monkeypatch.setenv(variable, str(tmp_path / "mine"))
        assert file().is_relative_to(tmp_path / "mine")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("local", ""),
        (" dask://host:8786 ", "dask://host:8786"),
        ("dask://host", "dask://host:8786"),
        ("dask+tls://Host:1/", "dask+tls://host:1"),
        ("dask://[::1]:8786", "dask://[::1]:8786"),
    ],
)
def test_an_executor_is_this_machine_or_a_scheduler(given: str, address: str) -> None:
    assert load_settings({"ASTICA_EXECUTOR": given}).executor == address
    assert load_settings({}, flags={"executor": given}).executor == address
    assert load_settings({}).executor == ""


@pytest.mark.parametrize(
    "given",
    ["host", "host:8786", "tcp://host:8786", "dask://", "dask://:8786", "dask://host:x", "dask://host:0",
     "dask://host/a", "dask://host?a", "dask://a b:1", "dask://user:word@host:8786", "dask://[:1", 8786, True],
)  # fmt: skip
def test_another_address_of_an_executor_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="executor is") as raised:
        load_settings({}, flags={"executor": given})
    assert raised.value.hint == "Set it to local, or the address of a Dask scheduler such as dask://HOST:8786."
    assert "word" not in str(raised.value)
