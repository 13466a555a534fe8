"""The files for containers and releases: checked by a linter, and against what the program really has."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.harness.budget_servers import redis_server

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
FLEET: dict[str, Any] = yaml.safe_load((ROOT / "compose.fleet.yaml").read_text("utf-8"))
SERVICES = [*COMPOSE["services"].items(), *FLEET["services"].items()]
BUILT = [pytest.param(service, id=name) for name, service in SERVICES if "build" in service]


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


@pytest.mark.parametrize("service", [pytest.param(service, id=name) for name, service in SERVICES])
def test_each_service_has_a_read_only_root(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]


@pytest.mark.parametrize("service", BUILT)
def test_each_command_of_the_services_is_one_of_the_program(service: dict[str, Any]) -> None:
    from click.testing import CliRunner

    from astica_sync.cli.main import cli

    command, *flags = map(str, service["command"])
    shown = CliRunner().invoke(cli, [command, "--help"]).output
    assert [flag for flag in flags if flag.startswith("--") and flag not in shown] == []


def test_the_key_is_a_secret_in_a_file_and_in_no_variable() -> None:
    watchers = [service for service in dict(SERVICES).values() if service["command"] == ["watch"]]
    assert len(watchers) == 3
    for watcher in watchers:
        assert watcher["secrets"] == ["astica_api_key"]
        assert "ASTICA_API_KEY" not in watcher["environment"]
    assert "ASTICA_API_KEY_FILE=/run/secrets/astica_api_key" in (ROOT / "Dockerfile").read_text("utf-8")


def test_the_watchers_of_a_fleet_have_stores_of_their_own_and_one_budget() -> None:
    lines = [FLEET["services"][name] for name in ("line-1", "line-2")]
    assert {one["environment"]["ASTICA_BUDGET"] for one in lines} == {"redis://127.0.0.1:6379/0"}
    assert len({volume for one in lines for volume in one["volumes"]}) == 4
    assert all(f".{one['working_dir']}:{one['working_dir']}" in one["volumes"] for one in lines)
    named = {volume.partition(":")[0] for one in FLEET["services"].values() for volume in one.get("volumes", ())}
    assert {name for name in named if not name.startswith(".")} == set(FLEET["volumes"])


def test_the_redis_of_the_fleet_starts_as_it_is_written_and_evicts_nothing() -> None:
    redis = pytest.importorskip("redis")
    program, *options = map(str, FLEET["services"]["redis"]["command"])
    assert program == "redis-server"
    with redis_server(*options) as server:
        settings = redis.Redis.from_url(server.address).config_get()
    assert (settings["maxmemory-policy"], settings["save"], settings["maxmemory"]) == ("noeviction", "", str(64 << 20))


def test_the_redis_of_the_manual_starts_as_it_is_written(tmp_path: Path) -> None:
    redis = pytest.importorskip("redis")
    page = (ROOT / "docs" / "fleet.md").read_text("utf-8")
    [block] = [one for one in page.split("```") if one.startswith("text\nbind 10.0.0.5\n")]
    lines = [line for line in block.splitlines()[1:] if not line.startswith(("bind", "port", "requirepass"))]
    (tmp_path / "redis.conf").write_text("\n".join(lines))
    with redis_server("--include", str(tmp_path / "redis.conf")) as server:
        settings = redis.Redis.from_url(server.address).config_get()
    assert (settings["maxmemory-policy"], settings["save"]) == ("noeviction", "")


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
