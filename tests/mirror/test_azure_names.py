"""Settings of Azure under the names that its own command line reads."""

import pytest

from astica_sync.bucket.open_bucket import read_azure_names, tag_of

PUBLIC = "DefaultEndpointsProtocol=https;AccountName=cans;AccountKey=a+b/c==;EndpointSuffix=core.windows.net"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, {}),
        ({"AZURE_STORAGE_CONNECTION_STRING": ""}, {}),
        ({"AZURE_STORAGE_ACCOUNT": "cans"}, {"account_name": "cans"}),
        (
            {"AZURE_STORAGE_ACCOUNT": "cans", "AZURE_STORAGE_KEY": "a=="},
            {"account_name": "cans", "account_key": "a=="},
        ),
        (
            {"AZURE_STORAGE_CONNECTION_STRING": PUBLIC, "AZURE_STORAGE_KEY": "other"},
            {
                "account_name": "cans",
                "account_key": "a+b/c==",
                "endpoint": "https://cans.blob.core.windows.net",
            },
        ),
        (
            {
                "AZURE_STORAGE_CONNECTION_STRING": "BlobEndpoint=https://x.y/;SharedAccessSignature=sv=1&sig=a%3D",
                "AZURE_STORAGE_ACCOUNT": "cans",
                "AZURE_STORAGE_KEY": "other",
            },
            {"account_name": "cans", "sas_key": "sv=1&sig=a%3D", "endpoint": "https://x.y/"},
        ),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "own", "AZURE_STORAGE_CONNECTION_STRING": PUBLIC}, {}),
    ],
)
def test_the_names_of_the_command_line_are_read(environ: dict[str, str], found: dict[str, str]) -> None:
    assert read_azure_names(environ) == found


@pytest.mark.parametrize(
    ("tag", "seen"),
    [("0x8D", '"0x8D"'), ('"0x8D"', '"0x8D"'), ('W/"1"', 'W/"1"'), (None, None), ("", "")],
)
def test_a_tag_is_what_a_header_has(tag: str | None, seen: str | None) -> None:
    assert tag_of({"e_tag": tag}) == seen
