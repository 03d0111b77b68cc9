"""What goes to PostgreSQL past the driver's cursors, and what is left behind where something breaks off."""

import select
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from portal import pipelines
from portal.pipelines import Line, Written
from tests import servers

pytestmark = pytest.mark.postgresql

PLANS = Written("SELECT count(*) FROM pg_prepared_statements", (), returns=True)
ME = Written("SELECT pg_backend_pid()", (), returns=True)


class Interrupted(Exception):
    pass


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.getfixturevalue("pg_shelf").one() as its:
        yield servers.dsn(its)


@pytest.fixture
def driver(url: str) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute("CREATE TABLE told (number INTEGER PRIMARY KEY, words TEXT NOT NULL)")
        plain.execute("ALTER TABLE told ADD CONSTRAINT once UNIQUE (words) DEFERRABLE INITIALLY DEFERRED")
    connection = psycopg.connect(url)
    yield connection
    connection.close()


def told(number: int, words: str) -> Written:
    return Written("INSERT INTO told VALUES ($1, $2)", (number, words))


def kept(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as plain:
        return plain.execute("SELECT number, words FROM told ORDER BY number").fetchall()


def test_a_transaction_begins_with_the_first_and_ends_with_the_last(
    driver: "psycopg.Connection[Any]", url: str
) -> None:
    line = Line(driver)
    first, second, found = line.say([told(1, "one"), told(2, "two"), Written("TABLE told", (), returns=True)])
    assert (first.rowcount, second.rowcount, found.rows) == (1, 1, [(1, "one"), (2, "two")])
    assert [name for name, _ in found.description] == ["number", "words"]
    assert (driver.info.transaction_status.name, kept(url)) == ("INTRANS", [])
    line.say([told(3, "three")], and_commit=True)
    assert (driver.info.transaction_status.name, kept(url)) == ("IDLE", [(1, "one"), (2, "two"), (3, "three")])
    driver.commit()  # as SQLAlchemy does: it finds it done
    line.say([told(4, "four")])
    line.roll_back()
    assert (driver.info.transaction_status.name, len(kept(url))) == ("IDLE", 3)


def test_the_first_that_fails_is_said_and_nothing_behind_it_is_done(
    driver: "psycopg.Connection[Any]", url: str
) -> None:
    line = Line(driver)
    for number in range(3):  # sent as it is, then planned for good, then by its name
        with pytest.raises(psycopg.errors.UniqueViolation) as failed:
            line.say([told(1, "one"), told(1, "again"), Written("SELECT 1 / 0", (), returns=True)], and_commit=True)
        assert failed.value.diag.constraint_name == "told_pkey"
        assert driver.info.transaction_status.name == "INERROR"
        line.roll_back()
        line.say([told(10 + number, f"{number}")], and_commit=True)
    assert kept(url) == [(10, "0"), (11, "1"), (12, "2")]


def test_a_commit_that_fails_is_said(driver: "psycopg.Connection[Any]", url: str) -> None:
    line = Line(driver)
    with pytest.raises(psycopg.errors.UniqueViolation):
        line.say([told(1, "the same"), told(2, "the same")], and_commit=True)
    assert driver.info.transaction_status.name == "IDLE"
    line.say([told(3, "other")], and_commit=True)
    assert kept(url) == [(3, "other")]


def test_plans_outlive_a_rollback_and_there_are_never_too_many(
    driver: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(driver)
    for number in range(4):
        line.say([told(number, str(number))])
        line.roll_back()
        driver.rollback()  # as SQLAlchemy does
    (plans,) = line.say([PLANS])
    assert plans.rows == [(1,)]
    monkeypatch.setattr(pipelines, "MOST_KNOWN", 5)
    for number in range(30):
        for _ in range(2):
            (found,) = line.say([Written(f"SELECT {number} + $1::INTEGER", (1,), returns=True)])
            assert found.rows == [(number + 1,)]
    (plans,) = line.say([PLANS])
    assert 3 <= plans.rows[0][0] <= 5


def test_a_statement_has_one_plan_whatever_is_missing_or_large(driver: "psycopg.Connection[Any]") -> None:
    line = Line(driver)
    for value in (None, 1, 40_000, 2**40, None, 3):
        (found,) = line.say([Written("SELECT $1::BIGINT", (value,), returns=True)])
        assert found.rows == [(value,)]
    (plans,) = line.say([PLANS])
    assert plans.rows == [(1,)]


def test_statements_that_somebody_had_forgotten_fail_once(driver: "psycopg.Connection[Any]") -> None:
    line = Line(driver)
    for _ in range(3):
        line.say([ME])
    driver.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        line.say([ME])
    line.roll_back()
    assert line.say([ME])[0].rows == [(driver.info.backend_pid,)]


def test_much_goes_both_ways_at_once(driver: "psycopg.Connection[Any]", url: str) -> None:
    """More than the sockets hold: a server that nobody listens to stops listening."""
    line, words = Line(driver), "x" * 10_000
    row = "INSERT INTO told VALUES ($1, $2) RETURNING words"
    heard = line.say([Written(row, (n, f"{n}{words}"), returns=True) for n in range(3000)], and_commit=True)
    assert [each.rows for each in heard] == [[(f"{n}{words}",)] for n in range(3000)]
    assert len(kept(url)) == 3000


def test_a_value_that_cant_be_sent_is_heard_before_anything_is(driver: "psycopg.Connection[Any]", url: str) -> None:
    line = Line(driver)
    for wrong in ("no\x00", object()):
        with pytest.raises((psycopg.DataError, psycopg.ProgrammingError)):
            line.say([told(1, "one"), Written("INSERT INTO told VALUES (2, $1)", (wrong,))], and_commit=True)
        assert driver.info.transaction_status.name == "IDLE"
    line.say([told(3, "three")], and_commit=True)
    assert kept(url) == [(3, "three")]


def test_a_server_that_ends_the_connection_is_an_error_and_no_wait(driver: "psycopg.Connection[Any]", url: str) -> None:
    line = Line(driver)
    line.say([told(1, "one")])
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [driver.info.backend_pid])
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            line.say([told(2, "two")], and_commit=True)
        assert driver.closed
    line.roll_back()
    assert kept(url) == []


def test_who_is_interrupted_while_waiting_has_done_nothing(driver: "psycopg.Connection[Any]", url: str) -> None:
    """Neither now nor once the server gets on: it has the COMMIT already. And nobody takes what was asked for an answer."""
    line, backend = Line(driver), driver.info.backend_pid
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE told")

        def interrupt(*_: object) -> None:
            raise Interrupted

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(Interrupted):
                line.say([told(1, "one")], and_commit=True)
        finally:
            signal.signal(signal.SIGALRM, before)
    assert driver.closed
    with psycopg.connect(url, autocommit=True) as other:
        ended = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND pg_sleep(0.02) IS NOT NULL"
        while other.execute(ended, [backend]).fetchone() != (0,):
            pass
    assert kept(url) == []
    with pytest.raises(psycopg.OperationalError):
        line.say([ME])


def test_many_rows_of_one_statement_have_one_plan(driver: "psycopg.Connection[Any]") -> None:
    line = Line(driver)
    for start in (0, 100):
        line.say([told(number, str(number)) for number in range(start, start + 50)])
    assert line.say([PLANS])[0].rows == [(1,)]


def test_a_table_that_changed_costs_one_failure(driver: "psycopg.Connection[Any]", url: str) -> None:
    line, question = Line(driver), Written("SELECT words FROM told", (), returns=True)
    for _ in range(3):
        line.say([question], and_commit=True)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("ALTER TABLE told ALTER COLUMN words TYPE VARCHAR(40)")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        line.say([question])
    line.roll_back()
    for _ in range(3):
        assert line.say([question], and_commit=True)[0].rows == []
    assert line.say([PLANS])[0].rows == [(1,)]


def test_what_was_used_last_is_kept(driver: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "MOST_KNOWN", 3)
    line = Line(driver)
    said = [Written(f"SELECT {number}", (), returns=True) for number in range(4)]
    for number in (0, 1, 2, 0, 3, 0):
        line.say([said[number]])
    named = Written("SELECT statement FROM pg_prepared_statements ORDER BY 1", (), returns=True)
    assert line.say([named])[0].rows == [("SELECT 0",)]


def test_plans_that_were_let_go_are_gone_at_the_server_too_whatever_fails(
    driver: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "MOST_KNOWN", 3)
    line = Line(driver)
    for number in range(20):
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                line.say([Written(f"SELECT {number}", (), returns=True), Written("SELECT 1 / 0", (), returns=True)])
            line.roll_back()
    assert line.say([PLANS])[0].rows[0][0] <= 4


def test_the_servers_last_words_are_heard(driver: "psycopg.Connection[Any]") -> None:
    line = Line(driver)
    line.say([Written("SET idle_in_transaction_session_timeout = 50", ())])
    select.select([driver.fileno()], [], [], 10)  # it speaks once it ends it
    with pytest.raises(psycopg.OperationalError, match="idle-in-transaction"):
        line.say([ME])
