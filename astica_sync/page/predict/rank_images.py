"""The numbers that the gallery sorts by: how confident a model is of each image's own class, and how suspicious."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.versions.label_spelling import LabelSpelling
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.predict.live_preview import Ranking
from astica_sync.page.versions.stored_answers import StoredAnswer


def rank_by_suspicion(columns: Columns, ranking: Ranking) -> NDArray[np.float32]:
    """For each row from 0 to 1 how certain the other images are of another class; NaN where the preview has not seen
    it."""
    return _spread(columns, ranking.images, ranking.contradiction)


def rank_by_confidence(
    columns: Columns, ranking: Ranking, answers: Iterable[tuple[Iterable[str], dict[str, StoredAnswer]]]
) -> NDArray[np.float32]:
    """For each row from 0 to 1 the confidence in its own class: what the last version said that was asked about it,
    else what the preview says; NaN where both are silent. A version that named another class left the rest for this
    one. ``answers`` are those of each version, with the classes of its data, the newest last."""
    ranks = _spread(columns, ranking.images, ranking.own_share)
    for classes, of_version in answers:
        spelling = LabelSpelling(columns.titles, classes)
        for content, answer in of_version.items():
            if answer.percent is None:
                continue
            share, label = answer.percent / 100, spelling.spell(answer.label)
            for row in columns.with_content(content):
                ranks[row] = share if columns.title(row) == label else 1 - share
    return ranks


def _spread(columns: Columns, images: NDArray[np.uint64], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values of images as those of the rows with their ids."""
    ranks = np.full(len(columns), np.nan, np.float32)
    if len(columns) and len(images):
        places = np.minimum(np.searchsorted(columns.ids, images, sorter=columns.order_of_ids), len(columns) - 1)
        rows = columns.order_of_ids[places]
        there = columns.ids[rows] == images
        ranks[rows[there]] = values[there]
    return ranks
