"""Iterating over the samples of a store: their files, hashes and states."""

import shutil
from pathlib import Path

import pytest
import xxhash

from astica_sync import Store
from astica_sync.errors import AsticaSyncError
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw


def test_each_sample_has_its_files_its_hash_and_its_state(pushed_store: Path, sandbox: RunningSandbox) -> None:
    model_id = sandbox.models()[0][0]
    new = draw(pushed_store / "Can" / "new.png", 77)
    shutil.copy(pushed_store / "Can" / "000.png", pushed_store / "Can" / "twin.png")
    (pushed_store / "Can" / "bad.png").write_text("no image")
    (pushed_store / "Bottle" / "000.png").unlink()
    sandbox.add_sample(model_id, "Jar", draw(pushed_store.parent / "jar.png", 78).read_bytes(), uid="theirs")
    with Store(pushed_store) as store:
        found = list(store.samples())
        states = {(one.class_title, one.paths[:1]): one for one in found}
        assert len(states) == len(found) == 8

        fresh = states["Can", ("Can/new.png",)]
        assert (fresh.state, fresh.file, fresh.size) == ("new", new, new.stat().st_size)
        assert fresh.content == xxhash.xxh3_128_hexdigest(new.read_bytes()) and fresh.uid.startswith(fresh.content)
        twins = states["Can", ("Can/000.png",)]
        assert twins.paths == ("Can/000.png", "Can/twin.png") and twins.state == "on-service"
        bad = states["Can", ("Can/bad.png",)]
        assert bad.state == "problem" and "not an image" in bad.reason and not bad.uid and bad.content == ""
        gone = states["Bottle", ()]
        assert gone.state == "to-remove" and gone.sample_id and gone.file is None and len(gone.content) == 32
        theirs = states["Jar", ()]
        assert theirs.state == "elsewhere" and theirs.uid == "theirs" and theirs.content == ""

        samples = store.samples(offline=True)
        assert list(samples) == found == list(samples)
        pandas = pytest.importorskip("pandas")
        frame = samples.to_pandas()
        assert isinstance(frame, pandas.DataFrame) and len(frame) == 8
        assert frame.groupby("state").size().to_dict() == {
            "elsewhere": 1, "new": 1, "on-service": 4, "problem": 1, "to-remove": 1,
        }  # fmt: skip
        assert frame.set_index("path").loc["Can/000.png", "copies"] == 2


def test_a_push_in_the_middle_of_an_iteration_disturbs_neither(store: Path, shell: Shell) -> None:
    with Store(store) as opened:
        seen = []
        for number, sample in enumerate(opened.samples()):
            seen.append(sample.paths)
            if number == 1:
                draw(store / "Can" / "late.png", 90)
                assert opened.push().in_sync
        assert len(seen) >= 5
        assert opened.status().in_sync


def test_samples_of_a_closed_store_say_so(store: Path, shell: Shell) -> None:
    opened = Store(store)
    samples = opened.samples()
    iterator = iter(samples)
    next(iterator)
    opened.close()
    for call in (lambda: next(iterator), lambda: list(samples), samples._repr_html_):
        with pytest.raises(AsticaSyncError, match="is closed"):
            call()


def test_samples_without_a_request_need_an_earlier_status(
    store: Path, shell: Shell, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(store) as opened:
        with pytest.raises(AsticaSyncError, match="has not been observed"):
            list(opened.samples(offline=True))
        opened.status()
        sandbox.clear_log()
        assert {one.state for one in opened.samples(offline=True)} == {"new"}
        assert len(sandbox.log) == 0


def test_a_sample_of_a_class_that_the_store_does_not_own_has_that_state(pushed_store: Path) -> None:
    (pushed_store / "astica-sync.toml").write_text('owns = ["Can"]\n')
    with Store(pushed_store) as store:
        states = {one.class_title: one.state for one in store.samples() if one.paths}
    assert states == {"Can": "on-service", "Bottle": "not-owned"}
