"""Detection: finding the images, the order of the results, the cache, and files that are not images."""

import contextlib
import csv
import io
import itertools
import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from astica_sync import Store
from astica_sync.errors import AsticaSyncError
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.detect import WORKERS
from astica_sync.training.find_images import find_inputs
from tests.harness.digits import NAMES, write_digits
from tests.harness.shell import Shell
from tests.harness.trained_store import trained_digits


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningSandbox, Path]]:
    """A trained store of digits for all tests of this module, which do not change it; each detects other images."""
    with trained_digits(tmp_path_factory.mktemp("trained"), 6) as made:
        yield made


@pytest.fixture
def sandbox(trained: tuple[RunningSandbox, Path]) -> RunningSandbox:
    trained[0].clear_log()
    return trained[0]


@pytest.fixture
def store(trained: tuple[RunningSandbox, Path]) -> Path:
    return trained[1]


def lines(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.long
def test_results_are_in_the_order_of_the_images_and_a_repeat_costs_no_request(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    images = write_digits(tmp_path / "new", 8, start=6)
    ran = shell("detect", images, "--json", "--store", store)
    assert ran.code == 0, ran.err
    found = lines(ran.out)
    assert [Path(str(one["path"])) for one in found] == sorted(images.glob("*/*.png"))
    assert sum(Path(str(one["path"])).parent.name == one["output"] for one in found) >= 24
    sandbox.clear_log()
    assert lines(shell("detect", images, "--json", "--store", store).out) == found
    assert {request.call for request in sandbox.log} == {"list"}


def test_after_an_interrupted_run_only_the_rest_is_requested(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_digits(tmp_path / "new", 8, start=14)
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    with Store(store) as opened, contextlib.closing(opened.detect(images)) as run:
        assert len(list(itertools.islice(run, 10))) == 10
    sandbox.clear_log()
    assert shell("detect", images, "--store", store).code == 0
    assert len(sandbox.requests_of("detect")) <= 22


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_image_that_was_answered_is_paid_again_after_a_signal(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path, number: signal.Signals
) -> None:
    images = write_digits(tmp_path / "new", 16, start=40 + 4 * number)
    shell.environ |= {"ASTICA_LIMIT": "16", "ASTICA_LIMIT_WINDOW": "1", "XDG_STATE_HOME": str(tmp_path / "fresh")}
    sandbox.clear_log()
    process = shell.start("detect", images, "--store", store)
    give_up = time.monotonic() + 60
    while len(sandbox.requests_of("detect")) < 40 and time.monotonic() < give_up:
        time.sleep(0.01)
    process.send_signal(number)
    ran = shell.finish(process)
    assert ran.code == (130 if number != signal.SIGKILL else -number), ran.err
    first = len(sandbox.requests_of("detect"))
    assert 40 <= first < 64
    del shell.environ["ASTICA_LIMIT"], shell.environ["ASTICA_LIMIT_WINDOW"]
    assert shell("detect", images, "--store", store).code == 0
    # Killed at once, it keeps all but the answers of that moment.
    again = len(sandbox.requests_of("detect")) - 64
    assert again <= (2 * WORKERS if number == signal.SIGKILL else 0)


@pytest.mark.long
def test_a_wait_for_the_request_limit_is_reported_once_for_many_images(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    images = write_digits(tmp_path / "new", 8, start=22)
    shell.environ |= {"ASTICA_LIMIT": "20", "ASTICA_LIMIT_WINDOW": "3", "XDG_STATE_HOME": str(tmp_path / "fresh")}
    ran = shell("detect", images, "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert len(lines(ran.out)) == 32
    assert 1 <= ran.err.count("waiting ") <= 2, ran.err
    assert sandbox.max_in_any_window("detect", window=3) <= 20


def test_csv_has_a_header_and_quotes_names_with_commas(shell: Shell, store: Path, tmp_path: Path) -> None:
    image = tmp_path / "one, two.png"
    shutil.copy(store / "one" / "000.png", image)
    rows = list(csv.reader(io.StringIO(shell("detect", image, "--csv", "--store", store).out)))
    assert rows[0] == ["path", "output", "confidence", "error"]
    assert rows[1][0] == str(image)
    assert rows[1][1] in NAMES


@pytest.mark.long
@pytest.mark.parametrize("encoding", ["iso8859-1", "ascii"])
def test_csv_is_utf8_whatever_the_encoding_of_the_output(
    shell: Shell, store: Path, tmp_path: Path, encoding: str
) -> None:
    image = tmp_path / "l\u00f6ffel \U0001f944.png"
    shutil.copy(store / "one" / "000.png", image)
    shell.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{encoding}:backslashreplace"}
    ran = shell.finish(shell.start("detect", image, "--csv", "--store", store, encoding="latin-1"))
    assert ran.code == 0, ran.err
    rows = list(csv.reader(io.StringIO(ran.out.encode("latin-1").decode("utf-8"))))
    assert [row[0] for row in rows] == ["path", str(image)]


@pytest.mark.parametrize("option", ["--json", "--csv", None])
def test_files_of_other_formats_in_a_folder_are_counted_and_listed_in_json(
    shell: Shell, store: Path, tmp_path: Path, option: str | None
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(store / "one" / "000.png", folder / "a.png")
    for number in range(3):
        (folder / f"{number}.psd").write_bytes(b"8BPS" + bytes(40))
    (folder / "scan.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    ran = shell("detect", folder, *([option] if option else []), "--store", store)
    assert ran.code == 0, ran.err
    assert "4 files left out: 3 Photoshop, 1 JPEG XL (detect takes PNG and JPEG, and what is" in ran.err
    assert ("--json lists them" in ran.err) is (option != "--json")
    if option == "--json":
        image, *others = lines(ran.out)
        assert image["path"] == str(folder / "a.png") and "unsupported" not in image
        assert others[0] == {"path": str(folder / "0.psd"), "unsupported": "Photoshop image"}
        assert [Path(str(one["path"])).name for one in others] == ["0.psd", "1.psd", "2.psd", "scan.jxl"]
    else:
        assert "psd" not in ran.out


def test_what_the_recipe_of_the_store_does_not_convert_is_left_out_of_a_folder(
    shell: Shell, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "one"
    folder.mkdir(parents=True)
    shutil.copy(store / "one" / "000.png", folder / "a.png")
    with Image.open(store / "two" / "000.png") as image:
        image.save(folder / "b.webp", lossless=True)
    settings = store / "astica-sync.toml"
    before = settings.read_bytes() if settings.exists() else b""
    settings.write_bytes(before + b'\nconvert = "tiff"\n')
    try:
        detected = shell("detect", folder, "--json", "--store", store)
        evaluated = shell("evaluate", folder.parent, "--leaks", "--json", "--store", store)
    finally:
        settings.write_bytes(before)
    assert detected.code == 0, detected.err
    image_line, left_out = lines(detected.out)
    assert image_line["path"] == str(folder / "a.png")
    assert left_out == {"path": str(folder / "b.webp"), "unsupported": "WebP image"}
    assert "1 file left out: 1 WebP (detect takes" in detected.err
    assert evaluated.code == 0, evaluated.err
    assert evaluated.json["unsupported"] == [{"path": "one/b.webp", "format": "WebP image"}]


@pytest.mark.long
def test_an_image_is_read_from_standard_input(shell: Shell, store: Path) -> None:
    with (store / "two" / "000.png").open("rb") as image:
        ran = shell.finish(shell.start("detect", "-", "--json", "--store", store, stdin=image))
    assert ran.code == 0, ran.err
    assert ran.json["path"] == "-"
    assert ran.json["output"] in NAMES


def test_a_file_that_is_not_an_image_is_an_error_of_that_file_only(shell: Shell, store: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image at all")
    ran = shell("detect", tmp_path / "text.png", store / "one" / "000.png", "--json", "--store", store)
    assert ran.code == 3
    bad, good = lines(ran.out)
    assert bad["output"] is None and "text file" in str(bad["error"])
    assert good["error"] is None


def test_files_folders_and_patterns_are_found_and_an_empty_match_is_an_error(tmp_path: Path) -> None:
    write_digits(tmp_path / "a", 2)
    (tmp_path / "a" / ".hidden").mkdir()
    shutil.copy(tmp_path / "a" / "one" / "000.png", tmp_path / "a" / ".hidden" / "x.png")
    (tmp_path / "empty").mkdir()

    def names(*named: str) -> list[str]:
        return [one.name for one in find_inputs(named, lambda: b"bytes")]

    assert len(names(str(tmp_path / "a"))) == 8
    assert len(names(str(tmp_path / "a" / "*" / "000.png"))) == 4
    assert names("-", str(tmp_path / "a" / "one" / "000.png"))[0] == "-"
    for wrong in ("empty", "nowhere", "a/*.gif"):
        with pytest.raises(AsticaSyncError):
            names(str(tmp_path / wrong))


def test_detecting_with_an_untrained_model_suggests_a_training(
    shell: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    folder = write_digits(tmp_path / "fresh", 2)
    assert shell("init", folder, "--model", str(sandbox.add_model("Fresh"))).code == 0
    ran = shell("detect", folder, "--store", folder)
    assert ran.code == 1
    assert "no version yet" in ran.err and "astica-sync train" in ran.err


def test_addresses_bytes_images_and_arrays_get_the_answer_of_the_file(
    shell: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = min(store.glob("[!.]*/*.png"))
    handler = partial(SimpleHTTPRequestHandler, directory=str(file.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{file.name}"
        ran = shell("detect", file, address, address + "x", "--json", "--store", store)
        server.shutdown()
    results = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 3
    assert results[1] == {**results[0], "path": address}
    assert results[2]["error"] == "cannot be read: the server answered with status 404"
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    with Store(store) as opened, Image.open(file) as image:
        array = np.array(image.convert("RGB"))
        many = list(opened.detect([file, file.read_bytes(), image, array]))
        assert [one.label for one in many] == [results[0]["output"]] * 4
        assert [one.name for one in many] == [str(file), "image 2", "image 3", "image 4"]
        for single in (image, array):
            assert [one.label for one in opened.detect(single)] == [results[0]["output"]]


def test_the_columns_are_aligned_where_a_class_has_a_long_name(shell: Shell, store: Path, tmp_path: Path) -> None:
    long = store / ("Japanese cherry \u685c " + "x" * 20)
    long.mkdir()
    try:
        ran = shell("detect", write_digits(tmp_path / "aligned", 1, start=20), "--store", store)
    finally:
        long.rmdir()
    assert ran.code == 0, ran.err
    assert {line.index(" %") for line in ran.out.splitlines()} == {39 + len("   99.9")}, ran.out


def test_an_image_of_another_format_is_converted_as_in_a_push(
    shell: Shell, sandbox: RunningSandbox, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    with Image.open(store / "two" / "000.png") as image:
        image.save(folder / "scan.tiff")
        image.save(folder / "photo.webp", lossless=True)
    plain = lines(shell("detect", store / "two" / "000.png", "--json", "--store", store).out)
    ran = shell("detect", folder, "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert [one["output"] for one in lines(ran.out)] == [plain[0]["output"]] * 2
