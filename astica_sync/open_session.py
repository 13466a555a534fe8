"""Opens a store for a command or a program, with the settings that apply, and closes it again."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from astica_sync.bucket.source_binding import read_source
from astica_sync.clock import Clock, SystemClock, local_time
from astica_sync.config import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    SETTINGS,
    Settings,
    load_key,
    load_settings,
    machine_state_folder,
    service_facts_file,
    user_config_file,
)
from astica_sync.core.plan.guard import Allowance
from astica_sync.errors import ConfigError, DatabaseError, NoStore, StoreUnreadable
from astica_sync.local.check_state_folder import check_state_folder
from astica_sync.local.known_stores import KnownStores
from astica_sync.local.layout import SETTINGS_FILE, Layout, find_store, look_for_store
from astica_sync.local.store_sentinel import Sentinel, read_sentinel
from astica_sync.secret import Secret
from astica_sync.service_address import is_this_machine
from astica_sync.store_trust import FILE_NAME as TRUST_FILE
from astica_sync.store_trust import owners_of, refuse_untrusted
from astica_sync.sync.progress import ProgressListener
from astica_sync.system.start_checks import check_start, current_folder, odd_clock

if TYPE_CHECKING:
    from astica_sync.core.fleet.announcement import LimitSetting
    from astica_sync.core.fleet.fleet import Fleet
    from astica_sync.core.fleet.store_claim import StoreClaim
    from astica_sync.remote.client import OnPolicy
    from astica_sync.remote.fleet.store_announcement import StoreAnnouncement
    from astica_sync.remote.limiter import Limiter
    from astica_sync.remote.rate_limited_client import RateLimitedClient, RequestListener
    from astica_sync.remote.rate_limiter import OnWait
    from astica_sync.sync.session import Session


ADDRESSES = ("train_url", "detect_url")
LOOK_SECONDS = 2.0
"""How long a budget server may take to answer a command that only shows what is used."""


def find(store: Path | None) -> Layout:
    """The named store, or the one that contains the current folder, after the checks of its hidden folder.

    Raises:
        NoStore: there is none.
        UntrustedOwner: it belongs to a user whom this user does not trust.
        StoreError: there are links in its hidden folder.
    """
    layout = find_unchecked(store)
    check_state_folder(layout, owners_of(trust_file(), layout.root))
    return layout


def find_unchecked(store: Path | None) -> Layout:
    """As ``find``, without the checks; for commands that show or allow what they would refuse.

    Raises:
        NoStore: there is none.
        StoreUnreadable: it cannot be seen whether there is one.
    """
    start = store if store is not None else current_folder()
    try:
        return find_store(start)
    except StoreUnreadable:
        raise
    except NoStore as error:
        lost = lost_store_at(start)
        if lost is None:
            raise
        root, at = lost
        raise NoStore(
            f"{root} has no store now; a store was here on {local_time(at)}: is its disk mounted?",
            "Mount it, then run the same command again. If the disk is lost and you have a mirror of the backup: "
            "astica-sync backup restore --from URL --to FOLDER",
        ) from error


def lost_store_at(folder: Path) -> tuple[Path, float] | None:
    """The folder of the store that this user last used in this folder or above it and that is not there now, and when
    that was, in seconds since the epoch; None where none is known.

    Raises:
        StoreUnreadable: it cannot be seen whether it is there.
    """
    lost = KnownStores().last_use_at(folder.resolve())
    return None if lost is None or look_for_store(lost[0]) else lost


def settings_for(layout: Layout | None, flags: dict[str, object] | None = None, *, offline: bool = False) -> Settings:
    """The settings that apply to this store. Where nothing sets the service's address, it is the one that the store was
    made with.

    Args:
        offline: nothing is sent, so the store may name any address.

    Raises:
        ConfigError: a setting is wrong.
        UntrustedAddress: the store's own files name an address that the user has not allowed.
    """
    if layout is None:
        return _with_service_facts(load_settings(os.environ, user_file=user_config_file(), flags=flags))
    settings = _with_store_files(layout, flags)
    if not offline:
        refuse_untrusted(trust_file(), layout.root, _from_store_files(layout, settings))
    return _with_service_facts(settings)


def _with_service_facts(settings: Settings) -> Settings:
    """With the quarantine that the service needs by its last probe, where nothing else sets one."""
    if settings.sources["quarantine"] != "default":
        return settings
    file = service_facts_file(settings.train_url)
    if not file.exists():
        return settings
    # Loaded here: a command without such a file starts faster.
    from astica_sync.core.service_facts.quarantine_from_lag import quarantine_for
    from astica_sync.local.service_facts_file import read_service_facts

    # A damaged file is shown by ``doctor``; the default is right without it.
    with contextlib.suppress(FileNotFoundError, ConfigError):
        needed = quarantine_for(read_service_facts(file).facts, settings.quarantine)
        if needed > settings.quarantine:
            return replace(settings, quarantine=needed, sources={**settings.sources, "quarantine": str(file)})
    return settings


def store_addresses(layout: Layout) -> list[str]:
    """The addresses that the store's own files choose, as things are now.

    Raises:
        ConfigError: a setting is wrong.
    """
    return [*_from_store_files(layout, _with_store_files(layout, None)), *filter(None, [read_source(layout)])]


def trust_file() -> Path:
    """Where this user's permissions are recorded."""
    return machine_state_folder() / TRUST_FILE


def _with_store_files(layout: Layout, flags: dict[str, object] | None) -> Settings:
    store_file = layout.root / SETTINGS_FILE
    settings = load_settings(os.environ, store_file=store_file, user_file=user_config_file(), flags=flags)
    if settings.sources["train_url"] != "default":
        return settings
    bound = read_sentinel(layout).train_url
    if bound == settings.train_url:
        return settings
    settings = load_settings(
        os.environ, store_file=store_file, user_file=user_config_file(), flags={"train_url": bound, **(flags or {})}
    )
    return replace(settings, sources={**settings.sources, "train_url": str(layout.sentinel_file)})


def _from_store_files(layout: Layout, settings: Settings) -> list[str]:
    files = {str(layout.root / SETTINGS_FILE), str(layout.sentinel_file)}
    usual = {setting.default for setting in SETTINGS if setting.name in ADDRESSES}
    return [
        getattr(settings, name)
        for name in ADDRESSES
        if settings.sources[name] in files and getattr(settings, name) not in usual
    ]


@dataclass(frozen=True, slots=True)
class AnnouncedStore:
    """The store of a process, for the machines that share a budget server."""

    root: Path
    model_id: int
    announcement: "StoreAnnouncement | None" = None


PYTHON = "python"
"""What a program does that uses the package, in place of the name of a command."""


@contextlib.contextmanager
def open_service(
    settings: Settings,
    key: Secret,
    clock: SystemClock,
    listener: ProgressListener,
    doing: str = PYTHON,
    store: AnnouncedStore | None = None,
) -> "Iterator[RateLimitedClient]":
    """The service, with the request budget that all processes of the machine share for this key.

    Args:
        doing: the command, for the machines that share a budget server.
        store: for the same.
    """
    from astica_sync.remote.client import ServiceClient
    from astica_sync.remote.limit_refusals.passed_requests import PassedRequests
    from astica_sync.remote.limit_refusals.recording_limiter import RecordingLimiter
    from astica_sync.remote.rate_limited_client import RateLimitedClient

    def recording(limiter: "Limiter", name: str) -> RecordingLimiter:
        terms = (settings.limit, settings.limit_window)
        passed = PassedRequests(settings.limit_window, clock.ticks, partial(_record_passed, name, terms, clock))
        reports.callback(passed.report)
        record = partial(_record_refusal, name, terms, clock)
        return RecordingLimiter(limiter, record, counts=not settings.budget, passed=passed)

    def on_policy(detections: bool, limit: int, window: float) -> None:
        take_policy(detections, limit, window)
        (detecting if detections else training).policy_announced()

    with (
        open_budgets(settings, key, clock, listener) as (train, detect, take_policy),
        _announced(settings, key, clock, listener, doing, store) as (on_request, on_wait),
        contextlib.closing(ServiceClient(key, settings.train_url, settings.detect_url, clock, on_policy)) as client,
        contextlib.ExitStack() as reports,
    ):
        training = recording(train, budget_name(key, settings, "train"))
        detecting = recording(detect, budget_name(key, settings, "detect"))
        yield RateLimitedClient(
            client,
            training,
            detecting,
            budget_clock(settings, clock),
            on_wait=on_wait,
            on_request=on_request,
        )


def _record_refusal(name: str, terms: tuple[int, float], clock: Clock, count: int, answered: int | None) -> None:
    """Records requests that the service has refused for its limit, and how many are answered."""
    # Loaded here: it is rare.
    from astica_sync.system.refusal_record import SeenRefusals, record_refusal

    seen = SeenRefusals(count, answered, clock.now(), clock.ticks())
    record_refusal(machine_state_folder(), name, terms, seen)


def _record_passed(name: str, terms: tuple[int, float], clock: Clock, count: int, age: float) -> None:
    """Records how many requests passed in one window that began ``age`` seconds ago."""
    # Loaded here: it changes nothing where nothing was refused.
    from astica_sync.system.refusal_record import record_passed

    record_passed(machine_state_folder(), name, terms, count, clock.now() - age)


def budget_name(key: Secret, settings: Settings, endpoint: str) -> str:
    """The name under which the requests of this key to the endpoint "train" or "detect" are counted."""
    from astica_sync.remote.rate_limiter import limiter_name

    return limiter_name(key, f"{endpoint} {settings.train_url if endpoint == 'train' else settings.detect_url}")


@contextlib.contextmanager
def _announced(
    settings: Settings,
    key: Secret,
    clock: SystemClock,
    listener: ProgressListener,
    doing: str,
    store: AnnouncedStore | None,
) -> "Iterator[tuple[RequestListener, OnWait]]":
    """What is called for requests and for waits: the listener, and where a server has the budget an announcer too."""
    if not settings.budget:
        yield listener, listener.waits
        return
    from astica_sync.core.fleet.announcement import ProcessTask
    from astica_sync.remote.fleet.announce_requests import announce_requests

    name = budget_name(key, settings, "train")
    task = ProcessTask(doing) if store is None else ProcessTask(doing, os.fspath(store.root), store.model_id)
    announced = None if store is None else store.announcement
    with announce_requests(settings.budget, name, task, own_limit(settings), clock, listener, announced) as both:
        yield both


def _store_announcement(
    settings: Settings, layout: Layout, sentinel: Sentinel, clock: Clock
) -> "StoreAnnouncement | None":
    """What the store announces of itself on the budget server; None without one."""
    if not settings.budget:
        return None
    from astica_sync.remote.fleet.store_announcement import StoreAnnouncement

    return StoreAnnouncement(claim_of_store(settings, layout, sentinel), clock.ticks)


def claim_of_store(settings: Settings, layout: Layout, sentinel: Sentinel) -> "StoreClaim":
    """The store and the classes that it manages, without times."""
    from astica_sync.core.fleet.store_claim import StoreClaim, titles_to_write

    titles, more = titles_to_write(settings.owns)
    return StoreClaim(announced_id(sentinel), os.uname().nodename, layout.root.name, sentinel.model_id, titles, more)


def announced_id(sentinel: Sentinel) -> str:
    """By which a store is known on a budget server: its own id stays on this machine."""
    return hashlib.sha256(f"store {sentinel.store_id}".encode()).hexdigest()[:16]


@contextlib.contextmanager
def open_budgets(
    settings: Settings, key: Secret, clock: SystemClock, listener: ProgressListener
) -> "Iterator[tuple[Limiter, Limiter, OnPolicy]]":
    """The budgets for trainings and for detections, and what takes a limit that the service names; on the clock
    ``budget_clock``."""
    folder = check_start(os.environ)
    ticking = budget_clock(settings, clock)
    if odd := odd_clock(clock.now()):
        listener.note(odd)
    with contextlib.ExitStack() as stack:

        def budget(endpoint: str) -> "Limiter":
            name = budget_name(key, settings, endpoint)
            limiter = _open_limiter(settings, folder, name, ticking, follows=follows, on_note=listener.note)
            return stack.enter_context(contextlib.closing(limiter))

        # A sandbox says what it allows.
        host = urlsplit(settings.train_url).hostname or ""
        follows = settings.sources.get("limit") == "default" and is_this_machine(host)
        train, detect = budget("train"), budget("detect")

        def take_policy(detections: bool, limit: int, window: float) -> None:
            (detect if detections else train).take_policy(limit, window)

        yield train, detect, take_policy


def budget_clock(settings: Settings, clock: SystemClock) -> Clock:
    """The clock of the rate limiters: that of a budget server goes on while this machine sleeps."""
    if not settings.budget:
        return clock
    from astica_sync.remote.shared_budget.open_budget import ClockWithSleep

    return ClockWithSleep(clock)


def _open_limiter(
    settings: Settings,
    folder: Path,
    name: str,
    clock: Clock,
    *,
    follows: bool = False,
    on_note: Callable[[str], None],
    answer_s: float | None = None,
) -> "Limiter":
    """The rate limiter in the file of this machine, or on the server that the settings name. The parameters are those
    of the two.

    Raises:
        ConfigError: the settings of the server contradict each other, or the library for it is missing.
    """
    terms: dict[str, Any] = {
        "name": name,
        "limit": settings.limit,
        "window": settings.limit_window,
        "clock": clock,
        "follows": follows,
    }
    if not settings.budget:
        from astica_sync.remote.rate_limiter import RateLimiter

        return RateLimiter(folder / "budget.db", **terms)
    from astica_sync.remote.shared_budget.open_budget import BudgetAddress, open_shared_limiter

    place = BudgetAddress(settings.budget, settings.budget_share, settings.budget_pool)
    if answer_s is not None:
        place = replace(place, answer_s=answer_s)
    return open_shared_limiter(place, folder, **terms, on_note=on_note)


@dataclass(frozen=True, slots=True)
class ServerState:
    """A budget server as seen now. ``problem`` is why nothing can start, and ``note`` what else it has said; for
    ``rest`` seconds no machine sends, since the service has refused a request for its limit."""

    place: str
    used: int | None
    limit: int
    problem: str = ""
    hint: str = ""
    note: str = ""
    rest: float = 0.0


def budget_server(layout: Layout | None) -> ServerState | None:
    """The budget server that the settings name, asked now; None where they name none.

    Raises:
        AsticaSyncError: the settings cannot be read, or the library for the server is missing.
    """
    settings = settings_for(layout, offline=True)
    if not settings.budget:
        return None
    try:
        key = load_key(os.environ)
    except ConfigError:
        key = Secret("")
    state = ServerState(str(settings.budget), None, settings.limit)
    try:
        used, note, rest = _budget_use(settings, key)
    except DatabaseError as error:
        return replace(state, problem=str(error), hint=error.hint)
    # What is said of the count of no key is of no use; that the server has answered is.
    return replace(state, used=used, note=note, rest=rest) if key.reveal() else state


def budget_use(layout: Layout) -> tuple[int, int]:
    """How many requests of the store's key count now, over all processes that share the budget, and the limit.

    Raises:
        AsticaSyncError: the settings, the key or the budget cannot be read.
    """
    settings = settings_for(layout, offline=True)
    if not settings.budget and not (machine_state_folder() / "budget.db").exists():
        return 0, settings.limit
    used, _, _ = _budget_use(settings, load_key(os.environ))
    return used, settings.limit


def _budget_use(settings: Settings, key: Secret) -> tuple[int, str, float]:
    """How many requests count now, what a budget server has said of itself, and for how many seconds nothing is sent
    after a refusal of the service."""
    said: list[str] = []
    name = budget_name(key, settings, "train")
    clock = budget_clock(settings, SystemClock())
    limiter = _open_limiter(settings, machine_state_folder(), name, clock, on_note=said.append, answer_s=LOOK_SECONDS)
    with contextlib.closing(limiter):
        used, rest = limiter.used(), limiter.rest()
        return used, said[-1] if said else "", rest


def own_limit(settings: Settings) -> "LimitSetting":
    """The limit that this machine is set to, and its own part of it."""
    from astica_sync.core.fleet.announcement import LimitSetting

    return LimitSetting(settings.limit, settings.limit_window, settings.budget_share)


def fleet_of_key(settings: Settings) -> "Fleet":
    """The processes that share the key's budget server, as they have announced themselves.

    Raises:
        ConfigError: no budget server is set, it cannot be used, or there is no key.
        DatabaseError: it does not answer.
    """
    if not settings.budget:
        raise ConfigError(
            "no budget server is set, so this machine counts its requests alone and sees no other",
            'The page "One limit for several machines" of the manual has the setting.',
        )
    from astica_sync.remote.fleet.read_fleet import read_fleet

    return read_fleet(settings.budget, budget_name(load_key(os.environ), settings, "train"), LOOK_SECONDS)


def stores_of_model(settings: Settings, model_id: int) -> "list[StoreClaim]":
    """The stores of a model that have announced themselves on the budget server; none without one, or where it does not
    answer: who only shows them works without."""
    if not settings.budget:
        return []
    from astica_sync.core.fleet.store_claim import claims_of_model

    with contextlib.suppress(ConfigError, DatabaseError):
        return claims_of_model(fleet_of_key(settings).stores, model_id)
    return []


def forecast_of_key(settings: Settings, requests: int) -> float | None:
    """The seconds until so many more requests of this user's key are answered, as counted on this machine; None where
    that is not known without asking. For commands that work without a key."""
    file = machine_state_folder() / "budget.db"
    with contextlib.suppress(ConfigError, DatabaseError):
        name = name_in_budget(settings)
        if settings.budget or not name or not file.exists():
            return None
        limiter = _open_limiter(settings, file.parent, name, SystemClock(), on_note=lambda _: None)
        with contextlib.closing(limiter):
            return limiter.forecast(requests)
    return None


def name_in_budget(settings: Settings, endpoint: str = "train") -> str:
    """The name under which the key of the environment is counted; "" without one. A keyring may ask the user to unlock
    it, so none is read for this.

    Raises:
        ConfigError: the key cannot be read.
    """
    if not os.environ.get(KEY_VARIABLE, "").strip() and not os.environ.get(KEY_FILE_VARIABLE, "").strip():
        return ""
    return budget_name(load_key(os.environ), settings, endpoint)


@dataclass(frozen=True, slots=True)
class OpenStore:
    """An open store and the settings it was opened with."""

    session: "Session"
    settings: Settings
    layout: Layout


@contextlib.contextmanager
def open_session(
    store: Path | None,
    listener: ProgressListener,
    *,
    clock: SystemClock,
    offline: bool = False,
    allowance: Callable[[Allowance], Allowance] = lambda usual: usual,
    doing: str = PYTHON,
) -> Iterator[OpenStore]:
    """Opens the store, or the one that contains the current folder, and the service.

    Args:
        offline: for commands that send nothing; needs no key.
        allowance: changes what the guard allows by the settings.
        doing: the command, for the machines that share a budget server.

    Raises:
        NoStore: there is no store there.
        ConfigError: a setting is wrong, there is no key, or the settings name another service than the store's.
    """
    from astica_sync.bucket.source_binding import check_journal
    from astica_sync.bucket.store_files import hash_threads, store_files
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.db.index import Index
    from astica_sync.local.db.journal import Journal
    from astica_sync.local.image.decoder import Decoder
    from astica_sync.local.image.prepare.preparer import Preparer
    from astica_sync.local.image.prepare.usable_formats import usable_recipe
    from astica_sync.local.lock import writer_lock
    from astica_sync.sync.apply.pipeline import THREADS
    from astica_sync.sync.apply.thread_pool import thread_pool
    from astica_sync.sync.session import LocalSide, Policy, RemoteSide, Runtime, Session

    layout = find(store)
    sentinel = read_sentinel(layout)
    settings = settings_for(layout, offline=offline)
    if not offline:
        _refuse_another_service(settings, sentinel)
    key = Secret("") if offline else load_key(os.environ)
    # What sends nothing asks no budget server either: the count of an empty key means nothing.
    counted = replace(settings, budget="") if offline else settings
    fs = store_files(layout, trust_file())
    run = os.urandom(6).hex()
    lock = partial(writer_lock, on_wait=listener.waits)
    usual = Allowance(settings.max_remove, settings.max_remove_class, settings.min_remove)
    announced = _store_announcement(settings, layout, sentinel, clock)
    place = AnnouncedStore(layout.root, sentinel.model_id, announced)
    with (
        open_service(counted, key, clock, listener, doing, place) as service,
        contextlib.closing(Index(layout.index_db)) as index,
        contextlib.closing(Journal(layout.journal_db, run)) as journal,
        contextlib.closing(Decoder(files=fs)) as decoder,
        contextlib.closing(Preparer(usable_recipe(settings.recipe))) as preparer,
        thread_pool(THREADS) as workers,
    ):
        check_journal(layout, journal, fs)
        index.use_recipe(preparer.recipe)
        session = Session(
            LocalSide(layout, fs, index, journal, Backup(layout.backup, fs), decoder, preparer, lock, hash_threads(fs)),
            RemoteSide(service, sentinel.model_id, settings.quarantine),
            Runtime(clock, workers, clock.now(), clock.stopping.is_set),
            Policy(settings.quarantine, settings.class_remove, allowance(usual), owned=settings.owned),
            listener,
            on_agreed=announced.agreed if announced is not None else lambda: None,
        )
        yield OpenStore(session, settings, layout)


def _refuse_another_service(settings: Settings, sentinel: Sentinel) -> None:
    """Another service has another model under the same id; a variable left over from the sandbox is enough for that.

    Raises:
        ConfigError: the settings name another service than the one the store was made for.
    """
    if settings.train_url != sentinel.train_url:
        raise ConfigError(
            f"the store mirrors a model at {sentinel.train_url}, and {settings.sources['train_url']} says "
            f"{settings.train_url}",
            "Unset that; or bind the store to a model of that service, one of those that astica-sync models lists: "
            "astica-sync init --model ID --rebind",
        )
