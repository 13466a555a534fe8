"""Programs that use the Python interface in ways it does not have get errors of ours that say what to do."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astica_sync import Client, Store
from astica_sync.errors import AsticaSyncError
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell


@pytest.fixture
def environment(shell: Shell, sandbox: RunningSandbox, store: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shell.environ.items():
            patch.setenv(name, value)
        yield store


CALLS: list[Callable[[Store], object]] = [
    lambda store: store.status(),
    lambda store: store.push(),
    lambda store: store.versions(offline=True),
    lambda store: store.trainer,
    lambda store: store.follows,
    lambda store: list(store.detect("x.png")),
    lambda store: store.find_adoptable(),
    lambda store: store.model_id,
]


def test_a_closed_store_says_that_it_is_closed(environment: Path) -> None:
    store = Store(environment)
    store.close()
    store.close()
    for call in CALLS[:5] + CALLS[6:]:
        with pytest.raises(AsticaSyncError, match="is closed") as caught:
            call(store)
        assert "Open it again" in caught.value.hint


def test_a_store_of_another_thread_says_so(environment: Path) -> None:
    caught: list[object] = []

    def elsewhere(store: Store) -> None:
        for call in (*CALLS[:5], *CALLS[6:], Store.close):
            try:
                call(store)
            except AsticaSyncError as error:
                caught.append(str(error))
            except Exception as error:  # noqa: BLE001 - this is what is tested
                caught.append(error)

    with Store(environment) as store:
        thread = threading.Thread(target=elsewhere, args=(store,))
        thread.start()
        thread.join()
        assert store.status() is not None, "it is still open"
    assert len(caught) == len(CALLS)
    assert all("another thread" in str(text) for text in caught), caught


def test_results_that_are_read_after_the_store_was_closed_say_so(environment: Path) -> None:
    store = Store(environment)
    results = store.detect(environment / "Can" / "000.png")
    store.close()
    with pytest.raises(AsticaSyncError, match="is closed"):
        list(results)


@pytest.mark.parametrize("wrong", [7, [None], [3.5], object(), [["a.png"]]])
def test_what_is_no_image_is_an_error_of_ours(environment: Path, wrong: object) -> None:
    with Store(environment) as store, pytest.raises(AsticaSyncError, match="an image is a path or the bytes"):
        list(store.detect(wrong))  # type: ignore[arg-type]


def test_bytes_are_an_image(environment: Path) -> None:
    with Store(environment) as store:
        data = (environment / "Can" / "000.png").read_bytes()
        with pytest.raises(AsticaSyncError, match="no version yet"):
            list(store.detect(data))
        with pytest.raises(AsticaSyncError, match="no such file"):
            list(store.detect("x\0.png"))


def test_a_closed_client_and_a_missing_image_are_errors_of_ours(environment: Path) -> None:
    client = Client()
    for image, text in ((Path("missing.png"), "cannot be read"), (Path("/"), "cannot be read"), (7, "a path or bytes")):
        with pytest.raises(AsticaSyncError, match=text):
            client.detect(1, "v", image)  # type: ignore[arg-type]
    client.close()
    client.close()
    with pytest.raises(AsticaSyncError, match="is closed"):
        client.models()
