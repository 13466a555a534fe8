"""A command in a hint means the same when it is pasted."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import astica_sync
from astica_sync.cli.render.text import safe
from astica_sync.errors import ConfigError
from astica_sync.file_owner import refuse_foreign_file
from astica_sync.shell_quote import quote, quote_path

NAMES = [
    *("Can", "é", "it's", "a b", "$(touch x)", "\\", "line\nbreak", "\x1b[31m'"),
    *("ca\u200cfe\u0301", "\u202erl", "caf\udce9", "\u200c'\\", "\u00ad5"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_quoted_name_is_shown_and_read_by_a_shell_as_it_is(name: str) -> None:
    shown = quote(name)
    assert shown.isprintable()
    assert not any(letter in shown for letter in "\u200c\u202e")
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    for locale in ("C", "C.UTF-8"):
        command = [bash, "-c", os.fsencode(f"printf %s {shown}")]
        read = subprocess.run(command, capture_output=True, env={"LC_ALL": locale}, check=True).stdout
        assert read == os.fsencode(name)


@pytest.mark.parametrize(("text", "shown"), [("Can", "'Can'"), ("a b", "'a b'"), ("a\u200cb", "$'a\\xe2\\x80\\x8cb'")])
def test_a_word_that_a_sentence_follows_is_quoted_in_any_case(text: str, shown: str) -> None:
    assert quote(text, always=True) == shown


@pytest.mark.parametrize("name", ["-rf", "-rf/a b.jpg", "-\u200c", "--", "-"])
def test_a_path_that_begins_with_a_hyphen_is_no_option(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    subprocess.run([bash, "-c", f"rm {quote_path(name)}"], cwd=tmp_path, check=True)
    assert not file.exists()
    assert quote_path("Can/-rf.jpg") == "Can/-rf.jpg"


@given(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8))
def test_no_name_ends_the_word(name: str) -> None:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return
    shown = quote(name)
    assert shown.isprintable()
    assert not shown.startswith("$'") or "'" not in shown[2:-1].replace("\\\\", "").replace("\\'", "")


def test_a_hint_about_a_file_whose_name_has_a_joiner_can_be_pasted(tmp_path: Path) -> None:
    """An emoji of several signs is printed as it is; anything else that is not seen would be printed as escapes."""
    file = tmp_path / "it's \U0001f469\u200d\U0001f52c $HOME" / "settings.toml"
    file.parent.mkdir()
    file.write_text("")
    file.chmod(0o646)
    with pytest.raises(ConfigError) as refused:
        refuse_foreign_file(file.lstat(), file, "the settings file")
    assert safe(refused.value.hint) == refused.value.hint
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    subprocess.run([bash, "-c", refused.value.hint.removeprefix("Run: ").partition(". Where ")[0]], check=True)
    assert file.stat().st_mode & 0o777 == 0o644


def test_only_shell_quote_quotes_with_the_standard_library() -> None:
    """shlex.quote leaves in what a terminal hides, so that the command means other bytes when it is pasted."""
    package = Path(astica_sync.__file__).parent
    quoting = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            by_module = isinstance(node, ast.Attribute) and ast.unparse(node) == "shlex.quote"
            by_name = isinstance(node, ast.ImportFrom) and node.module == "shlex"
            if by_module or by_name:
                quoting.add(file.relative_to(package).as_posix())
    assert quoting == {"shell_quote.py"}


def test_the_commands_that_take_a_path_quote_it_as_one() -> None:
    """The name of a folder may be an option of ``rm``."""
    command = re.compile(r"\b(?:rm|mv|cp|ls|mkdir|chmod|chown)\b[^{]*(?:\{quote_path\([^{}]*\)\} )?\{quote\(")
    package = Path(astica_sync.__file__).parent
    assert not [str(file) for file in package.rglob("*.py") if command.search(file.read_text("utf-8"))]
