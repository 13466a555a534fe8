"""``make release-check``: everything about a release but its publishing.

Builds the wheel and the sdist twice, makes the wheel smaller, compares them byte for byte, checks their metadata, lists
what is in the wheel of third parties, and installs the wheel in empty homes: with pip on each Python that is found,
with the lowest versions of all dependencies and every extra, by uv and by pipx. Each installation runs ``astica-sync
demo``, and one serves the page to Chromium. The packages and the list of their parts (SBOM) are in ``dist``.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PACKAGES = DIST / "packages"
EXTRAS = "[sandbox]"
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
MOST_WHEEL = 1_000_000
"""Bytes: 1 MiB."""
LEAST_TYPES = 0.95
"""The share of the public names whose types are complete, what third parties leave open aside."""
STORIES = (
    "test_relabel_story.py::test_relabel_twenty_by_keyboard",
    "test_large_view_story.py::test_an_image_moved_by_hand_is_followed_and_the_next_one_is_that_of_its_place",
    "test_live_story.py::test_a_push_runs_in_the_panel",
)
"""Tests that use the page in a browser and fail on an error in its console."""
TOOLS = ("build", "twine", "cyclonedx-bom", "uv", "pipx", "pyright[nodejs]", "zopflipy")


class Failed(Exception):
    """A check failed; the message says which."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only-build", action="store_true", help="build and check the packages, and install nothing")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="release-") as folder:
            check(Path(folder), only_build=options.only_build)
    except Failed as failure:
        print(f"release-check: {failure}", file=sys.stderr)  # noqa: T201 - a program for the terminal
        return 1
    say("everything holds")
    return 0


def check(folder: Path, *, only_build: bool) -> None:
    tools = folder / "tools"
    run([sys.executable, "-m", "venv", str(tools)])
    run([str(tools / "bin" / "pip"), "install", "--quiet", *TOOLS])
    shutil.rmtree(DIST, ignore_errors=True)
    run([str(tools / "bin" / "uv"), "lock", "--check"])
    wheel, sdist = build_twice(tools, folder)
    run([str(tools / "bin" / "twine"), "check", "--strict", str(wheel), str(sdist)])
    check_content(wheel)
    write_notices(wheel)
    if not only_build:
        programs = [by_pip(python, wheel, folder) for python in PYTHONS if is_there(python)]
        for program in programs[:1]:
            in_browser(program)
        write_sbom(tools, wheel, folder)
        check_types(tools, folder)
        by_uv(tools, wheel, folder)
        with_lowest_versions(tools, wheel, folder)
        by_pipx(tools, wheel, folder)


def is_there(python: str) -> bool:
    """Whether it runs: a version manager has a name for each Python, also for those that are not chosen."""
    return shutil.which(python) is not None and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def every_extra(project: Path) -> str:
    """The extras that a folder's ``pyproject.toml`` declares, in the form of a requirement."""
    declared = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    return f"[{','.join(sorted(declared))}]"


def build_twice(tools: Path, folder: Path) -> tuple[Path, Path]:
    """The packages, which a second build from another folder makes byte for byte again."""
    commit, stamp = run(["git", "log", "-1", "--format=%H %ct"]).split()
    for number, target in enumerate((PACKAGES, folder / "again")):
        # A clone has what is committed, and nothing else.
        source = folder / f"source{number}"
        run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(source)])
        run(["git", "checkout", "--quiet", commit], cwd=source)
        command = [str(tools / "bin" / "python"), "-m", "build", "--outdir", str(target), str(source)]
        run(command, {"SOURCE_DATE_EPOCH": stamp})
        wheel = next(target.glob("*.whl"))
        run([str(tools / "bin" / "python"), str(ROOT / "release" / "compress_wheel.py"), str(wheel)])
    for first in sorted(PACKAGES.iterdir()):
        again = folder / "again" / first.name
        if not again.exists() or again.read_bytes() != first.read_bytes():
            raise Failed(f"{first.name} is another one when it is built again")
        say(f"{first.name}: {first.stat().st_size:,} bytes, sha256 {hashlib.sha256(first.read_bytes()).hexdigest()}")
    return next(PACKAGES.glob("*.whl")), next(PACKAGES.glob("*.tar.gz"))


def check_content(wheel: Path) -> None:
    """The wheel has the page as bundles, the licences of what is in them, its types, its licence, a manual page and
    completions, and nothing of the tests."""
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    wanted = ("astica_sync/py.typed", "astica_sync/page/static/js/main.js", "licenses/LICENSE")
    wanted += ("astica_sync/page/static/js/setup/setup.js", "astica_sync/page/static/vendor/LICENSES.txt")
    wanted += ("share/man/man1/astica-sync.1", "share/bash-completion/completions/astica-sync")
    wanted += ("share/zsh/site-functions/_astica-sync", "share/fish/vendor_completions.d/astica-sync.fish")
    missing = [name for name in wanted if not any(one.endswith(name) for one in names)]
    if missing:
        raise Failed(f"the wheel has no {', '.join(missing)}")
    others = [name for name in names if not name.startswith(("astica_sync/", "astica_sync-"))]
    others += [name for name in names if name.startswith("astica_sync/page/static/vendor/") and name.endswith(".js")]
    if others:
        raise Failed(f"the wheel has {', '.join(others[:3])}")
    if wheel.stat().st_size > MOST_WHEEL:
        raise Failed(f"the wheel has {wheel.stat().st_size:,} bytes, and may have {MOST_WHEEL:,}")


def write_notices(wheel: Path) -> None:
    """The licences of third parties whose files are in the wheel, in one file."""
    with zipfile.ZipFile(wheel) as opened:
        licences = [name for name in opened.namelist() if "/vendor/" in name and "LICENSE" in name.upper()]
        texts = [f"{Path(name).name}\n\n{opened.read(name).decode()}" for name in sorted(licences)]
    if not texts:
        raise Failed("the wheel has no licences of the page's modules")
    (DIST / "THIRD-PARTY-NOTICES.txt").write_text("\n\n".join(texts), "utf-8")


def write_sbom(tools: Path, wheel: Path, folder: Path) -> None:
    """What an installation with every extra of this machine's Python brings, as CycloneDX."""
    python = folder / "pip-sbom" / "bin" / "python"
    run([sys.executable, "-m", "venv", str(folder / "pip-sbom")])
    run([str(python), "-m", "pip", "install", "--quiet", f"{wheel}{every_extra(ROOT)}"])
    sbom = DIST / "sbom.cdx.json"
    run([str(tools / "bin" / "cyclonedx-py"), "environment", str(python), "--output-file", str(sbom)])
    parts = json.loads(sbom.read_text("utf-8"))["components"]
    say(f"{sbom.name}: {len(parts)} parts")


def check_types(tools: Path, folder: Path) -> None:
    """Pyright finds the types of the installed package complete."""
    installed = folder / "pip-sbom"
    environ = {"VIRTUAL_ENV": str(installed), "PATH": f"{installed / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(tools / "bin" / "pyright"), "--ignoreexternal", "--outputjson", "--verifytypes", "astica_sync"]
    # It ends with 1 as long as one type is not complete.
    ended = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    try:
        score = json.loads(ended.stdout)["typeCompleteness"]["completenessScore"]
    except (ValueError, KeyError):
        raise Failed(f"pyright ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}") from None
    if score < LEAST_TYPES:
        raise Failed(f"the types of {score:.1%} of the public names are complete, and {LEAST_TYPES:.0%} have to be")
    say(f"types: {score:.1%} of the public names are complete")


def by_pip(python: str, wheel: Path, folder: Path) -> Path:
    """The installed program."""
    place = folder / f"pip ä {python}"
    run([python, "-m", "venv", str(place)])
    run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", f"{wheel}{EXTRAS}"])
    try_out([str(place / "bin" / "astica-sync")], folder, f"pip on {python}")
    return place / "bin" / "astica-sync"


def in_browser(program: Path) -> None:
    """The stories, on the page that the program serves in an empty home. They are skipped where there is no
    Chromium."""
    stories = [f"tests/page/browser/{story}" for story in STORIES]
    printed = run([sys.executable, "-m", "pytest", *stories], {"PAGE_PROGRAM": str(program)})
    say(f"the page in a browser: {printed.splitlines()[-1].strip('= ')}")


def by_uv(tools: Path, wheel: Path, folder: Path) -> None:
    uv = str(tools / "bin" / "uv")
    home = {"UV_TOOL_DIR": str(folder / "uv-tools"), "UV_TOOL_BIN_DIR": str(folder / "uv-bin")}
    run([uv, "tool", "install", "--quiet", f"astica-sync{EXTRAS} @ {wheel.as_uri()}"], home)
    try_out([str(folder / "uv-bin" / "astica-sync")], folder, "uv tool install")
    try_out([uv, "tool", "run", "--from", f"astica-sync{EXTRAS} @ {wheel.as_uri()}", "astica-sync"], folder, "uvx")


def with_lowest_versions(tools: Path, wheel: Path, folder: Path) -> None:
    """The lowest versions that ``pyproject.toml`` allows, of every extra: the demo, and what loads most packages."""
    uv = str(tools / "bin" / "uv")
    lowest = folder / "lowest"
    run([uv, "venv", "--quiet", "--python", sys.executable, str(lowest)])
    run(
        [uv, "pip", "install", "--quiet", "--resolution", "lowest-direct", f"{wheel}{every_extra(ROOT)}"],
        {"VIRTUAL_ENV": str(lowest)},
    )
    program = str(lowest / "bin" / "astica-sync")
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    environ = {"HOME": str(home), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(home)}
    run([program, "demo", "--keep"], environ, home)
    digits = next(home.glob("astica-sync-demo-*/digits"))
    # An ignore file loads one package more.
    (digits / ".astica-ignore").write_text("*.tmp\n", "utf-8")
    run([program, "inspect", str(digits)], environ, home)
    for layout in ("parquet", "csv"):
        run([program, "export", "--store", str(digits), str(home / layout), "--format", layout], environ, home)
    # It ends with 1, since there is no key.
    report = json.loads(run([program, "doctor", "--json"], environ, home, codes=(0, 1)))
    problems = [one["text"] for one in report["findings"] if one["section"] in ("program", "packages")]
    if problems:
        raise Failed(f"the lowest versions of all dependencies: {'; '.join(problems)}")
    say("the lowest versions of all dependencies: demo, inspect, export and doctor done")


def by_pipx(tools: Path, wheel: Path, folder: Path) -> None:
    home = {"PIPX_HOME": str(folder / "pipx"), "PIPX_BIN_DIR": str(folder / "pipx-bin")}
    home["PIPX_MAN_DIR"] = str(folder / "pipx-man")
    run([str(tools / "bin" / "pipx"), "install", f"{wheel}{EXTRAS}"], home)
    if not (folder / "pipx-man" / "man1" / "astica-sync.1").exists():
        raise Failed("pipx shows no manual page")
    try_out([str(folder / "pipx-bin" / "astica-sync")], folder, "pipx")


def try_out(program: Sequence[str], folder: Path, way: str) -> None:
    """The demo, in an empty home and an empty folder."""
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    environ = {"HOME": str(home), "XDG_CACHE_HOME": str(folder / "cache")}
    version = run([*program, "--version"], environ, home)
    ended = run([*program, "demo"], environ, home)
    if "This is the end of the demo." not in ended:
        raise Failed(f"{way}: the demo did not come to its end")
    say(f"{way}: {version.strip()}, demo done")


def run(
    command: Sequence[str], more: dict[str, str] | None = None, cwd: Path = ROOT, *, codes: Sequence[int] = (0,)
) -> str:
    """The output of a command.

    Raises:
        Failed: it did not end with one of ``codes``.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ASTICA_", "PYTHONPATH"))}
    ended = subprocess.run(
        command, cwd=cwd, env={**environ, **(more or {})}, capture_output=True, text=True, check=False
    )
    if ended.returncode not in codes:
        raise Failed(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program for the terminal


if __name__ == "__main__":
    sys.exit(main())
