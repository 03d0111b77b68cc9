"""SQLite has one writer. Whoever waits for it takes turns on one thread, in the order they came, and those that wait at
the same time go in one transaction, each in a savepoint of its own: waking a thread for each, and writing each one's pages
through to the disk, would take half as long again as what they came for.

Nobody hears that theirs is done before all of it is committed.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, NamedTuple, TypeVar

from portal.db import Database
from portal.threads import without_stopping

T = TypeVar("T")

MOST_AT_ONCE = 16
"""As many as go in one transaction: each waits for all of them."""


class _Turn(NamedTuple):
    work: Callable[[], Any]
    context: Context
    loop: asyncio.AbstractEventLoop
    told: asyncio.Future[Any]


class _Outcome(NamedTuple):
    """What a turn gave, or what it failed with."""

    given: Any
    error: BaseException | None


class Turns:
    """The turns at one SQLite database, of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, "writer")
        self._lock = threading.Lock()
        self._waiting: deque[_Turn] = deque()
        self._at_work = False

    async def take(self, work: Callable[[], T]) -> T:
        """Does the work, with its units of work, when its turn has come. Errors: its own; the database's, if what it
        wrote can't be kept."""
        loop = asyncio.get_running_loop()
        turn = _Turn(work, copy_context(), loop, loop.create_future())
        with self._lock:
            self._waiting.append(turn)
            is_first, self._at_work = not self._at_work, True
        if is_first:
            self._thread.submit(self._go_on)
        given: T = await turn.told
        return given

    def _go_on(self) -> None:
        while these := self._next():
            _tell(these, self._outcomes(these))

    def _next(self) -> list[_Turn]:
        with self._lock:
            these = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            self._at_work = bool(these)
            return these

    def _outcomes(self, these: Sequence[_Turn]) -> list[_Outcome]:
        if len(these) == 1:
            return [_outcome(these[0])]
        outcomes = []
        try:
            with self._database.as_one() as is_whole:
                for turn in these:
                    outcomes.append(_outcome(turn))
                    if not is_whole():  # SQLite gave all of it up: a full disk
                        raise outcomes[-1].error or RuntimeError("the transaction ended before its end")
        except BaseException as error:
            return [_Outcome(None, error)] * len(these)
        return outcomes


def _outcome(turn: _Turn) -> _Outcome:
    try:
        return _Outcome(turn.context.run(turn.work), None)
    except BaseException as error:
        return _Outcome(None, error)


def _tell(these: Sequence[_Turn], outcomes: Sequence[_Outcome]) -> None:
    for loop in {turn.loop for turn in these}:
        theirs = [(turn.told, one) for turn, one in zip(these, outcomes, strict=True) if turn.loop is loop]
        try:
            loop.call_soon_threadsafe(_settle, theirs)
        except RuntimeError:  # it was closed: nobody listens any more
            continue


def _settle(told: Sequence[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for future, one in told:
        if future.done():  # who asked has gone
            continue
        if isinstance(one.error, StopIteration):  # which no future takes: nobody behind it would be told anything
            future.set_exception(without_stopping(one.error))
        elif one.error is not None:
            future.set_exception(one.error)
        else:
            future.set_result(one.given)
