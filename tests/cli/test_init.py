"""Making a store, and a model for it, exactly once."""

import contextlib
import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import pytest

from astica_sync.cli.start.init import _read_binding
from astica_sync.errors import StoreChanged
from astica_sync.local.filesystem import AnyPath, FileSystem
from astica_sync.local.layout import Layout
from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.switches import Switches
from tests.harness.shell import Shell, draw, fill

CREATE = ("--create", "Cans", "--type", "image", "--purpose", "sort cans")
INTENT = Path(".astica-sync") / "creating.json"


def test_the_current_folder_is_the_store_when_none_is_named(
    shell: Shell, sandbox: RunningSandbox, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    ran = shell("init", *CREATE, "--tags", "cans,photos")
    assert ran.code == 0
    assert "Next: astica-sync status, then astica-sync push" in ran.out
    monkeypatch.chdir(photos / "Can" / "old")
    assert shell("push").code == 0, "the store is found above the current folder"
    assert shell("pull-status", "--exit-code").code == 0


def test_init_with_a_model_that_has_samples_says_that_they_are_left_as_they_are(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    model_id = sandbox.add_model("Cans")
    sandbox.add_sample(model_id, "Can", b"made elsewhere")
    ran = shell("init", photos, "--model", str(model_id))
    assert ran.code == 0
    assert "The model has 1 sample. Those that are not in the store are left as they are." in ran.out


def test_a_second_init_prints_the_same_and_keeps_everything(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    ran = shell("init", pushed, "--model", str(model_id))
    assert ran.code == 0
    sandbox.clear_log()
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert len(sandbox.log) == 1


@pytest.mark.parametrize("kind", ["lost-after", "5xx-after", "cut"])
def test_a_create_whose_answer_was_lost_finds_its_model(
    shell: Shell, sandbox: RunningSandbox, photos: Path, kind: str
) -> None:
    sandbox.set_faults(f"create:1={kind}")
    ran = shell("init", photos, *CREATE)
    assert ran.code == 0, ran.err
    assert "The answer was lost; checking whether the model was created" in ran.err
    assert [title for _, title in sandbox.models()] == ["Cans"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["lost-before", "5xx", "html"])
def test_a_create_that_was_never_done_is_done_by_the_same_command(
    shell: Shell, sandbox: RunningSandbox, photos: Path, kind: str
) -> None:
    sandbox.set_faults(f"create:1={kind}")
    ran = shell("init", photos, *CREATE)
    assert ran.code == 1
    assert "does not list the new model" in ran.err and "Give the same command again" in ran.err
    assert shell("init", photos, *CREATE).code == 0
    assert [title for _, title in sandbox.models()] == ["Cans"]


def test_create_in_a_store_of_a_model_makes_no_second_model(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    ran = shell("init", store, *CREATE)
    assert ran.code == 1
    assert f"already the store of model {model_id}" in ran.err
    assert len(sandbox.models()) == 1
    assert shell("init", store, *CREATE, "--rebind").code == 0
    assert len(sandbox.models()) == 2


@pytest.mark.parametrize("arguments", [(), ("--model", "1"), CREATE, (*CREATE, "--rebind")])
def test_a_store_of_a_newer_version_is_refused_before_anything_is_sent(
    shell: Shell, sandbox: RunningSandbox, store: Path, arguments: tuple[str, ...]
) -> None:
    file = store / ".astica-sync" / "store.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))
    before = len(sandbox.log)
    ran = shell("init", store, *arguments)
    assert ran.code == 1 and "was made by a newer version of astica-sync" in ran.err
    assert len(sandbox.log) == before


def test_a_store_that_cannot_be_written_after_its_model_was_made_finds_it_later(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    (photos / ".astica-sync" / "store.json").mkdir(parents=True)
    (photos / ".astica-sync" / "store.json" / "in the way").touch()
    assert shell("init", photos, *CREATE).code == 1
    assert len(sandbox.models()) == 1
    (photos / ".astica-sync" / "store.json" / "in the way").unlink()
    (photos / ".astica-sync" / "store.json").rmdir()
    ran = shell("init", photos, *CREATE)
    assert ran.code == 0, ran.err
    assert len(sandbox.models()) == 1


def test_a_create_that_was_killed_after_the_request_finds_its_model(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    other = sandbox.add_model("Other")
    sandbox.set_faults("list:2=slow~20s")
    process = shell.start("init", photos, *CREATE)
    try:
        while not (sandbox.requests_of("create") and len(sandbox.requests_of("list")) == 2):
            assert process.poll() is None, process.communicate()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert json.loads((photos / INTENT).read_text())["before"] == [other]
    sandbox.set_faults()
    ran = shell("init", photos, *CREATE)
    assert ran.code == 0, ran.err
    assert "was interrupted; checking whether the model exists" in ran.err
    assert [title for _, title in sandbox.models()] == ["Other", "Cans"]
    assert not (photos / INTENT).exists()


def test_an_interrupted_attempt_is_not_finished_with_another_title(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    sandbox.set_faults("create=5xx")
    assert shell("init", photos, *CREATE).code == 1
    sandbox.set_faults()
    ran = shell("init", photos, "--create", "Bottles", "--type", "image", "--purpose", "x")
    assert ran.code == 1
    assert "an attempt to create the model 'Cans' was interrupted here" in ran.err
    assert sandbox.models() == []


def test_two_new_models_of_one_title_are_listed_and_neither_is_chosen(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    sandbox.set_faults("create=twice")
    ran = shell("init", photos, *CREATE)
    assert ran.code == 1
    ids = [str(model_id) for model_id, _ in sandbox.models()]
    assert len(ids) == 2 and all(model_id in ran.err for model_id in ids) and "--model ID" in ran.err
    assert not (photos / ".astica-sync" / "store.json").exists()
    assert shell("init", photos, "--model", ids[0]).code == 0
    assert shell("push", "--store", photos).code == 0


def test_an_older_model_of_the_same_title_is_not_chosen(shell: Shell, sandbox: RunningSandbox, photos: Path) -> None:
    old = sandbox.add_model("Cans")
    assert shell("init", photos, *CREATE).code == 0
    assert json.loads((photos / ".astica-sync" / "store.json").read_text())["model_id"] != old
    assert len(sandbox.models()) == 2


def test_a_create_that_is_refused_leaves_nothing_behind(shell: Shell, sandbox: RunningSandbox, photos: Path) -> None:
    ran = shell("init", photos, "--create", "Cans", "--type", "image", "--purpose", "not\0allowed")
    assert ran.code == 1
    assert "Invalid dataset_purpose" in ran.err
    assert not (photos / ".astica-sync").exists()
    assert sandbox.models() == []


def test_an_unreadable_attempt_file_is_an_error(shell: Shell, sandbox: RunningSandbox, photos: Path) -> None:
    (photos / INTENT).parent.mkdir()
    (photos / INTENT).write_text("torn")
    ran = shell("init", photos, *CREATE)
    assert ran.code == 1
    assert "cannot be read" in ran.err and "astica-sync models" in ran.err
    assert sandbox.models() == []


def test_models_can_be_made_and_listed_without_a_store(shell: Shell, sandbox: RunningSandbox) -> None:
    assert "No models yet" in shell("models").out
    made = shell("models", "create", "--title", "Cans", "--type", "image", "--purpose", "sort")
    assert made.out == f"{sandbox.models()[0][0]}\n"
    head, line = shell("models").out.splitlines()
    assert head.split() == ["model", "title", "samples", "classes", "version", "trained", "created"]
    assert line.split()[:6] == ["1001", "Cans", "0", "0", "none", "-"]


def test_an_attempt_to_make_a_model_is_about_one_account(shell: Shell, sandbox: RunningSandbox) -> None:
    command = ["models", "create", "--title", "Cans", "--type", "image", "--purpose", "sort"]
    sandbox.set_faults("create:1=lost-before")
    assert shell(*command).code == 1
    assert list(shell.home.rglob("creating-*.json"))
    with running() as other:
        theirs = other.add_model("Cans")
        shell.environ.update(ASTICA_TRAIN_URL=other.url, ASTICA_API_KEY=other.key)
        made = shell(*command)
        assert made.code == 0, made.err
        assert int(made.out) != theirs, "an older model is not the new one"


def put(folder: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        if path.endswith(".png"):
            draw(folder / path, number)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("not an image")
    return folder


@pytest.mark.parametrize(
    ("paths", "message", "hint"),
    [
        (("a.png", "b.png"), "are in no class folder", "move the images into folders"),
        (
            ("train/Can/a.png", "train/Jar/b.png", "val/Can/c.png", "@eaDir/x/a.png"),
            "has train and val, and the folders Can, Jar in them, so the classes would be called train and val",
            "astica-sync init {root}/train.",
        ),
        (
            ("Training/Can/a.png", "Test/Can/a.png"),
            "would be called Test and Training",
            "astica-sync init {root}/Test.",
        ),
        (("100APPLE/a.png", "101APPLE/b.png", "Camera/c.png"), "(100APPLE, 101APPLE, Camera)", "what they show"),
        (
            ("2024-05/a.png", "2024-06 Rome/b.png", "2024_07_01/c.png", "2025.01/d/e.png"),
            "or by date",
            "what they show",
        ),
        (("DCIM/100APPLE/a.png",), "(DCIM)", "what they show"),
        (("DCIM/Camera/a.png", "Pictures/Screenshots/b.png"), "(DCIM, Pictures)", "what they show"),
        (("202405__/a.png", "202406_a/b.png"), "named by a camera", "what they show"),
        (("photos/Can/a.png", "photos/Jar/b.png"), "would be called photos", "astica-sync init {root}/photos."),
    ],
)
def test_init_asks_about_a_folder_whose_folders_are_no_classes(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, paths: tuple[str, ...], message: str, hint: str
) -> None:
    root = put(tmp_path / "data", *paths)
    ran = shell("init", root, *CREATE)
    assert ran.code == 4
    assert message in ran.err
    assert hint.format(root=root) in ran.err
    assert "--yes" in ran.err
    assert not (root / ".astica-sync").exists()
    assert sandbox.models() == []
    assert shell("init", root, *CREATE, "--yes").code == 0
    # A store is not asked about again.
    assert shell("init", root).code == 0


@pytest.mark.parametrize(
    "paths",
    [
        (),
        ("notes.txt",),
        ("Can/a.png", "loose.png"),
        ("Can/deep/a.png",),
        ("train/a.png", "bus/a.png"),
        ("Can/2023/a.png", "Jar/2023/a.png"),
        ("Camera/a.png", "Phone/a.png"),
        ("Pictures/Can/a.png", "Camera/a.png"),
        ("Camera/a.png", "Screenshots/a.png"),
        ("1999/a.png", "2000/a.png"),
        ("100APPLE/a.png", "Can/a.png"),
        ("100 apples/a.png", "12345678/a.png", "123456789/b.png"),
        (".hidden/a.png", "@eaDir/a.png/a.png"),
    ],
)
def test_init_asks_nothing_about_class_folders(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path, paths: tuple[str, ...]
) -> None:
    root = put(tmp_path / "data", *paths)
    root.mkdir(exist_ok=True)
    assert shell("init", root, *CREATE).code == 0


def test_a_second_store_of_a_model_is_named_by_init_and_by_status(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, tmp_path: Path
) -> None:
    sandbox.add_sample(model_id, "Can", b"made on the page of the service")
    count = len(sandbox.samples(model_id))
    second = put(tmp_path / "second", "Can/new.png")
    # Without a terminal nothing is asked, so the store is made with the user's word alone.
    refused = shell("init", second, "--model", str(model_id))
    assert refused.code == 4 and "No store was made" in refused.err and "--yes" in refused.err
    assert f"has sent {count - 1} of the {count} samples of this model" in refused.err
    assert not (second / ".astica-sync" / "store.json").exists() and refused.out == ""
    ran = shell("init", second, "--model", str(model_id), "--yes")
    assert ran.code == 0
    assert f"has sent {count - 1} of the {count} samples of this model" in ran.err
    unmanaged = shell("status", "--json", "--store", second).json["unmanaged"]
    assert Counter(sample.get("reason") for sample in unmanaged) == {"sent by another store": count - 1, None: 1}
    shown = " ".join(shell("status", "--store", second).out.split())
    assert f"made elsewhere and left as they are ({count}): ? Can #" in shown
    assert f"? {count - 1} samples sent by another store of this model, or by this one before it was lost" in shown
    assert "to list them: astica-sync status --json" in shown
    assert shown.count("? ") == 2, "one of the page of the service, and one line for those of the other store"
    # The first store is known here, and the second one after its first push.
    assert "another store" not in shell("init", pushed, "--model", str(model_id)).err
    assert shell("push", "--store", second).code == 0
    assert "another store" not in shell("init", second, "--model", str(model_id)).err


def test_git_neither_adds_nor_cleans_the_hidden_folder(shell: Shell, sandbox: RunningSandbox, photos: Path) -> None:
    def git(*arguments: str) -> str:
        plain = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "PATH": os.environ["PATH"]}
        ran = subprocess.run(["git", *arguments], cwd=photos, env=plain, check=True, capture_output=True)
        return ran.stdout.decode()

    git("init", "-q")
    assert shell("init", photos, *CREATE).code == 0
    git("add", "-A")
    assert git("ls-files") and ".astica-sync" not in git("ls-files")
    assert ".astica-sync" not in git("clean", "-fdn")
    own = photos / ".astica-sync" / ".gitignore"
    own.write_text("mine\n")
    assert shell("init", photos).code == 0
    assert own.read_text() == "mine\n"


@pytest.mark.parametrize("above", [False, True], ids=["the store", "a folder above it"])
def test_git_takes_nothing_of_the_hidden_folder_away(shell: Shell, pushed: Path, above: bool) -> None:
    """A stash with untracked files, a branch, a reset and a clean, with the repository here or above."""
    root = pushed.parent if above else pushed
    plain = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "PATH": os.environ["PATH"]}
    plain |= {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=root, env=plain, check=True, capture_output=True, text=True
        ).stdout

    hidden = {path: path.read_bytes() for path in (pushed / ".astica-sync").rglob("*") if path.is_file()}
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "empty")
    git("stash", "--include-untracked")
    assert not (pushed / "Can").exists()
    git("stash", "pop")
    git("add", "-A")
    assert ".astica-sync" not in git("ls-files")
    git("commit", "-q", "-m", "all")
    (pushed / "Can" / "new.png").write_bytes(b"")
    git("reset", "-q", "--hard", "HEAD~1")
    git("clean", "-fdq")
    git("reset", "-q", "--hard", "HEAD@{1}")
    git("rm", "-r", "-q", "--cached", ".")
    git("checkout", "-q", "-f", "HEAD")
    assert {path: path.read_bytes() for path in hidden if path.exists()} == hidden
    ran = shell("push", "--store", pushed)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("where", ["in a class folder", "deeper", "above", "by a link", "a copy"])
def test_no_second_store_is_made_in_above_or_from_a_store(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, tmp_path: Path, where: str
) -> None:
    draw(pushed / "Can" / "old" / "a.png", 50)
    folder = {
        "in a class folder": pushed / "Can",
        "deeper": pushed / "Can" / "old",
        "above": pushed.parent,
        "by a link": tmp_path / "link",
        "a copy": tmp_path / "copy",
    }[where]
    if where == "by a link":
        folder.symlink_to(pushed)
    if where == "a copy":
        shutil.copytree(pushed, folder)
    ran = shell("init", folder, *CREATE, "--yes")
    assert ran.code == 1
    wrong = "is already the store of model" if where in ("by a link", "a copy") else "cannot be inside another store"
    assert wrong in ran.err, ran.err
    assert len(sandbox.models()) == 1
    assert sandbox.log == []


@pytest.mark.long
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_limit_that_a_sandbox_lowers_meanwhile_is_kept(shell: Shell, photos: Path, host: str) -> None:
    with running(limit=20, window=1.0, switches=Switches(limit_header="shown")) as box:
        address = box.url.replace("127.0.0.1", host)
        shell.environ |= {"ASTICA_TRAIN_URL": address, "ASTICA_DETECT_URL": address, "ASTICA_API_KEY": box.key}
        assert shell("init", photos, *CREATE).code == 0
        box.set_limit(4, 1.0)
        fill(photos, {"Jar": 10}, start=300)
        assert shell("push", "--store", photos).code == 0
        # One request may have asked for the limit that held before.
        assert sum(request.outcome == "limited" for request in box.log) <= 1
        assert box.max_in_any_window(window=1.0) <= 20


@pytest.mark.long
def test_a_limit_of_the_user_that_is_lower_than_that_of_a_sandbox_is_kept(shell: Shell, photos: Path) -> None:
    with running(limit=50, window=1.0, switches=Switches(limit_header="shown")) as box:
        shell.environ |= {"ASTICA_TRAIN_URL": box.url, "ASTICA_DETECT_URL": box.url, "ASTICA_API_KEY": box.key}
        shell.environ |= {"ASTICA_LIMIT": "4", "ASTICA_LIMIT_WINDOW": "1"}
        assert shell("init", photos, *CREATE).code == 0
        fill(photos, {"Jar": 8}, start=300)
        assert shell("push", "--store", photos).code == 0
        assert box.max_in_any_window(window=1.0) <= 4


@pytest.mark.long
def test_a_sandbox_tells_its_limit(shell: Shell, photos: Path) -> None:
    with running(limit=5, window=1.0, switches=Switches(limit_header="shown")) as box:
        shell.environ |= {"ASTICA_TRAIN_URL": box.url, "ASTICA_DETECT_URL": box.url, "ASTICA_API_KEY": box.key}
        assert shell("init", photos, *CREATE).code == 0
        fill(photos, {"Jar": 12}, start=300)
        assert shell("push", "--store", photos).code == 0
        assert [request for request in box.log if request.outcome == "limited"] == []
        assert box.max_in_any_window(window=1.0) <= 5


@pytest.mark.long
def test_a_folder_that_may_not_be_entered_does_not_stop_init(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    """As ``lost+found`` of every disk, or a folder of another user."""
    model = str(sandbox.add_model("Cans"))
    for place in (photos / "lost+found", photos / "Can" / "private"):
        place.mkdir()
        place.chmod(0)
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if without and shutil.which(without[0]) is None:
        pytest.skip("setpriv is missing")
    ran = shell.finish(shell.start("init", photos, "--model", model, under=without))
    for place in (photos / "lost+found", photos / "Can" / "private"):
        place.chmod(0o700)
    assert ran.code == 0, ran.err
    assert shell("push", "--store", photos).code == 0


@pytest.mark.parametrize(("number", "is_none"), [(errno.EIO, False), (errno.EMFILE, False), (errno.ENOENT, True)])
def test_a_sentinel_that_cannot_be_read_is_not_taken_for_none(
    store: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_none: bool
) -> None:
    """It may name another model, which only --rebind replaces."""

    def fail(self: FileSystem, path: AnyPath) -> BinaryIO:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(FileSystem, "open_read", fail)
    with contextlib.nullcontext() if is_none else pytest.raises(StoreChanged, match=r"store\.json cannot be read"):
        assert _read_binding(Layout(store)) is None


def test_an_init_that_has_not_ended_is_named_with_its_whole_command(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    shell.environ["COLUMNS"] = "300"
    sandbox.set_faults("create=5xx")
    command = ("--create", "My cans", "--purpose", "sort", "--type", "image", "--tags", "a,b")
    assert shell("init", photos, *command).code == 1
    sandbox.set_faults()
    for words in (["status", "--store", photos], ["push", "--store", photos], ["init", photos]):
        ran = shell(*words)
        assert ran.code == 1, ran.err
        assert f"{photos} is not a store yet: astica-sync init has not ended there" in ran.err
        assert "is mounted" not in ran.err and "Give either" not in ran.err
    again = ran.err.partition("makes no second model: astica-sync ")[2].strip()
    assert again == f"init {photos} --create 'My cans' --purpose sort --type image --tags a,b"
    assert shell(*shlex.split(again)).code == 0
    assert [title for _, title in sandbox.models()] == ["My cans"]
    assert shell("status", "--store", photos).code == 0


def test_a_planted_attempt_is_not_named_as_a_command(shell: Shell, photos: Path) -> None:
    (photos / INTENT).parent.mkdir()
    for text in (
        json.dumps({"title": "Cans", "purpose": "x; rm -rf /", "before": [], "place": "0" * 32}),
        json.dumps({"before": []}),
        "torn",
    ):
        (photos / INTENT).write_text(text)
        ran = shell("status", "--store", photos)
        assert ran.code == 1 and "store.json is missing" in ran.err and "rm -rf" not in ran.err


@pytest.mark.parametrize("failing", [".gitignore", "store.json", "creating.json"])
def test_an_init_on_a_full_disk_removes_what_it_made(
    shell: Shell, sandbox: RunningSandbox, photos: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    command = CREATE if failing == "creating.json" else ("--model", str(sandbox.add_model()))
    written = FileSystem.write_synced

    def write(self: FileSystem, path: Path, chunks: Iterable[bytes], mode: int | None = None) -> None:
        if path.name == failing:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written(self, path, chunks, mode)

    with monkeypatch.context() as patch:
        patch.setattr(FileSystem, "write_synced", write)
        ran = shell("init", photos, *command)
        assert ran.code == 1 and "No space left" in ran.err and "free disk space" in ran.err
        assert not (photos / ".astica-sync").exists()
        (photos / ".astica-sync").mkdir()
        assert shell("init", photos, *command).code == 1
        assert (photos / ".astica-sync").exists()
    assert shell("init", photos, *command).code == 0
