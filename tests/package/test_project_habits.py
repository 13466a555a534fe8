"""The files that a repository is judged by: how to contribute, how to report a bug or a vulnerability, versions."""

import re
import tomllib
from pathlib import Path

import yaml

import astica_sync

ROOT = Path(__file__).parents[2]


def test_the_form_for_bugs_requires_the_bundle_of_the_doctor() -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text("utf-8"))
    asked = [
        field
        for field in form["body"]
        if "astica-sync doctor --bundle" in field.get("attributes", {}).get("description", "")
    ]
    assert len(asked) == 1 and asked[0]["validations"]["required"] is True


def test_the_manual_says_where_to_report_a_bug_and_the_package_invents_no_address() -> None:
    manual = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8").partition("## Report a bug")[2]
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text("utf-8"))
    assert f'"{form["name"]}"' in " ".join(manual.split()) and ".github/ISSUE_TEMPLATE/bug.yml" in manual
    assert "git remote get-url origin" in manual
    # Once the project has an address, the package and this page name it.
    has_urls = "urls" in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert has_urls is ("has no address of its own" not in manual)
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "docs/troubleshooting.md#report-a-bug" in (ROOT / page).read_text("utf-8")


def test_a_vulnerability_is_reported_in_private_and_without_keys() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "in private" in text and "doctor --bundle" in text


def test_contributing_says_where_each_part_is_and_how_to_replay_a_walk() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert "tests.simulation --replay" in text
    for folder in re.findall(r"`((?:astica_sync|tests|docs)(?:/\w+)?)`", text):
        assert (ROOT / folder).is_dir(), folder
    for part in ("core", "local", "remote", "sync", "cli", "api", "page", "sandbox"):
        assert f"`astica_sync/{part}`" in text


def test_the_newest_version_of_the_changes_is_that_of_the_program() -> None:
    versions = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0] in (astica_sync.__version__, "Unreleased")
    assert astica_sync.__version__ in versions
    assert len(set(versions)) == len(versions)


def test_each_group_of_dependencies_is_installed_by_make() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    # The readers are large, and their tests are skipped without them.
    assert [name for name in groups if f"--group {name}" not in makefile] == ["readers"]


def test_the_builder_of_the_site_is_pinned_and_the_design_says_why() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert [one for one in groups["docs"] if re.fullmatch(r"zensical==[\d.]+", one)] != []
    design = (ROOT / "docs" / "dev" / "design.md").read_text("utf-8")
    paragraph = next(one for one in design.split("\n\n") if "Zensical" in one)
    assert "Its version is pinned, since" in " ".join(paragraph.split())


def test_the_figures_have_as_many_packages_as_the_base_installation() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    below: dict[str, set[str]] = {}
    for package in lock:
        below.setdefault(package["name"], set()).update(one["name"] for one in package.get("dependencies", ()))
    found, waiting = {"pip"}, {"astica-sync"}
    while waiting:
        found |= waiting
        waiting = set().union(*(below[name] for name in waiting)) - found
    page = (ROOT / "docs" / "dev" / "benchmarks.md").read_text("utf-8")
    named = re.findall(r"^\| base install.* (\d+) packages beside the program and pip", page, re.MULTILINE)
    # Versions of today and of the lock file differ by one that a library no longer needs.
    assert [abs(int(number) - len(found - {"pip", "astica-sync"})) <= 1 for number in named] == [True]
