"""Every error says what happened and what to do, and the page that lists them all says what the code says."""

import re
from pathlib import Path

import generate
import pytest
from messages import ADVICE, REASONS_IN, Message, find_messages, find_reasons

from astica_sync import errors
from astica_sync.cli.exit_codes import EXIT_CODES
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

DOCS = Path(generate.__file__).parent
PAGE = DOCS / "reference" / "errors.md"


@pytest.mark.parametrize("message", find_messages(), ids=lambda one: f"{one.file}:{one.line}")
def test_every_error_says_what_to_do(message: Message) -> None:
    assert message.text.strip()
    assert message.hint.strip(), f"{message} gives no hint"


def test_an_error_without_a_hint_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "errors.py").write_text("class AsticaSyncError(Exception): ...\nclass Odd(AsticaSyncError): ...\n")
    (tmp_path / "store" / "a.py").write_text(
        "SAY = 'fix it'\n"
        "class Own(errors.Odd): ...\n"
        "def f(path):\n"
        "    hint = f'look at {path}'\n"
        "    if path: raise Own(f'{path.name} is odd', hint)\n"
        "    return Odd(f'no {SAY} hint')\n"
        "def g(error):\n"
        "    raise Odd('two', hint=SAY if error else 'nothing')\n"
        "    raise Odd(str(error), error.hint)\n"
    )
    found = [(one.area, one.kind, one.text, one.hint) for one in find_messages(tmp_path)]
    assert found == [
        ("store", "Own", "<name> is odd", "look at <path>"),
        ("store", "Odd", "no fix it hint", ""),
        ("store", "Odd", "two", "fix it / nothing"),
    ]


def test_what_a_function_or_another_file_says_is_read_there(tmp_path: Path) -> None:
    (tmp_path / "errors.py").write_text("class AsticaSyncError(Exception): ...\nACCESS = 'give the key'\n")
    (tmp_path / "a.py").write_text(
        "def advice(name) -> str:\n"
        "    return f'did you mean {name}?' if name else 'list them all instead'\n"
        "def count(n) -> str:\n    return f'{n} images'\n"
        "def f(error, path, n):\n"
        "    raise AsticaSyncError(f'{count(n)} failed', advice(path))\n"
        "    raise AsticaSyncError('two', ACCESS)\n"
        "    raise AsticaSyncError('three', remedy(error, path))\n"
    )
    found = [(one.text, one.hint) for one in find_messages(tmp_path)]
    assert found == [
        ("<n> failed", "did you mean <name>? / list them all instead"),
        ("two", "give the key"),
        ("three", ADVICE),
    ]


def test_few_errors_have_nothing_but_a_name_where_the_page_says_what_to_do() -> None:
    bare = [message for message in find_messages() if re.fullmatch(r"(<[\w…]*>)+", message.hint)]
    assert len(bare) < 6, bare


VERBS = (
    "push|scan|put|install|move|rename|remove|fix|mount|copy|convert|save|make|run|look"
    "|check|change|replace|try|end|close|free|raise"
)


BY_REMEDY = f"cannot be read: <strerror>; {ADVICE}"
"""What to do is a sentence of ``reading_remedy``; ``tests/test_error_advice.py`` reads each."""


def test_every_reason_why_a_file_or_a_sample_failed_says_what_to_do() -> None:
    found = find_reasons()
    assert len(found) > 15
    assert BY_REMEDY in found
    for reason in set(found) - {BY_REMEDY}:
        assert re.search(f"(?:^|[;:] )[a-z ]*(?:{VERBS})", reason), reason


def test_a_reason_without_advice_would_be_found(tmp_path: Path) -> None:
    for name in REASONS_IN:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / REASONS_IN[0]).write_text(
        "def f(x):\n    a = 'png'\n    if x: return f'this {x} is odd in some way'\n"
        "    FileHash(reason='that is quite odd as well')\n    return None\n"
    )
    assert find_reasons(tmp_path) == ["that is quite odd as well", "this <x> is odd in some way"]


def test_the_page_of_all_errors_is_fresh() -> None:
    assert PAGE.read_text("utf-8") == generate._errors_page(), "run: make docs"


def test_every_part_of_the_program_has_a_table() -> None:
    areas = {one.area for one in find_messages()}
    assert areas <= set(generate.AREAS)
    page = PAGE.read_text("utf-8")
    assert all(f"## {generate.AREAS[area]}\n" in page for area in areas)


def kinds(kind: type[errors.AsticaSyncError] = errors.AsticaSyncError) -> list[type[errors.AsticaSyncError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in kinds(below))]


def test_every_error_ends_with_a_documented_exit_code() -> None:
    assert {kind.exit_code for kind in kinds()} <= set(EXIT_CODES)


def test_every_exit_code_is_returned_by_a_command(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    """130 is in ``tests/cli/test_interruptions.py``, 141 in ``tests/cli/test_closed_pipe.py``: both need a process."""
    assert shell("push", "--store", pushed).code == 0
    assert shell("push", "--store", pushed / "nowhere").code == 1
    assert shell("push", "--stoer", pushed).code == 2
    (pushed / "Can" / "000.png").unlink()
    assert shell("pull-status", "--exit-code", "--store", pushed).code == 5
    for title in ("Bottle", "Glass"):
        for path in (pushed / title).iterdir():
            path.unlink()
    assert shell("push", "--store", pushed).code == 4
    image = draw(pushed / "Can" / "broken.png", 40)
    image.write_bytes(image.read_bytes()[:-20])
    assert shell("push", "--yes", "--store", pushed).code == 3
    assert set(EXIT_CODES) == {0, 1, 2, 3, 4, 5, 130, 141}


def test_every_test_that_the_page_on_reliability_names_exists() -> None:
    page = (DOCS / "dev" / "reliability.md").read_text("utf-8")
    root = DOCS.parent
    for file in re.findall(r"`(tests/[a-z_/]+\.py)`", page):
        assert (root / file).is_file(), file
    written = "".join(path.read_text("utf-8") for path in (root / "tests").rglob("test_*.py"))
    names = re.findall(r"`(test_[a-z0-9_]+)`", page)
    assert names
    for name in names:
        assert f"def {name}(" in written, name
