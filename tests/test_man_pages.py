"""The manual pages: that roff shows the text of the help and nothing else."""

import re
import shutil
import subprocess

import click
import generate
import man_pages
import pytest

PAGES = man_pages.man_pages(generate.commands())
REQUESTS = {"TH", "SH", "PP", "TP", "B", "BR", "RS", "RE", "nf", "fi"}


def test_each_command_has_a_page() -> None:
    assert set(PAGES) == {f"man/{name.replace(' ', '-')}.1" for name, _ in generate.commands()}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_request_but_those_of_its_form(page: str) -> None:
    lines = [line for line in PAGES[page].splitlines() if not line.startswith('.\\"')]
    assert {found[1] for line in lines if (found := re.match(r"[.'](\w*)", line))} <= REQUESTS
    assert not [line for line in lines if re.search(r"\\[^e&-]", line)]


def test_what_looks_like_a_request_is_text() -> None:
    @click.command()
    def odd() -> None:
        """Odd.

        'tis .so \\fB text: C:\\new

        \b
        .astica-ignore
        """

    text = man_pages.man_pages([("astica-sync odd", odd)])["man/astica-sync-odd.1"]
    assert "\n\\&'tis .so \\efB text: C:\\enew\n" in text
    assert "\n.nf\n\\&.astica\\-ignore\n.fi\n" in text


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_shows_examples_line_by_line() -> None:
    shown = subprocess.run(
        ["man", "-l", "-"],
        input=PAGES["man/astica-sync-push.1"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
    ).stdout
    lines = [line.strip() for line in shown.splitlines()]
    assert "astica-sync push --dry-run" in lines and "astica-sync push --max-remove 50" in lines
    assert "--as VERSION" in lines
