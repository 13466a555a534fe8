"""How work on many files is cut into shards for a cluster: large enough to cost little each, and so many that the last
ones end at nearly the same time."""

MOST_IN_SHARD = 512
LEAST_IN_SHARD = 32
MOST_BYTES = 4_000_000
"""Of a shard whose files are sent with it. A larger file is a shard by itself."""
LARGEST_SENT = 32_000_000
"""A larger file is not sent."""
_SHARDS_FOR_EACH_SLOT = 4
_IN_FLIGHT_FOR_EACH_SLOT = 2


def files_in_shard(files: int, slots: int) -> int:
    """The most files of a shard, where so many files are left for so many slots (threads of workers)."""
    return max(LEAST_IN_SHARD, min(MOST_IN_SHARD, -(-files // (_SHARDS_FOR_EACH_SLOT * max(slots, 1)))))


def most_in_flight(slots: int) -> int:
    """How many shards are sent to so many slots before one comes back: what each works on, and the next one."""
    return _IN_FLIGHT_FOR_EACH_SLOT * slots


def fits(files: int, size: int, more: int) -> bool:
    """Whether a file of ``more`` bytes is sent with the same shard as ``files`` files of ``size`` bytes together."""
    return files == 0 or size + more <= MOST_BYTES
