"""How a hint names a folder: as the folder needs it in which its command is typed."""

from pathlib import Path

import pytest

from astica_sync.cli.path_from_here import folder_from_here, quote_from_here


def test_a_folder_is_named_as_the_current_one_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, beside = tmp_path / "my photos", tmp_path / "beside"
    store.mkdir()
    beside.mkdir()
    for folder, seen, quoted in (
        (store, "", "Can/a.jpg"),
        (tmp_path, "my photos", "'my photos/Can/a.jpg'"),
        (beside, str(store), f"'{store}/Can/a.jpg'"),
    ):
        monkeypatch.chdir(folder)
        assert (folder_from_here(store), quote_from_here(store, "Can/a.jpg")) == (seen, quoted)
    monkeypatch.chdir(store)
    assert quote_from_here(store, "-rf/a.jpg") == "./-rf/a.jpg"
    monkeypatch.chdir(beside)
    beside.rmdir()
    assert folder_from_here(store) == str(store)
