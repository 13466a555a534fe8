"""The order of uploads."""

from hypothesis import given
from hypothesis import strategies as st

from astica_sync.core.plan.plan import Upload
from astica_sync.core.watch.upload_queue import OLDEST_EVERY, UploadQueue


def upload(number: int, scope: str = "00000000") -> Upload:
    return Upload(f"{number:032x}-{scope}", "Can", f"Can/{number}.png", 1)


def numbers(uploads: list[Upload]) -> list[int]:
    return [int(entry.uid[:32], 16) for entry in uploads]


def test_the_newest_upload_is_first_and_every_fourth_is_the_oldest() -> None:
    queue = UploadQueue()
    queue.add(upload(number) for number in range(10))
    assert numbers(queue.take(5)) == [9, 8, 7, 0, 6]
    queue.add([upload(100)])
    assert numbers(queue.take(4)) == [100, 5, 1, 4]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_every_upload_is_taken_however_many_newer_ones_are_added(waiting: int, count: int, added: int) -> None:
    queue = UploadQueue()
    queue.add(upload(number) for number in range(waiting))
    seen: set[int] = set()
    fresh = 1000
    for _ in range(waiting * OLDEST_EVERY + 1):
        seen.update(numbers(queue.take(count)))
        queue.add(upload(fresh + extra) for extra in range(added))
        fresh += added
    assert seen >= set(range(waiting))


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "discard"]), st.integers(0, 12))))
def test_each_sample_is_taken_once_for_each_time_it_was_added(steps: list[tuple[str, int]]) -> None:
    queue = UploadQueue()
    waiting: set[int] = set()
    for step, number in steps:
        if step == "add":
            queue.add([upload(number)])
            waiting.add(number)
        elif step == "discard":
            queue.discard([upload(number).uid])
            waiting.discard(number)
        else:
            taken = numbers(queue.take(number % 3))
            assert len(set(taken)) == len(taken) and set(taken) <= waiting
            waiting -= set(taken)
        assert len(queue) == len(waiting)
        assert all(upload(number).uid in queue for number in waiting)


def test_replace_replaces_the_whole_queue() -> None:
    queue = UploadQueue()
    queue.add([upload(1), upload(2)])
    queue.replace([upload(2), upload(3)])
    assert len(queue) == 2
    assert upload(1).uid not in queue
    assert sorted(numbers(queue.take(9))) == [2, 3]
