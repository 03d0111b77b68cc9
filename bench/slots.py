"""A month's free slots of a consultant with 200 meetings and an own calendar of 2 000 entries, as a page asks for them.

    python -m bench.slots                      both databases, some seconds
    python -m bench.slots --database sqlite

Goal: 95 of 100 within 20 ms, from the question to the database to the list of slots. Exit code 1 where it is missed.
"""

import argparse
import gc
import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select

from bench.filling import NOW, ZONE, fill
from bench.measuring import empty_database, foreign_load
from portal.accounts.models import Account, Contact, Staff
from portal.db import Database
from portal.journeys.models import JourneyRow
from portal.meetings import diary
from portal.meetings.models import BusySpans, Meeting, WeeklyHours
from portal.meetings.rules import MeetingKind, Way, packed_spans, ticks

GOAL_MS = 20.0
MEETINGS = 200
ENTRIES = 2_000
TIMES = 300
LENGTHS = (timedelta(minutes=15), timedelta(minutes=30), timedelta(minutes=45))


def fill_diary(database: Database) -> int:
    """Gives one consultant the meetings and the calendar; both spread over the thirty days. Gives whose diary it is."""
    with database.write() as db:
        staff_id = db.scalars(select(Staff.id).order_by(Staff.id)).first() or 0
        db.execute(delete(WeeklyHours))
        account = db.scalars(select(Account.id)).first() or 0
        contact = db.scalars(select(Contact.id)).first() or 0
        journey = db.scalars(select(JourneyRow.id)).first() or 0
        step = timedelta(days=30) / MEETINGS
        rows = []
        for n in range(MEETINGS):
            starts = _quarter(NOW + step * n)
            rows.append(
                Meeting(
                    uid=f"bench-{n}",
                    kind=MeetingKind.CHECKUP,
                    journey_id=journey,
                    account_id=account,
                    contact_id=contact,
                    staff_id=staff_id,
                    starts_at=starts,
                    ends_at=starts + timedelta(minutes=30),
                    held_until=starts + timedelta(minutes=45),
                    zone=ZONE,
                    way=Way.VIDEO,
                    booked_by="bench",
                    booked_at=NOW,
                    changed_at=NOW,
                    nonce="0" * 32,
                )
            )
        db.add_all(rows)
        every = timedelta(days=30) / ENTRIES
        # Two thousand entries in the same third of the hours, as calendars are: otherwise nothing would be free.
        spans = [
            ticks(_quarter(NOW + every * n // 3 * 3), _quarter(NOW + every * n // 3 * 3) + LENGTHS[n % 3])
            for n in range(ENTRIES)
        ]
        db.add(BusySpans(staff_id=staff_id, packed=packed_spans(spans)))
    return staff_id


def _quarter(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def measure(kind: str, folder: Path) -> bool:
    """Measures and prints; gives whether the goal was reached."""
    with empty_database(kind, "slots", folder) as (url, _pid):
        database = Database(url)
        fill(database, journeys=10, customers=1)
        staff_id = fill_diary(database)
        took, found = [], 0
        for _ in range(TIMES):
            gc.collect(0)
            began = time.perf_counter()
            with database.read() as db:
                found = len(diary.slots(db, staff_id, MeetingKind.CHECKUP, now=NOW, zone=ZONE))
            took.append((time.perf_counter() - began) * 1000)
        database.close()
    took = sorted(took[20:])
    middle, late = statistics.median(took), took[int(len(took) * 0.95)]
    reached = late <= GOAL_MS
    print(
        f"{kind:12} {MEETINGS} meetings, {ENTRIES} entries, {found} slots: p50 {middle:.1f} ms, p95 {late:.1f} ms;"
        f" goal {GOAL_MS:.0f} ms: {'reached' if reached else 'MISSED'}",
        flush=True,
    )
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    given = parser.parse_args()
    print(f"load before: {foreign_load():.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        reached = [measure(kind, Path(folder)) for kind in given.database or ["sqlite", "postgresql"]]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
