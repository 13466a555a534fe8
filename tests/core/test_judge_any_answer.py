"""Whatever a service answers, every fact is judged: it has a value or a reason, and texts of a bounded length."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astica_sync.core.service_facts.fact import LONGEST_NOTE, MEANINGS, facts_as_data, facts_from_data
from astica_sync.core.service_facts.judge import judge
from astica_sync.core.service_facts.judge_samples import why_not_go_on
from astica_sync.core.service_facts.judge_times import seconds_until_listed
from astica_sync.core.service_facts.probe_log import CREATE, DETECT, LIST, UPLOAD, VIEW, Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import find_foreign, title_of
from astica_sync.core.service_facts.read_answer import read_view
from astica_sync.core.service_facts.sandbox_switches import switches_like
from tests.harness.probe_logs import TOKEN, UPLOADS, uid

NAMES = [
    *("status", "error", "message", "dataset", "dataset_list", "class_list", "samples", "id", "uid", "size", "title"),
    *("numClass", "numSample", "model_version", "output", "confidence"),
]
TEXTS = ["OK", "ERROR", "", "7", "1.5", "97%", title_of(TOKEN), uid("first"), uid("again")[:20], "Standing", "x" * 5000]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(), st.sampled_from(TEXTS), st.text())
BODIES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)),
    max_leaves=25,
)
TAKEN_AS = ["", "", "", "Refused", "RateLimited", "QuotaExceeded", "OutcomeUnknown", "NoSuchModel"]
EXCHANGES = st.builds(
    Exchange,
    st.sampled_from([*ProbeStep, *UPLOADS, "20 MiB", "20 MB"]),
    st.sampled_from([CREATE, DETECT, LIST, UPLOAD, VIEW]),
    st.floats(0, 100),
    st.floats(0, 100),
    st.sampled_from([None, 200, 200, 200, 400, 404, 429, 500]),
    st.dictionaries(st.sampled_from(["retry-after", "ratelimit-policy"]), st.text(max_size=3)),
    BODIES,
    st.sampled_from(TAKEN_AS),
    st.integers(0, 10**8),
)


@pytest.mark.parametrize("examples", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_any_log_is_judged(examples: int) -> None:
    @settings(max_examples=examples)
    @given(st.lists(EXCHANGES, max_size=25))
    def check(exchanges: list[Exchange]) -> None:
        log = ProbeLog(exchanges)
        facts = judge(log, TOKEN)
        assert list(facts) == list(MEANINGS)
        for name, fact in facts.items():
            assert fact.value is not None or fact.note, name
            assert len(fact.note) <= LONGEST_NOTE >= len(str(fact.value))
        assert facts_from_data(facts_as_data(facts)) == facts
        switches_like(facts)
        why_not_go_on(log, TOKEN)
        assert seconds_until_listed(log) >= 0
        for one in log:
            if view := read_view(one.body):
                find_foreign(TOKEN, view.samples)

    check()


@pytest.mark.parametrize("length", [LONGEST_NOTE, LONGEST_NOTE + 1, 1_000_000])
def test_a_long_error_is_cut(length: int) -> None:
    answer = Exchange("junk", UPLOAD, status=200, body={"status": "ERROR", "error": "x" * length}, taken_as="Refused")
    assert judge(ProbeLog([answer]), TOKEN)["invalid_image"].value == "x" * LONGEST_NOTE
