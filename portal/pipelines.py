"""Statements to PostgreSQL by libpq's own way (`psycopg.pq`): several in one way there and back, BEGIN and COMMIT among them.

psycopg's cursors go to the server for each statement, wait for their BEGIN, keep a plan for each combination of values that
are missing or small, and throw all plans away with each transaction that is rolled back: that costs more than most of our
statements do. Here a statement has one plan, and what goes together is sent and heard at once. Connections, values, rows and
errors stay psycopg's.
"""

import select
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

MOST_KNOWN = 200
"""Statements that a connection knows, those used last."""


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
        if line.status != ConnStatus.OK:
            raise OperationalError("the connection is closed")
        try:
            line.enter_pipeline_mode()
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
            results = _results(line)
            line.exit_pipeline_mode()
        except BaseException:
            self._driver.close()  # nobody knows how far it came
            raise
        for place, (sql, name) in sent.new.items():
            if results[place].status == ExecStatus.COMMAND_OK:
                self._names[sql] = name
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise self._failed(result)
        return [
            self._told(these[number].returns, result)
            for number, result in zip(sent.results, results, strict=True)
            if number is not None
        ]

    def _send(self, line: Any, sql: str, values: Any, sent: "_Sent") -> None:
        names = self._names
        if (name := names.get(sql)) is not None:
            names.move_to_end(sql)
            line.send_query_prepared(name, values)
        elif sql in names:
            self._named += 1
            name = b"said_%d" % self._named
            sent.new[len(sent.results)] = (sql, name)
            sent.results.append(None)
            line.send_prepare(name, sql.encode())
            line.send_query_prepared(name, values)
        else:
            names[sql] = None
            if len(names) > MOST_KNOWN and (oldest := names.popitem(last=False)[1]) is not None:
                line.send_close_prepared(oldest)
                sent.results.append(None)
            line.send_query_params(sql.encode(), values)

    def _failed(self, result: Any) -> BaseException:
        error = error_from_result(result, self._values.encoding)
        if isinstance(error, InvalidSqlStatementName):  # somebody had the server forget them
            self._names.clear()
        return error

    def _told(self, returns: bool, result: Any) -> Heard:
        if not returns:
            return Heard((), result.command_tuples or 0, result)
        self._values.set_pgresult(result)
        return Heard(self._values.load_rows(0, result.ntuples, tuple), result.ntuples, result)


class _Sent:
    """What went out: whose each result will be (None: one of our own), and which were planned for good."""

    def __init__(self) -> None:
        self.results: list[int | None] = []
        self.new: dict[int, tuple[str, bytes]] = {}


def _results(line: Any) -> list[Any]:
    """One for each that was sent, up to the end of the pipeline."""
    there = select.poll()
    there.register(line.socket, select.POLLIN | select.POLLOUT)
    while line.flush():
        if there.poll()[0][1] & ~select.POLLOUT:
            line.consume_input()  # a server that talks doesn't listen
    there.modify(line.socket, select.POLLIN)
    results: list[Any] = []
    is_first = True
    while True:
        while line.is_busy():
            there.poll()
            line.consume_input()
        result = line.get_result()
        if result is None:  # the end of one statement's
            if is_first:
                raise OperationalError("the server has ended the connection")
            is_first = True
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)
            is_first = False
