"""What ``make release-check`` installs, without the installing."""

import json
import re
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from release import check

ROOT = Path(__file__).parents[2]


def commands_of(monkeypatch: pytest.MonkeyPatch, step: Callable[[], Any], findings: object = ()) -> list[list[str]]:
    """The commands of a step of the check, which are recorded and not run; ``findings`` are those of the doctor."""
    recorded: list[list[str]] = []

    def record(command: Sequence[str], _environ: object = None, cwd: Path = ROOT, **_codes: object) -> str:
        recorded.append([str(word) for word in command])
        if "demo" in command:
            (cwd / "astica-sync-demo-1" / "digits").mkdir(parents=True)
        return json.dumps({"findings": findings})

    monkeypatch.setattr(check, "run", record)
    step()
    return recorded


def test_the_list_of_parts_is_of_an_installation_with_every_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbom.cdx.json").write_text(json.dumps({"components": []}))
    monkeypatch.setattr(check, "DIST", tmp_path)
    commands = commands_of(monkeypatch, lambda: check.write_sbom(tmp_path, tmp_path / "one.whl", tmp_path))
    installed = [re.search(r"one\.whl\[(.*)\]$", word) for command in commands for word in command]
    extras = [found[1].split(",") for found in installed if found is not None]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras == [sorted(declared)]


def test_the_extras_are_those_that_the_project_declares(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project.optional-dependencies]\nred = []\nblue = ["numpy"]\n')
    assert check.every_extra(tmp_path) == "[blue,red]"


def test_the_lowest_versions_are_tried_with_every_extra_and_what_loads_most_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = commands_of(monkeypatch, lambda: check.with_lowest_versions(tmp_path, tmp_path / "one.whl", tmp_path))
    installed = next(command for command in commands if "lowest-direct" in command)
    assert installed[-1] == f"{tmp_path / 'one.whl'}{check.every_extra(ROOT)}"
    run = [command[1] for command in commands if command[0].endswith("lowest/bin/astica-sync")]
    assert run == ["demo", "inspect", "export", "export", "doctor"]


@pytest.mark.parametrize(("section", "fails"), [("packages", True), ("program", True), ("settings", False)])
def test_a_package_that_the_doctor_calls_too_old_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, fails: bool
) -> None:
    found = [{"section": section, "text": "click is too old"}]

    def step() -> None:
        check.with_lowest_versions(tmp_path, tmp_path / "one.whl", tmp_path)

    if not fails:
        commands_of(monkeypatch, step, found)
        return
    with pytest.raises(check.Failed, match="click is too old"):
        commands_of(monkeypatch, step, found)


@pytest.mark.parametrize(
    ("left_out", "more", "fails"),
    [
        ("", "", ""),
        ("js/main.js", "", "has no astica_sync/page/static/js/main.js"),
        ("vendor/LICENSES.txt", "", "has no astica_sync/page/static/vendor/LICENSES.txt"),
        ("", "vendor/preact.js", "has astica_sync/page/static/vendor/preact.js"),
    ],
)
def test_a_wheel_has_the_page_as_a_bundle_with_the_licences(
    tmp_path: Path, left_out: str, more: str, fails: str
) -> None:
    page = {"js/main.js", "js/setup/setup.js", "vendor/LICENSES.txt", more} - {left_out, ""}
    rest = ["astica_sync/py.typed", "astica_sync-1.dist-info/licenses/LICENSE"]
    share = "astica_sync-1.data/data/share"
    rest += [f"{share}/man/man1/astica-sync.1", f"{share}/bash-completion/completions/astica-sync"]
    rest += [f"{share}/zsh/site-functions/_astica-sync", f"{share}/fish/vendor_completions.d/astica-sync.fish"]
    with zipfile.ZipFile(tmp_path / "one.whl", "w") as wheel:
        for name in [*rest, *(f"astica_sync/page/static/{name}" for name in page)]:
            wheel.writestr(name, "")
    if not fails:
        check.check_content(tmp_path / "one.whl")
        return
    with pytest.raises(check.Failed, match=fails):
        check.check_content(tmp_path / "one.whl")
