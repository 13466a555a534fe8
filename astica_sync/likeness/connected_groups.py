"""Groups of what is joined by pairs, directly or through others."""

from collections.abc import Iterable


def connected_groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The lowest member of the group of each of ``count`` members; the ``pairs`` are of their numbers."""
    groups = list(range(count))

    def lowest(member: int) -> int:
        while groups[member] != member:
            groups[member] = groups[groups[member]]
            member = groups[member]
        return member

    for pair in pairs:
        one, two = map(lowest, pair)
        groups[max(one, two)] = min(one, two)
    return [lowest(member) for member in groups]
