"""What the first bytes, the header and the whole of an image say."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import PngImagePlugin

from astica_sync.local.image.decoder_process import answer, check_image
from astica_sync.local.image.format import (
    HEAD_BYTES,
    MAX_BYTES,
    MAX_SIDE,
    describe,
    describe_outside_classes,
    dimensions,
    judge_bytes,
    judge_sides,
    sniff,
)
from astica_sync.local.image.strict_png import check_png
from astica_sync.local.image.worker_process import serve
from tests.harness.damaged_images import DAMAGED, VERDICTS, make_png

GOOD = sorted(name for name, verdict in VERDICTS.items() if verdict["reason"] is None)


def row_lengths(width: int, height: int, bits: int, interlaced: bool) -> list[int]:
    """The packed rows of a PNG one by one, by looking at every pixel's place in the 8 x 8 pattern."""
    pattern = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]
    if not interlaced:
        return [1 + (width * bits + 7) // 8] * height
    lengths = []
    for number in "1234567":
        for y in range(height):
            columns = sum(pattern[y % 8][x % 8] == number for x in range(width))
            if columns:
                lengths.append(1 + (columns * bits + 7) // 8)
    return lengths


@pytest.mark.parametrize("name", VERDICTS)
def test_the_first_bytes_determine_the_format(name: str) -> None:
    head = (DAMAGED / name).read_bytes()[:HEAD_BYTES]
    assert sniff(head) == VERDICTS[name]["format"]


@pytest.mark.parametrize("name", [name for name, verdict in VERDICTS.items() if verdict["format"] is None])
def test_a_file_of_another_kind_is_named_and_the_way_out_too(name: str) -> None:
    data = (DAMAGED / name).read_bytes()
    reason = describe(data[:HEAD_BYTES], len(data))
    assert VERDICTS[name]["reason"] in reason
    assert ".astica-ignore" in reason


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"GIF89a", "GIF image"),
        (b"II*\0\x08\0\0\0", "TIFF image"),
        (b"8BPS\0\1", "Photoshop image"),
        (b"\0\0\1\0\1\0", "icon"),
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000 image"),
        (b"\xff\x0a\xfa", "JPEG XL image"),
        (b"%PDF-1.7", "PDF document"),
        (b"\0\0\0\x20ftypavif", "AVIF image"),
        (b"\0\0\0\x20ftypheic", "HEIC image"),
        (b"\0\0\0\x20ftypmp42", "video or other media file"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WebP image"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "not an image in a known format"),
        (b'\xef\xbb\xbf <svg width="1">', "SVG drawing"),
        (b"<?xml version='1.0'?><note/>", "text file"),
        (b"<html>", "web page"),
        ("naïve".encode()[:3], "text file"),
        (b"a line\x1b[31m", "not an image in a known format"),
        (b"\xfe\xed\xfa\xce", "not an image in a known format"),
    ],
)
def test_known_formats_are_named(head: bytes, kind: str) -> None:
    assert describe(head, 1000).startswith(f"{kind}: ")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("", "not an image; move it out, or list it in .astica-ignore"),
        ("Can/README", "not an image; move it out of the store, or list it in .astica-ignore"),
        (
            "Can/notes.txt",
            "not an image; move it out of the store, or list it in .astica-ignore "
            "(a line *.txt leaves out all such files)",
        ),
        (
            "Can/error.JPG",
            "not an image, although its name ends in .JPG; copy the image again, or list it in .astica-ignore",
        ),
    ],
)
def test_no_advice_to_convert_is_given_for_a_text(name: str, advice: str) -> None:
    assert describe(b"a line", 6, name) == f"text file: {advice}"
    assert describe(b"<html>", 6, name) == f"web page: {advice}"


def test_a_file_beside_the_class_folders_is_judged_by_its_name() -> None:
    assert describe_outside_classes("photo.HEIC") is None and describe_outside_classes("photo") is None
    reason = describe_outside_classes("LICENSE.txt")
    assert reason is not None and "move it out of the store" in reason and "*.txt" in reason


def test_the_format_of_most_phones_names_the_command_that_converts_it() -> None:
    assert "heif-convert IMAGE.HEIC IMAGE.jpg" in describe(b"\0\0\0\x20ftypheic", 1000)


@settings(deadline=None)
@given(st.binary(max_size=HEAD_BYTES))
def test_any_first_bytes_get_a_reason_in_one_printable_line(head: bytes) -> None:
    reason = describe(head, len(head))
    assert reason.isprintable()
    assert ".astica-ignore" in reason


@pytest.mark.parametrize("name", GOOD)
def test_the_header_gives_the_dimensions_without_a_decode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 64 << 20)
    data = (DAMAGED / name).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        assert dimensions(data) == image.size


def test_a_jpeg_header_is_read_over_filling_bytes_and_lone_markers() -> None:
    frame = b"\xff\xc0\0\x0b\x08\0\x07\0\x09\1\1\x11\0"
    assert dimensions(b"\xff\xd8\xff\xff\xff\x01\xff\xc4\0\x03\0" + frame) == (9, 7)
    assert dimensions(b"\xff\xd8" + frame[:7]) is None
    assert dimensions(b"\xff\xd8\xff\xe0\xff\xff" + frame) is None
    assert dimensions(b"\xff\xd8\xffgarbage") is None


@settings(deadline=None)
@given(st.sampled_from(GOOD), st.integers(0, 400), st.binary(max_size=8))
def test_a_damaged_header_does_not_crash(name: str, at: int, patch: bytes) -> None:
    data = (DAMAGED / name).read_bytes()
    sides = dimensions(data[:at] + patch + data[at + len(patch) :])
    assert sides is None or len(sides) == 2
    assert dimensions(data[:at]) in (None, dimensions(data))


def test_the_limits_of_the_service_are_inclusive() -> None:
    assert judge_bytes(MAX_BYTES) is None
    assert "limit of 20 MB" in str(judge_bytes(MAX_BYTES + 1))
    assert judge_sides(MAX_SIDE, 1) is None
    assert "16000 on a side" in str(judge_sides(1, MAX_SIDE + 1))
    assert "broken image" in str(judge_sides(0, 1))


@pytest.mark.parametrize("name", [name for name, verdict in VERDICTS.items() if verdict["format"] is not None])
def test_the_whole_decode_finds_what_is_broken_and_nothing_else(name: str) -> None:
    verdict = check_image((DAMAGED / name).read_bytes())
    if VERDICTS[name]["reason"] is None:
        assert verdict is None
    else:
        assert verdict is not None
        assert verdict.isprintable()


FORMS = st.sampled_from(
    [(depth, 0) for depth in (1, 2, 4, 8, 16)]
    + [(depth, 3) for depth in (1, 2, 4, 8)]
    + [(depth, colour) for colour in (2, 4, 6) for depth in (8, 16)]
)


@settings(deadline=None)
@given(st.integers(1, 19), st.integers(1, 19), FORMS, st.booleans(), st.integers(1, 5), st.data())
def test_a_png_is_whole_with_all_its_rows_and_broken_with_one_byte_less(
    width: int, height: int, form: tuple[int, int], interlaced: bool, pieces: int, data: st.DataObject
) -> None:
    depth, colour = form
    lengths = row_lengths(width, height, depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour], interlaced)
    rows = b"".join(bytes([data.draw(st.integers(0, 4))]) + bytes(length - 1) for length in lengths)
    assert check_image(make_png(width, height, depth, colour, interlaced, rows, pieces)) is None
    assert "truncated" in str(check_image(make_png(width, height, depth, colour, interlaced, rows[:-1], pieces)))

    broken = data.draw(st.integers(0, len(lengths) - 1))
    at = sum(lengths[:broken])
    wrong = rows[:at] + b"\x05" + rows[at + 1 :]
    with pytest.raises(ValueError, match="filter"):
        check_png(make_png(width, height, depth, colour, interlaced, wrong, pieces))


def test_a_png_too_large_for_a_raster_is_checked_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(PngImagePlugin.PngImageFile, "load_prepare")
    rows = bytes((1 + 16_000 // 8) * 16_000)
    assert check_image(make_png(16_000, 16_000, 1, 0, False, rows)) is None
    assert "truncated" in str(check_image(make_png(16_000, 16_000, 1, 0, False, rows[:-1])))


def test_a_png_of_an_unknown_colour_type_is_broken() -> None:
    assert "broken image" in str(check_image(make_png(4, 4, 8, 5, False, bytes(40))))
    with pytest.raises(ValueError, match="colour type 5"):
        check_png(make_png(4, 4, 8, 5, False, bytes(40)))


def test_a_png_whose_rows_are_cut_off_by_the_end_of_the_file_is_broken() -> None:
    data = make_png(4, 4, 8, 0, False, bytes(20))
    with pytest.raises(ValueError, match="truncated"):
        check_png(data[:45])
    with pytest.raises(ValueError, match="truncated"):
        check_png(data[:33])


def test_the_sides_a_decoder_reads_are_judged_too() -> None:
    assert "16000 on a side" in str(check_image(make_png(16_001, 1, 1, 0, False, bytes(2002))))


def test_a_decode_that_runs_out_of_memory_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", run_out)
    assert "too much memory" in str(check_image((DAMAGED / "deep.png").read_bytes()))


@settings(deadline=None)
@given(st.sampled_from(GOOD), st.integers(8, 3000), st.binary(min_size=1, max_size=4))
def test_a_damaged_image_is_accepted_or_has_a_reason(name: str, at: int, patch: bytes) -> None:
    data = (DAMAGED / name).read_bytes()
    verdict = check_image(data[:at] + patch + data[at + len(patch) :])
    assert verdict is None or verdict.isprintable()


@pytest.mark.parametrize("missing", [0, 1, 1 << 20])
def test_the_worker_answers_in_frames_and_stops_when_the_questions_do(missing: int) -> None:
    good, cut = (DAMAGED / "tail.png").read_bytes(), (DAMAGED / "cut-in-half.png").read_bytes()
    questions = b"".join(struct.pack("<Q", len(data)) + data for data in (good, cut))
    questions += (struct.pack("<Q", len(good)) + good)[: -missing or None]
    answers = io.BytesIO()
    serve(io.BytesIO(questions), answers, 20.0, answer)

    read = io.BytesIO(answers.getvalue())
    texts = []
    while header := read.read(8):
        texts.append(read.read(int.from_bytes(header, "little")).decode())
    assert [bool(text) for text in texts] == [False, False, True] + [False] * (missing == 0)
    assert "truncated" in texts[2]
