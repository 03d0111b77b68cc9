"""The lists of what there is to read, at the server: 5 000 published articles in two languages, half of the lessons read
by each of 20 people, and one of them by 1 000.

    python -m bench.lessons                       both databases, about a minute
    python -m bench.lessons --database sqlite

Prints p50 and p95 of the customer's lists, of one lesson, and of the staff's lists, one request after another over one
connection, and the processor time of the server and the database for each. Goal: p95 under 30 ms each, whatever the number
of articles. Exit code 1 where one is missed.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import insert, text

from bench.filling import NOW, fill
from bench.measuring import (
    Target,
    ask,
    empty_database,
    family_seconds,
    foreign_load,
    pin,
    processor_seconds,
    server,
)
from portal.accounts.rules import Language
from portal.db import Database
from portal.learning.models import Tutorial, TutorialProgress, TutorialText
from portal.learning.rules import WHEREVER, Kind

ARTICLES = 5_000
GOAL = 0.030
CUSTOMERS = 20
READERS = 1_000
ROUNDS, WARMING_ROUNDS = 60, 12
"""PostgreSQL's driver has a statement prepared when it comes for the sixth time."""
FIRST = 1_000
"""The number of the first article."""
STAGES = ("demand_analysis", "first_contact", "deployment", "follow_up_30", "follow_up_60", "follow_up_90", WHEREVER)
PAGES = (
    "/",
    "/learn",
    "/learn/news",
    "/learn/examples",
    "/learn/stages/deployment",
    "/learn/stages/deployment?page=10",
    "/learn/article-7",
    "/learn/article-5",
)
FOR_STAFF = (
    "/admin/lessons",
    "/admin/lessons?page=90",
    "/admin/lessons?kind=tutorial&stage=deployment&state=published",
    "/admin/lessons/report",
    f"/admin/lessons/{FIRST + 5}/readers",
)


def write(database: Database, count: int) -> None:
    """Published ones of every kind and stage, in both languages."""
    chance = random.Random(20_260_623)  # noqa: S311 - the same articles every time
    body = "What to do first, and what can wait until the team has seen it once. " * 40
    with database.write() as db:
        kinds = (Kind.TUTORIAL, Kind.TUTORIAL, Kind.NEWS, Kind.EXAMPLE)
        articles = [
            {
                "id": FIRST + n,
                "slug": f"article-{n}",
                "kind": kinds[n % len(kinds)],
                "stage_key": chance.choice(STAGES),
                "position": n,
                "minutes": 3,
                "plans": [],
                "happened_on": date(2026, 6, 1) - timedelta(days=n % 700),
                "created_at": NOW,
                "changed_at": NOW,
                "published_at": NOW,
            }
            for n in range(count)
        ]
        texts = [
            {
                "tutorial_id": FIRST + n,
                "language": language,
                "title": f"How the {n}. part works",
                "summary": "Short, and worth it.",
                "body": body,
                "who": "",
                "achieved": "",
                "fingerprint": str(n),
                "shipped": "",
                "changed_at": NOW,
            }
            for n in range(count)
            for language in Language
        ]
        db.execute(insert(Tutorial), articles)
        db.execute(insert(TutorialText), texts)
        lessons = [FIRST + n for n in range(count) if kinds[n % len(kinds)] is Kind.TUTORIAL]
        read = [(contact, id_) for contact in range(1, CUSTOMERS + 1) for id_ in lessons[::2]]
        read += [(contact, FIRST + 5) for contact in range(1, READERS + 1)]
        db.execute(
            insert(TutorialProgress),
            [
                {
                    "contact_id": contact,
                    "tutorial_id": id_,
                    "started_at": NOW,
                    "finished_at": NOW if id_ % 10 else None,
                    "part": 1,
                    "words": "",
                }
                for contact, id_ in dict.fromkeys(read)
            ],
        )
    with database.write() as db:
        db.execute(text("ANALYZE"))


def compare(kind: str, folder: Path, count: int) -> bool:
    """Whether every page reached the goal."""
    is_met = True
    with empty_database(kind, "lessons", folder) as (url, database_pid):
        database = Database(url)
        filled = fill(database, journeys=READERS, customers=CUSTOMERS)
        write(database, count)
        database.close()
        with server(url) as (port, pid):
            for path in (*PAGES, *FOR_STAFF):
                cookies = filled.customers if path in PAGES else (filled.manager,)
                took, spent, size = asyncio.run(_asked(Target(port, path, cookies, pid, database_pid)))
                p95 = statistics.quantiles(took, n=20)[-1]
                is_met = is_met and p95 < GOAL
                print(
                    f"{kind:10} {count} articles  {path:61} p50 {statistics.median(took) * 1000:5.1f} ms"
                    f"   p95 {p95 * 1000:5.1f} ms   processor {spent * 1000:5.1f} ms   {size / 1024:3.0f} kB"
                    f"   {'reached' if p95 < GOAL else 'MISSED'}",
                    flush=True,
                )
    return is_met


async def _asked(target: Target) -> tuple[list[float], float, int]:
    """How long each answer took, over one connection, after some to warm up; processor seconds an answer, of server and
    database; and how large the page is."""

    def spent() -> float:
        database = family_seconds(target.database_pid) if target.database_pid else 0.0
        return processor_seconds(target.web_pid) + database

    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    took, page, before = [], b"", 0.0
    for number in range(-WARMING_ROUNDS, ROUNDS):
        if number == 0:
            before = spent()
        began = time.perf_counter()
        page = await ask(reader, writer, target, number)
        if number >= 0:
            took.append(time.perf_counter() - began)
    used = (spent() - before) / ROUNDS
    writer.close()
    return took, used, len(page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--articles", type=int, default=ARTICLES)
    given = parser.parse_args()
    pin(os.getpid(), first=False)
    print(f"load before: {foreign_load():.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        met = [compare(kind, Path(folder), given.articles) for kind in given.database or ["sqlite", "postgresql"]]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
