"""The results of one survey at the server: 100 000 answers, most of them with a score, every fifth with a comment.

    python -m bench.results                       both databases, some minutes
    python -m bench.results --database sqlite

Goal: the page of the figures within 150 ms for 95 of 100 questions, over all answers and narrowed, one question at a time as
one person reads. Exit code 1 where it is missed.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Integer, case, cast, func, insert, literal, select, text

from bench.filling import CONSULTANTS, NOW, fill, settings_for
from bench.measuring import Target, ask, empty_database, family_seconds, foreign_load, pin, processor_seconds, server
from portal.clock import NO_HOLIDAYS, FixedClock
from portal.db import Database
from portal.house import House
from portal.journeys.models import JourneyRow
from portal.surveys import counting
from portal.surveys.models import AnswerRow, Invitation, Survey

GOAL = 0.150
ANSWERS = 100_000
DELIVERED = 140_000
DAYS = 360
"""Over how many days they came in."""
COMMENT = "The stock count is right at last, and closing the till takes ten minutes instead of an hour."
ROUNDS = 12
PAGES = {
    "90 days": "?period=90",
    "a year": "?period=365",
    "everything": "?period=all",
    "one consultant": "?period=all&owner=3",
    "one language": "?period=all&language=pt-BR",
    "one plan": "?period=all&plan=Growth",
    "one stage": "?period=all&stage=follow_up_30",
}


def write_answers(database: Database) -> str:
    """One invitation a journey, spread over a year, and an answer to most of them; gives the survey's key."""
    with database.write() as db:
        survey = db.scalars(select(Survey).order_by(Survey.id)).first()
        assert survey is not None
        for day in range(DAYS):
            moment = NOW - timedelta(days=day, hours=1)
            mine = JourneyRow.id % DAYS == day
            common = ["account_id", "journey_id", "contact_id", "day", "occasion"]
            who = [JourneyRow.account_id, JourneyRow.id, JourneyRow.account_id, literal(30), literal("day:30")]
            sent: dict[str, Any] = {
                "survey_id": literal(survey.id),
                "nonce": literal("n"),
                "planned_at": literal(moment, Invitation.planned_at.type),
                "sent_at": literal(moment, Invitation.planned_at.type),
                "expires_at": literal(moment + timedelta(days=21), Invitation.planned_at.type),
                "why": literal(""),
            }
            db.execute(insert(Invitation).from_select([*common, *sent], select(*who, *sent.values()).where(mine)))
        number = Invitation.id
        given: dict[str, Any] = {
            "invitation_id": number,
            "nps": case((number % 11 < 2, number % 7), else_=7 + number % 4),
            "csat": 1 + cast((number * 7) % 5, Integer),
            "comment": case((number % 5 == 0, literal(COMMENT)), else_=literal("")),
            "wants_help": number % 17 == 0,
            "provenance": literal("mail_link"),
            "by": literal("contact:1"),
            "submitted_at": Invitation.sent_at,
            "evidence": literal({}, AnswerRow.evidence.type),
        }
        columns = ["account_id", "journey_id", "contact_id", "day"]
        chosen = select(*(getattr(Invitation, name) for name in columns), *given.values()).order_by(number % 7, number)
        db.execute(insert(AnswerRow).from_select([*columns, *given], chosen.limit(ANSWERS)))
    with database.write() as db:
        db.execute(text("ANALYZE"))
        count = db.scalar(select(func.count()).select_from(AnswerRow))
        print(f"{count} answers to {db.scalar(select(func.count()).select_from(Invitation))} surveys", flush=True)
        return survey.key


def count_days(url: str, database: Database) -> None:
    """What the worker does by and by: days that have ended are counted once."""
    house = House(settings_for(url), database, FixedClock(NOW), NO_HOLIDAYS)
    began, steps = time.perf_counter(), 0
    while counting.count_days(house, NOW):
        steps += 1
    print(f"all days counted in {time.perf_counter() - began:.1f} s, {steps} steps", flush=True)


def compare(kind: str, folder: Path) -> bool:
    """Measures and prints; gives whether the goal was reached."""
    with empty_database(kind, "results", folder) as (url, database_pid):
        database = Database(url)
        filled = fill(database, journeys=DELIVERED, customers=2)
        key = write_answers(database)
        count_days(url, database)
        if kind == "postgresql":
            # What autovacuum does within a minute of so many rows.
            with database.write_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM (ANALYZE) answers, invitations, answer_tallies"))
        database.close()
        reached = True
        with server(url) as (port, pid):
            for name, query in PAGES.items():
                path = f"/staff/insights/surveys/{key}{query}"
                before = processor_seconds(pid), family_seconds(database_pid) if database_pid else 0.0
                took = asyncio.run(_asked(Target(port, path, [filled.manager], pid, database_pid)))
                web = (processor_seconds(pid) - before[0]) / len(took)
                below = ((family_seconds(database_pid) if database_pid else 0.0) - before[1]) / len(took)
                p95 = _at(took, 95)
                reached &= p95 <= GOAL
                print(
                    f"{kind:12} {name:14} p50 {_at(took, 50) * 1000:6.1f} ms   p95 {p95 * 1000:6.1f} ms   processor a page: "
                    f"web {web * 1000:5.1f} ms + database {below * 1000:5.1f} ms   "
                    f"goal {GOAL * 1000:.0f} ms: {'reached' if p95 <= GOAL else 'MISSED'}",
                    flush=True,
                )
    return reached


def _at(seconds: Sequence[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


async def _asked(target: Target) -> list[float]:
    """How long each page took, over one connection; two before, to warm up, are not counted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    took = []
    for number in range(ROUNDS + 2):
        began = time.perf_counter()
        await ask(reader, writer, target, number)
        if number >= 2:
            took.append(time.perf_counter() - began)
    writer.close()
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    given = parser.parse_args()
    pin(os.getpid(), first=False)
    print(f"load before: {foreign_load():.1f}, consultants: {CONSULTANTS}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        reached = [compare(kind, Path(folder)) for kind in given.database or ["sqlite", "postgresql"]]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
