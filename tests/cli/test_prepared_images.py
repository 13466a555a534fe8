"""Images that the service does not take are converted: each goes up once, and its original comes back."""

import contextlib
import io
import json
import sqlite3
import time
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

HEIC = Path(__file__).parents[2] / "fixtures" / "heic"
FORMATS = ("webp", "tiff", "bmp", "gif")


def paint(path: Path, number: int) -> Path:
    """An image of the format that the name says, another one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (24, 20), (number * 37 % 256, number * 91 % 256, 90))
    image.paste((250, 10, number), (number % 10, 3, number % 10 + 6, 12))
    image.save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


@pytest.fixture
def mixed(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store with images of several formats in two classes, not pushed yet."""
    folder = tmp_path / "mixed"
    for number, extension in enumerate(FORMATS):
        paint(folder / "Can" / f"{number}.{extension}", number)
        paint(folder / "Bottle" / f"{number}.{extension}", number + 10)
    draw(folder / "Can" / "plain.png", 70)
    assert shell("init", folder, "--model", str(sandbox.add_model())).code == 0
    return folder


def only_model(sandbox: RunningSandbox) -> int:
    [(model_id, _)] = sandbox.models()
    return model_id


def test_each_image_is_sent_once_as_png_or_jpeg_and_the_next_push_sends_one_request(
    shell: Shell, sandbox: RunningSandbox, mixed: Path
) -> None:
    ran = shell("push", "--json", "--store", mixed)
    assert ran.code == 0, ran.err
    assert ran.json["uploaded"] == 9 and ran.json["in_sync"] is True
    samples = sandbox.samples(only_model(sandbox))
    assert len(samples) == 9
    for sample in samples:
        assert Image.open(io.BytesIO(sample.image)).format in ("PNG", "JPEG")
    sandbox.clear_log()
    again = shell("push", "--json", "--store", mixed)
    assert again.json["uploaded"] == 0 and again.json["in_sync"] is True
    assert len(sandbox.log) == 1
    assert shell("status", "--exit-code", "--store", mixed).code == 0


def test_what_is_sent_shows_the_same_picture(shell: Shell, sandbox: RunningSandbox, mixed: Path) -> None:
    assert shell("push", "--store", mixed).code == 0
    sent = [Image.open(io.BytesIO(one.image)) for one in sandbox.samples(only_model(sandbox))]
    pictures = {image.convert("RGB").tobytes() for image in sent}
    for path in sorted(mixed.glob("[BC]*/*")):
        with Image.open(path) as image:
            assert image.convert("RGB").tobytes() in pictures, path


def test_the_originals_are_untouched_and_come_back_byte_for_byte(
    shell: Shell, sandbox: RunningSandbox, mixed: Path, tmp_path: Path
) -> None:
    before = {path.relative_to(mixed): path.read_bytes() for path in mixed.glob("[BC]*/*")}
    assert shell("push", "--store", mixed).code == 0
    assert {path.relative_to(mixed): path.read_bytes() for path in mixed.glob("[BC]*/*")} == before
    assert shell("backup", "restore", "--to", tmp_path / "back", "--store", mixed).code == 0
    back = {path.relative_to(tmp_path / "back"): path.read_bytes() for path in (tmp_path / "back").glob("[BC]*/*")}
    assert back == before


def test_a_removed_file_is_removed_on_the_service_and_a_moved_one_is_moved(
    shell: Shell, sandbox: RunningSandbox, mixed: Path
) -> None:
    assert shell("push", "--store", mixed).code == 0
    (mixed / "Can" / "0.webp").unlink()
    (mixed / "Can" / "1.tiff").rename(mixed / "Bottle" / "moved.tiff")
    ran = shell("push", "--json", "--store", mixed)
    assert ran.code == 0 and ran.json["uploaded"] == 1 and ran.json["removed"] == 2
    titles = sorted(sample.class_title for sample in sandbox.samples(only_model(sandbox)))
    assert titles == ["Bottle"] * 5 + ["Can"] * 3


def test_after_the_loss_of_journal_and_index_nothing_is_sent_again(
    shell: Shell, sandbox: RunningSandbox, mixed: Path
) -> None:
    assert shell("push", "--store", mixed).code == 0
    for name in ("journal.db", "index.db"):
        for file in (mixed / ".astica-sync").glob(f"{name}*"):
            file.unlink()
    ran = shell("push", "--json", "--store", mixed)
    assert ran.code == 0 and ran.json["uploaded"] == 0 and ran.json["removed"] == 0 and ran.json["in_sync"] is True


def test_after_the_loss_of_everything_but_the_files_the_samples_are_adopted(
    shell: Shell, sandbox: RunningSandbox, mixed: Path, tmp_path: Path
) -> None:
    """Another machine with the same files: what it would send is what the service shows."""
    assert shell("push", "--store", mixed).code == 0
    other = tmp_path / "other"
    for path in mixed.glob("[BC]*/*"):
        (other / path.relative_to(mixed)).parent.mkdir(parents=True, exist_ok=True)
        (other / path.relative_to(mixed)).write_bytes(path.read_bytes())
    assert shell("init", other, "--model", str(only_model(sandbox)), "--yes").code == 0
    ran = shell("push", "--json", "--store", other)
    assert ran.code == 0 and ran.json["uploaded"] == 0 and ran.json["in_sync"] is True


def test_a_forged_sample_under_the_uid_of_an_image_to_be_converted_is_not_adopted(
    shell: Shell, sandbox: RunningSandbox, mixed: Path
) -> None:
    planned = shell("status", "--json", "--store", mixed).json["plan"]["upload"]
    [forged] = [one for one in planned if one["path"] == "Can/1.tiff"]
    noise = Image.effect_noise((900, 900), 80)
    data = io.BytesIO()
    noise.save(data, "png")
    sandbox.add_sample(only_model(sandbox), "Can", data.getvalue(), forged["uid"])
    for _ in range(3):
        ran = shell("push", "--json", "--store", mixed)
    assert ran.code == 0 and ran.json["in_sync"] is True
    images = [one.image for one in sandbox.samples(only_model(sandbox)) if one.uid == forged["uid"]]
    assert len(images) == 2 and data.getvalue() in images


def test_a_damaged_image_is_named_and_the_others_are_sent(shell: Shell, sandbox: RunningSandbox, mixed: Path) -> None:
    whole = (mixed / "Can" / "1.tiff").read_bytes()
    (mixed / "Can" / "1.tiff").write_bytes(whole[: len(whole) // 2])
    status = shell("status", "--json", "--store", mixed)
    assert [one["path"] for one in status.json["problems"]] == ["Can/1.tiff"]
    ran = shell("push", "--json", "--store", mixed)
    assert ran.code == 3 and ran.json["uploaded"] == 8
    assert "Can/1.tiff" in json.dumps(ran.json["failed"])
    assert not list((mixed / ".astica-sync" / "backup" / "objects").glob("*/*.bin.tmp"))


def test_a_lost_or_damaged_converted_image_is_made_again(shell: Shell, sandbox: RunningSandbox, mixed: Path) -> None:
    assert shell("push", "--store", mixed).code == 0
    folder = mixed / ".astica-sync" / "backup" / "prepared"
    files = sorted(folder.glob("*/*.*"))
    assert len(files) == 8
    before = {path: path.read_bytes() for path in files}
    files[0].unlink()
    files[1].write_bytes(b"damaged")
    ran = shell("backup", "verify", "--store", mixed)
    assert ran.code == 0 and "2 repaired" in ran.out, ran.out
    assert {path: path.read_bytes() for path in files} == before
    assert "9 objects good, 0 repaired" in shell("backup", "verify", "--store", mixed).out


def test_a_status_names_what_is_converted(shell: Shell, mixed: Path) -> None:
    ran = shell("status", "--store", mixed)
    assert "+ Can/1.tiff  (converted from TIFF)" in ran.out and "+ Can/plain.png\n" in ran.out
    listed = {
        one["path"]: one.get("converted_from")
        for one in shell("status", "--json", "--store", mixed).json["plan"]["upload"]
    }
    assert listed["Can/0.webp"] == "webp" and listed["Can/plain.png"] is None


def test_a_format_that_is_turned_off_is_a_problem_and_its_sample_stays(
    shell: Shell, sandbox: RunningSandbox, mixed: Path
) -> None:
    settings = mixed / "astica-sync.toml"
    settings.write_text('convert = ["webp", "gif"]\n')
    ran = shell("push", "--json", "--store", mixed)
    assert ran.json["uploaded"] == 5
    assert sorted({Path(one["path"]).suffix for one in ran.json["problems"]}) == [".bmp", ".tiff"]
    assert all("convert" in one["reason"] for one in ran.json["problems"])
    settings.unlink()
    assert shell("push", "--json", "--store", mixed).json["uploaded"] == 4
    settings.write_text("convert = false\n")
    ran = shell("push", "--json", "--store", mixed)
    assert ran.json["removed"] == 0 and len(sandbox.samples(only_model(sandbox))) == 9
    assert "Held" in shell("status", "--store", mixed).out
    settings.write_text('convert = "tif"\n')
    ran = shell("status", "--store", mixed)
    assert ran.code == 1 and "all, none, or a list of heic, avif" in ran.err


def test_without_its_decoder_a_heic_that_is_cut_off_is_named_apart_from_one_that_may_be_good(
    shell: Shell, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (Path(__file__).parents[2] / "fixtures" / "heic" / "plain.heic").read_bytes()
    for name, data in {"a": whole[:600], "b": whole[: len(whole) - 1], "good": whole}.items():
        (mixed / "Can" / f"{name}.heic").write_bytes(data)
    monkeypatch.setattr("astica_sync.local.image.prepare.usable_formats.find_spec", lambda _name: None)
    found = {one["path"]: one["reason"] for one in shell("status", "--json", "--store", mixed).json["problems"]}
    assert found.keys() == {"Can/a.heic", "Can/b.heic", "Can/good.heic"}
    assert all(found[f"Can/{name}.heic"].startswith("broken image, image file is truncated: ") for name in "ab")
    assert "not checked, as that needs astica-sync[heic]" in found["Can/good.heic"]
    for command in (("status",), ("push", "--dry-run")):
        shown = " ".join(shell(*command, "--store", mixed).out.split())
        assert "! Can/a.heic and Can/b.heic (broken image" in shown, shown
        assert "! Can/good.heic (HEIC image: not checked" in shown, shown


def test_without_its_decoder_a_heic_file_is_a_problem_that_names_the_extra(
    shell: Shell, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mixed / "Can" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(600))
    monkeypatch.setattr("astica_sync.local.image.prepare.usable_formats.find_spec", lambda _name: None)
    [problem] = shell("status", "--json", "--store", mixed).json["problems"]
    assert problem["path"] == "Can/IMG_1.HEIC" and "astica-sync[heic]" in problem["reason"]
    monkeypatch.undo()
    monkeypatch.setattr("astica_sync.local.image.prepare.usable_formats.find_spec", lambda _name: object())
    shell("status", "--json", "--store", mixed)
    with contextlib.closing(sqlite3.connect(mixed / ".astica-sync" / "index.db")) as index:
        formats = [row[0] for row in index.execute("SELECT format FROM prepared")]
    assert "heic" in formats, "the file was read again"


def test_an_image_that_was_converted_by_hand_is_not_sent_twice(
    shell: Shell, sandbox: RunningSandbox, mixed: Path
) -> None:
    twin = mixed / "Can" / "1.JPG"
    with Image.open(mixed / "Can" / "1.tiff") as image:
        image.save(twin, "jpeg")
    ran = shell("push", "--json", "--store", mixed)
    assert ran.json["uploaded"] == 9
    [problem] = ran.json["problems"]
    assert problem["path"] == "Can/1.tiff" and "of the same name is beside it" in problem["reason"]
    assert "1.JPG is beside it" in shell("status", "--store", mixed).out
    twin.unlink()
    ran = shell("push", "--json", "--store", mixed)
    assert (ran.json["uploaded"], ran.json["removed"], ran.json["problems"]) == (1, 1, [])


def test_a_jpeg_that_appears_beside_an_image_that_was_sent_is_named_with_the_remedy(
    shell: Shell, sandbox: RunningSandbox, mixed: Path
) -> None:
    assert shell("push", "--store", mixed).code == 0
    twin = mixed / "Can" / "1.JPG"
    with Image.open(mixed / "Can" / "1.tiff") as image:
        image.save(twin, "jpeg")
    pair = ["Can/1.tiff", "Can/1.JPG"]
    section = (
        "Sent in two formats: delete one file of each, and the next push removes its sample (1):\n  = "
        + "  ".join(pair)
    )
    for command in (["status"], ["push", "--dry-run"]):
        assert section in shell(*command, "--store", mixed).out
    ran = shell("push", "--store", mixed)
    assert "1 image is sent in two formats, Can/1.tiff and Can/1.JPG: delete one file of each" in ran.out
    assert len(sandbox.samples(only_model(sandbox))) == 10, "nothing is removed without the user"
    for command in ("status", "push"):
        assert shell(command, "--json", "--store", mixed).json["in_two_formats"] == [pair]
    (mixed / "Can" / "1.tiff").unlink()
    ran = shell("push", "--store", mixed)
    assert "removed 1" in ran.out and "two formats" not in ran.out
    # Two images of one name that are both converted, and one in another folder, are no pair.
    paint(mixed / "Can" / "0.gif", 55)
    paint(mixed / "Can" / "deep" / "2.png", 56)
    assert shell("push", "--json", "--store", mixed).json["in_two_formats"] == []


def test_the_folder_of_a_phone_goes_up_as_a_viewer_shows_it(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    pytest.importorskip("pi_heif", reason="HEIC is decoded by pi-heif")
    folder = tmp_path / "phone" / "Trip"
    folder.mkdir(parents=True)
    for path in sorted(HEIC.glob("*.hei[cf]")):
        (folder / f"{path.stem}.HEIC").write_bytes(path.read_bytes())
    heics = len(list(folder.iterdir()))
    (folder / "IMG_0001.MOV").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(200))
    wide = Image.linear_gradient("L").resize((900, 60)).convert("RGB")
    wide.save(folder / "panorama.jpg", quality=95)
    Image.new("RGB", (60, 120), (9, 99, 199)).save(folder / "screenshot.png")
    wide.crop((0, 0, 90, 60)).save(
        folder / "burst.MPO", "MPO", save_all=True, append_images=[wide.crop((90, 0, 180, 60))]
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model_id = sandbox.add_model()
    assert shell("init", folder.parent, "--model", str(model_id)).code == 0
    ran = shell("push", "--json", "--store", folder.parent)
    assert ran.json["uploaded"] == heics + 3 and [one["path"] for one in ran.json["problems"]] == ["Trip/IMG_0001.MOV"]
    for sample in sandbox.samples(model_id):
        with Image.open(io.BytesIO(sample.image)) as image:
            # The first image of several keeps its own header, which names the others.
            assert image.format in ("PNG", "JPEG", "MPO") and image.getexif().get(0x0112, 1) == 1
    assert shell("push", "--json", "--store", folder.parent).json["uploaded"] == 0
    assert shell("backup", "restore", "--to", tmp_path / "back", "--store", folder.parent).code == 0
    back = {path.name: path.read_bytes() for path in (tmp_path / "back" / "Trip").iterdir()}
    assert back == {name: data for name, data in before.items() if not name.endswith("MOV")}


@pytest.mark.long
@pytest.mark.parametrize("after", [1, 4])
def test_a_push_that_is_killed_while_it_converts_is_resumed_and_nothing_is_lost_or_doubled(
    shell: Shell, sandbox: RunningSandbox, mixed: Path, after: int
) -> None:
    process = shell.start("push", "--store", mixed)
    give_up = time.monotonic() + 60
    while len(sandbox.requests_of("upload")) < after and time.monotonic() < give_up:
        time.sleep(0.005)
    process.kill()
    shell.finish(process)
    ran = shell("push", "--json", "--store", mixed)
    assert ran.code == 0 and ran.json["in_sync"] is True, ran.err
    samples = sandbox.samples(only_model(sandbox))
    assert len(samples) == len({sample.uid for sample in samples}) == 9
    assert "9 objects good, 0 repaired, 0 damaged" in shell("backup", "verify", "--store", mixed).out
