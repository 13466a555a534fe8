"""The file of a probe: private, replaced in one step, and never believed when it is another file."""

import os
from pathlib import Path

import pytest

from astica_sync.core.service_facts.fact import Fact
from astica_sync.errors import ConfigError
from astica_sync.local.service_facts_file import MOST_BYTES, ServiceFacts, read_service_facts, write_service_facts

KNOWN = ServiceFacts("https://a", "https://b", 5.0, "1.0", 24, {"view_lag": Fact(1.5)})


def test_what_is_written_is_read_and_the_file_is_private(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    for requests in (24, 25):
        known = ServiceFacts("https://a", "https://b", 5.0, "1.0", requests, {"view_lag": Fact(1.5)})
        write_service_facts(file, known)
        assert read_service_facts(file) == known
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["facts.json"]


def test_half_of_a_surrogate_pair_is_written(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    write_service_facts(file, ServiceFacts("https://a", "https://b", 5.0, "1.0", 24, {"invalid_image": Fact("\ud83d")}))
    assert "\\ud83d" in file.read_text("utf-8")
    assert read_service_facts(file).facts["invalid_image"].value == "\ud83d"


def test_a_link_is_read_and_replaced_not_written_through(tmp_path: Path) -> None:
    file, link = tmp_path / "facts.json", tmp_path / "link.json"
    write_service_facts(file, KNOWN)
    link.symlink_to(file.name)
    assert read_service_facts(link) == KNOWN
    before = file.read_bytes()
    write_service_facts(link, ServiceFacts("https://c", "https://d", 6.0, "1.0", 1, {}))
    assert file.read_bytes() == before and not link.is_symlink()
    assert read_service_facts(link).train_url == "https://c"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b"[]", "its format is not"),
        (b" " * (MOST_BYTES + 1), "it is too long"),
        (b'{"format": "astica-sync-service-facts", "version": 2}', "its version is 2"),
        (b'{"format": "astica-sync-service-facts", "version": 1}', "made_at or requests is no number"),
    ],
)
def test_another_file_has_no_facts(tmp_path: Path, data: bytes, reason: str) -> None:
    file = tmp_path / "facts.json"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=f"has no facts about a service: {reason}"):
        read_service_facts(file)


def test_a_pipe_or_a_folder_has_no_facts_and_no_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigError, match="it is not a regular file"):
            read_service_facts(name)
    with pytest.raises(FileNotFoundError):
        read_service_facts(tmp_path / "none.json")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"facts\.json cannot be written"):
        write_service_facts(tmp_path / "none" / "facts.json", KNOWN)
