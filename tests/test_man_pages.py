"""The manual page: that roff shows the text of the help and nothing else."""

import re
import shutil
import subprocess

import click
import generate
import man_pages
import pytest

PAGE = man_pages.man_page(generate.commands())
REQUESTS = {"TH", "SH", "SS", "PP", "TP", "B", "RS", "RE", "nf", "fi"}


def test_each_command_has_a_section() -> None:
    sections = [line.removeprefix(".SS ").replace("\\-", "-") for line in PAGE.splitlines() if line.startswith(".SS ")]
    names = [name for name, _ in generate.commands()][1:]
    assert len(sections) == len(names)
    assert all(any(f"{one} ".startswith(f"{name} ") for one in sections) for name in names)


def test_the_page_has_no_request_but_those_of_its_form() -> None:
    lines = [line for line in PAGE.splitlines() if not line.startswith('.\\"')]
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

    text = man_pages.man_page([("astica-sync", odd), ("astica-sync push", odd)])
    assert text.count("tis .so") == 2
    assert "\n\\&'tis .so \\efB text: C:\\enew\n" in text
    assert "\n.nf\n\\&.astica\\-ignore\n.fi\n" in text


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_shows_examples_line_by_line() -> None:
    shown = subprocess.run(
        ["man", "-l", "-"],
        input=PAGE,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
    ).stdout
    lines = [line.strip() for line in shown.splitlines()]
    assert "astica-sync push --dry-run" in lines and "astica-sync push --max-remove 50" in lines
    assert "--as VERSION" in lines
