"""A command in a hint means the same when it is pasted."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.system.shell_quote import quote

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


@given(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8))
def test_no_name_ends_the_word(name: str) -> None:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return
    shown = quote(name)
    assert shown.isprintable()
    assert not shown.startswith("$'") or "'" not in shown[2:-1].replace("\\\\", "").replace("\\'", "")
