"""Inspects a store: what is known of each image, from the cache where it has it, then what follows from all of them."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from astica_sync.bucket.store_files import file_of_image
from astica_sync.errors import Interrupted
from astica_sync.executor.file_work import FileExecutor, FileWork
from astica_sync.executor.thread_executor import ThreadExecutor
from astica_sync.features.ridge_head import RidgeHead
from astica_sync.inspect.describe_images import ImageDescriber
from astica_sync.inspect.findings import (
    Finding,
    Image,
    count_classes,
    find_copies,
    find_no_image,
    find_outlier,
    find_poor,
    find_small_classes,
    find_unreadable,
    find_wrong_label,
    in_order,
)
from astica_sync.inspect.measure_image import Openers, measure_image
from astica_sync.inspect.measurer import Measurer
from astica_sync.inspect.work_on_worker import measure_shard, read_content
from astica_sync.likeness.find_pairs import FIT, Candidates, PicturePair, confirm, find_candidates, judge
from astica_sync.likeness.small_picture import HASHES, SmallPicture, decode, read_hashes
from astica_sync.local.db.features import FeatureCache
from astica_sync.local.db.image_facts import ImageFacts, ImageFactsCache
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.local.image.worker_pool import WORKERS
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.sync.session import Session
from astica_sync.training.evaluation.held_out_folder import find_held_out
from astica_sync.training.label_check import find_contradicted

CACHE = "inspect.db"
FEATURES = "inspect-features.db"
LEAST_FOR_OUTLIERS = 10
FAR = 6.0
THREADS = 2 * WORKERS
"""Of this process: each waits for a bounded process part of the time."""
_BATCH = 512

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. ``files`` are the images of a content; ``looked_at`` counts the images that the cache lacked."""

    findings: list[Finding]
    classes: dict[str, int]
    images: int
    looked_at: int
    files: dict[str, Path]


def inspect_store(
    session: Session,
    held_out: Sequence[Path],
    *,
    with_features: bool,
    executor: FileExecutor | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Inspection:
    """Scans the store and inspects it, together with held-out folders. ``executor`` reads the images, by default in
    threads of this process. ``on_progress`` gets a step, and how many of how many it has done.

    Raises:
        ExecutorFailed: the cluster that reads the images does not work; what it has measured is kept.
        StoreError: the store cannot be scanned.
        Unworkable: no process can be started to open images.
        Interrupted: the user asked to stop; what was measured is kept.
    """
    local = session.local
    executor = executor or ThreadExecutor(THREADS)
    report = _Report(session.runtime.stopping, on_progress)
    session.listener.phase("Scanning the store")
    scan_store(
        local.layout,
        local.index,
        clock=session.runtime.clock,
        files=local.fs,
        options=ScanOptions(threads=local.hash_threads, recipe=local.preparer.recipe),
        progress=session.listener.scanned,
    )
    session.listener.phase_ended()
    images: list[Image] = []
    files: dict[str, Path] = {}
    for sample in local.index.local_samples(session.remote.model_id):
        images.append(Image(sample.class_title, sample.paths, sample.content))
        files.setdefault(sample.content, file_of_image(local.fs, local.backup, sample))
    for folder in held_out:
        for held in find_held_out(folder, local.preparer.recipe.formats)[0]:
            images.append(Image(held.title, (str(held.path),), held.content, held_out=True))
            files.setdefault(held.content, held.path)
    findings = [find_no_image(problem.path, problem.reason) for problem in local.index.problems()]
    state = local.layout.state
    recipe = local.preparer.recipe
    maybe_converted = {*local.index.prepared(), *(image.content for image in images if image.held_out)}
    with (
        contextlib.closing(ImageFactsCache(state / CACHE, recipe=recipe.identity, converted=maybe_converted)) as cache,
        contextlib.closing(Rasterizer(recipe)) as rasterizer,
        contextlib.closing(Measurer()) as measurer,
    ):
        openers = Openers(measurer, local.preparer, local.decoder, rasterizer)
        work: FileWork[ImageFacts | str] = FileWork(
            partial(measure_shard, recipe=recipe),
            lambda content, path: read_content(path, content),
            lambda content, path: measure_image(path, content, openers),
        )
        facts, looked_at, unreadable = _measure(files, cache, executor, work, report)
        for image in images:
            if image.content in unreadable:
                findings.append(find_unreadable(image, unreadable[image.content]))
            else:
                findings += find_poor(image, facts[image.content])
        pairs = _find_duplicates(sorted(facts), facts, cache, report)
        findings += find_copies(images, [(one, other, pair.certainty, pair.how) for one, other, pair in pairs])
        if with_features:
            with contextlib.closing(FeatureCache(state / FEATURES)) as features:
                findings += _check_labels(images, facts, files, ImageDescriber(features, rasterizer, executor), report)
    counts = count_classes(images)
    return Inspection(in_order([*findings, *find_small_classes(counts)]), counts, len(images), looked_at, files)


def stopped() -> Interrupted:
    """The error with which a run ends where the user asked to stop."""
    return Interrupted("stopped", "What was measured is kept; the same command goes on with the rest.")


@dataclass(frozen=True, slots=True)
class _Report:
    """Passes progress on, and ends the run where the user asked to stop."""

    stopping: Callable[[], bool]
    on_progress: OnProgress

    def __call__(self, step: str, done: int, total: int) -> None:
        """
        Raises:
            Interrupted: the user asked to stop.
        """
        if self.stopping():
            raise stopped()
        self.on_progress(step, done, total)


def _measure(
    files: dict[str, Path],
    cache: ImageFactsCache,
    executor: FileExecutor,
    work: FileWork[ImageFacts | str],
    on_progress: OnProgress,
) -> tuple[dict[str, ImageFacts], int, dict[str, str]]:
    """What is known of each content, how many had to be looked at, and why some could not be read."""
    facts = cache.find(files)
    missing = {content: path for content, path in files.items() if content not in facts}
    unreadable: dict[str, str] = {}
    made: dict[str, ImageFacts] = {}
    with contextlib.closing(executor.run(work, missing)) as results:
        try:
            for done, (content, found) in enumerate(results, 1):
                if isinstance(found, str):
                    unreadable[content] = found
                else:
                    facts[content] = made[content] = found
                on_progress("Looking at the images", done, len(missing))
                if len(made) == _BATCH:
                    cache.put(made)
                    made.clear()
        finally:
            cache.put(made)
    return facts, len(missing), unreadable


def _find_duplicates(
    contents: Sequence[str], facts: dict[str, ImageFacts], cache: ImageFactsCache, on_progress: OnProgress
) -> list[tuple[str, str, PicturePair]]:
    hashes = np.zeros((len(contents), HASHES), np.uint64)
    has_structure = np.zeros(len(contents), np.bool_)
    for place, content in enumerate(contents):
        picture = decode(facts[content].picture)
        if picture is not None and picture.has_structure:
            hashes[place], has_structure[place] = read_hashes(facts[content].picture), True
    candidates = find_candidates(hashes, has_structure)

    def picture_of(place: int) -> SmallPicture:
        picture = decode(facts[contents[place]].picture)
        assert picture is not None
        return picture

    names = [
        (contents[first], contents[second]) for first, second in zip(candidates.first, candidates.second, strict=True)
    ]
    known = {pair: data for pair, data in cache.fits(names).items() if len(data) == FIT.itemsize}
    fits = np.zeros(len(candidates), FIT)
    for place, pair in enumerate(names):
        if pair in known:
            fits[place] = np.frombuffer(known[pair], FIT)[0]
    missing = np.array([place for place, pair in enumerate(names) if pair not in known], np.intp)
    asked = Candidates(candidates.first[missing], candidates.second[missing], candidates.variant[missing])
    fits[missing] = confirm(asked, picture_of, lambda done: on_progress("Comparing pictures", done, len(missing)))
    # Those that were not laid over each other are found out again at once.
    laid = missing[fits["correlation"][missing] != 0]
    cache.put_fits({names[place]: fits[place].tobytes() for place in laid.tolist()})
    return [(contents[pair.one], contents[pair.other], pair) for pair in judge(candidates, fits, len(contents))]


def _check_labels(
    images: Sequence[Image],
    facts: dict[str, ImageFacts],
    files: dict[str, Path],
    describer: ImageDescriber,
    on_progress: OnProgress,
) -> list[Finding]:
    titles: dict[str, set[str]] = {}
    for image in images:
        if not image.held_out:
            titles.setdefault(image.content, set()).add(image.class_title)
    decoded = {content for content, known in facts.items() if known.picture}
    own = [
        image for image in images if not image.held_out and len(titles[image.content]) == 1 and image.content in decoded
    ]
    if len({image.class_title for image in own}) < 2:
        return []
    progress = lambda done: on_progress("Comparing labels", done, len(own))  # noqa: E731
    table, known = describer.rows({image.content: files[image.content] for image in own}, progress)
    own = [image for image, is_known in zip(own, known, strict=True) if is_known]
    rows, labels = table[known], [image.class_title for image in own]
    if len(set(labels)) < 2:
        return []
    contradicted = find_contradicted(RidgeHead(rows, labels).verdicts())
    found = [find_wrong_label(own[one.place], one.suggested, round(one.certainty, 3)) for one in contradicted]
    doubted = {one.place for one in contradicted}
    places: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    for members in places.values():
        if len(members) < LEAST_FOR_OUTLIERS:
            continue
        distance = np.linalg.norm(rows[members] - np.median(rows[members], axis=0), axis=1)
        spread = float(np.median(np.abs(distance - np.median(distance)))) or 1e-6
        far = (distance - np.median(distance)) / (1.48 * spread)
        found += [
            find_outlier(own[place], round(min(1.0, float(score) / (2 * FAR)), 2))
            for place, score in zip(members, far, strict=True)
            if score > FAR and place not in doubted
        ]
    return found
