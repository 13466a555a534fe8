"""What a message says where a bucket cannot be used for want of credentials."""

from astica_sync.bucket import ACCESS, shown_error


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
