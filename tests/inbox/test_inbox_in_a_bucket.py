"""An inbox in a bucket of a real S3 server on this machine, and one that denies, lies and goes away."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astica_sync.bucket.open_bucket import shown_error
from astica_sync.cli.watch import send_to_inbox
from astica_sync.mirror.bucket_place import BucketPlace
from astica_sync.mirror.place import Added
from tests.harness.s3_bucket import Bucket
from tests.harness.s3_gate import Gate
from tests.harness.shell import Shell, draw, in_store

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
pytest.importorskip("obstore")

URL = "s3://photos/inbox"


@pytest.fixture
def gate(server: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(server)
    monkeypatch.setenv("AWS_ENDPOINT", gate.url)
    monkeypatch.setattr(send_to_inbox, "RETRY_S", 0.5)
    yield gate
    gate.server.shutdown()
    gate.server.server_close()


def received(shell: Shell, store: Path) -> Any:
    return json.loads(shell("watch", "--from", URL, "--once", "--json", store).out.splitlines()[0])


def new_images(store: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in store.glob("*/*.png") if len(path.stem) == 32)


def sources(taken: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in taken.glob("*/*.png"))


def test_images_go_by_a_bucket_and_neither_side_removes_or_writes_twice(
    shell: Shell, camera: Shell, taken: Path, store: Path, gate: Gate
) -> None:
    (taken / "Bottle").rename(taken / "Große Dose 100%")
    ran = camera("watch", "--to", URL, "--once", taken)
    assert ran.code == 0 and "4 images sent" in ran.out, ran
    assert received(shell, store)["taken"] == {"Can": 2, "Große Dose 100%": 2}
    assert new_images(store) == sources(taken)
    assert received(shell, store)["taken"] == {}
    puts = [path for method, path, _ in gate.seen if method == "PUT"]
    assert len(puts) == len(set(puts)) == 4
    assert {method for method, _, _ in gate.seen} == {"GET", "HEAD", "PUT"}
    shutil.rmtree(Path(camera.environ["XDG_STATE_HOME"]))
    assert camera("watch", "--to", URL, "--once", "--json", taken).json["there"] == 4
    assert len([1 for method, _, _ in gate.seen if method == "PUT"]) == 4
    # The machine with the key only reads there.
    secret, key = "test-secret-of-the-bucket", shell.environ["ASTICA_API_KEY"]
    files = b"".join(path.read_bytes() for path in (*store.rglob("*"), *shell.home.rglob("*")) if path.is_file())
    assert secret.encode() not in files + ran.out.encode() and key not in str(gate.seen)


def test_a_key_that_may_only_write_is_enough_for_a_camera(camera: Shell, taken: Path, gate: Gate) -> None:
    gate.rule = lambda method, _path, _headers: 0 if method == "PUT" else 403
    assert camera("watch", "--to", URL, "--once", "--json", taken).json["sent"] == 4
    shutil.rmtree(Path(camera.environ["XDG_STATE_HOME"]))
    again = camera("watch", "--to", URL, "--once", "--json", taken).json
    assert (again["sent"], again["there"], again["failed"]) == (0, 4, [])


def test_a_key_that_may_only_read_is_enough_for_the_store(
    shell: Shell, camera: Shell, taken: Path, store: Path, gate: Gate
) -> None:
    camera("watch", "--to", URL, "--once", taken)
    gate.rule = lambda method, _path, _headers: 0 if method in ("GET", "HEAD") else 403
    assert received(shell, store)["taken"] == {"Bottle": 2, "Can": 2}


def test_a_server_without_conditional_writes_gets_each_image_once(camera: Shell, taken: Path, gate: Gate) -> None:
    gate.rule = lambda method, _path, headers: 501 if method == "PUT" and headers.get("If-None-Match") else 0
    assert camera("watch", "--to", URL, "--once", "--json", taken).json["sent"] == 4
    # Where it also hides what is there, nothing is overwritten.
    shutil.rmtree(Path(camera.environ["XDG_STATE_HOME"]))
    gate.rule = lambda method, _path, headers: (
        403 if method == "HEAD" else 501 if method == "PUT" and headers.get("If-None-Match") else 0
    )
    before = len(gate.seen)
    ran = camera("watch", "--to", URL, "--once", taken)
    assert ran.code == 1
    assert all(conditional for method, _, conditional in gate.seen[before:] if method == "PUT")


def test_the_same_error_has_the_same_text() -> None:
    """A watcher says each once, and how long a request took differs each time."""
    texts = (
        "in 17.6ms - denied",
        "in 2s - denied",
        "in 1.2s, after 3 retries, max_retries: 10, retry_timeout: 180s - denied",
    )
    shown = {shown_error(Exception(f"Error performing PUT http://x/5s/y {text}")) for text in texts}
    assert shown == {"Error performing PUT http://x/5s/y - denied"}


def test_of_an_answer_in_xml_its_sentence_is_shown() -> None:
    answer = (
        '<?xml version="1.0"?>\n<Error><Code>NoSuchBucket</Code><Message>It does not exist</Message><Id>1</Id></Error>'
    )
    assert shown_error(Exception(f"404 Not Found: {answer}")) == "404 Not Found: It does not exist"


def test_an_object_of_another_size_stays(bucket: Bucket) -> None:
    place = BucketPlace(URL)
    assert place.add("Can/a.png", b"12345") is Added.WRITTEN
    assert place.add("Can/a.png", b"12345") is Added.THERE
    assert place.add("Can/a.png", b"123456") is Added.OTHER
    assert place.read_start("Can/a.png", 3) == b"123" and place.read_start("Can/b.png", 3) is None


def test_a_camera_goes_on_once_the_bucket_answers_again(camera: Shell, taken: Path, gate: Gate) -> None:
    calls = 0

    def fail_later(method: str, _path: str, _headers: Any) -> int:
        nonlocal calls
        calls += method == "PUT"
        return 403 if calls > 2 else 0

    gate.rule = fail_later
    ran = camera("watch", "--to", URL, "--once", "--json", taken)
    assert ran.code == 3 and ran.json["sent"] == 2 and len(ran.json["failed"]) == 2, ran
    gate.rule = lambda *_: 0
    again = camera("watch", "--to", URL, "--once", "--json", taken).json
    assert (again["sent"], again["sent_before"], again["failed"]) == (2, 2, [])


def test_a_server_that_is_away_is_named_without_the_secret(
    camera: Shell, taken: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    ran = camera("watch", "--to", URL, "--once", taken)
    assert ran.code == 1 and "cannot be written" in ran.err and "test-secret-of-the-bucket" not in ran.err + ran.out


@pytest.mark.parametrize("key", ["inbox//x.jpg", "inbox/Can/..//x.jpg", "inbox/A%01/x.jpg", "inbox/%2E%2E/x.jpg"])
def test_a_key_that_is_no_path_keeps_no_known_class_away(
    shell: Shell, camera: Shell, taken: Path, store: Path, bucket: Bucket, key: str
) -> None:
    camera("watch", "--to", URL, "--once", taken)
    bucket.put(key, b"x")
    bucket.put("inbox/Can/", b"")
    before = in_store(store)
    result = received(shell, store)
    taken_in = result["taken"].get("Bottle", 0)
    assert taken_in == 2 and "no path" in result["incomplete"], result
    assert set(before) < set(in_store(store))
    assert not list(store.parent.glob("x.jpg"))


def test_a_bucket_that_denies_its_list_or_an_object_takes_nothing_away(
    shell: Shell, camera: Shell, taken: Path, store: Path, gate: Gate
) -> None:
    camera("watch", "--to", URL, "--once", taken)
    gate.rule = lambda _method, path, _headers: 403 if "list-type" in path else 0
    before = in_store(store)
    ran = shell("watch", "--from", URL, "--once", store)
    assert ran.code == 1 and "cannot be listed" in ran.err and in_store(store) == before
    gate.rule = lambda method, path, _headers: 403 if method == "GET" and "/inbox/Can/" in path else 0
    result = received(shell, store)
    assert (result["taken"], len(result["unread"])) == ({"Bottle": 2}, 2)
    gate.rule = lambda *_: 0
    assert received(shell, store)["taken"] == {"Can": 2}


def test_an_object_that_is_exchanged_after_its_listing_is_refused(
    shell: Shell, store: Path, gate: Gate, bucket: Bucket, tmp_path: Path
) -> None:
    good = draw(tmp_path / "a.png", 900).read_bytes()
    place = BucketPlace(URL)
    name = "Can/" + "0" * 32 + ".png"
    place.add(name, good)
    result = received(shell, store)
    assert [one["name"] for one in result["refused"]] == [name] and new_images(store) == []
