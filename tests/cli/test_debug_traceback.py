"""What ``--debug`` prints has no key, no password and no header that proves who asks; names stay."""

import base64
from pathlib import Path

import pytest

from astica_sync.cli.debug_traceback import redacted_traceback
from astica_sync.secret import Secret, SecretAddress, known_secrets
from tests.harness.shell import Shell

CANARY = "5be1f0a977-of-this-test"


def lines_of(message: str, environ: dict[str, str] | None = None) -> str:
    try:
        try:
            raise OSError(message)
        except OSError as error:
            raise RuntimeError(f"after {message}") from error
    except RuntimeError as error:
        return "\n".join(redacted_traceback(error, environ or {}))


@pytest.mark.parametrize(
    "message",
    [
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Basic {CANARY}=",
        f"{{'Authorization': 'Bearer {CANARY}', 'Accept': '*/*'}}",
        f"[(b'authorization', b'{CANARY}')]",
        f"authorization={CANARY}",
        f"Proxy-Authorization: Basic {CANARY}",
        f"redis://user:{CANARY}@budget.example:6379/0 refused",
        f"https://:{CANARY}@detect.example",
    ],
)
def test_headers_and_passwords_are_left_out_of_every_error_of_a_chain(message: str) -> None:
    shown = lines_of(message)
    assert CANARY not in shown
    assert shown.count("(left out)") == 2 and "RuntimeError: after" in shown and "OSError: " in shown


def test_the_key_of_a_keyring_and_variables_that_are_secrets_are_left_out() -> None:
    key = Secret(CANARY)
    encoded = base64.b64encode(CANARY.encode()).decode()
    for form in (CANARY, CANARY.upper(), f"%22{CANARY}%22", encoded):
        shown = lines_of(f"the service said {form} of /photos/Can/001.png")
        assert CANARY not in shown.lower() and encoded not in shown
        assert "RuntimeError" in shown
    assert "/photos/Can/001.png" in lines_of(f"{CANARY} of /photos/Can/001.png"), "what is private else stays"
    del key
    assert CANARY not in known_secrets()
    assert CANARY in lines_of(CANARY)
    for name in ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "AWS_SESSION_TOKEN"):
        assert CANARY not in lines_of(CANARY, {name: CANARY})
    assert CANARY in lines_of(CANARY, {"HOME": CANARY})


def test_an_address_with_a_password_is_left_out() -> None:
    address = SecretAddress(f"redis://:{CANARY}@budget.example", "redis://budget.example")
    shown = lines_of(f"cannot reach {address.reveal()}")
    assert CANARY not in shown


def test_debug_ends_as_the_command_does_and_escapes_names(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(
            f"\x1b]0;title\x07 with Authorization: Bearer {CANARY} and {shell.environ['ASTICA_API_KEY']}"
        )

    shell.environ["ASTICA_API_KEY"] = "key-that-is-long-enough"
    monkeypatch.setattr("astica_sync.sync.plan.find_status.scan_store", broken)
    ran = shell("pull-status", "--offline", "--store", store, "--debug")
    traceback = ran.err.partition("astica-sync: ")[0]
    assert ran.code == 1 and "RuntimeError" in traceback
    assert CANARY not in ran.err and "key-that-is-long" not in ran.err and "\x1b" not in ran.err
    assert traceback
    missing = shell("pull-status", "--store", store.parent / "elsewhere", "--debug")
    assert missing.code == shell("pull-status", "--store", store.parent / "elsewhere").code
    assert "Traceback" in missing.err and "astica-sync: " in missing.err
