"""Statements to PostgreSQL by libpq's own way (`psycopg.pq`): several in one way there and back, BEGIN and COMMIT among them.

psycopg's cursors go to the server for each statement, wait for their BEGIN, keep a plan for each combination of values that
are missing or small, and throw all plans away with each transaction that is rolled back: that costs more than most of our
statements do. Here a statement has one plan, and what goes together is sent and heard at once. Connections, values, rows and
errors stay psycopg's.
"""

import select
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

MOST_KNOWN = 200
"""Statements that a connection knows, those used last."""
CANCELLED_WITHIN = 3.0
"""Seconds for the server to hear that nobody waits for its answer any more."""


class Written(NamedTuple):
    """A statement with its values, as the driver takes them."""

    sql: str
    values: Sequence[Any]
    returns: bool = False


class Heard(NamedTuple):
    """What came of a statement: rows as the driver gives them, and how many it returned or changed."""

    rows: Sequence[Any]
    rowcount: int
    result: Any

    @property
    def description(self) -> list[tuple[str, int]]:
        """Name and type (its number at the server) of each column."""
        return [(self.result.fname(n).decode(), self.result.ftype(n)) for n in range(self.result.nfields)]


class Line:
    """One connection and the statements that its server knows."""

    def __init__(self, driver: "Connection[Any]") -> None:
        self._driver = driver
        self._values = Transformer(driver)
        self._names: OrderedDict[str, bytes | None] = OrderedDict()
        """None: it came once so far, and is planned for good when it comes again."""
        self._named = 0
        self._to_forget: list[bytes] = []

    def say(self, these: Sequence[Written], *, and_commit: bool = False) -> list[Heard]:
        """Each after the other, in a transaction that begins with them where none did yet; `and_commit`: and its end.
        Errors: psycopg's, the first one's; what stands behind it was not done."""
        # A value that can't be sent is heard before anything is.
        dumped = [self._values.dump_sequence(each.values, [PyFormat.TEXT] * len(each.values)) for each in these]
        begins = not self._driver.autocommit and self._driver.pgconn.transaction_status == TransactionStatus.IDLE
        return self._exchanged(these, dumped, first=b"BEGIN" if begins else b"", last=b"COMMIT" if and_commit else b"")

    def roll_back(self) -> None:
        """Ends the transaction, if there is one, and keeps the plans."""
        line = self._driver.pgconn
        if line.status == ConnStatus.OK and line.transaction_status != TransactionStatus.IDLE:
            self._exchanged((), (), last=b"ROLLBACK")

    def _exchanged(
        self, these: Sequence[Written], dumped: Sequence[Any], *, first: bytes = b"", last: bytes = b""
    ) -> list[Heard]:
        line, sent = self._driver.pgconn, _Sent()
        results: list[Any] = []
        if line.status != ConnStatus.OK:
            raise OperationalError("the connection is closed")
        try:
            line.enter_pipeline_mode()
            self._forget(line, sent)
            if first:
                line.send_query_params(first, None)
                sent.results.append(None)
            for number, (each, values) in enumerate(zip(these, dumped, strict=True)):
                self._send(line, each.sql, values, sent)
                sent.results.append(number)
            if last:
                line.send_query_params(last, None)
                sent.results.append(None)
            line.pipeline_sync()
            _listen(line, results)
            line.exit_pipeline_mode()
        except BaseException as broken:
            self._give_up(line)
            if isinstance(broken, OperationalError) and (last_words := _failure(results)) is not None:
                raise OperationalError(str(self._error(last_words))) from broken  # they say why
            raise
        self._learn(sent, results)
        if (failure := _failure(results)) is not None:
            raise self._error(failure)
        return [
            self._told(these[number].returns, result)
            for number, result in zip(sent.results, results, strict=True)
            if number is not None
        ]

    def _forget(self, line: Any, sent: "_Sent") -> None:
        # Before all else: nothing is done behind a statement that fails.
        for name in self._to_forget:
            line.send_close_prepared(name)
            sent.results.append(None)
        self._to_forget.clear()

    def _send(self, line: Any, sql: str, values: Any, sent: "_Sent") -> None:
        name = self._names.get(sql) or sent.named.get(sql)
        if name is not None:
            line.send_query_prepared(name, values)
        elif sql in self._names:
            self._named += 1
            name = sent.named[sql] = b"said_%d" % self._named
            sent.new[len(sent.results)] = sql
            sent.results.append(None)
            line.send_prepare(name, sql.encode())
            line.send_query_prepared(name, values)
        else:
            self._names[sql] = None
            line.send_query_params(sql.encode(), values)
        self._names.move_to_end(sql)

    def _learn(self, sent: "_Sent", results: Sequence[Any]) -> None:
        for place, sql in sent.new.items():
            if results[place].status == ExecStatus.COMMAND_OK:
                self._names[sql] = sent.named[sql]
        while len(self._names) > MOST_KNOWN:
            if (oldest := self._names.popitem(last=False)[1]) is not None:
                self._to_forget.append(oldest)

    def _give_up(self, line: Any) -> None:
        """Nobody knows how far it came. What the server has and hasn't done yet, it must not do: it would go on to the
        COMMIT."""
        if line.status == ConnStatus.OK:
            with suppress(Exception):
                self._driver.cancel_safe(timeout=CANCELLED_WITHIN)
        self._driver.close()

    def _error(self, failure: Any) -> BaseException:
        error = error_from_result(failure, self._values.encoding)
        if error.sqlstate in _PLANS_ARE_STALE:
            self._to_forget += [name for name in self._names.values() if name is not None]
            self._names.clear()
        return error

    def _told(self, returns: bool, result: Any) -> Heard:
        if not returns:
            return Heard((), result.command_tuples or 0, result)
        self._values.set_pgresult(result)
        rows = self._values.load_rows(0, result.ntuples, tuple)
        self._values.set_pgresult(None)  # it would be kept until the next
        return Heard(rows, result.ntuples, result)


_PLANS_ARE_STALE = frozenset({"26000", "0A000"})
"""Somebody had the server forget a statement, or a table has changed so that a plan's rows would be others."""


class _Sent:
    """What went out: whose each result will be (None: one of our own), and which statements get a name."""

    def __init__(self) -> None:
        self.results: list[int | None] = []
        self.new: dict[int, str] = {}
        self.named: dict[str, bytes] = {}


def _failure(results: Sequence[Any]) -> Any | None:
    return next((result for result in results if result.status == ExecStatus.FATAL_ERROR), None)


def _listen(line: Any, results: list[Any]) -> None:
    """One result for each that was sent, up to the end of the pipeline."""
    while line.flush():
        if _wait(line, select.POLLIN | select.POLLOUT) & ~select.POLLOUT:
            line.consume_input()  # a server that talks doesn't listen
    is_first = True
    while True:
        while line.is_busy():
            _wait(line, select.POLLIN)
            line.consume_input()
        result = line.get_result()
        if result is None:  # the end of one statement's
            if is_first:
                raise OperationalError("the server has ended the connection")
            is_first = True
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return
        else:
            results.append(result)
            is_first = False


def _wait(line: Any, events: int) -> int:
    there = select.poll()
    there.register(line.socket, events)
    return there.poll()[0][1]
