"""The ignore file, the settings and the sentinel of a store after random changes: read rightly or refused, and never a
traceback, a removal, or a request to another address."""

import random
import socket
from collections import Counter
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.mutations import mutate_bytes, mutate_text
from tests.harness.shell import Shell, on_service

RULES = """\
# what is no sample
drafts/
/notes/**
*.gif
!Can/keep.gif
Can/old-[0-9]*.png
Büchse/tmp?
"""
SETTINGS = b"""\
# tighter than the default
limit = 80
quarantine = 90
max_remove = 0.05
class_remove = false
"""
# Of the last one the bytes that init has written.
FILES = {".astica-ignore": RULES.encode(), "astica-sync.toml": SETTINGS, ".astica-sync/store.json": b""}
MUTATIONS = 500


TOKENS = (
    *(
        "!",
        "*",
        "**/",
        "*a" * 9,
        "[",
        "[[",
        "[z-a]",
        "]",
        "\\",
        "/",
        "..",
        "#",
        "\0",
        "\r",
        "\ufeff",
        "\u202e",
        "\x1b[31m",
    ),
    *('"', "'", "=", "{", "}", ",", ":", "null", "nan", "inf", "1e999", "-1", "0", "9" * 400, "x" * 70_000),
    *("[" * 3000, "http://127.0.0.1:9/", "http://user:word@127.0.0.1:9/", 'train_url = "http://127.0.0.1:9/"\n'),
)


def mutate_lines(data: bytes, dice: random.Random) -> bytes:
    """One to three changes of the text: lines in another order, other digits, a token that means something."""
    text = data.decode()
    for _ in range(dice.choice((1, 1, 2, 3))):
        place = dice.randrange(len(text) + 1)
        match dice.choice(("lines", "digits", "insert", "insert", "replace", "replace")):
            case "lines":
                text = "".join(dice.sample(lines := text.splitlines(keepends=True), len(lines)))
            case "digits":
                text = text.replace(str(dice.randrange(10)), dice.choice(("0", "7", str(10**20), "-5", "1_0", "0x1")))
            case "insert":
                text = text[:place] + dice.choice(TOKENS) + text[place:]
            case "replace":
                text = text[:place] + dice.choice(TOKENS) + text[place + dice.choice((1, 2, 9)) :]
    return text.encode()


def find_mutations(
    name: str, numbers: range, shell: Shell, store: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> Counter[int]:
    """Pushes the store with one mutation after the other; the exit codes. (The parameters are fixtures.)"""
    model_id = sandbox.models()[0][0]
    before = on_service(sandbox, model_id)
    file = store / name
    original = FILES[name] or file.read_bytes()
    own = int(sandbox.url.rpartition(":")[2])
    connect, addresses = socket.socket.connect, set()

    def note(self: socket.socket, address: tuple[str, int]) -> None:
        addresses.add(address[:2])
        connect(self, address)

    # The address is that of the store; no limit is a reason to wait.
    sandbox.set_limit(100_000, 60)
    for variable in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        shell.environ.pop(variable, None)
    shell.environ["ASTICA_LIMIT"] = "100000"
    codes: Counter[int] = Counter()
    for number in numbers:
        dice = random.Random(f"{name} {number}")
        change = mutate_text if name.endswith(".json") else dice.choice((mutate_bytes, mutate_lines))
        file.write_bytes(change(original, dice))
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "connect", note)
            ran = shell("push", "--store", store, "--json")
        codes[ran.code] += 1
        about = f"{name}, mutation {number}: {file.read_bytes()[:300]!r}\n{ran.err}"
        assert ran.code in (0, 1, 4), about
        assert "Traceback" not in ran.err and "internal error" not in ran.err, about
        assert len(ran.err.encode()) < 20_000, about
        if ran.code == 1:
            assert ran.err.startswith("astica-sync: ") and len(ran.err.splitlines()) >= 2, about
        assert on_service(sandbox, model_id) == before, about
        assert {address[1] for address in addresses} <= {own}, about
    file.write_bytes(original)
    ran = shell("push", "--store", store, "--json")
    assert (ran.code, ran.json["in_sync"]) == (0, True), ran.err
    return codes


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_read_or_refused(
    name: str, shell: Shell, pushed: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = find_mutations(name, range(20), shell, pushed, sandbox, monkeypatch)
    assert len(codes) > 1, "some are read, some refused"


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_five_hundred_mutations_of_a_file_are_read_or_refused(
    name: str, shell: Shell, pushed: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = find_mutations(name, range(20, MUTATIONS), shell, pushed, sandbox, monkeypatch)
    assert codes.total() == MUTATIONS - 20
