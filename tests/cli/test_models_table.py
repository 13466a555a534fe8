"""The list of models on narrow terminals: no row is broken, and so no time in it."""

import pytest

from astica_sync.cli.open_store import _rows
from astica_sync.cli.render.text import display_width
from astica_sync.cli.service.models import model_table
from astica_sync.core.model import ModelInfo

AT = 1_796_053_080.0


def model(number: int, title: str) -> ModelInfo:
    return ModelInfo(number, title, 3, 2500, version="1.2", trained_at=AT, created_at=AT)


MODELS = [model(1001, "Cans"), model(20115, "photos of all the cans that we have found at the river")]


@pytest.mark.parametrize("room", [40, 60, 80, 100, 200])
def test_a_list_of_models_is_no_wider_than_the_terminal(room: int) -> None:
    rows = model_table(MODELS, room)
    assert len(rows) == 3 and max(map(display_width, rows)) <= room, rows
    assert "model" in rows[0] and "title" in rows[0] and "samples" in rows[0]
    assert "Cans" in rows[1] and "2,500" in rows[1]


def test_times_become_dates_before_a_column_is_left_out() -> None:
    whole = model_table(MODELS)
    assert all(part in whole[0] for part in ("trained", "created", "version", "classes"))
    assert ":" in whole[1] and MODELS[1].title in whole[2]
    dates = model_table(MODELS, 80)
    assert whole[0].split() == dates[0].split() and ":" not in dates[1] and "…" in dates[2]
    narrow = model_table(MODELS, 60)
    assert "trained" in narrow[0] and "created" not in narrow[0] and ":" not in narrow[1]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_what_a_signal_handler_writes_is_broken_between_words(columns: int) -> None:
    text = "astica-sync: stopping after the requests under way; Ctrl-C again stops immediately"
    rows = _rows(text, columns)
    assert all(len(row) <= columns for row in rows) and " ".join(" ".join(rows).split()) == text
    assert _rows(text, 0) == [text]
