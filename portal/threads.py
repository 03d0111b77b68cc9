"""Work that waits (for a database, a file) is done in a thread, so that nobody else waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def open_threads(most: int) -> None:
    """As many as may be at work at once, from now on, for the loop that runs."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(most, "work"))


async def in_a_thread(work: Callable[..., T], *values: Any) -> T:
    """Errors: its own."""
    # Not Starlette's way to do so: it takes twice as long, a fiftieth of what a page takes.
    return await asyncio.to_thread(_done, work, *values)


def _done(work: Callable[..., T], *values: Any) -> T:
    try:
        return work(*values)
    except StopIteration as stop:
        raise without_stopping(stop) from stop


def without_stopping(stop: StopIteration) -> RuntimeError:
    """What is said in its place: no future takes it, and who waits for one would wait for ever."""
    error = RuntimeError("work in a thread raised StopIteration")
    error.__cause__ = stop
    return error
