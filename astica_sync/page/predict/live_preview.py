"""A classifier that is trained on this machine on what the store holds this moment. It is not the service's model."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import STATES, ImageState
from astica_sync.core.recipe import Recipe
from astica_sync.errors import AsticaSyncError
from astica_sync.features.descriptor import Floats
from astica_sync.features.extractor import Extractor, load_extractor
from astica_sync.features.ridge_head import RidgeHead
from astica_sync.local.db.features import FeatureCache
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.gallery.refresh_gallery import Gallery
from astica_sync.page.gallery_follower import GalleryThread
from astica_sync.training.feature_table import FeatureTable
from astica_sync.training.label_check import ContradictedLabel, find_contradicted

MOST_IMAGES = 20_000
"""Of a larger store so many images are used, as many of each class as there are of the smallest, and more of the
others where there is room."""


@dataclass(frozen=True, slots=True)
class PreviewState:
    """How far the preview is. ``trouble`` says why there is none, "" where there is one or will be."""

    features: str = ""
    side: int = 0
    revision: int = 0
    """The gallery that it was trained on; 0 before the first."""
    done: int = 0
    total: int = 0
    images: int = 0
    labels: tuple[str, ...] = ()
    agreement: float = 0.0
    """The share of images that the others predict right."""
    seconds: float = 0.0
    """How long the last training took."""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Suspect:
    """An image whose class the others contradict. ``image`` is its id, ``content`` its content hash."""

    image: int
    content: str
    found: ContradictedLabel


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the preview says of images by the id of each, when it is trained without it: the share of its own class, and
    from 0 to 1 how certain it is of another one. ``revision`` is that of the gallery it was trained on, 0 before the
    first training."""

    revision: int = 0
    images: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    own_share: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    contradiction: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An image that looks like another one. ``likeness`` is at most 1."""

    image: int
    likeness: float


class LivePreview:
    """Follows the gallery in a thread of its own, which is started by the first call of ``follow``."""

    def __init__(
        self,
        cache: Path,
        read: Callable[[str], bytes | None],
        network: Path | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        """``read`` returns what is sent of the image with a content hash, converted by ``recipe``, from any thread.
        ``network`` as ``load_extractor``."""
        self._recipe = recipe
        self._cache, self._read, self._network = cache, read, network
        self._thread = GalleryThread("preview", self._work)
        self._using = threading.Lock()
        """Held by who uses or changes the classifier."""
        self._head: RidgeHead | None = None
        self._extractor: Extractor | None = None
        self._contents: list[str] = []
        """Those of the images of the last training, which are the same while labels alone change."""
        self._known: NDArray[np.bool_] = np.zeros(0, np.bool_)
        """Which of them could be decoded."""
        self._suspects: list[Suspect] = []
        self._images: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.ranking: Ranking = Ranking()
        self.state: PreviewState = PreviewState()

    def follow(self, gallery: Gallery) -> None:
        """Trains on this gallery, unless that is done or a newer one is followed."""
        self._thread.follow(gallery)

    def close(self) -> None:
        """Ends the thread, with the training that is under way."""
        self._thread.close()

    def classify(self, pixels: bytes) -> list[tuple[str, float]] | None:
        """The labels with their shares, the most likely first, for a square image of ``state.side`` pixels in red,
        green and blue; None where there is no preview yet, or for another number of bytes."""
        with self._using:
            head, extractor = self._head, self._extractor
            if head is None or extractor is None or len(pixels) != 3 * extractor.side**2:
                return None
            square = np.frombuffer(pixels, np.uint8).reshape(1, extractor.side, extractor.side, 3)
            shares = head.classify(extractor.extract(square))[0]
            return sorted(zip(head.labels, map(float, shares), strict=True), key=lambda one: -one[1])

    def suspects(self) -> Sequence[Suspect]:
        """The images to look at first: those whose class the others contradict most."""
        return self._suspects

    def neighbours(self, content: str, most: int) -> list[Neighbour]:
        """The images of the store that look most like the one with this content hash, itself left out; none where there
        is no preview yet, or the image cannot be decoded."""
        with self._using:
            extractor = self._extractor if self._head is not None else None
        if extractor is None:
            return []
        with (
            contextlib.closing(Rasterizer(self._recipe)) as rasterizer,
            contextlib.closing(FeatureCache(self._cache)) as cache,
        ):
            rows, known = FeatureTable(extractor, rasterizer, cache, self._read).rows([content])
        with self._using:
            head, contents = self._head, [one for one, good in zip(self._contents, self._known, strict=True) if good]
            if head is None or not known[0]:
                return []
            # Copies of the image itself may be in other classes.
            copies = contents.count(content)
            places, likeness = head.nearest(rows[0], most + copies)
            found = [
                Neighbour(int(self._images[place]), float(value))
                for place, value in zip(places.tolist(), likeness, strict=True)
                if contents[place] != content
            ]
        return found[:most]

    def _work(self) -> None:
        with (
            contextlib.closing(Rasterizer(self._recipe)) as rasterizer,
            contextlib.closing(FeatureCache(self._cache)) as cache,
        ):
            for gallery in self._thread.galleries():
                try:
                    self._train(gallery, rasterizer, cache)
                except AsticaSyncError as error:
                    self.state = replace(self.state, trouble=error.text_with_hint)

    def _train(self, gallery: Gallery, rasterizer: Rasterizer, cache: FeatureCache) -> None:
        if self._extractor is None:
            self._extractor = load_extractor(self._network)
        extractor = self._extractor
        columns = gallery.columns
        rows = sorted(choose_rows(columns, MOST_IMAGES).tolist(), key=lambda row: (columns.content(row), row))
        self.state = replace(
            self.state, features=extractor.name, side=extractor.side, done=0, total=len(rows), trouble=""
        )
        contents = [columns.content(row) for row in rows]
        features: Floats | None = None
        if contents != self._contents:
            table = FeatureTable(extractor, rasterizer, cache, self._read, self._note_progress)
            made, self._known = table.rows(contents)
            features, self._contents = made[self._known], contents
        rows = [row for row, good in zip(rows, self._known, strict=True) if good]
        labels = [columns.title(row) for row in rows]
        if len(set(labels)) < 2:
            with self._using:
                self._head, self._contents, self._suspects = None, [], []
            self.state = replace(self.state, revision=gallery.revision, trouble="two classes with images are needed")
            return
        # The features are made before the clock starts; a change of labels makes none.
        started = time.perf_counter()
        with self._using:
            if features is not None:
                self._head = RidgeHead(features, labels)
            else:
                # The same images, some of them perhaps in another class.
                assert self._head is not None
                self._head.set_labels(labels)
            head, verdicts = self._head, self._head.verdicts()
            self._images = columns.ids[rows]
        found = find_contradicted(verdicts)
        self._suspects = [
            Suspect(int(columns.ids[rows[one.place]]), columns.content(rows[one.place]), one) for one in found
        ]
        own = verdicts.shares[np.arange(len(rows)), verdicts.own].astype(np.float32)
        self.ranking = Ranking(gallery.revision, self._images, own, verdicts.contradiction().astype(np.float32))
        self.state = replace(
            self.state,
            revision=gallery.revision,
            images=len(rows),
            labels=head.labels,
            agreement=verdicts.agreement,
            seconds=time.perf_counter() - started,
        )

    def _note_progress(self, done: int) -> None:
        self.state = replace(self.state, done=done)


def choose_rows(columns: Columns, most: int) -> NDArray[np.intp]:
    """The rows to train on: images in the store that are no problem. Where there are more than ``most``, each class has
    the same share, unless it has fewer images; of a class they are spread evenly."""
    is_good = columns.have_content()[: columns.files]
    is_good &= columns.state_of[: columns.files] != STATES.index(ImageState.PROBLEM)
    good = np.flatnonzero(is_good)
    if len(good) <= most:
        return good
    by_class = [good[columns.class_of[good] == number] for number in np.unique(columns.class_of[good])]
    left, chosen = most, []
    for place, rows in enumerate(sorted(by_class, key=len)):
        share = min(len(rows), left // (len(by_class) - place))
        if share:
            chosen.append(rows[np.linspace(0, len(rows) - 1, share).astype(np.intp)])
        left -= share
    return np.concatenate(chosen)
