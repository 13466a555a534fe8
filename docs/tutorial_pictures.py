"""Draws the pictures of the tutorial: its steps are run on the sandbox, and the reports and the page are photographed.

Run it with ``python docs/tutorial_pictures.py`` where Chromium is installed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from console_examples import environment
from page_picture import Size, open_page, run_command, save_small, serve_page, wait_until_drawn

from astica_sync.sandbox.embedded import running

DOCS = Path(__file__).parent
PICTURES = DOCS / "pictures"
DIGITS = DOCS.parent / "fixtures" / "make_digits.py"
LIMIT = 2000


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, running(limit=LIMIT) as box:
        home = Path(name).resolve()
        store, held_out = home / "digits", home / "held-out"
        environ = environment(home) | {
            "ASTICA_TRAIN_URL": box.url,
            "ASTICA_DETECT_URL": box.url,
            "ASTICA_API_KEY": box.key,
            "ASTICA_LIMIT": str(LIMIT),
        }
        _write_digits(store, 4, 0)
        copy = store / "two" / "extra.png"
        copy.write_bytes((store / "one" / "003.png").read_bytes())
        run_command(["init", "--create", "Digits", "--purpose", "read digits"], store, environ)
        run_command(["inspect", "--only", "several-classes", "--html", str(home / "faults.html")], store, environ)
        _photograph_report(home / "faults.html", "inspect.png", (640, 470))
        copy.unlink()
        run_command(["push"], store, environ)
        run_command(["status"], store, environ)
        with serve_page(store, environ) as address, open_page((1180, 560)) as page:
            page.goto(address)
            wait_until_drawn(page)
            save_small(page.screenshot(animations="disabled"), PICTURES / "store.png")
        _write_digits(held_out, 20, 60)
        report = ["evaluate", str(held_out), "--yes", "--versions", "all", "--html", str(home / "report.html")]
        run_command(["train"], store, environ)
        run_command(report, store, environ)
        _photograph_report(home / "report.html", "evaluate.png", (860, 1170))
        _write_digits(store, 40, 4)
        run_command(["push"], store, environ)
        run_command(["train"], store, environ)
        run_command(report, store, environ)
        _photograph_report(home / "report.html", "compare.png", (860, 330))


def _write_digits(folder: Path, count: int, first: int) -> None:
    subprocess.run([sys.executable, str(DIGITS), str(folder), str(count), str(first)], check=True)


def _photograph_report(report: Path, name: str, size: Size) -> None:
    with open_page(size) as page:
        page.goto(report.as_uri())
        save_small(page.screenshot(animations="disabled"), PICTURES / name)


if __name__ == "__main__":
    main()
