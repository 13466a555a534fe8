"""Facts about a service as the data of a file, and what the client makes of them."""

import pytest

from astica_sync.core.service_facts.fact import Fact, facts_as_data, facts_from_data
from astica_sync.core.service_facts.quarantine_from_lag import quarantine_for

FACTS = {
    "error_status": Fact(404),
    "error_repeats": Fact(True, "Invalid image"),
    "view_lag": Fact(2.5, "in answer 3", 1.25),
    "urls": Fact(None, "not tried"),
}


def test_facts_come_back_as_they_were_written() -> None:
    assert facts_from_data(facts_as_data(FACTS)) == FACTS


def test_facts_of_a_later_version_are_left_out() -> None:
    assert facts_from_data({**facts_as_data(FACTS), "colour": {"value": "blue"}}) == FACTS


def test_long_texts_are_cut() -> None:
    fact = facts_from_data({"urls": {"value": "x" * 5000, "note": "y" * 5000}})["urls"]
    assert (len(str(fact.value)), len(fact.note)) == (400, 400)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"urls": "refused"},
        {"urls": {"value": ["refused"]}},
        {"urls": {"value": "refused", "note": 3}},
        {"view_lag": {"value": "soon"}},
        {"view_lag": {"value": True}},
        {"view_lag": {"value": -1}},
        {"view_lag": {"value": 1e300}},
        {"view_lag": {"value": 1.0, "least": "0"}},
    ],
)
def test_what_is_no_fact_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="fact"):
        facts_from_data(data)


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ({}, 60.0),
        ({"view_lag": Fact(20.0)}, 60.0),
        ({"view_lag": Fact(40.0)}, 80.0),
        ({"view_lag": Fact(20.0), "sample_list_lag": Fact(30)}, 100.0),
        ({"view_lag": Fact(None, "not shown within 62 s", 62.0)}, 124.0),
        ({"view_lag": Fact(None, "not tried")}, 60.0),
    ],
)
def test_the_quarantine_is_longer_where_views_are_later(facts: dict[str, Fact], seconds: float) -> None:
    assert quarantine_for(facts, 60.0) == seconds
