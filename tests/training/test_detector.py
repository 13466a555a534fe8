"""One version on images, against a service made of a function: what is asked, what is kept, and when a run ends."""

import contextlib
import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from astica_sync.core.versions.confidence_unit import Confidence, Unit
from astica_sync.core.versions.version import VersionKey
from astica_sync.errors import AsticaSyncError, BadKey, Interrupted, OutcomeUnknown, Refused
from astica_sync.local.db.detections import CachedAnswer, Detections, hash_bytes
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.remote.responses import Detection
from astica_sync.training import find_images
from astica_sync.training.detect import WORKERS, DetectionResult, Detector, VersionRefused
from astica_sync.training.evaluation.evaluate import HeldOutSet, evaluate
from astica_sync.training.evaluation.held_out_folder import HeldOutImage, find_held_out
from astica_sync.training.evaluation.leaks import LeakedImage, leave_out_trained
from astica_sync.training.evaluation.metrics import NO_ANSWER
from astica_sync.training.find_images import ImageInput, count_formats, find_inputs, list_images, list_unsupported

KEY = VersionKey("http://a http://a", 7, 5.0, "v", 10.0)
PNG = b"\x89PNG\r\n\x1a\n"
ANSWER = Detection("Dog", Confidence(97.5))


def image(number: int) -> ImageInput:
    small = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, 40, 90)).save(small, "PNG")
    return ImageInput(f"{number}.png", small.getvalue())


class Service:
    """Answers with a function of the number of the request; counts."""

    def __init__(self, answer: Callable[[int], Detection]) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self._lock = threading.Lock()

    def detect(self, model_id: int, version: str, data: bytes) -> Detection:
        with self._lock:
            self.asked.append(data)
            number = len(self.asked)
        return self.answer(number)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Detections]:
    with contextlib.closing(Detections(tmp_path / "detections.db")) as opened:
        yield opened


def detector(
    service: Service,
    cache: Detections,
    *,
    key: VersionKey | None = KEY,
    version: str = "v",
    exists: bool = True,
    stopping: Callable[[], bool] = lambda: False,
) -> Detector:
    return Detector(service, cache, 7, version, key, exists, lambda _: None, stopping)  # type: ignore[arg-type]


def refuse(text: str) -> Callable[[int], Detection]:
    def answer(_: int) -> Detection:
        raise Refused(text)

    return answer


@pytest.mark.parametrize("key", [KEY, None])
def test_the_same_bytes_are_asked_once_with_and_without_a_cache(cache: Detections, key: VersionKey | None) -> None:
    service = Service(lambda _: ANSWER)
    same = [ImageInput(f"copy {number}", image(1).source) for number in range(6)]
    results = list(detector(service, cache, key=key).run([*same, image(2)]))
    assert [result.label for result in results] == ["Dog"] * 7
    assert len(service.asked) == 2
    list(detector(service, cache, key=key).run(same))
    assert len(service.asked) == (2 if key else 3)


@pytest.mark.parametrize(
    "other",
    [
        VersionKey("http://b http://a", 7, 5.0, "v", 10.0),
        VersionKey("http://a http://a", 8, 5.0, "v", 10.0),
        VersionKey("http://a http://a", 7, 6.0, "v", 10.0),
        VersionKey("http://a http://a", 7, 5.0, "w", 10.0),
        VersionKey("http://a http://a", 7, 5.0, "v", 11.0),
    ],
)
def test_an_answer_is_not_that_of_another_version(cache: Detections, other: VersionKey) -> None:
    cache.put(KEY, "content", CachedAnswer("Dog", Confidence(97.5)))
    assert cache.get(KEY, "content") == CachedAnswer("Dog", Confidence(97.5))
    assert cache.get(other, "content") is None
    assert cache.confidence_range(KEY).unit is Unit.PERCENT
    assert cache.confidence_range(other).unit is Unit.UNKNOWN


def test_answers_under_way_are_kept_when_the_user_stops(cache: Detections) -> None:
    stop, running, release = threading.Event(), threading.Event(), threading.Event()

    def answer(number: int) -> Detection:
        if number > 1:
            running.set()
            assert release.wait(20)
        return ANSWER

    service = Service(answer)
    images = [image(number) for number in range(3 * WORKERS)]
    run = detector(service, cache, stopping=stop.is_set).run(images)
    next(run)
    threading.Timer(0.05, release.set).start()

    def stop_when_running() -> None:
        running.wait(20)
        stop.set()

    threading.Thread(target=stop_when_running).start()
    with pytest.raises(Interrupted):
        list(run)
    asked = len(service.asked)
    again = Service(lambda _: ANSWER)
    assert len(list(detector(again, cache).run(images))) == len(images)
    assert not set(again.asked) & set(service.asked), "nothing is paid for twice"
    assert len(again.asked) == len(images) - asked


def test_closing_a_run_early_keeps_what_was_asked(cache: Detections) -> None:
    service = Service(lambda _: ANSWER)
    images = [image(number) for number in range(2 * WORKERS)]
    with contextlib.closing(detector(service, cache).run(images)) as run:
        next(run)
        next(run)
    again = Service(lambda _: ANSWER)
    list(detector(again, cache).run(images))
    assert not set(again.asked) & set(service.asked)


@pytest.mark.parametrize("text", ["Model version not found", "unknown version 'v'", "This model was removed"])
def test_the_first_refusal_of_a_version_that_is_gone_ends_its_run(cache: Detections, text: str) -> None:
    service = Service(refuse(text))
    with pytest.raises(VersionRefused, match="cannot run version 'v'"):
        list(detector(service, cache).run(image(number) for number in range(30)))
    assert len(service.asked) == 1


def test_a_refusal_that_does_not_name_the_version_ends_the_run_when_it_is_repeated(cache: Detections) -> None:
    service = Service(refuse("404"))
    with pytest.raises(VersionRefused):
        list(detector(service, cache).run(image(number) for number in range(30)))
    assert len(service.asked) == 3
    unknown = Service(refuse("404"))
    with pytest.raises(VersionRefused):
        list(detector(unknown, cache, exists=False).run([image(1), image(2)]))
    assert len(unknown.asked) == 1


def test_the_refusal_of_one_image_is_not_that_of_the_version(cache: Detections) -> None:
    def answer(number: int) -> Detection:
        if number in (1, 3):
            raise Refused("Invalid image")
        return ANSWER

    results = list(detector(Service(answer), cache).run(image(number) for number in range(5)))
    assert sorted(result.error for result in results) == ["", "", "", "Invalid image", "Invalid image"]

    def later(number: int) -> Detection:
        if number == 2:
            raise Refused("the image does not fit the model")
        return ANSWER

    results = list(detector(Service(later), cache, key=None).run(image(number) for number in range(5)))
    assert sum(bool(result.error) for result in results) == 1, "a version that has answered exists"


def test_the_name_of_a_version_in_an_error_says_nothing_about_it(cache: Detections) -> None:
    service = Service(refuse("cannot read the image for model 3"))
    results = list(detector(service, cache, version="model 3").run([image(1)]))
    assert results[0].error == "cannot read the image for model 3"


def test_a_refused_key_ends_the_run_and_what_was_answered_is_kept(cache: Detections) -> None:
    def answer(number: int) -> Detection:
        if number > 2:
            raise BadKey("Invalid API key")
        return ANSWER

    with pytest.raises(BadKey):
        list(detector(Service(answer), cache).run(image(number) for number in range(4)))
    again = Service(lambda _: ANSWER)
    list(detector(again, cache).run(image(number) for number in range(4)))
    assert len(again.asked) == 2


def shares(folder: Path, count: int, value: float) -> list[DetectionResult]:
    with contextlib.closing(Detections(folder / "none" / f"{value}.db")) as cache:
        service = Service(lambda _: Detection("Dog", Confidence(value)))
        return list(detector(service, cache).run(image(number) for number in range(count)))


def test_a_confidence_between_0_and_1_is_in_percent_once_the_answers_show_it(tmp_path: Path) -> None:
    results = shares(tmp_path, 12, 0.97)
    assert results[0].confidence is None and results[0].stated == Confidence(0.97)
    assert results[-1].confidence == pytest.approx(97.0)
    assert [result.confidence for result in shares(tmp_path, 1, 97.5)] == [97.5]


def test_all_results_of_one_run_are_in_one_unit(cache: Detections) -> None:
    for version, outliers in (("a", (1.0000001192,)), ("b", (1.5,)), ("c", (97.5,) * 30)):
        values = [0.905] * 15 + list(outliers) + [0.905] * 5
        service = Service(lambda asked, values=values: Detection("Dog", Confidence(values[asked - 1])))  # type: ignore[misc]
        results = list(detector(service, cache, key=None, version=version).run(map(image, range(len(values)))))
        shown = [one.confidence for one in results if one.confidence is not None and one.confidence < 100]
        assert shown and all(one == pytest.approx(90.5) for one in shown), version
        assert results[-1].stated == Confidence(0.905)
        assert (results[-1].confidence is None) == (version == "c"), "what contradicts is not known"


def held_out(count: int, tmp_path: Path) -> HeldOutSet:
    images = []
    for number in range(count):
        path = tmp_path / f"{number}.png"
        path.write_bytes(image(number).read()[1])
        images.append(HeldOutImage(path.name, path, "Dog", str(number), tmp_path))
    return HeldOutSet([tmp_path], images)


def test_a_version_that_is_gone_is_named_and_the_others_are_scored(cache: Detections, tmp_path: Path) -> None:
    gone, good = Service(refuse("Model version not found")), Service(lambda _: Detection("Dog", Confidence(0.97)))
    evaluation = evaluate(
        held_out(12, tmp_path), [detector(gone, cache, key=None, version="old"), detector(good, cache)]
    )
    assert [one.version for one in evaluation.measured] == ["v"]
    assert [(one.version, "not found" in one.reason) for one in evaluation.refused] == [("old", True)]
    assert len(gone.asked) == 1
    confidences = {prediction.confidence for prediction in evaluation.measured[0].predictions}
    assert confidences == {97.0}, "the first answers too"


def test_where_no_version_runs_each_is_named(cache: Detections, tmp_path: Path) -> None:
    gone = Service(refuse("Model version not found"))
    with pytest.raises(Exception, match="cannot run version 'old'"):
        evaluate(held_out(3, tmp_path), [detector(gone, cache, key=None, version="old")])


def test_an_answer_without_a_class_counts_as_wrong_and_a_failed_request_does_not_count(
    cache: Detections, tmp_path: Path
) -> None:
    def answer(number: int) -> Detection:
        if number == 2:
            return Detection("", None)
        if number == 3:
            raise OutcomeUnknown("the answer was lost")
        return ANSWER

    (metrics,) = (evaluation := evaluate(held_out(5, tmp_path), [detector(Service(answer), cache)])).measured
    assert (metrics.correct, metrics.total, metrics.unanswered) == (3, 4, 1)
    assert [one.title for one in metrics.classes] == ["Dog"]
    assert len(evaluation.failed) == 1


def leaks_of(*numbers: int) -> list[LeakedImage]:
    return [LeakedImage(HeldOutImage(str(number), Path(), "Dog", str(number), Path()), "x", True) for number in numbers]


@pytest.mark.parametrize(
    ("leaks", "left_out"),
    [
        ({}, []),
        ({"a": leaks_of(*range(10))}, ["a"]),
        ({"a": leaks_of(1, 2)}, []),
        ({"a": leaks_of(*range(10)), "b": leaks_of(*range(8))}, ["a", "b"]),
        ({"": leaks_of(*range(9)), "a": leaks_of(*range(9))}, []),
        ({"": leaks_of(1), "a": leaks_of(*range(6)), "b": leaks_of(9)}, ["a"]),
        ({name: leaks_of(*range(10)) for name in "abc"}, []),
    ],
)
def test_versions_that_were_trained_on_most_images_are_left_out_where_others_are_left(
    leaks: dict[str, list[LeakedImage]], left_out: list[str]
) -> None:
    assert [one.version for one in leave_out_trained(["a", "b", "c"], leaks, 10)] == left_out


def test_what_an_image_is_goes_by_content_and_a_wrong_name_is_not_passed_over(tmp_path: Path) -> None:
    for name in ("a.png", "b", "c.webp", "d.JPEG", ".hidden.png", "desktop.ini", "e.txt", "deep/f.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(image(1).read()[1])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "postscript.jpg").write_text("%!PS-Adobe-3.0")
    (tmp_path / ".astica-ignore").write_text("e.txt\n")
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == ["a.png", "b", "c.webp", "d.JPEG", "deep/f.dat", "postscript.jpg"]


FORMATS = {
    "a.psd": (b"8BPS", "Photoshop image"),
    "deep/b.dat": (b"8BPS", "Photoshop image"),
    "c.ico": (b"\0\0\1\0", "icon"),
    "d.MOV": (b"\0\0\0\x14ftypqt  ", "video or other media file"),
    "e.bin": (b"\1\2\3", "not an image in a known format"),
    "f.webp": (b"", "empty file"),
}


def test_what_is_neither_sent_nor_converted_is_named_by_its_first_bytes_and_text_is_not(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name, (data, _) in FORMATS.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "named.heic").write_bytes(image(1).read()[1])
    (tmp_path / "broken.png").write_bytes(b"II*\0")
    (tmp_path / "labels.csv").write_text("a,b\n")
    (tmp_path / ".hidden.gif").write_bytes(b"GIF89a")
    (tmp_path / "ignored.psd").write_bytes(b"8BPS")
    (tmp_path / ".astica-ignore").write_text("ignored.psd\n")
    (tmp_path / "link.gif").symlink_to(tmp_path / "ignored.psd")
    found = list_unsupported(tmp_path)
    assert [(one.path.relative_to(tmp_path).as_posix(), one.format) for one in found] == [
        (name, kind) for name, (_, kind) in sorted(FORMATS.items())
    ]
    # Each is in exactly one of the two lists.
    assert not {one.path for one in found} & set(list_images(tmp_path))
    assert (
        count_formats(found) == "2 Photoshop, 1 empty file, 1 icon, 1 in no known format, 1 video or other media file"
    )


def test_a_folder_without_an_image_names_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.psd").write_bytes(b"8BPS")
    with pytest.raises(AsticaSyncError, match="contains no image that can be sent or converted; it has 1 Photoshop"):
        find_inputs([str(tmp_path)], lambda: b"")


SPARSE = 1 << 41


def planted(folder: Path) -> Path:
    """A downloaded folder with an image, links to a private file and folder outside, and a sparse file of 2 TB."""
    private = folder.parent / "private"
    private.mkdir()
    (private / "passport.png").write_bytes(PNG + b"private")
    (folder / "A").mkdir(parents=True)
    (folder / "A" / "1.png").write_bytes(PNG + b"public")
    (folder / "A" / "2.png").symlink_to(private / "passport.png")
    (folder / "A" / "3").symlink_to(private / "passport.png")
    (folder / "A" / "4").symlink_to(private)
    (folder / "A" / "5.png").symlink_to("1.png")
    (folder / "A" / "6.png").symlink_to("/nothing")
    with (folder / "A" / "big.jpg").open("wb") as file:
        file.truncate(SPARSE)
    return folder


@pytest.mark.parametrize("named", ["folder", "pattern", "relative"])
def test_a_link_in_a_folder_is_named_and_not_followed_and_a_huge_file_is_not_read(
    named: str, cache: Detections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = planted(tmp_path / "got")
    monkeypatch.chdir(folder)
    name = {"folder": str(folder), "pattern": str(folder / "A" / "*"), "relative": "."}[named]
    service = Service(lambda _: ANSWER)
    run = detector(service, cache)
    results = {Path(result.name).name: result for result in run.run(find_inputs([name], lambda: b""))}
    assert service.asked == [PNG + b"public"]
    assert results["1.png"].label == "Dog"
    assert "2199023.3 MB" in results["big.jpg"].error
    links = {"2.png", "3", "5.png", "6.png"} | ({"4"} if named != "pattern" else set())
    assert {
        name for name, each in results.items() if each.error == "cannot be read: symbolic link, not followed"
    } == links


def test_an_image_that_cannot_be_read_says_what_helps(
    cache: Detections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1.png").write_bytes(PNG)

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    inputs = list(find_inputs([str(tmp_path / "1.png")], lambda: b""))
    monkeypatch.setattr(find_images, "_read", fail)
    error = next(iter(detector(Service(lambda _: ANSWER), cache).run(inputs))).error
    assert error.startswith("cannot be read: Input/output error; ")
    assert "dmesg" in error


def test_a_link_that_the_user_names_is_followed(cache: Detections, tmp_path: Path) -> None:
    folder = planted(tmp_path / "got")
    service = Service(lambda _: ANSWER)
    run = detector(service, cache)
    assert [each.error for each in run.run(find_inputs([str(folder / "A" / "5.png")], lambda: b""))] == [""]
    assert service.asked == [PNG + b"public"]


def test_a_folder_exchanged_for_a_link_after_the_listing_is_not_followed(cache: Detections, tmp_path: Path) -> None:
    folder = planted(tmp_path / "got")
    inputs = list(find_inputs([str(folder)], lambda: b""))
    (folder / "A").rename(tmp_path / "aside")
    (folder / "A").symlink_to(tmp_path / "aside")
    service = Service(lambda _: ANSWER)
    errors = {each.error for each in detector(service, cache).run(inputs)}
    assert errors == {"cannot be read: symbolic link, not followed"}
    assert not service.asked


def test_a_class_that_is_called_as_missing_answers_are_is_refused(tmp_path: Path) -> None:
    """Each answer without a class would count as right for it."""
    (tmp_path / NO_ANSWER).mkdir()
    (tmp_path / NO_ANSWER / "1.png").write_bytes(PNG)
    with pytest.raises(AsticaSyncError, match="has the name under which answers without a class are counted"):
        find_held_out(tmp_path)


def test_a_held_out_folder_with_links_and_a_huge_file_is_read_without_them(cache: Detections, tmp_path: Path) -> None:
    folder = planted(tmp_path / "got")
    images, _ = find_held_out(folder)
    assert len({image.content for image in images}) == len(images) == 7
    service = Service(lambda _: ANSWER)
    evaluation = evaluate(HeldOutSet([folder], images), [detector(service, cache)])
    assert service.asked == [PNG + b"public"]
    assert sorted(Path(each.name).name for each in evaluation.failed) == [
        "2.png",
        "3",
        "4",
        "5.png",
        "6.png",
        "big.jpg",
    ]


def test_no_thumbnail_is_made_through_a_link(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to("1.png")
    with contextlib.closing(Rasterizer(workers=1)) as rasterizer:
        assert rasterizer.render_file(tmp_path / "1.png", 4)
        assert rasterizer.render_file(tmp_path / "2.png", 4) is None


def test_what_was_said_of_an_image_that_another_recipe_made_is_no_answer(cache: Detections) -> None:
    service = Service(lambda _: ANSWER)
    scan, photo = (ImageInput("scan", b"II*\0" + bytes(600)), ImageInput("photo", b"\xff\xd8\xff" + bytes(600)))
    contents = [hash_bytes(one.source) for one in (scan, photo) if isinstance(one.source, bytes)]
    for recipe, asked in (("", 2), ("max_side=64", 1), ("", 0), ("max_side=64", 0), ("quality=5", 1)):
        one = replace(detector(service, cache), recipe=recipe)
        known = [one.has_answer(content, image) for content, image in zip(contents, (scan, photo), strict=True)]
        assert known.count(False) == asked
        before = len(service.asked)
        assert all(not result.error for result in one.run([scan, photo]))
        assert len(service.asked) - before == asked
