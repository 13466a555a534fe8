"""An observation's samples in columns are the same samples."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.model import RemoteClass, RemoteSample
from astica_sync.core.view.sample_table import DuplicateSampleId, SampleTable

UIDS = st.lists(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=4), max_size=4)


@given(UIDS, st.randoms(use_true_random=False))
def test_they_come_by_uid_then_by_id_each_with_its_class(listed: list[list[str]], random: object) -> None:
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
    shown = SampleTable(classes, uids, array("q", ids))
    assert list(shown) == wanted == [shown[place] for place in range(len(shown))] == shown[:]
    assert shown == tuple(wanted)


def test_one_id_twice_is_refused() -> None:
    with pytest.raises(DuplicateSampleId):
        SampleTable([RemoteClass(1, "Can", 2)], ["a", "b"], array("q", [5, 5]))


def test_other_samples_are_not_equal() -> None:
    shown = SampleTable([RemoteClass(1, "Can", 1)], ["a"], array("q", [5]))
    assert shown != (RemoteSample("a", 6, 1, "Can"),)
    assert shown != ()


def test_columns_hash_as_they_compare_and_print_no_million_samples() -> None:
    one, same = (SampleTable([RemoteClass(1, "Can", 1)], ["a"], array("q", [5])) for _ in range(2))
    assert hash(one) == hash(same)
    assert repr(one) == "<1 samples>"
    assert one != 5
