"""The lists of what there is to read, at the server: 5 000 published articles in two languages, one page at a time.

    python -m bench.lessons                       both databases
    python -m bench.lessons --database sqlite

Prints p50 and p95 of the customer's lists, of one lesson, and of the staff's lists. Goal: p95 under 30 ms each, whatever
the number of articles.
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

from sqlalchemy import insert

from bench.filling import NOW, fill
from bench.measuring import Target, ask, empty_database, foreign_load, pin, server
from portal.accounts.rules import Language
from portal.db import Database
from portal.learning.models import Tutorial, TutorialText
from portal.learning.rules import WHEREVER, Kind

ARTICLES = 5_000
GOAL = 0.030
CUSTOMERS = 20
ROUNDS = 15
STAGES = ("demand_analysis", "first_contact", "deployment", "follow_up_30", "follow_up_60", "follow_up_90", WHEREVER)
PAGES = (
    "/",
    "/learn",
    "/learn/news",
    "/learn/examples",
    "/learn/stages/deployment",
    "/learn/article-7",
    "/learn/article-5",
)
FOR_STAFF = ("/admin/lessons", "/admin/lessons/report")


def write(database: Database, count: int) -> None:
    """Published ones of every kind and stage, in both languages."""
    chance = random.Random(20_260_623)  # noqa: S311 - the same articles every time
    body = "What to do first, and what can wait until the team has seen it once. " * 40
    with database.write() as db:
        first = 1_000
        kinds = (Kind.TUTORIAL, Kind.TUTORIAL, Kind.NEWS, Kind.EXAMPLE)
        articles = [
            {
                "id": first + n,
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
                "tutorial_id": first + n,
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


def compare(kind: str, folder: Path, count: int) -> bool:
    """Whether every page reached the goal."""
    is_met = True
    with empty_database(kind, "lessons", folder) as (url, _):
        database = Database(url)
        filled = fill(database, journeys=CUSTOMERS, customers=CUSTOMERS)
        write(database, count)
        database.close()
        with server(url) as (port, _):
            for path in (*PAGES, *FOR_STAFF):
                cookies = filled.customers if path in PAGES else (filled.manager,)
                took, size = asyncio.run(_asked(Target(port, path, cookies, 0, None)))
                p95 = statistics.quantiles(took, n=20)[-1]
                is_met = is_met and p95 < GOAL
                print(
                    f"{kind:12} {count:5} articles  {path:25} p50 {statistics.median(took) * 1000:6.1f} ms"
                    f"   p95 {p95 * 1000:6.1f} ms   {size / 1024:6.0f} kB"
                    f"{'' if p95 < GOAL else '   over the goal'}",
                    flush=True,
                )
    return is_met


async def _asked(target: Target) -> tuple[list[float], int]:
    """How long each answer took, over one connection, after two to warm up; and how large the page is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    took, page = [], b""
    for number in range(ROUNDS + 2):
        began = time.perf_counter()
        page = await ask(reader, writer, target, number)
        if number >= 2:
            took.append(time.perf_counter() - began)
    writer.close()
    return took, len(page)


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
