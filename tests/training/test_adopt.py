"""Adopting unmanaged samples: none is uploaded again, and unmatched samples are never removed."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import LocalSample, ModelInfo, Observation, RemoteClass, RemoteSample, make_scope, make_uid
from astica_sync.core.versions.match_unmanaged import Adopted, Certainty, find_pairs, rename_adopted
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, fill


def here(number: int, size: int, path: str) -> LocalSample:
    title = path.partition("/")[0]
    return LocalSample(make_uid(f"{number:032x}", make_scope(1, title)), title, (path,), size)


def there(sample_id: int, uid: str, title: str = "Can") -> RemoteSample:
    return RemoteSample(uid, sample_id, 1, title)


@pytest.fixture
def old(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store whose images a script uploaded under its own uids, and one more image that has no file."""
    folder = fill(tmp_path / "old", {"Bottle": 2, "Can": 3})
    model_id = sandbox.add_model("Old")
    for path in sorted(folder.glob("*/*.png")):
        uid = "" if path.parent.name == "Bottle" else f"{path.name}_{hash(path.name) % 90000}"
        sandbox.add_sample(model_id, path.parent.name, path.read_bytes(), uid)
    sandbox.add_sample(model_id, "Can", b"an image without a file", "LOST_9.jpg")
    ran = shell("init", folder, "--model", str(model_id))
    assert ran.code == 0, ran.err
    sandbox.clear_log()
    return folder


def test_adopted_samples_are_not_uploaded_again_and_unmatched_ones_stay(
    shell: Shell, sandbox: RunningSandbox, old: Path
) -> None:
    shown = shell("adopt", "--json", "--store", old).json
    assert shown["adopted"] == 0
    certain = {pair["path"] for pair in shown["pairs"] if pair["certain"]}
    assert certain == {"Can/000.png", "Can/001.png", "Can/002.png"}
    assert [one["uid"] for one in shown["unrecoverable"] if one["class"] == "Can"] == ["LOST_9.jpg"]

    ran = shell("adopt", "--yes", "--likely", "--store", old)
    assert ran.code == 0, ran.err
    paired = {pair["path"] for pair in shown["pairs"]}
    sandbox.clear_log()
    assert shell("push", "--store", old).code == 0
    assert len(sandbox.requests_of("upload")) == 5 - len(paired)

    for path in old.glob("Can/*.png"):
        path.unlink()
    assert shell("push", "--yes", "--store", old).code == 0
    in_can = sum(sample.class_title == "Can" for sample in sandbox.samples(1001))
    assert in_can == 4, "name and size are no proof that the backup has the bytes of a sample"
    restored = shell("backup", "restore", "--to", old.parent / "back", "--store", old)
    assert restored.code == 0
    assert (old.parent / "back" / "Can" / "000.png").exists(), "adopted samples are in the backup"


def test_without_consent_nothing_is_adopted(shell: Shell, sandbox: RunningSandbox, old: Path) -> None:
    ran = shell("adopt", "--store", old)
    assert ran.code == 0
    assert "Adopted 0 samples" in ran.out
    assert len(shell("pull-status", "--json", "--store", old).json["unmanaged"]) == 6
    assert {request.call for request in sandbox.log} == {"view"}


def test_samples_pushed_before_the_adoption_are_listed_as_duplicates(
    shell: Shell, sandbox: RunningSandbox, old: Path
) -> None:
    assert shell("push", "--yes", "--store", old).code == 0
    shown = shell("adopt", "--json", "--store", old).json
    assert {double["path"] for double in shown["doubles"]} >= {"Can/000.png", "Can/001.png", "Can/002.png"}
    assert shown["pairs"] == []
    assert [one["uid"] for one in shown["unrecoverable"] if one["class"] == "Can"] == ["LOST_9.jpg"]
    out = shell("adopt", "--store", old).out
    assert "are on the service twice" in out and "astica-sync remove-sample" in out
    assert len(sandbox.samples(1001)) == 11, "no sample is removed"


def test_adoptions_survive_the_loss_of_the_journal(shell: Shell, sandbox: RunningSandbox, old: Path) -> None:
    assert shell("adopt", "--yes", "--store", old).code == 0
    for name in ("journal.db", "index.db"):
        (old / ".astica-sync" / name).unlink()
    status = shell("pull-status", "--json", "--store", old).json
    assert not {upload["path"] for upload in status["plan"]["upload"]} & {f"Can/00{place}.png" for place in range(3)}


def test_name_and_size_give_a_certain_pair_and_a_unique_size_a_likely_one() -> None:
    local = [here(1, 253_747, "Can/IMG_1.jpg"), here(2, 100_000, "Can/a.png"), here(3, 100_000, "Can/b.png")]
    local.append(here(4, 70_001, "Can/c.png"))
    remote = [there(1, "IMG_1.jpg_83721"), there(2, ""), there(3, ""), there(4, "")]
    found = find_pairs(remote, local, {1: 0.253747, 2: 0.1, 3: 0.1, 4: 0.070001})
    assert [(pair.remote.sample_id, pair.local.paths[0], pair.certainty) for pair in found.pairs] == [
        (1, "Can/IMG_1.jpg", Certainty.CERTAIN),
        (4, "Can/c.png", Certainty.LIKELY),
    ]
    assert [one.sample_id for one in found.unmatched] == [2, 3]


def test_sizes_match_in_both_kinds_of_megabyte_and_with_few_decimals() -> None:
    local = [here(1, 300_000, "Can/one.png"), here(2, 500_000, "Can/two.png")]
    remote = [there(1, "one.png"), there(2, "two.png")]
    found = find_pairs(remote, local, {1: round(300_000 / 2**20, 6), 2: round(500_000 / 2**20, 6)})
    assert [pair.certainty for pair in found.pairs] == [Certainty.CERTAIN] * 2
    found = find_pairs(remote, local, {1: 0.3, 2: 0.5})
    assert [pair.certainty for pair in found.pairs] == [Certainty.LIKELY] * 2, "other images have that size too"


def test_a_different_class_or_size_or_a_partial_name_is_not_a_pair() -> None:
    local = [here(1, 1000, "Can/IMG_1.png")]
    for remote, size in (
        (there(1, "IMG_1.png", "Bottle"), 0.001),
        (there(1, "IMG_1.png"), 0.002),
        (there(1, "XIMG_1.png"), 0.002),
        (there(1, "IMG_12.png"), 0.002),
    ):
        assert find_pairs([remote], local, {1: size}).pairs == []


@given(st.data())
def test_each_sample_is_in_at_most_one_pair_and_the_rest_are_unmatched(data: st.DataObject) -> None:
    sizes = st.integers(1, 4).map(lambda number: number * 1000)
    local = [
        here(number, data.draw(sizes), f"{data.draw(st.sampled_from(['Can', 'Bottle']))}/n{number % 3}.png")
        for number in range(data.draw(st.integers(0, 8)))
    ]
    remote = [
        there(
            number,
            data.draw(st.sampled_from(["", "n0.png_1", "n1.png", "n2"])),
            data.draw(st.sampled_from(["can", "Bottle"])),
        )
        for number in range(1, data.draw(st.integers(1, 8)))
    ]
    shown = {one.sample_id: data.draw(sizes) / 1e6 for one in remote if data.draw(st.booleans())}
    found = find_pairs(remote, local, shown)
    ours = [pair.local.uid for pair in found.pairs]
    theirs = [pair.remote.sample_id for pair in found.pairs]
    assert len(set(ours)) == len(ours)
    assert sorted(theirs + [one.sample_id for one in found.unmatched]) == [one.sample_id for one in remote]
    for pair in found.pairs:
        assert pair.local.class_title.casefold() == pair.remote.class_title.casefold()


def test_a_reused_sample_id_does_not_match_an_adoption() -> None:
    model = ModelInfo(1, "A model")
    mine = Adopted(7, "IMG.jpg", "Can", "f" * 32 + "-00000000")

    def shown(*samples: RemoteSample) -> Observation:
        return Observation(model, 0.0, (RemoteClass(1, "Can", len(samples)),), samples)

    assert rename_adopted(shown(there(7, "IMG.jpg")), [mine]).samples[0].uid == mine.uid
    for other in (there(7, "OTHER.jpg"), there(8, "IMG.jpg"), there(7, "IMG.jpg", "Bottle")):
        assert rename_adopted(shown(other), [mine]).samples == (other,)


@pytest.fixture
def copies(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store of one image that the service has saved again, under its name and without a size."""
    folder = fill(tmp_path / "copies", {"Bottle": 2, "Can": 3})
    model_id = sandbox.add_model("Copies")
    for path in sorted(folder.glob("Bottle/*.png")):
        sandbox.add_sample(model_id, "Bottle", path.read_bytes(), path.name)
    theirs = (folder / "Can" / "000.png").read_bytes()
    sandbox.add_sample(model_id, "Can", theirs, "uploaded by hand")
    for place in (1, 2):
        (folder / "Can" / f"00{place}.png").unlink()
    assert shell("init", folder, "--model", str(model_id)).code == 0
    ran = shell("adopt", "--yes", "--likely", "--json", "--store", folder).json
    assert [pair["path"] for pair in ran["pairs"] if not pair["certain"]] == ["Can/000.png"]
    return folder


def test_a_likely_pair_is_not_removed_with_its_file(shell: Shell, sandbox: RunningSandbox, copies: Path) -> None:
    (copies / "Can" / "000.png").unlink()
    for options in ((), ("--yes",), ("--max-remove", "100%")):
        shell("push", *options, "--store", copies)
        assert len([one for one in sandbox.samples(1001) if one.class_title == "Can"]) == 1, options
    status = shell("pull-status", "--store", copies)
    assert "it was adopted" in status.out + status.err and "remove-sample" in status.out + status.err


def test_a_likely_pair_is_not_removed_as_a_moved_ignored_or_replaced_file(
    shell: Shell, sandbox: RunningSandbox, copies: Path
) -> None:
    def in_can() -> int:
        return len([one for one in sandbox.samples(1001) if one.class_title == "Can" and one.uid == "uploaded by hand"])

    (copies / "Can" / "000.png").rename(copies / "Bottle" / "moved.png")
    shell("push", "--yes", "--store", copies)
    assert in_can() == 1, "moved"
    (copies / "Bottle" / "moved.png").rename(copies / "Can" / "000.png")
    (copies / ".astica-ignore").write_text("Can/000.png\n")
    shell("push", "--yes", "--store", copies)
    assert in_can() == 1, "ignored"
    (copies / ".astica-ignore").unlink()
    draw(copies / "Can" / "000.png", 99)
    shell("push", "--yes", "--store", copies)
    assert in_can() == 1, "replaced"


def test_a_likely_pair_is_not_removed_with_its_class(shell: Shell, sandbox: RunningSandbox, copies: Path) -> None:
    for place in range(4):
        draw(copies / "Can" / f"mine-{place}.png", 50 + place)
    assert shell("push", "--store", copies).code == 0
    for path in copies.glob("Can/*.png"):
        path.unlink()
    shell("push", "--yes", "--store", copies)
    assert [one.uid for one in sandbox.samples(1001) if one.class_title == "Can"] == ["uploaded by hand"]
    assert not sandbox.requests_of("class_remove")


def test_removing_a_likely_pair_by_its_id_says_that_it_is_in_no_backup(
    shell: Shell, sandbox: RunningSandbox, copies: Path
) -> None:
    (sample_id,) = (one.sample_id for one in sandbox.samples(1001) if one.class_title == "Can")
    ran = shell("remove-sample", str(sample_id), "--store", copies)
    assert ran.code == 4 and "1 sample is not in the backup" in ran.err
    assert len([one for one in sandbox.samples(1001) if one.class_title == "Can"]) == 1
    assert shell("remove-sample", str(sample_id), "--yes", "--lose-unmanaged", "1", "--store", copies).code == 0
    assert shell("push", "--store", copies).code == 0
    (sample,) = (one for one in sandbox.samples(1001) if one.class_title == "Can")
    assert sample.uid != "uploaded by hand", "the local file is uploaded in its place"


def test_a_certain_pair_with_other_bytes_is_not_removed_with_its_file(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "same size", {"Can": 1})
    path = folder / "Can" / "IMG_0001.png"
    (folder / "Can" / "000.png").rename(path)
    theirs = path.read_bytes()[:-20] + bytes(20)
    model_id = sandbox.add_model("Same size")
    sandbox.add_sample(model_id, "Can", theirs, "IMG_0001.png")
    assert shell("init", folder, "--model", str(model_id)).code == 0
    assert shell("adopt", "--yes", "--json", "--store", folder).json["pairs"][0]["certain"] is True
    draw(folder / "Can" / "other.png", 70)
    path.unlink()
    shell("push", "--yes", "--store", folder)
    assert theirs in [sample.image for sample in sandbox.samples(model_id)]


def test_an_adopted_sample_and_that_of_another_store_live_together(
    shell: Shell, sandbox: RunningSandbox, copies: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copies, other, ignore=shutil.ignore_patterns(".astica-sync"))
    assert shell("push", "--store", copies).code == 0
    assert shell("init", other, "--model", "1001", "--yes").code == 0
    assert shell("push", "--store", other).code == 0
    count = len(sandbox.samples(1001))
    sandbox.clear_log()
    for _ in range(3):
        for store in (copies, other):
            ran = shell("push", "--json", "--store", store)
            assert (ran.code, ran.json["in_sync"]) == (0, True), ran.err
    assert len(sandbox.samples(1001)) == count
    assert {request.call for request in sandbox.log} == {"view"}
    assert "the image is there once more" in shell("status", "--store", copies).out


def test_planted_notes_of_adoptions_remove_nothing(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    local = next(sample for sample in sandbox.samples(1001) if sample.class_title == "Can")
    lines = []
    for number in range(6):
        sample_id = sandbox.add_sample(1001, "Can", f"from the page {number}".encode())
        note = {"model_id": 1001, "sample_id": sample_id, "foreign_uid": "", "class": "Can", "uid": local.uid}
        lines.append(json.dumps(note) + "\n")
    (pushed / ".astica-sync" / "backup" / "adopted.jsonl").write_text("".join(lines))
    count = len(sandbox.samples(1001))
    assert shell("push", "--yes", "--store", pushed).code == 0
    for path in pushed.glob("Can/*.png"):
        path.unlink()
    shell("push", "--yes", "--store", pushed)
    assert sum(sample.image.startswith(b"from the page") for sample in sandbox.samples(1001)) == 6
    assert len(sandbox.samples(1001)) < count


@pytest.mark.parametrize("change", ["uid of the file", "cut uid", "class", "id as text", "deleted"])
def test_no_later_note_makes_an_adopted_sample_removable(
    shell: Shell, sandbox: RunningSandbox, copies: Path, change: str
) -> None:
    notes = copies / ".astica-sync" / "backup" / "adopted.jsonl"
    (note,) = (line for line in map(json.loads, notes.read_text().splitlines()) if line.get("likely"))
    planted = {
        "uid of the file": {**note, "foreign_uid": note["uid"]},
        "cut uid": {**note, "uid": note["uid"][:32]},
        "class": {**note, "class": "can"},
        "id as text": {**note, "sample_id": str(note["sample_id"])},
    }
    if change == "deleted":
        notes.unlink()
    else:
        with notes.open("a") as file:
            file.write(json.dumps({key: value for key, value in planted[change].items() if key != "likely"}) + "\n")
    shell("push", "--yes", "--store", copies)
    (copies / "Can" / "000.png").unlink()
    shell("push", "--yes", "--store", copies)
    assert "uploaded by hand" in [sample.uid for sample in sandbox.samples(1001)]


def test_push_as_removes_no_adopted_sample(shell: Shell, sandbox: RunningSandbox, copies: Path) -> None:
    def theirs() -> int:
        return [sample.uid for sample in sandbox.samples(1001)].count("uploaded by hand")

    assert shell("train", "--anyway", "--store", copies).code == 0
    (copies / "Can" / "000.png").unlink()
    draw(copies / "Can" / "new.png", 321)
    shell("push", "--yes", "--store", copies)
    assert shell("train", "--anyway", "--store", copies).code == 0
    for version in sandbox.versions(1001):
        shell("push", "--as", version, "--yes", "--store", copies)
        assert theirs() == 1, version
    shell("push", "--yes", "--store", copies)
    assert theirs() == 1


def test_a_likely_pair_survives_the_loss_of_the_journal(shell: Shell, sandbox: RunningSandbox, copies: Path) -> None:
    (copies / ".astica-sync" / "journal.db").unlink()
    shell("push", "--store", copies)
    (copies / "Can" / "000.png").unlink()
    shell("push", "--yes", "--store", copies)
    assert [one.uid for one in sandbox.samples(1001) if one.class_title == "Can"] == ["uploaded by hand"]
