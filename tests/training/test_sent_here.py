"""Which samples count as sent by this store where the data of a training is looked at."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from astica_sync.api.version_provenance import _is_sent_here
from astica_sync.core.model import RemoteSample
from astica_sync.local.db.journal import Journal

UPLOAD = ("a" * 32 + "-00000000", "Can", "Can/a.png")
SHOWN = RemoteSample(UPLOAD[0], 90, 1, "Can")


@pytest.mark.parametrize(("in_doubt", "ours"), [(True, True), (False, False)])
def test_what_a_late_upload_brings_back_after_a_removal_is_ours(tmp_path: Path, in_doubt: bool, ours: bool) -> None:
    with Journal(tmp_path / "journal.db", "run") as journal:
        session = cast("Any", SimpleNamespace(local=SimpleNamespace(journal=journal)))
        if in_doubt:
            journal.attempt([UPLOAD], 5.0)
        else:
            journal.agree([UPLOAD], 5.0)
        assert _is_sent_here(session, SHOWN, 5.0)
        assert not _is_sent_here(session, SHOWN, 5.1), "it was sent before that"
        journal.attempt_removal([(*UPLOAD, 70)], 6.0)
        journal.confirm_removed([UPLOAD[0]], 7.0, upload_open=in_doubt)
        assert _is_sent_here(session, SHOWN, 5.0) is ours
