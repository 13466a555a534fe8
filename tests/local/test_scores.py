"""Scores of versions: which version a score is about, and lines that cannot be used."""

import json
from pathlib import Path

import pytest

from astica_sync.core.versions.version import Version
from astica_sync.local.db.version_scores import Score, add_score, is_about, read_scores
from astica_sync.local.filesystem import FileSystem

VERSION = Version(2, "v", 20.0, 100.0, None)


@pytest.mark.parametrize(
    ("score", "twins", "about"),
    [
        (Score("v", 1, 2, "held", "x", 150.0, "a", 7, 20.0), True, True),
        (Score("v", 1, 2, "held", "x", 150.0, "a", 7, 10.0), False, False),
        (Score("v", 1, 2, "held", "x", 150.0, "a", 8, 20.0), False, False),
        (Score("w", 1, 2, "held", "x", 150.0, "a", 7, 20.0), False, False),
        (Score("v", 1, 2, "held", "x", 150.0), False, True),
        (Score("v", 1, 2, "held", "x", 150.0), True, False),
        (Score("v", 1, 2, "held", "x", 50.0), False, False),
    ],
)
def test_a_score_is_about_the_version_of_its_name_model_and_date(score: Score, twins: bool, about: bool) -> None:
    assert is_about(score, VERSION, 7, twins=twins) is about


def test_a_score_comes_back_and_lines_with_odd_values_are_skipped(tmp_path: Path) -> None:
    path, files = tmp_path / "scores.jsonl", FileSystem()
    score = Score("v", 1, 2, "held", "x", 150.0, "a", 7, 20.0, leaked=1)
    add_score(path, score, files)
    old = {"version": "v", "right": 1, "shown": 2, "folder": "held", "images": "x", "at": 150.0}
    odd = [{"right": 3}, {"shown": None}, {"at": "now"}, {"right": -1}, {"trained_at": "never"}]
    odd += [{"leaked": 3}, {"leaked": -1}]
    with path.open("a") as file:
        for change in ({}, *odd):
            file.write(json.dumps({**old, **change}) + "\n")
        file.write('{"version": "v"}\n[1]\nno json\n')
    assert read_scores(path, files) == [score, Score("v", 1, 2, "held", "x", 150.0)]
