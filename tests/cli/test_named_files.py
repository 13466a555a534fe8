"""Messages and lists name images by their files, not by their hashes."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash

from astica_sync.core.model import make_scope, make_uid
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{16,}(?![0-9a-f])")


def cut_in_half(store: Path, sandbox: RunningSandbox) -> str:
    data = (store / "Can" / "000.png").read_bytes()
    (store / "Can" / "half.png").write_bytes(data[: len(data) // 2])
    return "Can/half.png"


def empty_a_sent_image(store: Path, sandbox: RunningSandbox) -> str:
    (store / "Can" / "000.png").write_bytes(b"")
    return "Can/000.png"


def delete_a_class(store: Path, sandbox: RunningSandbox) -> str:
    shutil.rmtree(store / "Bottle")
    return "Bottle/000.png"


def refuse_an_upload(store: Path, sandbox: RunningSandbox) -> str:
    new = draw(store / "Can" / "refused.png", 60)
    sandbox.set_switches(repeated_uids="refuse")
    model_id = sandbox.models()[0][0]
    uid = make_uid(xxhash.xxh3_128_hexdigest(new.read_bytes()), make_scope(model_id, "Can"))
    sandbox.add_sample(sandbox.add_model("Other"), "Can", new.read_bytes(), uid)
    return "Can/refused.png"


def lose_an_answer(store: Path, sandbox: RunningSandbox) -> str:
    draw(store / "Can" / "lost.png", 61)
    sandbox.set_faults("upload=lost-before")
    return "Can/lost.png"


def lose_its_backup(store: Path, sandbox: RunningSandbox) -> str:
    shutil.rmtree(store / ".astica-sync" / "backup" / "objects")
    (store / "Can" / "000.png").unlink()
    return "Can/000.png"


def copy_within_a_class(store: Path, sandbox: RunningSandbox) -> str:
    shutil.copy(store / "Can" / "000.png", store / "Can" / "copy.png")
    return "Can/copy.png"


def move_to_another_class(store: Path, sandbox: RunningSandbox) -> str:
    (store / "Can" / "000.png").rename(store / "Bottle" / "moved.png")
    return "Bottle/moved.png"


@pytest.mark.parametrize(
    "change",
    [
        cut_in_half,
        empty_a_sent_image,
        delete_a_class,
        refuse_an_upload,
        lose_an_answer,
        lose_its_backup,
        copy_within_a_class,
        move_to_another_class,
    ],
)
def test_an_image_is_named_by_its_file(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, change: Callable[[Path, RunningSandbox], str]
) -> None:
    named = change(pushed, sandbox)
    outputs = []
    for command in (["status"], ["push"], ["log"], ["status"], ["backup", "verify"]):
        ran = shell(*command, "--store", pushed)
        outputs.append(f"$ {' '.join(command)}\n{ran.out}{ran.err}")
    text = "\n".join(outputs)
    assert named in text, text
    assert not HASH.findall(text), text
