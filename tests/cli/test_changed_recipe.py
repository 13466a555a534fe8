"""A changed recipe makes other samples of the images that are converted, which replace the former ones alone."""

import io
import json
from pathlib import Path

import pytest
import xxhash
from PIL import Image

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

HEIC = Path(__file__).parents[2] / "fixtures" / "heic"


def paint(path: Path, number: int, size: tuple[int, int] = (120, 90)) -> Path:
    """A picture with an edge and a gradient, another one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste((250, 10 + number, number * 7 % 256), (number % 50, 3, number % 50 + 40, 50))
    image.save(path)
    return path


def settings(store: Path, *lines: str) -> None:
    (store / "astica-sync.toml").write_text("".join(f"{line}\n" for line in lines))


def sides(sandbox: RunningSandbox, model_id: int) -> list[tuple[int, int]]:
    return sorted(Image.open(io.BytesIO(one.image)).size for one in sandbox.samples(model_id))


@pytest.fixture
def model(sandbox: RunningSandbox) -> int:
    return sandbox.add_model()


@pytest.fixture
def store(shell: Shell, sandbox: RunningSandbox, model: int, tmp_path: Path) -> Path:
    """A store with three images that are converted and one that is not, in sync with the service."""
    folder = tmp_path / "photos"
    paint(folder / "Can" / "one.tiff", 1)
    paint(folder / "Bottle" / "two.tiff", 2)
    paint(folder / "Bottle" / "three.bmp", 3, (60, 80))
    draw(folder / "Can" / "drawn.png", 70)
    assert shell("init", folder, "--model", str(model)).code == 0
    assert shell("push", "--store", folder).code == 0
    return folder


def test_what_another_recipe_makes_replaces_what_was_sent(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int, tmp_path: Path
) -> None:
    before = {sample.sample_id: sample for sample in sandbox.samples(model)}
    settings(store, "max_side = 64")
    status = shell("status", "--json", "--store", store).json
    plan = status["plan"]
    assert len(plan["upload"]) == len(plan["remove"]) == 3 and not status["refusals"]
    # One view, three uploads, three removals.
    assert plan["requests"] == 7
    shown = shell("status", "--store", store).out
    assert "- Can/one.tiff  (it was converted by another recipe)" in shown and "drawn.png" not in shown
    pushed = shell("push", "--json", "--store", store)
    assert pushed.code == 0, pushed.err
    assert (pushed.json["uploaded"], pushed.json["removed"], pushed.json["in_sync"]) == (3, 3, True)
    assert sides(sandbox, model) == [(12, 10), (48, 64), (64, 48), (64, 48)]
    kept = [sample for sample in sandbox.samples(model) if sample.sample_id in before]
    assert [Image.open(io.BytesIO(one.image)).size for one in kept] == [(12, 10)], "what is sent as it is stays"
    sandbox.clear_log()
    assert shell("push", "--json", "--store", store).json["in_sync"] is True and len(sandbox.log) == 1
    assert shell("status", "--exit-code", "--store", store).code == 0
    assert shell("backup", "restore", "--to", tmp_path / "back", "--store", store).code == 0
    for path in store.glob("[BC]*/*"):
        assert (tmp_path / "back" / path.relative_to(store)).read_bytes() == path.read_bytes()
    lines = [
        json.loads(line) for line in (store / ".astica-sync" / "backup" / "prepared.jsonl").read_text().splitlines()
    ]
    assert sorted(line.get("recipe", "") for line in lines) == [""] * 3 + ["max_side=64"] * 3
    assert shell("backup", "verify", "--store", store).code == 0


def test_the_recipe_of_before_brings_back_what_was_sent_before(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int
) -> None:
    first = {sample.image for sample in sandbox.samples(model)}
    uids = {sample.uid for sample in sandbox.samples(model)}
    settings(store, "quality = 30", 'background = "black"')
    assert shell("push", "--store", store).code == 0
    assert len(uids & {sample.uid for sample in sandbox.samples(model)}) == 1
    settings(store)
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (3, 3, True)
    assert {sample.image for sample in sandbox.samples(model)} == first
    assert {sample.uid for sample in sandbox.samples(model)} == uids


def test_many_of_them_are_confirmed_and_until_then_nothing_is_sent(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int
) -> None:
    for number in range(10, 20):
        paint(store / "Can" / f"{number}.tiff", number)
    assert shell("push", "--store", store).code == 0
    before = {sample.image for sample in sandbox.samples(model)}
    settings(store, "max_side = 32")
    draw(store / "Can" / "new.png", 71)
    sandbox.clear_log()
    status = shell("status", "--json", "--store", store).json
    assert (
        "13 images are converted by another recipe now: 13 requests to send and 13 requests to remove"
        in (status["refusals"][0]["reason"])
    )
    refused = shell("push", "--store", store)
    assert refused.code != 0 and "astica-sync push --yes" in refused.out + refused.err
    assert "set max_side, quality, background, frame and metadata" in refused.out + refused.err
    new = {sample.image for sample in sandbox.samples(model)}
    assert new - before == {(store / "Can" / "new.png").read_bytes()} and before <= new
    pushed = shell("push", "--yes", "--json", "--store", store)
    assert (pushed.json["uploaded"], pushed.json["removed"], pushed.json["in_sync"]) == (13, 13, True), pushed.err
    assert max(max(pair) for pair in sides(sandbox, model)) == 32


def test_phone_photos_and_scans_are_made_smaller_and_come_back_as_they_were(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int, tmp_path: Path
) -> None:
    pytest.importorskip("pi_heif", reason="HEIC is decoded by pi-heif")
    photos = sorted(HEIC.glob("*.heic"))
    for photo in photos:
        (store / "Can" / photo.name).write_bytes(photo.read_bytes())
    paint(store / "Bottle" / "scan.tiff", 9, (900, 700))
    assert shell("push", "--store", store).code == 0
    settings(store, "max_side = 48")
    pushed = shell("push", "--yes", "--json", "--store", store)
    assert pushed.json["in_sync"] is True and pushed.json["uploaded"] == pushed.json["removed"] == len(photos) + 4
    assert max(max(pair) for pair in sides(sandbox, model)) == 48
    assert shell("backup", "restore", "--to", tmp_path / "back", "--store", store).code == 0
    for photo in photos:
        assert (tmp_path / "back" / "Can" / photo.name).read_bytes() == photo.read_bytes()


@pytest.mark.parametrize("lost", ["index.db", "journal.db"])
def test_after_the_loss_of_index_or_journal_nothing_is_sent_again(shell: Shell, store: Path, lost: str) -> None:
    settings(store, "max_side = 64")
    assert shell("push", "--store", store).code == 0
    for file in (store / ".astica-sync").glob(f"{lost}*"):
        file.unlink()
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (0, 0, True)


def test_a_deleted_and_a_moved_image_of_another_recipe_are_followed(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int
) -> None:
    settings(store, "max_side = 64")
    (store / "Can" / "one.tiff").rename(store / "Bottle" / "moved.tiff")
    (store / "Bottle" / "three.bmp").unlink()
    pushed = shell("push", "--json", "--store", store).json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (2, 3, True)
    assert sorted(sample.class_title for sample in sandbox.samples(model)) == ["Bottle", "Bottle", "Can"]
    assert sides(sandbox, model) == [(12, 10), (64, 48), (64, 48)]
    assert shell("backup", "restore", "--since", "1h", "--store", store).code == 0
    assert (store / "Bottle" / "three.bmp").exists() and not (store / "Can" / "one.tiff").exists()


def test_one_that_the_new_recipe_cannot_make_keeps_its_former_sample(
    shell: Shell, sandbox: RunningSandbox, store: Path, model: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is converted from its copy in the backup, which is damaged."""
    before = {sample.uid for sample in sandbox.samples(model)}
    settings(store, "max_side = 64")
    content = xxhash.xxh3_128_hexdigest((store / "Can" / "one.tiff").read_bytes())
    [copy] = (store / ".astica-sync" / "backup" / "objects").rglob(f"{content}.*")
    copy.unlink()
    copy.mkdir()
    (copy / "x").touch()
    pushed = shell("push", "--json", "--store", store)
    assert pushed.code != 0
    there = {sample.uid for sample in sandbox.samples(model)}
    assert {uid for uid in before if uid.startswith(content)} <= there
    copy.joinpath("x").unlink()
    copy.rmdir()
    shell("push", "--retry", "--store", store)
    assert shell("push", "--json", "--store", store).json["in_sync"] is True
    assert sides(sandbox, model) == [(12, 10), (48, 64), (64, 48), (64, 48)]


def test_a_converted_image_of_another_recipe_is_made_again_by_that_recipe(shell: Shell, store: Path) -> None:
    settings(store, "max_side = 64")
    assert shell("push", "--store", store).code == 0
    settings(store)
    files = {path: path.read_bytes() for path in (store / ".astica-sync" / "backup" / "prepared").rglob("*.*")}
    assert len(files) == 6
    for path in files:
        path.unlink()
    ran = shell("backup", "verify", "--store", store)
    assert ran.code == 0 and ran.out.count("converted again: ") >= 3, ran.out
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max_side = 17000", "0, or a whole number from 16 to 16000"),
        ("max_side = true", "0, or a whole number from 16 to 16000"),
        ('quality = "best"', "a whole number from 1 to 100"),
        ("quality = 0", "a whole number from 1 to 100"),
        ('background = "#fff"', "white, black, grey, or a colour such as #f0f0f0"),
        ("background = 5", "white, black, grey, or a colour such as #f0f0f0"),
        ("frame = 0", "a whole number from 1"),
        ("metadata = true", "none or keep"),
        ('metadata = "place"', "none or keep"),
    ],
)
def test_a_setting_that_makes_no_recipe_is_refused_before_anything_is_sent(
    shell: Shell, sandbox: RunningSandbox, store: Path, line: str, said: str
) -> None:
    settings(store, line)
    sandbox.clear_log()
    ran = shell("push", "--store", store)
    assert ran.code != 0 and said in ran.err and line.split()[0] in ran.err and not sandbox.log


@pytest.mark.parametrize("length", [32, 36])
def test_a_recipe_is_refused_where_nothing_tells_its_samples_from_others(
    shell: Shell, sandbox: RunningSandbox, model: int, tmp_path: Path, length: int
) -> None:
    sandbox.set_switches(uid_length=length)
    store = tmp_path / "photos"
    paint(store / "Can" / "one.tiff", 1)
    paint(store / "Bottle" / "two.tiff", 2)
    assert shell("init", store, "--model", str(model)).code == 0
    assert shell("push", "--store", store).code == 0
    settings(store, "max_side = 64")
    sandbox.clear_log()
    ran = shell("push", "--json", "--store", store)
    if length == 32:
        assert ran.code != 0 and "the service cuts uids" in ran.err and "max_side=64" in ran.err
        assert {request.call for request in sandbox.log} == {"view"} and sides(sandbox, model) == [(120, 90)] * 2
        settings(store)
        ran = shell("push", "--json", "--store", store)
    assert ran.json["in_sync"] is True, ran.err
    assert sides(sandbox, model) == [(120, 90) if length == 32 else (64, 48)] * 2
