"""Images that the service does not take as they are: the page shows what is sent of them, and keeps the original."""

import io
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

from astica_sync.local.image.format import MAX_BYTES
from astica_sync.page.thumbnails import shown_images
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.other_formats import EXTENSIONS, FORMATS, encode
from tests.harness.page_client import PageClient, running_page
from tests.harness.shell import Shell

TO_CAN = {"class": "Can"}
RED, BLUE = (200, 30, 20), (20, 40, 210)


def picture(number: int = 0) -> Image.Image:
    """Red above blue, wider than high; another one for each number."""
    image = Image.new("RGB", (60, 40), RED)
    image.paste(BLUE, (0, 20, 60, 40))
    image.paste((20, 160, 20 + 30 * number), (2, 2, 6, 6))
    return image


def put(store: Path, name: str, data: bytes) -> Path:
    path = store / "Can" / name
    path.write_bytes(data)
    return path


def colours(data: bytes) -> tuple[tuple[int, int], Any, Any]:
    """The size of a JPEG or PNG, and its colours above and below."""
    opened = Image.open(io.BytesIO(data))
    pixels = np.asarray(opened.convert("RGB")).astype(int)
    wide, high = opened.size
    return opened.size, pixels[high // 4, wide // 2], pixels[high * 3 // 4, wide // 2]


def is_near(one: Any, other: Any) -> bool:
    return bool(np.abs(np.subtract(one, other)).max() < 24)


def details(page: PageClient, name: str) -> Any:
    return page.json(f"/api/images/{page.row('Can', name)['id']}")


@pytest.mark.parametrize("word", FORMATS)
def test_the_picture_is_shown_small_and_large_with_its_size(page: PageClient, photo_store: Path, word: str) -> None:
    name = f"photo.{EXTENSIONS[word]}"
    data = encode(picture(), word, camera="Camera 3", taken="2024:05:01 10:00:00")
    put(photo_store, name, data)
    page.post("/api/refresh")
    row = page.row("Can", name)
    for path in (f"/thumbnails/{row['content']}", f"/images/{row['id']}/large"):
        answer = page.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), answer.text
        size, above, below = colours(answer.content)
        assert size == (60, 40) and is_near(above, RED) and is_near(below, BLUE)
    found = details(page, name)
    assert (found["pixels"], found["size"]) == ([60, 40], len(data))
    assert found["exif"] == {"taken": "2024:05:01 10:00:00", "camera": "Camera 3"}


@pytest.mark.parametrize("word", FORMATS)
def test_the_details_tell_how_it_is_sent(shell: Shell, page: PageClient, photo_store: Path, word: str) -> None:
    name = f"photo.{EXTENSIONS[word]}"
    put(photo_store, name, encode(picture(), word))
    page.post("/api/refresh")
    called = {"webp": "WebP", "tiff": "TIFF", "cmyk": "CMYK JPEG"}[word]
    assert details(page, name)["converted"] == {"from": called, "as": None, "size": None}
    assert details(page, "001.jpg")["converted"] is None
    assert shell("push", "--store", photo_store).code == 0
    page.post("/api/refresh")
    found = details(page, name)["converted"]
    [sent] = (photo_store / ".astica-sync" / "backup" / "prepared").rglob("*.*g")
    kind = Image.open(io.BytesIO(sent.read_bytes())).format
    assert found == {"from": called, "as": kind, "size": sent.stat().st_size}


def test_what_was_sent_is_shown_where_the_backup_has_it(
    shell: Shell, page: PageClient, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(photo_store, "photo.webp", encode(picture(), "webp"))
    assert shell("push", "--store", photo_store).code == 0
    page.post("/api/refresh")
    monkeypatch.setattr(shown_images, "as_shown", lambda *_: pytest.fail("it was converted again"))
    row = page.row("Can", "photo.webp")
    assert page.get(f"/images/{row['id']}/large").status_code == 200
    assert details(page, "photo.webp")["pixels"] == [60, 40]


def test_details_and_picture_convert_an_image_once(
    page: PageClient, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []
    as_shown = shown_images.as_shown
    monkeypatch.setattr(shown_images, "as_shown", lambda *given: converted.append(1) or as_shown(*given))
    put(photo_store, "photo.webp", encode(picture(), "webp"))
    page.post("/api/refresh")
    row = page.row("Can", "photo.webp")
    assert page.get(f"/thumbnails/{row['content']}").status_code == 200
    assert page.get(f"/images/{row['id']}/large").status_code == 200
    assert details(page, "photo.webp")["pixels"] == [60, 40]
    assert len(converted) == 1


@pytest.mark.long
def test_an_original_that_is_larger_than_what_can_be_sent(page: PageClient, photo_store: Path) -> None:
    path = photo_store / "Can" / "large.tif"
    Image.new("RGB", (2800, 2800), RED).save(path)
    assert path.stat().st_size > MAX_BYTES
    page.post("/api/refresh")
    answer = page.get(f"/images/{page.row('Can', 'large.tif')['id']}/large")
    assert answer.status_code == 200 and is_near(colours(answer.content)[1], RED)


@pytest.mark.parametrize("word", ["webp", "tiff"])
def test_half_an_image_is_not_shown_and_the_reason_said(page: PageClient, photo_store: Path, word: str) -> None:
    data = encode(Image.effect_noise((64, 64), 80).convert("RGB"), word)
    put(photo_store, f"half.{EXTENSIONS[word]}", data[: len(data) // 2])
    page.post("/api/refresh")
    row = page.row("Can", f"half.{EXTENSIONS[word]}")
    answer = page.get(f"/images/{row['id']}/large")
    assert answer.status_code == 422 and "broken image" in answer.json()["error"]
    assert details(page, row["name"])["pixels"] is None


def test_one_that_was_removed_is_shown_and_put_back_as_the_original(page: PageClient, photo_store: Path) -> None:
    data = encode(picture(), "tiff")
    path = put(photo_store, "photo.tif", data)
    page.post("/api/refresh")
    row = page.row("Can", "photo.tif")
    assert page.post("/api/changes", {"kind": "delete", "items": [[row["id"], row["content"]]]}).status_code == 200
    assert not path.exists()
    assert page.get(f"/images/{row['content']}/large").status_code == 200
    assert page.post("/api/undo").status_code == 200
    assert path.read_bytes() == data


@pytest.mark.usefixtures("photo_store")
def test_the_first_images_of_a_large_store_have_those_of_other_formats(photo_store: Path) -> None:
    from astica_sync.local.layout import Layout
    from astica_sync.page.gallery.first_images import first_images

    put(photo_store, "000.webp", encode(picture(), "webp"))
    columns = first_images(Layout(photo_store), 1)
    assert columns is not None
    assert b"000.webp" in [columns.name(row).encode() for row in range(len(columns))]


# What is dropped on the page


def post(page: PageClient, path: str, data: bytes, name: str = "", **query: str) -> httpx.Response:
    headers = {**page.change_headers, "X-File-Name": quote(name), "Content-Type": "application/octet-stream"}
    return page.http.post(path, params=query, content=data, headers=headers)


@pytest.mark.parametrize("word", FORMATS)
@pytest.mark.parametrize("given", ["", "photo.png", "photo.WEBP"])
def test_a_dropped_file_is_stored_as_it_is_with_the_extension_of_its_format(
    page: PageClient, photo_store: Path, word: str, given: str
) -> None:
    data = encode(picture(), word)
    answer = post(page, "/api/uploads", data, given, **TO_CAN)
    assert answer.status_code == 200, answer.text
    stem, end = given.rpartition(".")[0] or "image", EXTENSIONS[word]
    name = given if given.lower().endswith(f".{end}") else f"{stem}.{end}"
    assert (photo_store / "Can" / name).read_bytes() == data
    page.post("/api/refresh")
    assert page.row("Can", name)["state"] == "new"
    again = post(page, "/api/uploads", data, given, **TO_CAN)
    assert again.status_code == 409


@pytest.mark.parametrize("word", FORMATS)
def test_half_a_file_is_refused_with_the_reason(page: PageClient, photo_store: Path, word: str) -> None:
    data = encode(Image.effect_noise((64, 64), 80).convert("RGB"), word)
    before = sorted((photo_store / "Can").iterdir())
    answer = post(page, "/api/uploads", data[: len(data) // 2], "half", **TO_CAN)
    assert answer.status_code == 422 and "broken image" in answer.json()["error"]
    assert sorted((photo_store / "Can").iterdir()) == before


def test_a_dropped_original_may_be_larger_than_what_can_be_sent(page: PageClient, photo_store: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2800, 2800), RED).save(file, "BMP")
    assert len(file.getvalue()) > MAX_BYTES
    assert post(page, "/api/uploads", file.getvalue(), "large.bmp", **TO_CAN).status_code == 200
    assert (photo_store / "Can" / "large.bmp").stat().st_size == len(file.getvalue())
    # What is sent as it is has the limit of the service.
    jpeg = (photo_store / "Can" / "001.jpg").read_bytes() + bytes(MAX_BYTES)
    answer = post(page, "/api/uploads", jpeg, "a.jpg", **TO_CAN)
    assert answer.status_code == 422 and "set max_side = 16000 in astica-sync.toml" in answer.json()["error"]
    assert post(page, "/api/uploads", bytes(MAX_BYTES + 1), "a.jpg", **TO_CAN).status_code == 413


def test_one_above_the_limits_is_shown_and_taken_where_a_side_is_set(shell: Shell, photo_store: Path) -> None:
    long = picture().resize((16_200, 400))
    file = io.BytesIO()
    long.save(file, "PNG")
    put(photo_store, "long.png", file.getvalue())
    with running_page(photo_store) as page:
        page.post("/api/refresh")
        assert details(page, "long.png")["converted"] is None
        assert colours(page.get(f"/thumbnails/{page.row('Can', 'long.png')['content']}").content)[0][0] < 2000
    (photo_store / "astica-sync.toml").write_text("max_side = 1000\n")
    with running_page(photo_store) as page:
        page.post("/api/refresh")
        assert details(page, "long.png")["converted"]["from"] == "PNG or JPEG above the limits"
        file = io.BytesIO()
        long.rotate(180).save(file, "JPEG")
        assert post(page, "/api/uploads", file.getvalue(), "dropped.jpg", **TO_CAN).status_code == 200
    assert (photo_store / "Can" / "dropped.jpg").read_bytes() == file.getvalue()
    assert shell("push", "--store", photo_store).code == 0
    with running_page(photo_store) as page:
        page.post("/api/observe")
        size, above, _ = colours(page.get(f"/images/{page.row('Can', 'long.png')['id']}/large").content)
        assert size[0] == 1000 and is_near(above, RED)
        assert details(page, "long.png")["converted"]["as"] == "PNG"


def test_a_format_that_the_setting_leaves_out_is_refused(photo_store: Path) -> None:
    with (photo_store / "astica-sync.toml").open("a", encoding="utf-8") as settings:
        settings.write('convert = ["tiff"]\n')
    with running_page(photo_store) as page:
        answer = post(page, "/api/uploads", encode(picture(), "webp"), "photo.webp", **TO_CAN)
        assert answer.status_code == 422 and "which the setting convert leaves out" in answer.json()["error"]
        assert post(page, "/api/uploads", encode(picture(), "tiff"), "photo.tif", **TO_CAN).status_code == 200
        # It is sent as it is.
        assert post(page, "/api/uploads", encode(picture(), "cmyk"), "print.jpg", **TO_CAN).status_code == 200
        page.post("/api/refresh")
        found = {name: details(page, name)["converted"] for name in ("photo.tif", "print.jpg")}
    assert found == {"photo.tif": {"from": "TIFF", "as": None, "size": None}, "print.jpg": None}


# What would it say?


@pytest.mark.parametrize("word", FORMATS)
def test_a_picture_that_the_browser_cannot_show_is_converted(page: PageClient, word: str) -> None:
    answer = post(page, "/api/picture", encode(picture(), word, turned=6))
    assert answer.status_code == 200
    opened = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == {"JPEG": "image/jpeg", "PNG": "image/png"}[str(opened.format)]
    assert opened.size == (40, 60)


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"GIF89a", b"II*\0" + bytes(50)])
def test_what_is_no_picture_is_refused(page: PageClient, data: bytes) -> None:
    assert post(page, "/api/picture", data).status_code == 422


@pytest.mark.long
@pytest.mark.parametrize("word", FORMATS)
def test_the_service_is_asked_about_what_a_sample_would_be(
    shell: Shell, sandbox: RunningSandbox, photo_store: Path, word: str
) -> None:
    assert shell("push", "--store", photo_store).code == 0
    assert shell("train", "--store", photo_store).code == 0
    sandbox.clear_log()
    with running_page(photo_store) as page:
        data = encode(picture(), word)
        half = post(page, "/api/detect", data[: len(data) // 2])
        assert half.status_code == 422 and "broken image" in half.json()["error"]
        answers = [post(page, "/api/detect", data) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert [answer.json()["cached"] for answer in answers] == [False, True]
    assert len(sandbox.requests_of("detect")) == 1


@pytest.mark.long
@pytest.mark.usefixtures("small_features")
def test_the_local_preview_reads_them(page: PageClient, photo_store: Path) -> None:
    for number in range(4):
        put(photo_store, f"{number}.webp", encode(picture(number), "webp"))
    page.post("/api/refresh")
    row = page.row("Can", "1.webp")
    for _ in range(5000):
        if page.json("/api/preview")["revision"] >= page.json("/api/store")["revision"]:
            break
    found = page.json(f"/api/images/{row['content']}/similar")
    assert {f"{number}.webp" for number in (0, 2, 3)} <= {one["name"] for one in found["images"]}


def test_the_page_goes_by_the_recipe_and_shows_what_a_changed_one_replaces(
    shell: Shell, sandbox: RunningSandbox, photo_store: Path
) -> None:
    put(photo_store, "photo.tif", encode(picture(), "tiff"))
    settings = photo_store / "astica-sync.toml"
    settings.write_text("max_side = 30\n")
    assert shell("push", "--store", photo_store).code == 0
    with running_page(photo_store) as page:
        page.post("/api/observe")
        row = page.row("Can", "photo.tif")
        assert row["state"] == "on-service"
        size, above, below = colours(page.get(f"/images/{row['id']}/large").content)
        assert size == (30, 20) and is_near(above, RED) and is_near(below, BLUE)
        [model] = sandbox.models()
        found = details(page, "photo.tif")
        assert found["uid"] in {sample.uid for sample in sandbox.samples(model[0])}
        assert any("upload" in event["text"] for event in found["history"])
    settings.write_text("")
    with running_page(photo_store) as page:
        page.post("/api/refresh")
        assert page.row("Can", "photo.tif")["state"] == "new"
        assert colours(page.get(f"/images/{page.row('Can', 'photo.tif')['id']}/large").content)[0] == (60, 40)
        assert details(page, "photo.tif")["converted"]["size"]
    assert shell("push", "--store", photo_store).code == 0
    with running_page(photo_store) as page:
        page.post("/api/observe")
        assert page.row("Can", "photo.tif")["state"] == "on-service"


def test_an_image_in_two_formats_is_shown_as_the_status_names_it(
    shell: Shell, page: PageClient, photo_store: Path
) -> None:
    put(photo_store, "pair.tiff", encode(picture(), "tiff"))
    assert shell("push", "--store", photo_store).code == 0
    # A file that was changed just before it was read is read once more, and with its twin it would be a problem.
    assert shell("status", "--store", photo_store).code == 0
    twin = io.BytesIO()
    picture().save(twin, "jpeg")
    plain = put(photo_store, "pair.JPG", twin.getvalue())
    assert "Sent in two formats: delete one file" in shell("status", "--store", photo_store).out
    page.post("/api/refresh")
    converted, new = details(page, "pair.tiff"), details(page, "pair.JPG")
    pair = "sent in two formats, Can/pair.tiff and Can/pair.JPG; "
    assert (converted["state"], converted["reason"]) == ("on-service", f"{pair}the service has it")
    assert (new["state"], new["reason"]) == ("new", f"{pair}a push sends it")
    assert {converted["remedy"], new["remedy"]} == {"delete one file of the two, and the next push removes its sample"}
    assert details(page, "001.jpg")["remedy"] == ""
    # The columns are brought up to date, and not built from nothing.
    plain.unlink()
    page.post("/api/refresh")
    assert (details(page, "pair.tiff")["reason"], details(page, "pair.tiff")["remedy"]) == ("the service has it", "")
