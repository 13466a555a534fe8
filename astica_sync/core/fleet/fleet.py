"""The processes and stores that share a request budget, in the order in which they are shown."""

from collections.abc import Iterable
from dataclasses import dataclass

from astica_sync.core.fleet.announcement import Announcement, LimitSetting, ProcessTask
from astica_sync.core.fleet.store_claim import StoreClaim


@dataclass(frozen=True, slots=True)
class Fleet:
    """All processes of one budget: those that are here, by machine, and the last record of each other one, the newest
    first; and the stores, by model and machine."""

    here: tuple[Announcement, ...]
    gone: tuple[Announcement, ...]
    stores: tuple[StoreClaim, ...] = ()

    @property
    def processes(self) -> int:
        """How many processes are here: a watcher of several stores is one."""
        return len({(one.machine, one.pid, one.task if one.pid is None else None) for one in self.here})

    @property
    def machines(self) -> int:
        """How many machines are here."""
        return len({one.machine for one in self.here})

    def other_limits(self, own: LimitSetting) -> list[Announcement]:
        """For each machine that is here with another limit or window one process of it."""
        found: dict[tuple[str, int, float], Announcement] = {}
        for one in self.here:
            if one.setting is not None and (one.setting.limit, one.setting.window) != (own.limit, own.window):
                found.setdefault((one.machine, one.setting.limit, one.setting.window), one)
        return list(found.values())


def fleet_of(announcements: Iterable[Announcement], stores: Iterable[StoreClaim] = ()) -> Fleet:
    """What was last seen of a machine, store and command is left out where the same is here."""
    ordered = sorted(announcements, key=lambda one: one.seen)
    here = [one for one in ordered if one.is_here]
    known = {_work_of(one) for one in here}
    gone = []
    for one in ordered:
        if not one.is_here and _work_of(one) not in known:
            known.add(_work_of(one))
            gone.append(one)
    here.sort(key=lambda one: (one.machine, one.task.store, one.task.doing, one.pid or 0))
    named = sorted(stores, key=lambda one: (one.model, one.machine, one.store, one.store_id))
    return Fleet(tuple(here), tuple(gone), tuple(named))


def _work_of(announcement: Announcement) -> tuple[str, ProcessTask]:
    return announcement.machine, announcement.task
