"""Evaluates versions on held-out images: what it would cost, then the evaluation itself."""

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from astica_sync.api.run_detection import RunnableVersion, VersionRunner, scan_images
from astica_sync.core.model import ModelInfo, content_in_class
from astica_sync.core.rate_limit import forecast
from astica_sync.core.versions.snapshot import ManagedSample, SnapshotSample
from astica_sync.local.db.version_scores import Score
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.remote.rate_limiter import USUAL_LATENCY
from astica_sync.sync.observe import request_view
from astica_sync.system.optional_packages import require
from astica_sync.training.evaluation.evaluate import (
    Evaluation,
    HeldOutSet,
    count_requests,
    evaluate,
    select_counted,
)
from astica_sync.training.evaluation.held_out_folder import find_in_folders, find_similar_inside, select_known
from astica_sync.training.evaluation.leaks import TrainingData, find_leaks, leave_out_trained, merge_leaks
from astica_sync.training.near_duplicates import Fingerprints


@dataclass(frozen=True, slots=True)
class PlannedEvaluation:
    """What an evaluation would do: run the ``versions`` on ``images`` images, with so many ``requests`` for detections
    in about ``seconds``. Answers that are cached cost none."""

    versions: Mapping[str, RunnableVersion]
    images: int
    requests: int
    seconds: float
    held_out: HeldOutSet
    with_leaks: bool
    baseline: str | None
    model: ModelInfo


@dataclass(frozen=True, slots=True)
class Evaluating:
    """The methods of ``Store`` that evaluate versions; they are documented there. ``window`` is how many seconds the
    request limit is about."""

    runner: VersionRunner
    window: float

    def plan(
        self, folders: Sequence[Path], versions: Sequence[str] | None, *, with_leaks: bool, baseline: str | None
    ) -> PlannedEvaluation:
        for package in ("sklearn", "scipy", "numpy"):
            require(package, "evaluate")
        session = self.runner.session
        found = find_in_folders(folders, session.local.preparer.recipe.formats)
        model = self.runner.trainer.poll().model
        chosen = self.runner.choose_versions(versions, model)
        if baseline is not None:
            first = self.runner.find_version(baseline, model)
            baseline, chosen = first.name, {first.name: first, **chosen}
        data, unknown_data, unchecked = self._training_data(list(chosen))
        classes = {name: titles for name, (titles, _) in data.items()}
        known_classes = list(classes.values())
        if unknown_data:
            view, *_ = request_view(session.local, session.remote, session.listener)
            shown = {entry.title for entry in view.classes}
            known_classes.append(shown)
            classes |= dict.fromkeys(unknown_data, shown)
        images, unknown = select_known(found.images, known_classes)
        sources = [TrainingData("", {content: (name, path) for content, name, path in scan_images(session)})]
        sources += [TrainingData(name, trained_on) for name, (_, trained_on) in data.items()]
        recipe = session.local.preparer.recipe
        with (
            contextlib.closing(self.runner.open_cache()) as cache,
            contextlib.closing(Rasterizer(recipe)) as rasterizer,
        ):
            session.listener.phase("Comparing the held-out images with those of the versions")
            fingerprints = Fingerprints(cache, rasterizer)
            own = fingerprints.of_all((image.content, image.path) for image in images)
            leaks = find_leaks(images, own, sources, fingerprints)
            for each in sources:
                unchecked[each.version] = unchecked.get(each.version, 0) + len(fingerprints.unread & each.images.keys())
            similar, similar_across = find_similar_inside(images, own)
            session.listener.phase_ended()
            # Of a version whose data is not known, the store is the best guess.
            leaked = {
                name: {leak.image.name for leak in leaks.get("" if name in unknown_data else name, ())}
                for name in chosen
            }
            left_out = [] if with_leaks else leave_out_trained(list(chosen), leaks, len(images))
            for one in left_out:
                del chosen[one.version], leaks[one.version]
            held_out = HeldOutSet(
                folders,
                images,
                merge_leaks(itertools.chain.from_iterable(leaks.values())),
                unknown,
                left_out,
                unknown_data,
                {name: count for name, count in unchecked.items() if name in chosen},
                found.loose,
                found.ignored,
                similar,
                similar_across,
                found.unsupported,
                classes,
                leaked,
            )
            counted, _ = select_counted(held_out, with_leaks=with_leaks)
            requests = count_requests(counted, [self.runner.detector(one, cache) for one in chosen.values()])
        seconds = forecast([], requests, session.remote.service.limit, self.window, USUAL_LATENCY, 0.0)
        return PlannedEvaluation(chosen, len(counted), requests, seconds, held_out, with_leaks, baseline, model)

    def evaluate(self, planned: PlannedEvaluation, on_progress: Callable[[int, int], None]) -> Evaluation:
        session, history = self.runner.session, self.runner.history
        with contextlib.closing(self.runner.open_cache()) as cache:
            evaluation = evaluate(
                planned.held_out,
                [self.runner.detector(target, cache) for target in planned.versions.values()],
                with_leaks=planned.with_leaks,
                baseline=planned.baseline,
                on_progress=on_progress,
            )
        now = session.runtime.clock.now()
        for metrics in evaluation.measured:
            key = planned.versions[metrics.version].key
            history.add_score(
                Score(
                    metrics.version,
                    metrics.correct,
                    metrics.total,
                    " + ".join(folder.name for folder in planned.held_out.folders),
                    evaluation.images_hash,
                    now,
                    session.remote.service.addresses,
                    session.remote.model_id,
                    key.trained_at if key else None,
                    evaluation.leaked[metrics.version],
                )
            )
        # A name with several versions says nothing of the data.
        summaries = history.summaries()
        names = [summary.version.name for summary in summaries]
        data = {one.version.name: one for one in summaries if names.count(one.version.name) == 1}
        return replace(evaluation, model=planned.model, data=data, made_elsewhere=history.made_elsewhere)

    def _training_data(
        self, names: Sequence[str]
    ) -> tuple[dict[str, tuple[set[str], dict[str, tuple[str, Path | None]]]], list[str], dict[str, int]]:
        """For each of the versions whose data is known: the classes it knows, and a name and a backup file for each
        content it was trained on; the names of the versions whose data is not known, or is only of one of several
        versions of that name; and for each version the number of its training images whose bytes are not here."""
        data: dict[str, tuple[set[str], dict[str, tuple[str, Path | None]]]] = {}
        unknown: list[str] = []
        unchecked: dict[str, int] = {}
        for name in names:
            snapshots = [version.snapshot for version in self.runner.history.versions() if version.name == name]
            if None in snapshots or not snapshots:
                unknown.append(name)
            for sample in itertools.chain.from_iterable(
                self.runner.history.snapshots.read(snapshot)
                for snapshot in dict.fromkeys(snapshots)
                if snapshot is not None
            ):
                classes, images = data.setdefault(name, (set(), {}))
                classes.add(sample.class_title)
                path = None
                content = self._content_of(sample)
                if content:
                    path = self.runner.history.backup.find(content)
                    name_of = sample.path if isinstance(sample, ManagedSample) else f"#{sample.sample_id}"
                    images.setdefault(content, (name_of, path))
                if path is None:
                    unchecked[name] = unchecked.get(name, 0) + 1
        return data, unknown, unchecked

    def _content_of(self, sample: SnapshotSample) -> str:
        """The content hash of a sample, "" where only the service knows it; a uid of another store has it."""
        if isinstance(sample, ManagedSample):
            return sample.content
        session = self.runner.session
        return content_in_class(sample.uid, session.remote.model_id, sample.class_title, session.local.known_recipes())
