"""Mirror, import and inbox at ``az://`` and ``gs://``, against the servers of ``tests/harness/other_clouds.py``."""

import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from astica_sync.bucket.open_bucket import open_bucket
from astica_sync.errors import MirrorFailed
from astica_sync.mirror.bucket_place import BucketPlace
from astica_sync.mirror.place import Added
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.other_clouds import (
    AZURE_ACCOUNT,
    AZURE_KEY,
    GOOGLE_TOKEN,
    create_container,
    put_object,
    run_azurite,
    run_fake_gcs,
    run_google,
    sign_access,
    use_azurite,
    use_google,
)
from tests.harness.shell import Shell, draw, fill, in_store, on_service

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
pytest.importorskip("obstore")

SECRETS = (AZURE_KEY, GOOGLE_TOKEN)


@dataclass(frozen=True)
class Cloud:
    """``url`` is that of an empty folder of a bucket; ``is_conditional``: the server knows conditional writes."""

    url: str
    is_conditional: bool

    def put(self, name: str, data: bytes) -> None:
        bucket = open_bucket(self.url)
        bucket.obstore.put(bucket.store, name, data)


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for address in run_azurite(tmp_path_factory.mktemp("azurite")):
        create_container(address, "photos")
        yield address


@pytest.fixture(scope="module")
def google() -> Iterator[str]:
    yield from run_google()


@pytest.fixture(scope="module")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_fake_gcs(tmp_path_factory.mktemp("gcs"))


@pytest.fixture(params=["azure", "google"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    _clean(monkeypatch)
    if request.param == "azure":
        use_azurite(request.getfixturevalue("azurite"), monkeypatch)
        return Cloud(f"az://photos/{tmp_path.name}", True)
    use_google(request.getfixturevalue("google"), monkeypatch)
    _needs_base_url()
    return Cloud(f"gs://photos/{tmp_path.name}", False)


def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)


def _needs_base_url() -> None:
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        config: Any = {"base_url": "http://127.0.0.1:9"}
        from_url("gs://photos", config=config)
    except BaseError as error:
        pytest.skip(f"this version of obstore knows no other address for gs://: {error}")


@pytest.fixture
def store(shell: Shell, photos: Path) -> Path:
    assert shell("init", photos, "--create", "Cans", "--purpose", "sort cans").code == 0
    assert shell("push", "--store", photos).code == 0
    return photos


@pytest.fixture
def empty(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert shell("init", folder, "--model", str(sandbox.add_model("Empty"))).code == 0
    return folder


def test_a_lost_store_is_rebuilt_from_it(
    shell: Shell, store: Path, cloud: Cloud, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    kept, model = in_store(store), sandbox.models()[0][0]
    first = shell("backup", "mirror", cloud.url, "--store", store, "--verify", "all", "--json")
    assert (first.code, first.json["copied"], first.json["checked"], first.json["problems"]) == (0, 8, 8, []), first
    assert shell("backup", "mirror", cloud.url, "--store", store, "--json").json["copied"] == 0
    shown = shell("status", "--store", store).out
    assert not [secret for secret in SECRETS if secret in first.out + first.err + shown]
    assert not _with_secret(store)
    shutil.rmtree(store)
    shutil.rmtree(shell.home)
    shell.home.mkdir()
    ran = shell("backup", "restore", "--from", cloud.url, "--to", tmp_path / "rebuilt")
    assert ran.code == 0, ran.err
    pushed = shell("push", "--store", tmp_path / "rebuilt", "--json").json
    assert (pushed["uploaded"], pushed["removed"], pushed["in_sync"]) == (0, 0, True)
    assert in_store(tmp_path / "rebuilt") == kept == on_service(sandbox, model)


def test_an_object_that_rots_in_it_is_written_again(shell: Shell, store: Path, cloud: Cloud) -> None:
    assert shell("backup", "mirror", cloud.url, "--store", store).code == 0
    place = BucketPlace(cloud.url)
    name, size = next((name, size) for name, size in sorted(place.sizes()) if "/objects/" in name)
    good = place.read(name)
    place.write(name, bytes(size))
    again = shell("backup", "mirror", cloud.url, "--store", store, "--verify", "all", "--json").json
    assert (again["repaired"], again["problems"]) == (1, [])
    assert place.read(name) == good


def test_an_object_of_many_parts_is_written_and_read_back(cloud: Cloud) -> None:
    place, data = BucketPlace(cloud.url), bytes(range(256)) * 50_000
    place.write("a b/ü%41.bin", data)
    assert place.read("a b/ü%41.bin") == data
    assert list(place.sizes()) == [("a b/ü%41.bin", len(data))]
    assert place.read("a b/none") is None
    assert place.read_start("a b/ü%41.bin", 1000) == data[:1000]


def test_a_bucket_that_is_not_there_is_named(shell: Shell, store: Path, cloud: Cloud) -> None:
    url = cloud.url.replace("photos", "no-such-bucket")
    ran = shell("backup", "mirror", url, "--store", store)
    assert (ran.code, "Traceback" in ran.err, url.partition("/t")[0] in ran.err) == (1, False, True), ran.err
    assert not [secret for secret in SECRETS if secret in ran.out + ran.err]


def test_a_folder_of_images_is_imported_and_a_second_run_finds_nothing(
    shell: Shell, empty: Path, cloud: Cloud, tmp_path: Path
) -> None:
    drawn = fill(tmp_path / "drawn", {"Can": 5, "Bottle, gr&ün %41": 4})
    for path in drawn.glob("*/*"):
        cloud.put(f"set/{path.relative_to(drawn)}", path.read_bytes())
    ran = shell("import", f"{cloud.url}/set", "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["layout"]) == (0, 9, "imagefolder"), ran
    assert in_store(empty) == in_store(drawn)
    again = shell("import", f"{cloud.url}/set", "--json", "--store", empty)
    assert (again.code, again.json["imported"], again.json["duplicates"]) == (0, 0, 9)


def test_archives_and_shards_are_imported(shell: Shell, empty: Path, cloud: Cloud, tmp_path: Path) -> None:
    drawn = fill(tmp_path / "drawn", {"Can": 3, "Bottle": 3})
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for path in sorted(drawn.glob("*/*")):
            tar.add(path, path.relative_to(drawn))
    cloud.put("set.tar", (tmp_path / "set.tar").read_bytes())
    ran = shell("import", f"{cloud.url}/set.tar", "--json", "--store", empty)
    assert (ran.code, ran.json["imported"]) == (0, 6), ran
    # Shards and parquet are found by the list of the bucket, and read by ranges.
    for layout in ("webdataset", "parquet"):
        more = fill(tmp_path / layout, {"Can": 2, "Bottle": 2}, start=100 if layout == "parquet" else 200)
        other = tmp_path / f"store {layout}"
        shutil.copytree(more, other)
        assert shell("init", other, "--model", "1001").code == 0
        assert shell("export", tmp_path / f"out {layout}", "--format", layout, "--store", other).code == 0
        for path in (tmp_path / f"out {layout}").rglob("*"):
            if path.is_file():
                cloud.put(f"{layout}/{path.relative_to(tmp_path / f'out {layout}')}", path.read_bytes())
        ran = shell("import", f"{cloud.url}/{layout}", "--json", "--store", empty)
        assert (ran.code, ran.json["imported"], ran.json["layout"]) == (0, 4, layout), ran
        assert not in_store(more) - in_store(empty)


def test_an_inbox_in_it_brings_images_from_a_machine_without_a_key(
    shell: Shell,
    empty: Path,
    cloud: Cloud,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera = Shell(tmp_path / "camera-home", "http://127.0.0.1:9", "", capsys, monkeypatch)
    for name in ("ASTICA_API_KEY", "ASTICA_TRAIN_URL", "ASTICA_DETECT_URL", "ASTICA_QUARANTINE"):
        del camera.environ[name]
    taken = fill(tmp_path / "taken", {"Can": 3, "Büchse & Co": 2})
    sent = camera("watch", "--once", "--to", cloud.url, taken)
    assert sent.code == 0, sent
    again = camera("watch", "--once", "--to", cloud.url, taken)
    assert again.code == 0, again
    assert len(list(BucketPlace(cloud.url).entries())) == 5
    got = shell("watch", "--once", "--from", cloud.url, empty)
    assert got.code == 0, got
    assert in_store(empty) == in_store(taken)
    assert shell("watch", "--once", "--from", cloud.url, empty).code == 0
    assert in_store(empty) == in_store(taken)


def test_nothing_of_an_inbox_is_written_over(cloud: Cloud) -> None:
    place = BucketPlace(cloud.url)
    assert place.add("Can/one", b"first") is Added.WRITTEN
    assert place.add("Can/one", b"first") is Added.THERE
    assert place.add("Can/one", b"another one") is Added.OTHER
    assert place.read("Can/one") == b"first"
    if cloud.is_conditional:
        bucket = open_bucket(cloud.url)
        with pytest.raises(bucket.errors.AlreadyExistsError):
            bucket.obstore.put(bucket.store, "Can/one", b"second", mode="create", use_multipart=False)


def test_a_camera_with_a_token_for_writing_alone_puts_images_into_azure(
    azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _clean(monkeypatch)
    use_azurite(azurite, monkeypatch)
    url = f"az://photos/{tmp_path.name}"
    whole = BucketPlace(url)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", AZURE_ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", sign_access("photos", "cw"))
    camera = BucketPlace(url)
    assert camera.add("Can/one", b"first") is Added.WRITTEN
    assert camera.add("Can/one", b"again") is Added.THERE
    assert whole.read("Can/one") == b"first"
    with pytest.raises(MirrorFailed):
        camera.read("Can/one")
    with pytest.raises(MirrorFailed):
        list(camera.entries())
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", sign_access("photos", "rl"))
    reader = BucketPlace(url)
    assert [entry.name for entry in reader.entries()] == ["Can/one"]
    assert reader.read("Can/one") == b"first"
    with pytest.raises(MirrorFailed):
        reader.add("Can/two", b"second")


@pytest.mark.parametrize("way", ["connection string", "account and key"])
def test_azure_is_found_by_the_names_of_its_own_command_line(
    azurite: str, monkeypatch: pytest.MonkeyPatch, way: str, tmp_path: Path
) -> None:
    _clean(monkeypatch)
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    if way == "connection string":
        parts = {"AccountName": AZURE_ACCOUNT, "AccountKey": AZURE_KEY, "BlobEndpoint": azurite}
        text = "DefaultEndpointsProtocol=http;" + "".join(f"{name}={value};" for name, value in parts.items())
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    else:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", AZURE_ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_KEY", AZURE_KEY)
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azurite)
    place = BucketPlace(f"az://photos/{tmp_path.name}")
    place.write("one", b"first")
    assert place.read("one") == b"first"


@pytest.mark.parametrize("key", [AZURE_KEY[::-1].lstrip("=") + "==", "no base64 at all"])
def test_a_wrong_key_of_azure_is_named_and_not_shown(
    shell: Shell, store: Path, azurite: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    _clean(monkeypatch)
    use_azurite(azurite, monkeypatch)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", key)
    ran = shell("backup", "mirror", "az://photos/cans", "--store", store)
    assert (ran.code, "az://photos/cans cannot be" in ran.err, "AZURE_STORAGE" in ran.err) == (1, True, True), ran.err
    assert key not in ran.out + ran.err


def test_images_and_archives_are_imported_from_an_emulator_of_google(
    shell: Shell, empty: Path, fake_gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _clean(monkeypatch)
    use_google(fake_gcs, monkeypatch)
    _needs_base_url()
    drawn = fill(tmp_path / "drawn", {"Can": 5, "Bottle & Co": 4})
    for path in drawn.glob("*/*"):
        put_object(fake_gcs, f"set/{path.relative_to(drawn)}", path.read_bytes())
    ran = shell("import", "gs://photos/set", "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["layout"]) == (0, 9, "imagefolder"), ran
    assert in_store(empty) == in_store(drawn)
    with tarfile.open(tmp_path / "train-000000.tar", "w") as tar:
        for name, data in (("7.png", draw(tmp_path / "7.png", 700).read_bytes()), ("7.cls", b"Can")):
            (tmp_path / name).write_bytes(data)
            tar.add(tmp_path / name, name)
    put_object(fake_gcs, "shards/train-000000.tar", (tmp_path / "train-000000.tar").read_bytes())
    ran = shell("import", "gs://photos/shards", "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["layout"]) == (0, 1, "webdataset"), ran
    ran = shell("import", "gs://photos/shards/train-000000.tar", "--json", "--store", empty)
    assert (ran.code, ran.json["imported"], ran.json["duplicates"]) == (0, 0, 1), ran


def _with_secret(store: Path) -> list[Path]:
    found = [path for path in store.rglob("*") if path.is_file()]
    return [path for path in found if any(secret.encode() in path.read_bytes() for secret in SECRETS)]
