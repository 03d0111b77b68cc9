"""A survey sent by hand to 10 000 people: what the count on the page costs, the press, and the worker afterwards.

    python -m bench.round                         both databases, a few minutes
    python -m bench.round --database sqlite

The press counts before its unit of work begins. Within it no press holds the one write lock of SQLite for more than a quarter of
a second, and no batch of the worker for more than a second: exit code 1 where one does.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import event, func, select

from bench.filling import NOW, fill, settings_for
from bench.measuring import empty_database
from portal.clock import NO_HOLIDAYS, FixedClock
from portal.db import Database
from portal.house import House
from portal.journeys.models import DueAction
from portal.mail import LetterRow
from portal.surveys import occasions, rounds
from portal.surveys.models import Invitation
from portal.surveys.rounds import Segment
from portal.surveys.triggers import surveys_to_send
from portal.worker import TIMETABLE

PEOPLE = 10_000
LONGEST = 1.0
LONGEST_PRESS = 0.25


class Took(NamedTuple):
    seconds: float
    statements: int


def compare(kind: str, folder: Path) -> bool:
    """Measures and prints; gives whether no transaction was too long."""
    with empty_database(kind, "round", folder) as (url, _):
        database = Database(url)
        fill(database, journeys=PEOPLE, customers=1)
        house = House(settings_for(url), database, FixedClock(NOW), NO_HOLIDAYS)
        ran: list[int] = []
        for engine in (database.read_engine, database.write_engine):
            event.listen(engine, "before_cursor_execute", lambda *_given: ran.append(1))

        def took(do: Callable[[], object]) -> Took:
            began, before = time.perf_counter(), len(ran)
            do()
            return Took(time.perf_counter() - began, len(ran) - before)

        size = rounds.Size(0, 0, 0)

        def look() -> None:
            nonlocal size
            with database.read() as db:
                size = rounds.size_of(db, Segment())

        def press() -> None:
            with database.write() as db:
                survey = next(form.key for form in surveys_to_send(db) if not form.is_anonymous)
                rounds.send(
                    db, house, key="once", survey_key=survey, segment=Segment(), size=size, shown=size.people, is_sure=True,
                    by="staff:21", now=NOW,
                )  # fmt: skip

        counted, pressed = took(look), took(press)
        pressed_again = took(press)
        work = next(job for job in TIMETABLE if job.name == "further surveys")
        batches = []
        while True:
            done = 0

            def one_batch() -> None:
                nonlocal done
                done = work.run(house, NOW, lambda: False)

            batch = took(one_batch)
            if not done:
                break
            batches.append(batch)
        with database.read() as db:
            invited = db.scalar(select(func.count()).select_from(Invitation).where(Invitation.occasion.like("hand:%")))
            left = select(func.count()).select_from(DueAction).where(DueAction.kind == occasions.ASK)
            waiting = db.scalar(left.where(DueAction.done_at.is_(None)))
            letters = db.scalar(select(func.count()).select_from(LetterRow))
        database.close()
    longest = max(batch.seconds for batch in batches)
    print(
        f"{kind:12} {size.people} people. Count {counted.seconds * 1000:.0f} ms, {counted.statements} statements; press "
        f"{pressed.seconds * 1000:.0f} ms, {pressed.statements} statements, again {pressed_again.seconds * 1000:.0f} ms; worker "
        f"{sum(batch.seconds for batch in batches):.1f} s in {len(batches)} batches, the longest {longest * 1000:.0f} ms, at most "
        f"{max(batch.statements for batch in batches)} statements each; {invited} invitations, {letters} letters, "
        f"{waiting} left. Memory at its highest {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
        flush=True,
    )
    return longest <= LONGEST and pressed.seconds <= (LONGEST_PRESS if kind == "sqlite" else LONGEST)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fits = [compare(kind, Path(folder)) for kind in given.database or ["sqlite", "postgresql"]]
    return 0 if all(fits) else 1


if __name__ == "__main__":
    raise SystemExit(main())
