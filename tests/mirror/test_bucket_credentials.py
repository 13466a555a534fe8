"""What a message says where a bucket cannot be used for want of credentials."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from astica_sync.bucket.open_bucket import ACCESS, shown_error


def test_missing_credentials_are_named_in_place_of_an_address_that_no_user_knows() -> None:
    for asked in (
        "performing PUT http://169.254.169.254/latest/api/token",
        "performing token request: ... GET http://169.254.169.254/x",
    ):
        text = shown_error(ValueError(f"Generic S3 error: Error {asked} in 3.01s, after 10 retries - timed out"))
        assert text.startswith("no credentials are in the environment, and this machine has none")
    assert shown_error(ValueError("Generic S3 error: no such bucket")) == "Generic S3 error: no such bucket"


def test_the_advice_names_the_variables_the_profile_and_cron() -> None:
    for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "profile", "Cron", "Off-site backup"):
        assert word in ACCESS


SAS = "sv=2022&sig=zqxcanary%2Bsignature%3D&se=2030"
SENT = {
    "AWS_SECRET_ACCESS_KEY": "zqxcanary/secret+key",
    "AWS_SESSION_TOKEN": "zqxcanary-session-token",
    "AZURE_STORAGE_SAS_TOKEN": SAS,
    "AZURE_STORAGE_KEY": "zqxcanary/key==",
    "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=a;AccountKey=zqxcanary+account==;SharedAccessSignature={SAS}",
}


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("spelled", [str, lambda text: quote(text, safe=""), str.upper])
def test_a_server_that_repeats_a_credential_has_it_in_no_message(
    name: str, spelled: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SENT[name])
    secrets = {"AZURE_STORAGE_CONNECTION_STRING": ["zqxcanary+account==", SAS]}.get(name, [SENT[name]])
    for secret in secrets:
        for said in (
            f"denied: {spelled(secret)} was sent",
            f"<?xml version='1.0'?><Message>{spelled(secret)}</Message>",
        ):
            text = shown_error(ValueError(f"Generic S3 error: 403 Forbidden: {said}"))
            assert "zqxcanary" not in text.lower() and text.startswith("Generic S3 error: 403 Forbidden: ")


def test_a_signature_or_a_token_that_no_variable_has_is_in_no_message() -> None:
    for said in (
        f"GET /a?{SAS} failed",
        "Authorization: Bearer zqxcanary.a-b failed",
        "X-Amz-Signature=zqxcanary failed",
    ):
        text = shown_error(ValueError(f"Generic error: {said}"))
        assert "zqxcanary" not in text and text.endswith(" failed")
