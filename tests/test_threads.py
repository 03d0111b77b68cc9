"""Work in a thread gives what it gives and fails with what it fails with, and nobody waits for ever."""

import asyncio
import threading

import pytest

from portal.threads import in_a_thread, open_threads


def test_it_is_done_in_another_thread_with_its_values() -> None:
    def work(a: int, b: int) -> tuple[int, bool]:
        return a * b, threading.current_thread() is threading.main_thread()

    assert asyncio.run(in_a_thread(work, 6, 7)) == (42, False)


def test_an_error_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_a_thread(lambda: 1 // 0))


def test_work_that_stops_an_iteration_leaves_nobody_waiting() -> None:
    async def asked() -> None:
        await asyncio.wait_for(in_a_thread(next, iter(())), 10)

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(asked())


def test_no_more_are_at_work_at_once_than_were_opened() -> None:
    together, most, guard = 0, 0, threading.Lock()
    waits = threading.Barrier(2)

    def work() -> None:
        nonlocal together, most
        with guard:
            together += 1
            most = max(most, together)
        waits.wait(10)  # both threads there are, and never a third
        with guard:
            together -= 1

    async def everybody() -> None:
        open_threads(2)
        await asyncio.gather(*(in_a_thread(work) for _ in range(20)))

    asyncio.run(everybody())
    assert most == 2
