"""The documents match the program: generated pages are fresh, links and anchors exist, commands and flags exist, and
what the pages show as output is what the commands print."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import console_examples
import generate
import picture
import pytest

from astica_sync import config, errors
from astica_sync.cli.exit_codes import EXIT_CODES
from astica_sync.cli.main import ALIASES, COMMANDS, cli, run
from astica_sync.sandbox.embedded import RunningSandbox
from tests.simulation.mutants import MUTANTS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
CHANGES = ROOT / "changes"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), CHANGES / "README.md"])
BLOCK = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
USER_PAGES = sorted([*DOCS.glob("*.md"), *REFERENCE.glob("*.md")])
SPAN = re.compile(r"`([^`\n]+)`")
STEP_CALLS = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.py)`: ((?:`[\w.]+`(?: → |,\s+)?)+)")


COMMAND_PAGES: dict[str, click.Command] = dict(generate.commands())
CALLS = COMMAND_PAGES | {
    f"astica-sync {alias}": COMMAND_PAGES[f"astica-sync {name}"] for alias, name in ALIASES.items()
}


def _flags(command: click.Command) -> set[str]:
    return {flag for param in command.params for flag in param.opts} | {"--help", "-h"}


def test_the_generated_pages_say_what_the_code_says() -> None:
    for name, text in generate.pages().items():
        assert (DOCS / name).read_text("utf-8") == text, f"{name} is not fresh; run: make docs"


@pytest.mark.parametrize("name", COMMAND_PAGES)
def test_every_command_and_option_is_documented(name: str) -> None:
    command, page = CALLS[name], (REFERENCE / "commands.md").read_text("utf-8")
    section = re.search(rf"^##+ {re.escape(name)}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert command.help, f"{name} has no help"
    assert section is not None
    for option in command.params:
        if isinstance(option, click.Option) and "--help" not in option.opts and not option.hidden:
            assert option.help, f"{name} {option.opts[0]} has no help"
            assert option.opts[0] in section[1]


def test_every_setting_code_and_error_is_documented() -> None:
    settings, codes = ((REFERENCE / page).read_text("utf-8") for page in ("settings.md", "exit-codes.md"))
    for setting in config.SETTINGS:
        assert f"| `{setting.name}` | {f'`{setting.variable}`' if setting.variable else ''} |" in settings
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in codes
    for name in vars(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.AsticaSyncError) and kind is not errors.AsticaSyncError:
            assert f"| `{name}` |" in codes
            assert f"─ {name}" in (errors.__doc__ or ""), "the tree at the top of errors.py"
            assert kind.exit_code in EXIT_CODES


def test_every_dependency_has_its_line_in_the_design() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    table = (DOCS / "dev" / "design.md").read_text("utf-8").partition("\n## Dependencies\n")[2].partition("\n## ")[0]
    named = {name for row in re.findall(r"^\| ([\w, -]+) \|", table, re.MULTILINE) for name in row.split(", ")}
    assert {re.split(r"[^\w-]", line)[0] for lines in lists for line in lines} <= named


def test_every_file_that_the_design_names_exists() -> None:
    design = (DOCS / "dev" / "design.md").read_text("utf-8")
    prose = BLOCK.sub("", design)
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", prose))
    assert len(named) > 20
    for name in named:
        assert (ROOT / "astica_sync" / name).is_file() or (ROOT / name).is_file(), name


def test_every_function_that_the_walks_name_is_in_its_file() -> None:
    walks = (DOCS / "dev" / "design.md").read_text("utf-8").partition("## The walk of a new photo")[2]
    calls = STEP_CALLS.findall(walks.partition("## The rate limit")[0])
    assert len(calls) > 20
    for file, names in calls:
        source = (ROOT / "astica_sync" / file).read_text("utf-8")
        for name in SPAN.findall(names):
            for word in name.split("."):
                assert re.search(rf"\b(?:def|class) {word}\b", source), f"{file}: {name}"


@pytest.mark.parametrize("walk", ["new photo", "removal"])
def test_a_walk_names_each_function_once(walk: str) -> None:
    text = (
        (DOCS / "dev" / "design.md").read_text("utf-8").partition(f"## The walk of a {walk}\n")[2].partition("\n## ")[0]
    )
    steps = "\n".join(re.findall(r"^\d+\. (?:.|\n {3})+", text, re.MULTILINE))
    named = Counter((file, name) for file, names in STEP_CALLS.findall(steps) for name in SPAN.findall(names))
    assert len(named) > 10
    # The pipeline runs the steps of both directions; nothing else is named twice.
    assert [one for one, times in named.items() if times > 1] == []


def test_the_page_on_reliability_lists_every_seeded_bug() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (DOCS / "dev" / "reliability.md").read_text("utf-8"), re.MULTILINE)
    assert {mutant.name for mutant in MUTANTS} <= {row.replace("`", "") for row in rows}


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\((\w[\w/-]*\.md)\)", (DOCS / "index.md").read_text("utf-8")))
    assert linked == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"index.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = SPAN.sub("", BLOCK.sub("", page.read_text("utf-8")))
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for target in targets:
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), target
        if anchor:
            assert anchor in _anchors(found), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted({*PAGES, *CHANGES.glob("*.md")}), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_flag_variable_and_target_in_a_document_exists(page: Path) -> None:
    assert list(_wrong_mentions(page.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "see `astica-sync pushh`",
        "see `astica-sync push --force`",
        "see `push --force`",
        "give `--force`",
        "set `ASTICA_LIMITS`",
        "run `make everything`",
        "run `python -m tests.simulations --walks 3`",
        "```console\n$ astica-sync backup burn\n```",
        "```sh\ncd x && astica-sync log -m 3 | head\n```",
    ],
)
def test_a_wrong_mention_is_found(wrong: str) -> None:
    assert len(list(_wrong_mentions(f"Some text:\n{wrong}"))) == 1


def _wrong_mentions(text: str) -> Iterator[str]:
    # These are programs of their own, with their own flags and variables.
    programs = "".join(
        file.read_text("utf-8") for name in ("simulation", "syscalls") for file in (ROOT / "tests" / name).glob("*.py")
    )
    known = {setting.variable for setting in config.SETTINGS} | {config.KEY_VARIABLE, config.KEY_FILE_VARIABLE}
    known |= set(re.findall(r"\bASTICA_[A-Z_]+\b", programs))
    yield from sorted(set(re.findall(r"\bASTICA_[A-Z_]+\b", text)) - known)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    every_flag = {flag for command in CALLS.values() for flag in _flags(command)}
    every_flag |= set(re.findall(r'add_argument\("(--[\w-]+)"', programs))
    for line in _code(text):
        module = re.search(r"python -m ((?:tests|benchmarks)[\w.]*)", line)
        if module and not any(
            (ROOT / f"{module[1].replace('.', '/')}{end}").is_file() for end in (".py", "/__main__.py")
        ):
            yield line
        called = re.match(r"make ([a-z-]+)", line)
        flag = re.match(r"--[\w-]+", line)
        if (called and called[1] not in targets) or (flag and flag[0] not in every_flag):
            yield line
        words = _words(line)
        if "[OPTIONS]" in words:
            continue
        if words[:1] == ["astica-sync"] or (words[1:] and words[0] in (*COMMANDS, *ALIASES)):
            yield from _wrong_call(words if words[0] == "astica-sync" else ["astica-sync", *words])


def _code(text: str) -> Iterator[str]:
    """What stands as code in a document: each command of the blocks, each span of the text."""
    for language, block in BLOCK.findall(text):
        for line in block.replace("\\\n", "").splitlines():
            if language != "console" or line.startswith("$ "):
                yield from re.split(r"\s*(?:&&|\|\||[|&;]|(?<!\S)#.*)\s*", line.removeprefix("$ ").strip())
    yield from SPAN.findall(BLOCK.sub("", text))


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _wrong_call(words: list[str]) -> Iterator[str]:
    name = "astica-sync"
    for word in words[1:]:
        if word.startswith("-") and word not in ("-", "--"):
            flag = word.partition("=")[0]
            if flag not in _flags(CALLS[name]) | _flags(cli):
                yield f"{name} {word}"
        elif f"{name} {word}" in CALLS:
            name = f"{name} {word}"
        elif name == "astica-sync" or (name == "astica-sync backup" and word.islower()):
            yield f"{name} {word}"


def test_the_picture_is_a_whole_drawing_without_anything_from_elsewhere() -> None:
    text = (DOCS / "picture.svg").read_text("utf-8")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert set(re.findall(r"https?://[^\s\"')]+", text)) == {"http://www.w3.org/2000/svg"}


def test_the_json_page_names_every_key(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "photos"
    shutil.copytree(ROOT / "fixtures" / "store", store)
    (store / "Can" / "note.txt").write_text("not an image")
    for name, value in _environ(tmp_path, sandbox.url, sandbox.key).items():
        monkeypatch.setenv(name, value)
    model = sandbox.add_model("Packaging")
    sandbox.add_sample(model, "Jar", next(store.rglob("*.png")).read_bytes())
    assert run(["init", str(store), "--model", str(model)]) == 0
    capsys.readouterr()

    for command in ("pull-status", "push"):
        assert run([command, "--store", str(store), "--json"]) == 0
        _compare(json.loads(capsys.readouterr().out), f"## {command} --json\n")


def _compare(printed: dict[str, Any], heading: str) -> None:
    section = (REFERENCE / "json.md").read_text("utf-8").partition(heading)[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*) \|$", section, re.MULTILINE)
    documented = {name: set(SPAN.findall(meaning)) for names, meaning in rows for name in SPAN.findall(names)}
    assert set(printed) == set(documented)
    for name, value in printed.items():
        entry = value[0] if isinstance(value, list) and value else value
        if isinstance(entry, dict) and documented[name]:
            assert set(entry) == documented[name]


def _environ(home: Path, url: str, key: str) -> dict[str, str]:
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "ASTICA_TRAIN_URL": url,
        "ASTICA_DETECT_URL": url,
        "ASTICA_API_KEY": key,
    }


@pytest.mark.long
@pytest.mark.parametrize("page", console_examples.pages(), ids=lambda page: page.name)
def test_each_shown_command_prints_exactly_what_the_page_shows(page: Path) -> None:
    for result in console_examples.run(page):
        shown, printed = (console_examples.normalise(text) for text in (result.shown, result.printed))
        assert shown == printed, f"{page.name}: {result.step.command} prints something else; run: make docs"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_prints_what_the_page_of_the_sandbox_shows(sandbox: RunningSandbox, tmp_path: Path) -> None:
    page = (DOCS / "sandbox.md").read_text("utf-8")
    found = re.search(r"^\$ (curl .*)\n(\{.*\})$", page, re.MULTILINE)
    assert found is not None
    environ = {"PATH": os.environ["PATH"], **_environ(tmp_path, sandbox.url, sandbox.key)}
    printed = subprocess.run(["sh", "-c", found[1]], env=environ, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == found[2]


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("2026-11-29 10:00:01  upload        Can/001.jpg\n", True),
        ("Comparing the store with the service, 10 s\n2026-11-29 10:00:01  upload        Can/001.jpg\n", True),
        ("2026-11-28 09:28:39  remove        Can/001.jpg\n", False),
        ("2026-11-28 09:28:39  upload        Can/001.jpg\nand more\n", False),
        ("", False),
    ],
)
def test_outputs_are_compared_as_a_whole_but_for_what_differs_per_run(printed: str, same: bool) -> None:
    shown = "2026-11-28 09:28:39  upload        Can/001.jpg\n"
    assert console_examples.Result(console_examples.Step("astica-sync log"), shown, printed, 0).same is same


def test_a_page_says_which_exit_code_and_answer_belong_to_a_command() -> None:
    page = (
        "<!-- run: cd x\nls -->\n```console exit=4 answer=n answer=y\n$ a\nout\n$ b\n```\n```console norun\n$ c\n```\n"
    )
    steps = console_examples.read_steps(page)
    assert [(step.command, step.hidden, step.exit_code, step.answers) for step in steps] == [
        ("cd x", True, 0, []),
        ("ls", True, 0, []),
        ("a", False, 0, []),
        ("b", False, 4, ["n", "y"]),
    ]
    assert page[steps[2].start : steps[2].end] == "out\n"


@pytest.mark.long
def test_the_picture_shows_what_the_commands_print() -> None:
    assert not picture.is_outdated(), "run: make docs"


@pytest.mark.parametrize("page", USER_PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_for_users_begins_with_what_one_can_do_after_it(page: Path) -> None:
    paragraphs = page.read_text("utf-8").split("\n\n")
    assert paragraphs[0].startswith("# ")
    first = next(text for text in paragraphs[1:] if not text.startswith("<!--"))
    assert re.match(r"After (?:reading )?this page you (?:can|know) ", first)


def find_wrong_changes(folder: Path) -> list[str]:
    """The files in a folder of changes that towncrier would pass over, or that would not be one line of a list."""
    kinds = [kind["directory"] for kind in towncrier_settings()["type"]]
    name = re.compile(rf"[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(kinds)})(\.[1-9]\d*)?\.md")
    found = []
    for file in sorted(folder.iterdir()):
        if file.name in ("README.md", "template.md.jinja"):
            continue
        text = file.read_text("utf-8") if file.is_file() else ""
        if name.fullmatch(file.name) is None:
            found.append(f"{file.name}: not WORDS.KIND.md")
        elif not text.strip() or re.search(r"^\s*$|^[-*#]", text.strip("\n"), re.MULTILINE):
            found.append(f"{file.name}: not one paragraph without a bullet")
    return found


def towncrier_settings() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
    return settings


def test_each_file_of_changes_is_one_line_of_the_changelog() -> None:
    assert find_wrong_changes(CHANGES) == []


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("prune-age.fixed.md", "`backup prune` keeps more.\nAlso that.\n", True),
        ("prune-age.fixed.1.md", "And that.\n", True),
        ("prune-age.md", "No kind.\n", False),
        ("prune-age.fix.md", "No such kind.\n", False),
        ("prune-age.fixed.txt", "Not Markdown.\n", False),
        ("Prune age.fixed.md", "A space.\n", False),
        ("prune-age.fixed.md", "", False),
        ("prune-age.fixed.md", "- A bullet.\n", False),
        ("prune-age.fixed.md", "Two.\n\nParagraphs.\n", False),
    ],
)
def test_a_wrong_file_of_changes_is_found(tmp_path: Path, name: str, text: str, right: bool) -> None:
    (tmp_path / "README.md").touch()
    (tmp_path / name).write_text(text)
    assert (find_wrong_changes(tmp_path) == []) == right


def test_a_release_moves_the_changes_into_the_changelog(tmp_path: Path) -> None:
    pytest.importorskip("towncrier")
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    before = (tmp_path / "CHANGELOG.md").read_text("utf-8")
    (tmp_path / "changes").mkdir()
    for name in ("README.md", "template.md.jinja"):
        shutil.copy(CHANGES / name, tmp_path / "changes")
    (tmp_path / "changes" / "one.fixed.md").write_text("A line that\ngoes on.\n")
    (tmp_path / "changes" / "two.added.md").write_text("Another.\n")

    words = [sys.executable, "-m", "towncrier", "build", "--yes", "--version", "99.0.0"]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    marker = towncrier_settings()["start_string"]
    head, _, rest = before.partition(marker)
    new = "\n## 99.0.0\n\n### Added\n\n- Another.\n\n### Fixed\n\n- A line that\n  goes on.\n"
    assert (tmp_path / "CHANGELOG.md").read_text("utf-8") == head + marker + new + rest
    assert {path.name for path in (tmp_path / "changes").iterdir()} == {"README.md", "template.md.jinja"}
