"""Draws ``picture.svg``: a real session on a terminal, on the sandbox, with the small store of ``fixtures``.

Run it with ``make docs``, which draws it again when the output of the commands has changed.
"""

import io
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, unescape

from console_examples import PORT, environment, normalise, plain, run_on_terminal
from rich.console import Console
from rich.text import Text

from astica_sync.sandbox.embedded import running

DOCS = Path(__file__).parent
PICTURE = DOCS / "picture.svg"
COLUMNS = 92

# The frame that rich draws loads its font from elsewhere; this one loads nothing.
FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<desc>@description@</desc>
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

COMMANDS = (
    "astica-sync status",
    "astica-sync push",
    "astica-sync log -n 4",
)


def draw(session: str) -> str:
    """The session, with its colours, as an SVG drawing whose description is the session as plain text."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in session.splitlines():
        console.print(Text.from_ansi(line), overflow="fold")
    drawing = console.export_svg(code_format=FRAME, unique_id="terminal")
    return drawing.replace("@description@", escape(plain(session)))


def read_session(drawing: str) -> str:
    """The session of a drawing as plain text."""
    description = re.search(r"<desc>(.*?)</desc>", drawing, re.DOTALL)
    return unescape(description[1]) if description else ""


def run_session() -> str:
    """What the commands print, with colours, each after its prompt."""
    with tempfile.TemporaryDirectory() as name, running() as box:
        home = Path(name).resolve()
        store = home / "photos"
        shutil.copytree(DOCS.parent / "fixtures" / "store", store)
        environ = environment(home) | {
            "COLUMNS": str(COLUMNS),
            "ASTICA_TRAIN_URL": box.url,
            "ASTICA_DETECT_URL": box.url,
            "ASTICA_API_KEY": box.key,
        }
        _run("astica-sync init --create Packaging --purpose sort", store, environ)
        _run("astica-sync push", store, environ)
        _change(store)
        box.add_sample(box.models()[0][0], "Jar", (store / "Bottle" / "a.png").read_bytes())
        return "\n".join(_session(store, environ)).replace(str(home), "~").replace(box.url.rpartition(":")[2], PORT)


def _change(store: Path) -> None:
    """Changes since the last push: one image moved, one deleted, two added, one of them not an image."""
    (store / "Can" / "001.jpg").rename(store / "Bottle" / "001.jpg")
    (store / "Büchse" / "eins.png").unlink()
    shutil.copy(store / "Bottle" / "a.png", store / "Can" / "new.png")
    with (store / "Can" / "new.png").open("ab") as file:
        file.write(b"another image")
    (store / "Can" / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")


def _session(store: Path, environ: dict[str, str]) -> Iterator[str]:
    for number, command in enumerate(COMMANDS):
        if number:
            yield ""
        yield f"\x1b[1;32m~/photos $\x1b[0m \x1b[1m{command}\x1b[0m"
        yield _run(command, store, environ).rstrip("\n")


def _run(command: str, folder: Path, environ: dict[str, str]) -> str:
    arguments = [sys.executable, "-m", "astica_sync", *shlex.split(command)[1:]]
    return re.sub(r"[^\n]*\r", "", run_on_terminal(arguments, folder, environ, []))


def is_outdated() -> bool:
    """Whether the commands print something else than the picture shows."""
    drawing = PICTURE.read_text("utf-8") if PICTURE.exists() else "<svg/>"
    return normalise(read_session(drawing)) != normalise(plain(run_session()))


if __name__ == "__main__":
    if is_outdated():
        PICTURE.write_text(draw(run_session()), "utf-8")
