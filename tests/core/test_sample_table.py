"""A table holds the same samples as the observation it was built from."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import RemoteClass, RemoteSample
from astica_sync.core.observation.sample_table import DuplicateSampleId, SampleTable

UIDS = st.lists(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=4), max_size=4)


@given(UIDS, st.randoms(use_true_random=False))
def test_samples_are_sorted_by_uid_then_id_and_keep_their_class(listed: list[list[str]], random: object) -> None:
    classes = [RemoteClass(number + 1, f"Class {number}", len(uids)) for number, uids in enumerate(listed)]
    uids = [uid for part in listed for uid in part]
    ids = list(range(1, len(uids) + 1))
    random.shuffle(ids)  # type: ignore[attr-defined]
    owners = [entry for entry in classes for _ in range(entry.samples)]
    wanted = [
        RemoteSample(uid, number, owner.class_id, owner.title)
        for uid, number, owner in zip(uids, ids, owners, strict=True)
    ]
    wanted.sort(key=lambda sample: (sample.uid, sample.sample_id))
    table = SampleTable(classes, uids, array("q", ids))
    assert list(table) == wanted == [table[row] for row in range(len(table))] == table[:]
    assert table == tuple(wanted)


def test_a_duplicate_sample_id_is_an_error() -> None:
    with pytest.raises(DuplicateSampleId):
        SampleTable([RemoteClass(1, "Can", 2)], ["a", "b"], array("q", [5, 5]))


def test_tables_of_different_samples_are_not_equal() -> None:
    table = SampleTable([RemoteClass(1, "Can", 1)], ["a"], array("q", [5]))
    assert table != (RemoteSample("a", 6, 1, "Can"),)
    assert table != ()


def test_equal_tables_have_equal_hashes_and_a_short_repr() -> None:
    one, same = (SampleTable([RemoteClass(1, "Can", 1)], ["a"], array("q", [5])) for _ in range(2))
    assert hash(one) == hash(same)
    assert repr(one) == "<SampleTable: 1 samples>"
    assert one != 5
