"""The worker threads of a push."""

import threading

from astica_sync.sync.apply.thread_pool import ThreadPool, thread_pool


def test_every_task_returns_its_value_or_its_error() -> None:
    def fail() -> None:
        raise KeyError("x")

    with thread_pool(3) as workers:
        for place in range(20):
            workers.submit(lambda place=place: place * 2, place)
        workers.submit(fail, "fail")
        done = {found.tag: found for found in (workers.next_done(10) for _ in range(21)) if found}
    assert {tag: found.value for tag, found in done.items() if tag != "fail"} == {n: n * 2 for n in range(20)}
    assert isinstance(done["fail"].error, KeyError)
    assert workers.next_done(0) is None


def test_a_closed_pool_starts_no_task_and_blocks_no_exit() -> None:
    begun, go, began = [], threading.Event(), threading.Event()

    def block() -> None:
        began.set()
        go.wait(10)

    workers = ThreadPool(1)
    workers.submit(block, "first")
    began.wait(10)
    workers.submit(lambda: begun.append("second"), "second")
    workers.close()
    go.set()
    found = workers.next_done(10)
    assert found is not None and found.tag == "first"
    assert workers.next_done(0.05) is None and not begun
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("astica-sync-"))
