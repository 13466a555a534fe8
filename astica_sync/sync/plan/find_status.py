"""Scan, observe, plan: what differs, and what a push would do. Changes neither side."""

import functools
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace

from astica_sync.clock import Clock
from astica_sync.core.model import (
    ALL_READABLE,
    LocalSample,
    Observation,
    Problem,
    Unreadable,
    content_of,
    find_equal_scopes,
    recipe_in,
)
from astica_sync.core.observation.shown_size import fits
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.plan.gather_facts import FileAt, PlanContext
from astica_sync.core.plan.guard import (
    LOSSES,
    MEMORY_SECONDS,
    NO_REMOVALS,
    RecentRemovals,
    Refusal,
    check_given_up,
    check_reconversions,
    check_removals,
    check_repeats,
)
from astica_sync.core.plan.plan import Plan
from astica_sync.core.plan.planner import make_plan
from astica_sync.core.plan.similar_titles import NearTitle, titles_to_confirm
from astica_sync.core.versions.match_unmanaged import find_unproven
from astica_sync.errors import StoreError
from astica_sync.local.backup.service_records import Records
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.db.journal import BadSample
from astica_sync.local.scan.file_hash import hash_file
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.scan.placeholder import find_placeholder
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store
from astica_sync.sync.observe import last_observation, observe
from astica_sync.sync.plan.ask_watcher import scan_by_watcher
from astica_sync.sync.plan.name_unread_files import name_unread_files
from astica_sync.sync.plan.plan_differences import compare, samples_of
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import LocalSide, Session, VersionAsStore

UIDS_PROVEN = "uids_proven"
"""The journal's key for whether an observation has shown that the service keeps our uids whole."""
SIZES_SHOWN = "sizes_shown"
"""The journal's key for whether the service has shown the size of the first upload as it was."""
ENOUGH_OTHERS = 3
"""How many samples have to show another size until sizes decide nothing."""
PROVING_MARKS = 50
"""How many samples are looked at to see how the service shows their sizes."""
FOLLOWS = "follows"
"""The journal's key for the version, and its snapshot, whose data the service was made to hold."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Both sides at one time, and the plan that follows.

    ``bad`` are the samples that failed before and are not tried again, by uid. ``near`` are the new classes whose
    uploads wait for a confirmation, since their titles are similar to existing ones. ``most`` is the limit of new
    samples that the plan was made with. ``rejected`` are files whose uploads are not in the plan since they would fail,
    and ``unchecked`` counts the samples of which only a push finds that out (``check_samples``). ``formats`` are those
    of the images to upload that are converted before, by content hash. ``owned`` are the classes that it manages.
    """

    scan: Scan
    observation: Observation
    plan: Plan
    refusals: list[Refusal]
    problems: list[Problem]
    bad: dict[str, BadSample]
    near: list[NearTitle]
    most: int | None = None
    rejected: list[Problem] = field(default_factory=list)
    unchecked: int = 0
    formats: dict[str, str] = field(default_factory=dict)
    owned: OwnedClasses = ALL_CLASSES

    @property
    def in_sync(self) -> bool:
        return self.plan.in_sync and not (self.refusals or self.rejected)


def find_status(
    session: Session, *, offline: bool = False, quick: bool = False, most: int | None = None
) -> StoreStatus:
    """Scans the store, requests one view (none when ``offline``) and plans.

    Args:
        quick: for a command that sends nothing: relies on the watcher and on the last comparison.
        most: plans so many uploads of new samples; the plan counts the others.

    Raises:
        StoreError: the store cannot be scanned, or ``offline`` is set and there is no stored observation.
        RemoteError: there is no observation; nothing may be concluded.
    """
    local, remote, clock, listener = session.local, session.remote, session.runtime.clock, session.listener
    by_watcher = scan_by_watcher(local, clock) if quick else None
    scan = by_watcher or _scan(local, clock, listener)
    version = local.index.version
    if offline:
        observation = last_observation(local, remote.model_id, session.target)
    else:
        observation = observe(local, remote, listener, session.target)
    if by_watcher is None and local.index.version != version:
        # Another process has scanned meanwhile. What it could not read is missing in the index, which both fill.
        scan = _scan(local, clock, listener)
    listener.phase("Comparing the store with the service")
    try:
        status = plan_round(session, scan, observation, quick=quick, most=most)
    finally:
        listener.phase_ended()
    if status.in_sync and not offline and session.target is None:
        session.on_agreed()
    return status


def _scan(local: LocalSide, clock: Clock, listener: ProgressListener) -> Scan:
    listener.phase("Scanning the store")
    failed = [entry.path for entry in local.journal.bad()]
    options = ScanOptions(threads=local.hash_threads, recipe=local.preparer.recipe, failed=failed)
    try:
        return scan_store(
            local.layout, local.index, clock=clock, files=local.fs, options=options, progress=listener.scanned
        )
    finally:
        listener.phase_ended()


def plan_round(
    session: Session,
    scan: Scan,
    observation: Observation,
    accepted: Container[str] = frozenset(),
    *,
    quick: bool = False,
    most: int | None = None,
) -> StoreStatus:
    """Plans from a scan and an observation, and asks the guard; sends nothing.

    Args:
        accepted: new class titles that the user wants although they are similar to existing ones.
        quick: uses what an earlier comparison of the same sides found.
        most: as in ``find_status``.
    """
    local, target, owned = session.local, session.target, session.policy.owned
    recipe = local.index.recipe_identity
    if recipe and not observation.classes_known:
        raise StoreError(
            "the service cuts uids, so it cannot be seen which sample was made by which recipe",
            f"Nothing was sent. Leave out of the settings what changes the recipe: {recipe}.",
        )
    if equal := find_equal_scopes(session.remote.model_id, scan.classes, recipe):
        raise StoreError(
            f"the classes {equal[0]!r} and {equal[1]!r} have one short hash, so their images cannot be distinguished",
            "Nothing was sent. Rename one of the two folders.",
        )
    # The classes of a version were confirmed when it was made.
    sent = filter(local.journal.has_class, scan.classes)
    shown = {entry.title for entry in observation.classes}
    near = [] if target else titles_to_confirm(set(filter(owned.covers, scan.classes)), shown, set(sent), accepted)
    bad = {entry.uid: entry for entry in local.journal.bad()}
    context = PlanContext(
        run=local.journal.run,
        run_started=session.runtime.run_started,
        quarantine=session.policy.quarantine,
        unreadable=ALL_READABLE if target else _owned_part(scan.unknown, owned),
        failed_before=bad.keys(),
        questioned_titles={entry.title for entry in near},
        class_remove=session.policy.class_remove,
        uids_proven=bool(local.journal.get_meta(UIDS_PROVEN)),
        ignored=_find_ignored(local),
        held_out=_find_held_out(local),
        file_at=_find_file_at(local, session.runtime.clock.now(), session.policy.quarantine),
        # The size of what was converted is that of its record, whatever has become of the original.
        is_intact=lambda content: content in local.backup.prepared.records() or local.backup.check(content) is None,
        size_of=find_size_of(local, session.remote.model_id),
        recipe_of=local.index.recipe_of,
        sent_size_of=find_sent_size_of(local, of_version=target is not None),
        shows_sizes=functools.cache(lambda: sees_sizes(local, observation)),
        is_version=target is not None,
        unproven=find_unproven(Records(local.backup.root, local.fs, session.remote.model_id).adopted()),
        owned=owned,
    )
    if target is not None:
        plan = make_plan(target.samples, local.journal.marks(), observation, context)
    else:
        plan = compare(local, observation, context, quick=quick, most=most)
    if owned and target is None:
        counts = local.index.samples_by_class().items()
        plan = replace(plan, not_owned={title: count for title, count in counts if not owned.covers(title)})
    problems = list(find_problems(local, owned))
    plan = name_unread_files(plan, [one.path for one in problems if one.path in scan.hiding], moved=scan.moved)
    waiting_titles = {upload.class_title for upload in plan.questioned}
    return StoreStatus(
        scan,
        observation,
        plan,
        check_removals(plan, session.policy.allowance, _recent_removals(session, plan))
        + check_given_up(plan, session.policy.allowance)
        + check_reconversions(plan, session.policy.allowance)
        + check_repeats(plan, session.policy.allowance),
        problems,
        bad,
        [entry for entry in near if entry.title in waiting_titles],
        most,
        formats=_formats_of(local, plan),
        owned=owned,
    )


def find_problems(local: LocalSide, owned: OwnedClasses) -> Iterable[Problem]:
    """The files that cannot be samples, without those in the class folders of other stores."""
    for problem in local.index.problems():
        folder, slash, _ = problem.path.partition("/")
        title = class_title_of(folder) if slash else None
        if title is None or owned.covers(title):
            yield problem


def _owned_part(unknown: Unreadable, owned: OwnedClasses) -> Unreadable:
    return replace(unknown, classes=frozenset(filter(owned.covers, unknown.classes)))


def _formats_of(local: LocalSide, plan: Plan) -> dict[str, str]:
    formats = local.index.formats_of([content_of(upload.uid) for upload in plan.uploads])
    return {content: word for content, word in formats.items() if local.preparer.recipe.converts(word)}


def _recent_removals(session: Session, plan: Plan) -> RecentRemovals:
    """What was removed in the last day without confirmation; read only where the plan removes something."""
    if not plan.removed:
        return NO_REMOVALS
    since = session.runtime.clock.now() - MEMORY_SECONDS
    return RecentRemovals(session.local.journal.removals_since(since, [str(why) for why in LOSSES]))


def samples_to_hold(local: LocalSide, model_id: int, target: VersionAsStore | None) -> Iterable[LocalSample]:
    """What the service is to hold, sorted by uid: the samples of the store, or those of the target."""
    return target.samples if target else local.index.local_samples(model_id)


def _find_held_out(local: LocalSide) -> Callable[[str], bool]:
    """Returns a function: whether ``split`` has moved the sample with a uid to a held-out folder, and its bytes are
    there."""
    places = functools.cache(local.journal.held_out)

    def held_out(uid: str) -> bool:
        place = places().get(uid)
        if place is None:
            return False
        # A path in a store's files may be any text.
        return "\0" not in place and hash_file(local.fs, place).content == content_of(uid)

    return held_out


def _find_file_at(local: LocalSide, now: float, quarantine: float) -> Callable[[str], FileAt | None]:
    """Returns a function: what the scan found at a path, or what stands there for an image that is elsewhere."""

    def file_at(path: str) -> FileAt | None:
        if not path:
            return None
        found = local.index.file_at(path)
        if found is not None:
            content, problem = found
            is_edit = content is None or _is_edit(local, content, path, now, quarantine)
            return FileAt(content or "", problem or "", is_edit)
        try:
            placeholder = find_placeholder(local.fs, local.layout.root, path)
        except OSError as error:
            return FileAt(problem=f"its folder cannot be read: {error.strerror}")
        return None if placeholder is None else FileAt(problem=f"a cloud client has replaced it by {placeholder}")

    return file_at


def _is_edit(local: LocalSide, content: str, path: str, now: float, quarantine: float) -> bool:
    """Whether the image at ``path`` came to the store with this file, as an edited one does: it was under no other name
    and in no other class before, and not under this name for longer than the guard remembers (uploading the edits of a
    whole store takes hours), so that the image that was here has gone with it."""
    title = class_title_of(path.partition("/")[0])
    marks = local.journal.marks_of(content)
    here = next((mark for mark in marks if mark.class_title == title), None)
    elsewhere = [mark for mark in marks if mark is not here]
    if here is None:
        paths = [] if title is None else local.index.paths_of(title, content)
        return not elsewhere and path in (paths or [path])[:1]
    if here.path != path or here.sent_at is None or now - here.sent_at > MEMORY_SECONDS:
        return False
    # What a run sends to two classes is sent within a quarantine, as a rule.
    return all(mark.sent_at is not None and mark.sent_at + quarantine >= here.sent_at for mark in elsewhere)


def sees_sizes(local: LocalSide, observation: Observation) -> bool | None:
    """Whether the service shows the sizes of the images that this store has sent as they are; None where it shows none
    of them. The first upload of the store has shown that it does, or else most of some samples: a service may change
    images."""
    known = local.journal.get_meta(SIZES_SHOWN)
    if known is not None:
        return bool(known)
    size_of, decimals = find_size_of(local, observation.model.model_id), observation.size_decimals
    found = []
    for mark in local.journal.sent_marks(PROVING_MARKS):
        size = size_of(mark.uid, mark.class_title)
        shown = [one for one in samples_of(observation)([mark.content]) if one.uid == mark.uid and one.size]
        if size is not None and shown:
            found.append(any(fits(size, sample.size, decimals) for sample in shown))
    fitting = found.count(True)
    if fitting * 2 > len(found):
        return True
    # Fewer may have been made elsewhere, before what this store has sent is shown.
    return False if len(found) - fitting >= ENOUGH_OTHERS else None


def find_sent_size_of(local: LocalSide, *, of_version: bool = False) -> Callable[[str, int], int | None]:
    """Returns a function: how many bytes are sent of an image, by its content hash and the size of its file; None for
    one that is to be converted and was not yet. ``of_version``: the images are those of a version, so that the index
    may not have them."""
    converted, prepared = local.index.prepared(), local.backup.prepared.records()
    if not converted and not prepared:
        return lambda _, size: size
    recipe = local.index.recipe_identity

    def sent_size_of(content: str, size: int) -> int | None:
        made = prepared.get(content, {})
        # What is not converted any more may have been, by the default recipe, whose uids are the same.
        record = made.get(recipe if content in converted or (of_version and made) else "")
        if record is not None:
            return record.size
        return None if content in converted else size

    return sent_size_of


def find_size_of(local: LocalSide, model_id: int) -> Callable[[str, str], int | None]:
    """Returns a function: how many bytes were sent as a sample, of an image in the backup, by its uid and its class."""
    converted = functools.cache(local.index.prepared)

    def size_of(uid: str, title: str) -> int | None:
        content = content_of(uid)
        try:
            made = local.backup.prepared.records().get(content, {})
            recipe = recipe_in(uid, model_id, title, {"": None, local.index.recipe_identity: None, **made})
            if recipe is None and len(made) == 1:
                # The service may spell the class in another way.
                [recipe] = made
            if recipe in made:
                return made[recipe].size
            return None if recipe or made or content in converted() else local.backup.size_of(content)
        except StoreError:
            return None

    return size_of


def _find_ignored(local: LocalSide) -> Callable[[str], bool]:
    """Returns a test: whether a file exists in the store and the ignore file excludes it."""
    ignore = Ignore.load(local.layout.root)

    def is_ignored(path: str) -> bool:
        if not path or not ignore.skips_below(path):
            return False
        try:
            local.fs.lstat(local.layout.root / path)
        except OSError:
            return False
        return True

    return is_ignored
