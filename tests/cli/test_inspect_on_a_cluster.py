"""``inspect --executor``: the same findings and the same measures, bit for bit, with or without a cluster."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from astica_sync.executor import dask_cluster
from astica_sync.features.extractor import load_extractor
from astica_sync.inspect import describe_images, inspect_store, work_on_worker
from tests.harness.dask_clusters import address_of, running_cluster
from tests.harness.planted_pictures import replace_by_photos
from tests.harness.shell import Shell


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with running_cluster(2) as made:
        yield made


@pytest.fixture
def album(store: Path) -> Path:
    """A store with photos, copies, a converted image and damaged ones."""
    photos = replace_by_photos(store, 6)
    photos[2].resize((300, 200)).save(store / "Can" / "smaller.png")
    photos[3].save(store / "Bottle" / "converted.webp", quality=90)
    photos[4].point(lambda level: level // 12).save(store / "Can" / "dark.png")
    data = (store / "Can" / "2.jpg").read_bytes()
    (store / "Can" / "half.jpg").write_bytes(data[: len(data) // 2])
    (store / "Can" / "text.jpg").write_text("no image")
    (store / "Can" / os.fsdecode(b"odd \xff name.jpg")).write_bytes((store / "Can" / "0.jpg").read_bytes() + b"\0")
    return store


def forget(store: Path) -> None:
    for file in (store / ".astica-sync").glob("inspect*.db*"):
        file.unlink()


def kept(store: Path) -> list[list[tuple[object, ...]]]:
    """What the caches have, without the seals."""
    rows = []
    for name, table in ((inspect_store.CACHE, "facts"), (inspect_store.FEATURES, "feature")):
        file = store / ".astica-sync" / name
        if file.exists():
            connection = sqlite3.connect(file)
            rows.append([row[:-1] for row in connection.execute(f"SELECT * FROM {table} ORDER BY content")])
            connection.close()
    return rows


def inspected(shell: Shell, store: Path, *flags: str) -> str:
    ran = shell("inspect", str(store), "--json", *flags)
    assert ran.code == 0, ran.err
    assert "distributed" not in ran.err
    return ran.out


@pytest.mark.long
@pytest.mark.parametrize("shared", [True, False], ids=["shared folder", "bytes are sent"])
def test_the_results_are_those_of_this_machine_bit_for_bit(
    shell: Shell, album: Path, cluster: Any, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = inspected(shell, album), kept(album)
    forget(album)
    looked_at: list[str] = []
    original = inspect_store.measure_image

    def noting(path: Path, *given: Any) -> Any:
        looked_at.append(path.name)
        return original(path, *given)

    class Known:
        """The features of this machine, which makes none."""

        name, side, length = load_extractor().name, load_extractor().side, load_extractor().length

    monkeypatch.setattr(inspect_store, "measure_image", noting)
    monkeypatch.setattr(describe_images, "load_extractor", Known)
    if not shared:
        monkeypatch.setattr(work_on_worker, "read_content", lambda path, content: None)
    there = inspected(shell, album, "--executor", address_of(cluster)), kept(album)
    assert there == here
    assert looked_at == ["half.jpg"], "the workers have looked at all others"


def test_an_image_that_is_broken_for_a_worker_is_looked_at_here(
    shell: Shell, album: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short_of_memory(data: bytes, *rest: Any) -> Any:
        return inspect_store.ImageFacts(0, 0, 0.0, 0.0, 0.0, "its decoder was ended by SIGKILL", b"")

    monkeypatch.setattr(work_on_worker, "measure_bytes", short_of_memory)
    found = inspected(shell, album, "--executor", address_of(cluster), "--no-features")
    assert "SIGKILL" not in found and "half.jpg" in found


def test_the_setting_names_the_cluster_and_the_flag_is_stronger(shell: Shell, album: Path, cluster: Any) -> None:
    shell.environ["ASTICA_EXECUTOR"] = "dask://127.0.0.1:1"
    ran = shell("inspect", str(album), "--no-features")
    assert ran.code == 1 and "nothing answers at 127.0.0.1:1" in ran.err
    assert inspected(shell, album, "--no-features", "--executor", "local")
    ran = shell("inspect", str(album), "--executor", "host:8786")
    assert ran.code == 1 and "dask://HOST:8786" in ran.err


def test_a_store_cannot_name_a_cluster(shell: Shell, album: Path) -> None:
    (album / "astica-sync.toml").write_text('executor = "dask://127.0.0.1:8786"\n')
    ran = shell("inspect", str(album))
    assert ran.code == 1 and "sets executor, and a store's file may not" in ran.err


def test_a_run_that_a_cluster_leaves_goes_on_later(
    shell: Shell, album: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = dask_cluster.DaskCluster.wait

    def gone(self: dask_cluster.DaskCluster, flying: Any) -> Any:
        yield from original(self, flying)
        raise self._gone()

    monkeypatch.setattr("astica_sync.executor.dask_executor.files_in_shard", lambda files, slots: 3)
    monkeypatch.setattr(dask_cluster.DaskCluster, "wait", gone)
    monkeypatch.setattr(dask_cluster, "STEP_SECONDS", 60)
    ran = shell("inspect", str(album), "--no-features", "--executor", address_of(cluster))
    assert ran.code == 1 and "does not answer any more" in ran.err and "goes on with the rest" in ran.err
    monkeypatch.undo()
    ran = shell("inspect", str(album), "--json", "--no-features")
    assert 0 < ran.json["looked_at"] < ran.json["images"]


def test_dask_is_loaded_for_a_cluster_alone(shell: Shell, album: Path) -> None:
    program = "import sys; from astica_sync.cli.main import run; run(sys.argv[1:]); sys.exit(' '.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", program, "inspect", str(album), "--no-features"],
        env={**os.environ, **shell.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = ended.stderr.split()
    assert "astica_sync.executor.thread_executor" in loaded
    assert {"dask", "distributed", "tornado", "astica_sync.executor.dask_cluster"}.isdisjoint(loaded)


@pytest.mark.long
def test_killed_workers_cost_their_shards_alone(shell: Shell, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        Image.effect_noise((64, 64), number + 20).convert("RGB").save(album / "Can" / f"noise {number}.png")
    here = inspected(shell, album, "--no-features"), kept(album)[0]
    forget(album)
    monkeypatch.setattr("astica_sync.executor.dask_executor.files_in_shard", lambda files, slots: 4)
    with running_cluster(2, processes=True) as cluster:
        victims = [nanny.pid for nanny in cluster.workers.values()]
        original = dask_cluster.DaskCluster.wait

        def killing(self: dask_cluster.DaskCluster, flying: Any) -> Any:
            for found in original(self, flying):
                if victims:
                    os.kill(victims.pop(), signal.SIGKILL)
                yield found

        monkeypatch.setattr(dask_cluster.DaskCluster, "wait", killing)
        there = inspected(shell, album, "--no-features", "--executor", address_of(cluster)), kept(album)[0]
        assert not victims
    assert there == here


@pytest.mark.long
def test_a_command_ends_where_something_else_listens(shell: Shell, album: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        address = f"dask://127.0.0.1:{listener.getsockname()[1]}"
        command: subprocess.Popen[str] = shell.start("inspect", str(album), "--executor", address)
        _, said = command.communicate(timeout=120)
    assert command.returncode == 1
    assert "does not answer as a Dask scheduler" in said and "Traceback" not in said
    assert time.monotonic() - began < 60
