"""The files for containers and releases: checked by a linter, and against what the program really has."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_the_linter_has_nothing_to_say_about_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed")
    ended = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_what_the_wheel_is_built_from_is_not_left_out_of_the_image() -> None:
    """A build of a wheel does not fail where the files of ``shared-data`` are missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    kept = [*wheel["packages"], *wheel["shared-data"], "hatch_build.py", "page_assets", "README.md", "LICENSE"]
    lines = [one for one in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if one and one[0] != "#"]
    assert [path for path in kept if not is_sent(path, lines)] == []
    assert [path for path in ("tests", "docs/dev", ".git") if is_sent(path, lines)] == []


def is_sent(path: str, ignored: list[str]) -> bool:
    """Whether the builder gets a path: the last line that names it or a folder above it decides."""
    sent = True
    for line in ignored:
        name = line.removeprefix("!")
        if f"{path}/".startswith(f"{name}/"):
            sent = line[0] == "!"
    return sent


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_each_service_has_a_read_only_root(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_each_command_of_the_services_is_one_of_the_program(name: str) -> None:
    from click.testing import CliRunner

    from astica_sync.cli.main import cli

    command, *flags = map(str, COMPOSE["services"][name]["command"])
    shown = CliRunner().invoke(cli, [command, "--help"]).output
    assert [flag for flag in flags if flag.startswith("--") and flag not in shown] == []


def test_the_key_is_a_secret_in_a_file_and_in_no_variable() -> None:
    watcher = COMPOSE["services"]["watcher"]
    assert watcher["secrets"] == ["astica_api_key"]
    assert "ASTICA_API_KEY" not in watcher["environment"]
    assert "ASTICA_API_KEY_FILE=/run/secrets/astica_api_key" in (ROOT / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_and_forms_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)


def test_a_release_is_checked_before_it_is_published_and_has_no_password() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    flow = yaml.safe_load(text)
    assert "make release-check" in [step.get("run") for step in flow["jobs"]["build"]["steps"]]
    assert flow["jobs"]["publish"]["needs"] == "build"
    assert flow["jobs"]["publish"]["permissions"] == {"id-token": "write", "attestations": "write"}
    assert "secrets." not in text
