"""Draws ``picture.svg``: a real session on a terminal, against a sandbox, with the small store of ``fixtures``.

Run it with ``.venv/bin/python docs/picture.py`` when the output of the commands has changed.
"""

import io
import os
import pty
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from astica_sync.sandbox.embedded import running

DOCS = Path(__file__).parent
COLUMNS = 92

# rich's own frame takes its font from elsewhere; this one asks for nothing.
FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
<rect fill="#16181d" x="1" y="1" width="{width}" height="{height}" rx="8"/>
<g fill="#3b3f4a"><circle cx="26" cy="22" r="7"/><circle cx="48" cy="22" r="7"/><circle cx="70" cy="22" r="7"/></g>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""

STORY = (
    "astica-sync pull-status",
    "astica-sync push",
    "astica-sync log -n 4",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, running(port=8777) as box:
        home = Path(name).resolve()
        store = home / "photos"
        shutil.copytree(DOCS.parent / "fixtures" / "store", store)
        environ = _environ(home, box.url, box.key)
        _run("astica-sync init --create Packaging --type image --purpose sort", store, environ)
        _run("astica-sync push", store, environ)
        _change(store)
        box.add_sample(box.models()[0][0], "Jar", (store / "Bottle" / "a.png").read_bytes())
        console = Console(record=True, width=COLUMNS, file=io.StringIO())
        for line in _session(store, environ):
            console.print(Text.from_ansi(line.replace(str(home), "~")), overflow="fold")
        (DOCS / "picture.svg").write_text(console.export_svg(code_format=FRAME, unique_id="terminal"), "utf-8")


def _change(store: Path) -> None:
    """What somebody did since the last push: one image moved, one deleted, two added, one of them no image."""
    (store / "Can" / "001.jpg").rename(store / "Bottle" / "001.jpg")
    (store / "Büchse" / "eins.png").unlink()
    shutil.copy(store / "Bottle" / "a.png", store / "Can" / "new.png")
    with (store / "Can" / "new.png").open("ab") as file:
        file.write(b"another image")
    (store / "Can" / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")


def _session(store: Path, environ: dict[str, str]) -> Iterator[str]:
    for number, command in enumerate(STORY):
        if number:
            yield ""
        yield f"\x1b[1;32m~/photos $\x1b[0m \x1b[1m{command}\x1b[0m"
        yield from _run(command, store, environ).splitlines()


def _run(command: str, folder: Path, environ: dict[str, str]) -> str:
    """What a command prints on a terminal; a dumb one, since a bar that moves cannot be drawn."""
    terminal, behind = pty.openpty()
    arguments = [sys.executable, "-m", "astica_sync", *shlex.split(command)[1:]]
    with subprocess.Popen(arguments, cwd=folder, env=environ, stdin=behind, stdout=behind, stderr=behind) as process:
        os.close(behind)
        printed = b""
        while piece := _read(terminal):
            printed += piece
        os.close(terminal)
    if process.returncode:
        raise RuntimeError(printed.decode())
    return printed.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # So Linux says that nobody is left on the other side.
        return b""


def _environ(home: Path, url: str, key: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "dumb",
        "COLUMNS": str(COLUMNS),
        "ASTICA_TRAIN_URL": url,
        "ASTICA_DETECT_URL": url,
        "ASTICA_API_KEY": key,
    }


if __name__ == "__main__":
    main()
