"""A bucket that denies, lies, is cut off or goes away: nothing of it counts as removed."""

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.bucket_source.conftest import SOURCE, Mirrored
from tests.harness.s3_bucket import SECRET
from tests.harness.s3_gate import Gate
from tests.harness.shell import on_service

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def is_list(path: str, folder: str = "") -> bool:
    return "list-type=2" in path and (not folder or f"{folder}%2F" in path)


def removed(store: Mirrored) -> tuple[int, Any]:
    """How many samples a push has removed, and what it says."""
    ran = store.shell("push", "--json", "--yes", "--store", store.folder)
    return (json.loads(ran.out).get("removed", 0) if ran.out else 0), ran


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_class_whose_list_is_refused_is_kept_and_named(mirrored: Mirrored, gate: Gate, status: int) -> None:
    before = on_service(mirrored.sandbox, mirrored.model)
    mirrored.source.draw("Bottle/new.png", 70)
    gate.rule = lambda _method, path, _headers: status if is_list(path, "Can") else 0
    done, ran = removed(mirrored)
    assert done == 0, ran
    [problem] = json.loads(ran.out)["problems"]
    assert problem["path"] == "Can" and "cannot be listed" in problem["reason"] and "chmod" not in problem["reason"]
    now = on_service(mirrored.sandbox, mirrored.model)
    assert before <= now and sum(now.values()) == 6


def test_a_bucket_that_refuses_its_list_removes_nothing(mirrored: Mirrored, gate: Gate) -> None:
    gate.rule = lambda _method, path, _headers: 403 if is_list(path) else 0
    before = on_service(mirrored.sandbox, mirrored.model)
    done, ran = removed(mirrored)
    assert done == 0 and "cannot be listed" in ran.out + ran.err, ran
    assert on_service(mirrored.sandbox, mirrored.model) == before


@pytest.mark.parametrize("cut", ["body", "marker", "empty"])
def test_a_list_that_is_cut_off_removes_nothing(mirrored: Mirrored, gate: Gate, cut: str) -> None:
    def edit(_method: str, path: str, body: bytes) -> bytes:
        if not is_list(path, "Can"):
            return body
        if cut == "body":
            return body[: len(body) // 2]
        if cut == "empty":
            return b""
        without = re.sub(rb"<Contents>.*</Contents>", b"", body, flags=re.DOTALL)
        return without.replace(b"<IsTruncated>false", b"<IsTruncated>true")

    gate.edit = edit
    before = on_service(mirrored.sandbox, mirrored.model)
    done, ran = removed(mirrored)
    assert done == 0 and "Can" in str(json.loads(ran.out)["problems"]), ran
    assert on_service(mirrored.sandbox, mirrored.model) == before


def test_a_list_that_lacks_an_object_which_is_there_removes_nothing(mirrored: Mirrored, gate: Gate) -> None:
    """A stale list is no proof of absence: the object itself is asked for before its sample is removed."""
    gate.edit = lambda _method, path, body: (
        re.sub(rb"<Contents><Key>[^<]*000.png.*?</Contents>", b"", re.sub(rb">\s+<", b"><", body), flags=re.DOTALL)
        if is_list(path, "Can")
        else body
    )
    before = on_service(mirrored.sandbox, mirrored.model)
    planned = mirrored.status()["plan"]
    assert [one["class"] for one in planned["remove"]] == ["Can"]
    done, _ = removed(mirrored)
    assert done == 0 and on_service(mirrored.sandbox, mirrored.model) == before
    gate.edit = lambda _method, _path, body: body
    assert mirrored.push()["removed"] == 0


@pytest.mark.parametrize("gone", ["objects", "bucket"])
def test_a_source_that_is_gone_as_a_whole_removes_nothing(mirrored: Mirrored, gone: str) -> None:
    before = on_service(mirrored.sandbox, mirrored.model)
    for key in mirrored.source.list_keys():
        mirrored.source.remove(key)
    if gone == "bucket":
        mirrored.source.client.delete_bucket(Bucket="photos")
    done, ran = removed(mirrored)
    assert done == 0 and ("nothing is below" if gone == "objects" else "NoSuchBucket") in ran.out, ran
    assert on_service(mirrored.sandbox, mirrored.model) == before
    assert mirrored.shell("status", "--store", mirrored.folder).code in (0, 1)


def test_an_object_that_cannot_be_read_stops_no_other(mirrored: Mirrored, gate: Gate) -> None:
    gate.rule = lambda method, path, _headers: 403 if method == "GET" and path.endswith("Can/denied.png") else 0
    mirrored.source.draw("Can/denied.png", 60)
    mirrored.source.draw("Bottle/new.png", 61)
    ran = mirrored.shell("push", "--json", "--store", mirrored.folder)
    assert ran.code == 3 and ran.json["uploaded"] == 1, ran
    [problem] = ran.json["problems"]
    assert problem["path"] == "Can/denied.png" and "credentials" in problem["reason"]


def test_an_object_that_changes_after_the_scan_is_sent_as_it_is_by_the_next_push(
    mirrored: Mirrored, gate: Gate
) -> None:
    """It is read three times: by the scan, to be checked and to be copied into the backup."""
    mirrored.source.draw("Can/new.png", 80)
    reads = 0

    def rule(method: str, path: str, _headers: Any) -> int:
        nonlocal reads
        if method == "GET" and path.endswith("Can/new.png"):
            reads += 1
            if reads == 3:
                mirrored.source.draw("Can/new.png", 81)
        return 0

    gate.rule = rule
    ran = mirrored.shell("push", "--json", "--store", mirrored.folder)
    assert ran.json["uploaded"] in (0, 1), ran
    gate.rule = lambda *_: 0
    mirrored.push()
    assert mirrored.push()["requests"] == 1


def test_a_push_that_is_killed_goes_on(unpushed: Mirrored) -> None:
    for number in range(30):
        unpushed.source.draw(f"Jar/{number:03}.png", 200 + number)
    for _ in range(4):
        process = unpushed.shell.start("push", "--yes", "--store", unpushed.folder)
        before = sum(on_service(unpushed.sandbox, unpushed.model).values())
        ends = time.monotonic() + 60
        while sum(on_service(unpushed.sandbox, unpushed.model).values()) < before + 4 and process.poll() is None:
            assert time.monotonic() < ends
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    unpushed.push()
    assert unpushed.push()["requests"] == 1
    assert unpushed.shell("backup", "verify", "--store", unpushed.folder).code == 0


ODD = [
    "Can//x.png",
    "Can/../y.png",
    "Can/control\x01.png",
    "/loose.png",
    f"Can/{'n' * 260}.png",
    "Can/",
    "Jar/",
    "Can/deep/",
]


def test_keys_that_are_no_paths_are_named_and_keep_nothing_away(mirrored: Mirrored) -> None:
    for key in ODD:
        mirrored.source.put(key, b"" if key.endswith("/") else b"x")
    mirrored.source.draw("loose.png", 90)
    mirrored.source.draw("Can/new.png", 91)
    mirrored.source.remove("Can/000.png")
    ran = mirrored.shell("push", "--json", "--yes", "--store", mirrored.folder)
    assert (ran.code, ran.json["uploaded"], ran.json["removed"]) == (0, 1, 1), ran.out
    named = {problem["path"] for problem in ran.json["problems"]}
    assert {"Can//", "Can/control\x01.png", "/", f"Can/{'n' * 260}.png", "loose.png"} == named, named
    for key in ODD:
        mirrored.source.remove(key)
    mirrored.source.remove("loose.png")
    assert mirrored.push()["problems"] == []


def test_names_that_differ_in_case_or_unicode_form_are_different_objects(mirrored: Mirrored) -> None:
    mirrored.source.draw("Can/A.png", 92)
    mirrored.source.draw("Can/a.png", 93)
    mirrored.source.draw("Can/\u00e9.png", 94)
    mirrored.source.draw("Can/e\u0301.png", 95)
    mirrored.source.draw("Can/a+b #?%20&\u00fc.png", 96)
    assert mirrored.push()["uploaded"] == 5
    mirrored.source.remove("Can/a.png")
    mirrored.source.remove("Can/e\u0301.png")
    assert mirrored.push()["removed"] == 2


def test_versions_and_parts_are_what_they_are_now(mirrored: Mirrored) -> None:
    client = mirrored.source.client
    client.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    mirrored.source.draw("Can/000.png", 97)
    mirrored.source.remove("Can/001.png")
    key = "data/cans/Can/parts.png"
    data = mirrored.source.get("Can/002.png") + b""
    upload = client.create_multipart_upload(Bucket="photos", Key=key)["UploadId"]
    part = client.upload_part(Bucket="photos", Key=key, PartNumber=1, UploadId=upload, Body=data)
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    client.complete_multipart_upload(Bucket="photos", Key=key, UploadId=upload, MultipartUpload=parts)
    done = mirrored.push()
    assert (done["uploaded"], done["removed"]) == (1, 2)
    mirrored.sandbox.clear_log()
    seen = mirrored.status()
    assert seen["in_sync"] and len(mirrored.sandbox.log) == 1


def test_a_lost_binding_is_no_empty_store(mirrored: Mirrored) -> None:
    (mirrored.folder / ".astica-sync" / "source.json").unlink()
    before = on_service(mirrored.sandbox, mirrored.model)
    ran = mirrored.shell("push", "--yes", "--store", mirrored.folder)
    assert ran.code == 1 and SOURCE in ran.err and "init --from" in ran.err, ran
    assert on_service(mirrored.sandbox, mirrored.model) == before
    assert mirrored.shell("init", mirrored.folder, "--from", SOURCE).code == 0
    assert mirrored.push()["requests"] == 1


def test_a_planted_source_is_not_read(mirrored: Mirrored, gate: Gate, tmp_path: Path) -> None:
    binding = mirrored.folder / ".astica-sync" / "source.json"
    binding.write_text(json.dumps({"format": 1, "source": "s3://others/private"}))
    gate.seen.clear()
    for command in (("status",), ("push", "--yes"), ("backup", "restore", "--since", "1d")):
        ran = mirrored.shell(*command, "--store", mirrored.folder)
        assert ran.code == 1 and "s3://others/private" in ran.err and "astica-sync trust" in ran.err, ran
    assert gate.seen == []
    # What was uploaded is there without it.
    assert mirrored.shell("backup", "restore", "--to", tmp_path / "out", "--store", mirrored.folder).code == 0
    assert mirrored.shell("trust", "--yes", "--store", mirrored.folder).code == 0
    ran = mirrored.shell("push", "--yes", "--store", mirrored.folder)
    assert ran.code == 1 and "nothing was removed" in ran.err, ran


@pytest.mark.parametrize(
    "text", ["{", '{"source": 5}', '{"source": "file:///etc"}', '{"source": "https://host/x"}', "[" * 9000]
)
def test_a_damaged_binding_stops_with_a_sentence(mirrored: Mirrored, text: str) -> None:
    (mirrored.folder / ".astica-sync" / "source.json").write_text(text)
    ran = mirrored.shell("status", "--store", mirrored.folder)
    assert ran.code == 1 and "init --from" in ran.err and "Traceback" not in ran.err, ran


def test_a_folder_beside_the_records_is_refused(mirrored: Mirrored) -> None:
    (mirrored.folder / "Can").mkdir()
    ran = mirrored.shell("push", "--store", mirrored.folder)
    assert ran.code == 1 and "Can is beside the records" in ran.err, ran


def test_a_server_that_is_away_is_named_soon_and_removes_nothing(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    done, ran = removed(mirrored)
    assert done == 0 and "cannot be listed" in ran.out + ran.err, ran
    assert "test-secret-of-the-bucket" not in ran.out + ran.err


def test_a_server_that_repeats_the_secret_does_not_get_it_shown(mirrored: Mirrored, gate: Gate) -> None:
    gate.edit = lambda _method, path, body: (
        f"<Error><Code>Odd</Code><Message>you said {SECRET}</Message></Error>".encode() if is_list(path) else body
    )
    gate.status = 400
    ran = mirrored.shell("push", "--store", mirrored.folder)
    assert "you said" in ran.out + ran.err and SECRET not in ran.out + ran.err, ran
