"""How the databases find what the worker claims and the board shows: by walking an index, however many journeys wait.

python -m bench.plans                       100 000 journeys, both databases: plans and times
python -m bench.plans --journeys 2000 --database sqlite
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Executable, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from bench.crowd import DAY_30, write_crowd
from bench.day30 import databases
from portal.db import Database
from portal.journeys import desk, due

BEHIND = DAY_30 + timedelta(days=14)


class Question(NamedTuple):
    """A statement that is asked all the time."""

    name: str
    statement: Executable
    values: Mapping[str, Any]
    walks: tuple[str, ...]
    """The indexes of which one must answer it: where few are flagged, theirs is the shorter one."""

    def is_walked(self, said: str) -> bool:
        return any(index in said for index in self.walks)


QUESTIONS = (
    Question("claim what is due", due.DUE, {"kind": "wake", "now": DAY_30, "most": 500}, ("ix_due_actions_waiting",)),
    Question("claim the stagnant", due.STAGNANT, {"now": BEHIND, "most": 500}, ("ix_journeys_alert_at",)),
    Question("when the next is due", due.first_due(due.OWN_KINDS), {}, ("ix_due_actions_waiting",)),
    *(
        Question(
            f"a column of the board ({show}{', of one consultant' if owned else ''})",
            desk.CARDS_OF_COLUMN[False, owned, show],
            {"stage_id": 3, "most": 25, "skipped": 0, "owner_id": 7, "now": BEHIND},
            ("ix_journeys_board_owner" if owned else "ix_journeys_board",)
            if show is desk.Show.ALL
            else ("ix_journeys_board", "ix_journeys_flagged"),
        )
        for owned in (False, True)
        for show in (desk.Show.ALL, desk.Show.FLAGGED)
    ),
)


class _Explain(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, statement: Any) -> None:
        self.statement = statement


@compiles(_Explain, "sqlite")
def _on_sqlite(element: _Explain, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXPLAIN QUERY PLAN {compiler.process(element.statement, **options)}"


@compiles(_Explain, "postgresql")
def _on_postgresql(element: _Explain, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXPLAIN {compiler.process(element.statement, **options)}"


def plan(db: Session, question: Question) -> str:
    """What the database says it will do."""
    rows = db.connection().execute(_Explain(question.statement), dict(question.values))
    return "\n".join(str(row[-1]) for row in rows)


def settle_statistics(database: Database) -> None:
    """As a database looks that has lived: with its statistics up to date."""
    with database.write_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def main() -> None:
    asked = argparse.ArgumentParser(description="Plans and times of what is asked all the time.")
    asked.add_argument("--journeys", type=int, default=100_000)
    asked.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    given = asked.parse_args()
    for kind in ("sqlite", "postgresql") if given.database == "both" else (given.database,):
        with databases(kind) as (url, _):
            database = Database(url)
            write_crowd(database, given.journeys)
            settle_statistics(database)
            for question in QUESTIONS:
                with database.write() as db:
                    said, milliseconds = plan(db, question), _time(db, question)
                print(f"{kind:<11} {milliseconds:7.2f} ms  {question.name}: {_uses(said, question)}", flush=True)
            database.close()


def _time(db: Session, question: Question) -> float:
    known = dict(question.values)
    taken = []
    for _ in range(5):
        before = time.perf_counter()
        db.execute(question.statement, known).all()
        taken.append(1000 * (time.perf_counter() - before))
    return statistics.median(taken)


def _uses(said: str, question: Question) -> str:
    return " or ".join(question.walks) if question.is_walked(said) else f"NOT {question.walks}\n{said}"


if __name__ == "__main__":
    main()
