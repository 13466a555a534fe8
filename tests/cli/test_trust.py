"""An address that a store's own files name gets the API key only after the user has allowed it (promises 10 and 11)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from tests.harness.shell import Shell, fill


@pytest.fixture
def attacker() -> Iterator[RunningSandbox]:
    """Where the planted files want the key to go."""
    with running() as box:
        yield box


@pytest.fixture
def planted(shell: Shell, pushed: Path, attacker: RunningSandbox, tmp_path: Path) -> Path:
    """A pushed store as it comes out of an archive, its files naming the attacker's address; the key is set."""
    store = Path(shutil.copytree(pushed, tmp_path / "downloaded"))
    sentinel = json.loads((store / ".astica-sync" / "store.json").read_text())
    (store / ".astica-sync" / "store.json").write_text(json.dumps({**sentinel, "train_url": attacker.url}))
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        del shell.environ[name]
    shell.environ["ASTICA_API_KEY"] = attacker.key
    return store


COMMANDS = [
    ("pull-status",),
    ("push", "--dry-run"),
    ("push",),
    ("watch", "--once"),
    ("versions",),
    ("train",),
    ("adopt",),
    ("detect", "Can/001.png"),
    ("evaluate", "."),
    ("init",),
    ("backup", "prune", "--older-than", "1d", "--yes"),
    ("push", "--as", "@1"),
    ("push", "--retry"),
    ("adopt", "--likely"),
    ("train", "--no-wait"),
    ("train", "--again"),
    ("versions", "--json"),
    ("remove-sample", "1", "--yes"),
    ("remove-class", "1", "--yes"),
    ("init", "--rebind"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_sends_anything_to_an_address_that_a_planted_store_names(
    command: tuple[str, ...], shell: Shell, planted: Path, attacker: RunningSandbox
) -> None:
    ran = run_in(shell, planted, command)
    assert ran.code == 1, ran.out + ran.err
    assert attacker.url in ran.err and "astica-sync trust --store" in ran.err
    assert attacker.log == []


LOCAL = [
    ("pull-status", "--offline"),
    ("inspect",),
    ("doctor",),
    ("export", "--format", "csv", "out"),
    ("backup", "verify"),
    ("watch", "install"),
    ("snapshot", "list"),
]


@pytest.mark.long
@pytest.mark.parametrize("command", LOCAL, ids=" ".join)
def test_what_needs_no_service_sends_nothing_there_either(
    command: tuple[str, ...], shell: Shell, planted: Path, attacker: RunningSandbox
) -> None:
    ran = run_in(shell, planted, command)
    assert ran.code in (0, 1), ran.err
    assert attacker.key not in ran.out + ran.err
    assert attacker.log == []


def test_the_page_sends_nothing_to_an_address_that_its_store_names(
    shell: Shell, pushed: Path, attacker: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("starlette")
    from tests.harness.page_client import running_page

    (pushed / "astica-sync.toml").write_text(f'train_url = "{attacker.url}"\ndetect_url = "{attacker.url}"\n')
    shell.environ["ASTICA_API_KEY"] = attacker.key
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        monkeypatch.delenv(name)
    with running_page(pushed) as page:
        for call in ("observe", "push", "train", "refresh"):
            page.post(f"/api/{call}")
        page.get("/api/versions")
        page.post("/api/detect", {"ids": [1], "versions": ["1"]})
        answer = page.get("/api/store")
    assert attacker.url in answer.text and "astica-sync trust --store" in answer.text
    assert attacker.key not in answer.text
    assert attacker.log == []


def run_in(shell: Shell, store: Path, command: tuple[str, ...]):
    here = os.getcwd()
    os.chdir(store)
    try:
        return shell(*command)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("name", ["train_url", "detect_url"])
@pytest.mark.parametrize("command", [("pull-status",), ("push",), ("detect", "Can/001.png")], ids=" ".join)
def test_nor_to_an_address_in_its_settings(
    command: tuple[str, ...], name: str, shell: Shell, pushed: Path, sandbox: RunningSandbox, attacker: RunningSandbox
) -> None:
    for variable in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        shell.environ.pop(variable)
    (pushed / "astica-sync.toml").write_text(f'{name} = "{attacker.url}"\n')
    ran = run_in(shell, pushed, command)
    assert ran.code == 1
    assert attacker.url in ran.err
    assert attacker.log == []


def test_the_address_given_at_init_is_allowed(shell: Shell, pushed: Path, sandbox: RunningSandbox) -> None:
    del shell.environ["ASTICA_TRAIN_URL"]
    assert shell("pull-status", "--store", pushed).code == 0
    (entry,) = json.loads(shell("trust", "--list", "--json").out)
    assert (entry["store"], entry["address"]) == (os.path.realpath(pushed), sandbox.url)


def test_a_user_allows_shows_and_revokes_an_address(shell: Shell, planted: Path, attacker: RunningSandbox) -> None:
    unanswered = shell("trust", "--store", planted)
    assert unanswered.code == 4 and "--yes" in unanswered.err
    assert shell("pull-status", "--store", planted).code == 1

    assert shell("trust", "--store", planted, "--yes").code == 0
    assert attacker.url in shell("trust", "--list").out
    shell("pull-status", "--store", planted)
    assert len(attacker.log) > 0

    attacker.clear_log()
    assert shell("trust", "--store", planted, "--revoke").code == 0
    assert shell("pull-status", "--store", planted).code == 1
    assert attacker.log == []


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("train.\u0430stica.ai", "train.xn--stica-3ve.ai"),
        ("tr\u03b1in.astica.ai", "xn--"),
        ("train.ast\u0131ca.ai", "xn--"),
        ("train\u3002evil.example", "in ASCII: train.evil.example)"),
        ("train.astica\u2024ai", "\\u2024"),
    ],
)
def test_a_host_that_looks_like_another_is_shown_in_ascii(shell: Shell, planted: Path, host: str, plain: str) -> None:
    (planted / "astica-sync.toml").write_text(f'train_url = "https://{host}"')
    refused = shell("pull-status", "--store", planted)
    asked = shell("trust", "--store", planted)
    assert refused.code == 1 and asked.code == 4
    for ran in (refused, asked):
        assert "written in ASCII: " in ran.err and plain in ran.err, ran.err
    assert "written in ASCII: " in shell("trust", "--store", planted, "--yes").out
    assert "written in ASCII: " in shell("trust", "--list").out


def test_permission_is_for_one_store(shell: Shell, planted: Path, attacker: RunningSandbox, tmp_path: Path) -> None:
    assert shell("trust", "--store", planted, "--yes").code == 0
    other = Path(shutil.copytree(planted, tmp_path / "another download"))
    assert shell("pull-status", "--store", other).code == 1
    assert attacker.log == []


def test_the_environment_needs_no_permission(shell: Shell, planted: Path, attacker: RunningSandbox) -> None:
    shell.environ["ASTICA_TRAIN_URL"] = attacker.url
    shell("pull-status", "--store", planted)
    assert len(attacker.log) > 0


@pytest.mark.long
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"store": 1}]', b"\xff"])
def test_a_damaged_list_allows_nothing(content: bytes, shell: Shell, planted: Path, attacker: RunningSandbox) -> None:
    assert shell("trust", "--store", planted, "--yes").code == 0
    (file,) = (shell.home / "state").rglob("trusted.json")
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(content)
    ran = shell("pull-status", "--store", planted)
    assert ran.code == 1 and "trusted.json" in ran.err
    assert attacker.log == []


def test_a_link_in_place_of_the_list_is_refused(
    shell: Shell, planted: Path, attacker: RunningSandbox, tmp_path: Path
) -> None:
    assert shell("trust", "--store", planted, "--yes").code == 0
    (file,) = (shell.home / "state").rglob("trusted.json")
    elsewhere = file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(elsewhere)
    assert shell("pull-status", "--store", planted).code == 1
    assert attacker.log == []


@pytest.mark.parametrize(
    "line",
    [
        "limit = 100000",
        "limit_window = 1",
        "quarantine = 0",
        "max_remove = 1",
        "max_remove_class = 1",
        "min_remove = 99",
    ],
)
def test_the_settings_of_a_store_do_not_loosen_a_protection(line: str, shell: Shell, pushed: Path) -> None:
    name = line.split()[0]
    for variable in ("ASTICA_LIMIT", "ASTICA_LIMIT_WINDOW", "ASTICA_QUARANTINE"):
        shell.environ.pop(variable, None)
    (pushed / "astica-sync.toml").write_text(line + "\n")
    ran = shell("push", "--store", pushed)
    assert ran.code == 1
    assert f"sets {name}" in ran.err and "config.toml" in ran.err


def test_the_settings_of_a_store_do_not_turn_whole_class_removals_on_again(shell: Shell, pushed: Path) -> None:
    mine = Path(shell.environ["XDG_CONFIG_HOME"]) / "astica-sync" / "config.toml"
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("class_remove = false\n")
    (pushed / "astica-sync.toml").write_text("class_remove = true\n")
    ran = shell("push", "--store", pushed)
    assert ran.code == 1 and "a store's file may only turn it off" in ran.err
    mine.write_text("class_remove = true\n")
    (pushed / "astica-sync.toml").write_text("class_remove = false\n")
    assert shell("push", "--store", pushed).code == 0


@pytest.mark.parametrize(
    "line",
    [
        "limit = 10",
        "limit_window = 120",
        "quarantine = 600",
        "max_remove = '5%'",
        "max_remove_class = 0",
        "min_remove = 1",
    ],
)
def test_they_may_tighten_it(line: str, shell: Shell, pushed: Path) -> None:
    (pushed / "astica-sync.toml").write_text(line + "\n")
    assert shell("pull-status", "--store", pushed).code == 0


# Owners: real users, each command in a process of its own.

MALLORY, VICTIM = 54_321, 54_322
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")


def as_user(user: int) -> list[str]:
    return ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]


def give(path: Path, user: int) -> None:
    for place in (path, *path.rglob("*")):
        os.chown(place, user, user, follow_symlinks=False)


@pytest.fixture
def shared(shell: Shell, pushed: Path, attacker: RunningSandbox) -> Iterator[Path]:
    """A folder in which everybody may write, as /tmp is, with a home for VICTIM. MALLORY has planted a store in it, and
    VICTIM works in a folder of their own below."""
    if subprocess.run([*as_user(VICTIM), sys.executable, "-c", "import astica_sync.cli.main"]).returncode:
        pytest.skip("another user cannot run the program from here")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o1777)
    shutil.copytree(pushed / ".astica-sync", folder / ".astica-sync")
    sentinel = json.loads((folder / ".astica-sync" / "store.json").read_text())
    planted = {**sentinel, "train_url": attacker.url, "inode": folder.stat().st_ino}
    (folder / ".astica-sync" / "store.json").write_text(json.dumps(planted))
    for place in (folder / ".astica-sync", *(folder / ".astica-sync").rglob("*")):
        place.chmod(0o777 if place.is_dir() else 0o666)
    give(folder / ".astica-sync", MALLORY)
    work = folder / "work"
    shutil.copytree(pushed / "Can", work / "Can")
    (folder / "home").mkdir()
    for place in (work, folder / "home"):
        give(place, VICTIM)
    shell.environ |= {
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "home" / "config"),
        "XDG_STATE_HOME": str(folder / "home" / "state"),
        "ASTICA_API_KEY": attacker.key,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        yield work
    finally:
        shutil.rmtree(folder)


def run_as(shell: Shell, user: int, folder: Path, *command: str):
    return shell.finish(shell.start(*command, under=as_user(user), cwd=folder))


@needs_root
@pytest.mark.parametrize("command", [("pull-status",), ("push",), ("detect", "Can/001.png")], ids=" ".join)
@pytest.mark.parametrize("tampered", ["all", "settings"])
def test_a_store_of_another_user_above_the_current_folder_gets_nothing(
    shell: Shell, shared: Path, attacker: RunningSandbox, command: tuple[str, ...], tampered: str
) -> None:
    top = shared.parent
    if tampered == "settings":
        # Only the settings are MALLORY's; the address is one that VICTIM gave.
        give(top / ".astica-sync", VICTIM)
        (top / "astica-sync.toml").write_text("")
        os.chown(top / "astica-sync.toml", MALLORY, MALLORY)
    before = {path: path.stat().st_mtime_ns for path in top.rglob("*") if ".astica-sync" in path.parts}
    ran = run_as(shell, VICTIM, shared, *command)
    assert ran.code == 1, ran.out + ran.err
    assert f"belongs to user id {MALLORY}" in ran.err and f"astica-sync trust --owner --store {top}" in ran.err
    assert attacker.log == []
    assert before == {path: path.stat().st_mtime_ns for path in top.rglob("*") if ".astica-sync" in path.parts}


@needs_root
@pytest.mark.parametrize("command", [("pull-status",), ("trust", "--owner", "--yes")], ids=" ".join)
@pytest.mark.parametrize("whole", [False, True], ids=["hidden folder", "whole store"])
def test_of_a_store_whose_hidden_folder_only_its_owner_can_enter_no_trust_is_advised(
    shell: Shell, shared: Path, command: tuple[str, ...], whole: bool
) -> None:
    top = shared.parent
    (top / ".astica-sync").chmod(0o700)
    if whole:
        os.chown(top, MALLORY, MALLORY)
    ran = run_as(shell, VICTIM, shared, *command, "--store", str(top))
    assert ran.code == 1 and f"{top}/.astica-sync belongs to user id {MALLORY}" in ran.err, ran.err
    assert "Only its owner or root can" in ran.err and f"chown -R {VICTIM} {top}" in ran.err
    assert "trust --owner" not in ran.err and "chmod" not in ran.err


@needs_root
@pytest.mark.long
def test_an_owner_is_allowed_shown_and_revoked_and_the_address_is_asked_for_all_the_same(
    shell: Shell, shared: Path, attacker: RunningSandbox
) -> None:
    for name in ("ASTICA_TRAIN_URL", "ASTICA_DETECT_URL"):
        del shell.environ[name]
    asked = run_as(shell, VICTIM, shared, "trust", "--owner")
    assert asked.code == 4 and "--yes" in asked.err
    assert run_as(shell, VICTIM, shared, "trust", "--owner", "--yes").code == 0
    listed = run_as(shell, VICTIM, shared, "trust", "--list", "--json")
    assert [(one["store"], one["owner"]) for one in listed.json] == [(str(shared.parent), MALLORY)]
    assert f"belongs to user id {MALLORY}" in run_as(shell, VICTIM, shared, "trust", "--list").out
    refused = run_as(shell, VICTIM, shared, "pull-status")
    assert refused.code == 1 and attacker.url in refused.err, "the owner is no address"
    assert attacker.log == []
    assert run_as(shell, VICTIM, shared, "trust", "--revoke").code == 0
    assert f"belongs to user id {MALLORY}" in run_as(shell, VICTIM, shared, "pull-status").err


@pytest.mark.long
@needs_root
def test_files_of_the_user_that_another_user_wrote_are_refused(
    shell: Shell, shared: Path, attacker: RunningSandbox
) -> None:
    shutil.rmtree(shared.parent / ".astica-sync")
    config, state = Path(shell.environ["XDG_CONFIG_HOME"]), Path(shell.environ["XDG_STATE_HOME"])
    file = config / "astica-sync" / "config.toml"
    key = shared.parent / "key"
    key.write_text(attacker.key)
    key.chmod(0o644)
    # Their folders are MALLORY's as well, as where a variable names a folder in /tmp.
    file.parent.mkdir(parents=True)
    file.write_text(f'train_url = "{attacker.url}"')
    give(config, MALLORY)
    ran = run_as(shell, VICTIM, shared, "models")
    assert ran.code == 1 and f"belongs to user id {MALLORY}" in ran.err and "config.toml" in ran.err
    give(config, VICTIM)
    file.chmod(0o666)
    ran = run_as(shell, VICTIM, shared, "models")
    assert ran.code == 1 and "everybody can write" in ran.err and "chmod o-w" in ran.err
    assert "Where that changes nothing, its disk keeps no permissions" in " ".join(ran.err.split())
    file.chmod(0o664)
    os.chown(file, VICTIM, MALLORY)
    ran = run_as(shell, VICTIM, shared, "models")
    assert ran.code == 1 and f"members of group {MALLORY} can write" in ran.err and "chmod g-w" in ran.err
    assert attacker.log == []
    file.unlink()

    state.mkdir()
    (state / "astica-sync").mkdir(mode=0o777)
    (state / "astica-sync").chmod(0o777)
    give(state, MALLORY)
    ran = run_as(shell, VICTIM, shared, "models")
    assert ran.code == 1 and f"belongs to user id {MALLORY}" in ran.err
    shutil.rmtree(state)

    del shell.environ["ASTICA_API_KEY"]
    shell.environ["ASTICA_API_KEY_FILE"] = str(key)
    os.chown(key, MALLORY, MALLORY)
    ran = run_as(shell, VICTIM, shared, "models")
    assert ran.code == 1 and f"the key file {key} belongs to" in ran.err
    assert attacker.log == []


@needs_root
def test_a_folder_of_another_user_that_is_made_a_store_stays_usable(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """As on a network drive, or in a container, where the photos belong to another user."""
    folder = fill(tmp_path / "nas", {"Can": 2})
    give(folder, MALLORY)
    ran = shell("init", folder, "--model", str(sandbox.add_model("Cans")))
    assert ran.code == 0 and f"Files of user id {MALLORY} are allowed" in ran.err
    assert shell("push", "--store", folder).code == 0
    assert shell("pull-status", "--store", folder).code == 0


@needs_root
def test_root_by_sudo_uses_the_store_of_who_called_it(shell: Shell, pushed: Path) -> None:
    give(pushed, VICTIM)
    assert shell("pull-status", "--store", pushed).code == 1
    shell.environ["SUDO_UID"] = str(VICTIM)
    assert shell("pull-status", "--store", pushed).code == 0


@needs_root
@pytest.mark.long
def test_what_root_writes_by_sudo_belongs_to_the_user_who_called_it(
    shell: Shell, sandbox: RunningSandbox, shared: Path
) -> None:
    shutil.rmtree(shared.parent / ".astica-sync")
    shell.environ |= {"ASTICA_API_KEY": sandbox.key, "HOME": str(shell.home)}
    give(shared, VICTIM)
    home = shell.environ.pop("XDG_STATE_HOME")
    shell.environ |= {"SUDO_UID": str(VICTIM), "XDG_STATE_HOME": str(shell.home / "root")}
    assert shell("init", shared, "--model", str(sandbox.add_model("Cans"))).code == 0
    assert shell("push", "--store", shared).code == 0
    assert {path.stat().st_uid for path in shared.rglob("*")} == {VICTIM}
    del shell.environ["SUDO_UID"]
    shell.environ |= {"HOME": str(shared.parent / "home"), "XDG_STATE_HOME": home}
    for command in (("pull-status", "--exit-code"), ("push",), ("backup", "verify")):
        ran = run_as(shell, VICTIM, shared, *command)
        assert ran.code == 0, ran.err
