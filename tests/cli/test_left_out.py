"""Litter and ignored files: never sent, listed on request, and never a silent removal."""

from pathlib import Path

import pytest

from astica_sync.local.scan import litter
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, on_service

LEAVINGS = {
    "a NAS": ["Can/@eaDir/001.png/SYNOFILE_THUMB_M.png", "@eaDir/a.png", "#recycle/Can/a.png", "@Recycle/a.png"],
    "a system": ["$RECYCLE.BIN/S-1-5/$RAB12.png", "lost+found/a.png", "__MACOSX/Can/a.png", "Can/LOST.DIR/a.png"],
    "a browser": ["Can/a.png.crdownload", "Can/a.png.part", "Can/a.png.opdownload", "Can/b.png.download/b.png"],
    "an editor": ["Can/001.png~", "Can/001.png.bak", "Can/#001.png#", "Can/001.png_original", "Can/001.png.orig"],
    "a sync client": ["Can/.stversions/a.png", ".dropbox.cache/a.png", ".stfolder/a.png", "Can/~syncthing~a.png.tmp"],
    "a camera": ["Can/MVI_0001.THM", "CANONMSC/M0100.CTG", "Can/GOPR0001.LRV"],
}


@pytest.mark.parametrize("who", LEAVINGS)
def test_leavings_are_not_sent_make_no_class_and_are_listed_on_request(
    who: str, shell: Shell, pushed: Path, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)
    for number, path in enumerate(LEAVINGS[who]):
        draw(pushed / path, 500 + number, "PNG")

    ran = shell("push", "--store", pushed, "--json")

    assert (ran.code, ran.json["uploaded"], ran.json["problems"], ran.json["in_sync"]) == (0, 0, [], True)
    assert on_service(sandbox, model_id) == before
    assert {title for _, title in sandbox.classes(model_id)} == {"Bottle", "Can"}

    listed = shell("pull-status", "--store", pushed, "--json", "--ignored").json["ignored"]
    assert len(listed) >= 1
    for path in LEAVINGS[who]:
        assert any(path == entry["path"] or path.startswith(entry["path"]) for entry in listed), path
    text = shell("status", "--store", pushed, "--ignored").out
    assert f"Left out ({len(listed)}):" in text
    assert "ignored" not in shell("pull-status", "--store", pushed, "--json").json


def test_without_leavings_the_list_says_so(shell: Shell, pushed: Path) -> None:
    assert "Nothing is left out." in shell("status", "--store", pushed, "--ignored").out
    assert shell("status", "--store", pushed, "--json", "--ignored").json["ignored"] == []


def test_a_rule_takes_litter_in(shell: Shell, pushed: Path, sandbox: RunningSandbox) -> None:
    draw(pushed / "Can" / "old.bak", 500, "PNG")
    draw(pushed / "@eaDir" / "a.png", 501)
    (pushed / ".astica-ignore").write_text("!*.bak\n!@eaDir/\n")

    ran = shell("push", "--store", pushed, "--json")

    assert (ran.code, ran.json["uploaded"]) == (0, 2)


@pytest.fixture
def sent_earlier(shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of which a version with no list of litter has sent thumbnails and a backup."""
    draw(store / "Can" / "001.png.bak", 500, "PNG")
    draw(store / "@eaDir" / "thumb.png", 501)
    with monkeypatch.context() as patch:
        patch.setattr("astica_sync.local.scan.ignore.is_litter", lambda name, folder: False)
        patch.setattr("astica_sync.local.scan.ignore.litter_digest", lambda: "none")
        assert shell("push", "--store", store).code == 0
    assert litter.is_litter("@eaDir", folder=True)
    return store


def test_samples_that_are_litter_now_are_not_removed_without_confirmation(
    sent_earlier: Path, shell: Shell, sandbox: RunningSandbox, model_id: int
) -> None:
    before = on_service(sandbox, model_id)

    ran = shell("push", "--store", sent_earlier, "--json")

    assert (ran.code, ran.json["removed"]) == (4, 0)
    assert len(ran.json["refusals"][0]["samples"]) == 2
    assert "left out now, as litter or by .astica-ignore" in ran.json["refusals"][0]["reason"]
    assert on_service(sandbox, model_id) == before

    ran = shell("push", "--store", sent_earlier, "--json", "--yes")
    assert (ran.code, ran.json["removed"], ran.json["in_sync"]) == (0, 2, True)
    assert len(sandbox.samples(model_id)) == 5


def test_a_rule_keeps_samples_that_are_litter_now(sent_earlier: Path, shell: Shell) -> None:
    (sent_earlier / ".astica-ignore").write_text("!*.bak\n!@eaDir/\n")
    ran = shell("push", "--store", sent_earlier, "--json")
    assert (ran.code, ran.json["removed"], ran.json["in_sync"], ran.json["requests"]) == (0, 0, True, 1)


@pytest.mark.parametrize("data", ["drafts/\n".encode("utf-16"), b"drafts/\r", b"\xef\xbb\xbfdrafts/\r\n"])
def test_a_draft_is_left_out_whatever_wrote_the_ignore_file(data: bytes, shell: Shell, pushed: Path) -> None:
    draw(pushed / "Can" / "drafts" / "a.png", 500)
    (pushed / ".astica-ignore").write_bytes(data)
    ran = shell("push", "--store", pushed, "--json")
    assert (ran.code, ran.json["uploaded"], ran.json["in_sync"]) == (0, 0, True)


@pytest.mark.parametrize("data", ["Entwürfe/\n".encode("latin-1"), "drafts/\n".encode("utf-16-le"), b"drafts/\n\0"])
def test_an_ignore_file_that_cannot_be_read_stops_every_command_before_a_request(
    data: bytes, shell: Shell, pushed: Path, sandbox: RunningSandbox
) -> None:
    draw(pushed / "Can" / "drafts" / "a.png", 500)
    (pushed / "Can" / "001.png").unlink()
    (pushed / ".astica-ignore").write_bytes(data)
    for command in (["push"], ["push", "--dry-run"], ["pull-status"], ["pull-status", "--ignored"]):
        ran = shell(*command, "--store", pushed)
        assert ran.code == 1, command
        assert ".astica-ignore" in ran.err and "save it as text in UTF-8" in ran.err
    assert not any(request.call in ("upload", "sample_remove", "class_remove") for request in sandbox.log)


def test_two_folders_of_one_class_are_named_with_what_tells_them_apart(shell: Shell, store: Path) -> None:
    heading = "One class in several folders, whose names differ in their Unicode form alone"
    draw(store / "K\u00fcche" / "1.png", 71)
    assert heading not in shell("status", "--store", store).out
    draw(store / "Ku\u0308che" / "1.png", 72)
    out = shell("status", "--store", store).out
    assert f"{heading}: move the files into one of them (1):\n" in out
    assert "  K\u00fcche: 'K\\xfcche', 'Ku\\u0308che'" in out or "'Ku\\u0308che', 'K\\xfcche'" in out
