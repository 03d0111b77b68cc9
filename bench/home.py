"""The customer's home page beside its render floor: the same template from values held in memory, on the same server.

    python -m bench.home                       both databases, about a minute and a half
    python -m bench.home --database sqlite

Goals: at least 40 % of the floor's rate, and the same number of statements for everybody.
Exit code 1 where one is missed.
"""

import argparse
import os
import tempfile
from pathlib import Path

from bench.filling import fill
from bench.measuring import (
    Target,
    empty_database,
    foreign_load,
    measured,
    median,
    page_of,
    pin,
    print_turns,
    ratio,
    server,
)
from portal.db import Database

GOAL = 0.40
JOURNEYS = 1_000
CUSTOMERS = 200


def compare(kind: str, folder: Path) -> bool:
    """Measures and prints; gives whether the goal was reached."""
    with empty_database(kind, "home", folder) as (url, database_pid):
        database = Database(url)
        filled = fill(database, journeys=JOURNEYS, customers=CUSTOMERS)
        database.close()
        cookies = folder / "cookies"
        cookies.write_text("\n".join(filled.customers))
        with server(url) as (port, pid), server(url, "--floor", str(cookies)) as (floor_port, floor_pid):
            page = Target(port, "/", filled.customers, pid, database_pid)
            floor = Target(floor_port, "/", (), floor_pid, None)
            for number in range(20):
                assert page_of(page, number) == page_of(floor, number), "the floor shows another page"
            turns = measured({"home": page, "floor": floor})
    for name, those in turns.items():
        print_turns(kind, name, median(those))
    rate = ratio([turn.rate for turn in turns["home"]], [turn.rate for turn in turns["floor"]])
    web = ratio([turn.web for turn in turns["floor"]], [turn.web for turn in turns["home"]])
    whole = ratio([turn.processor for turn in turns["floor"]], [turn.processor for turn in turns["home"]])
    print(
        f"{kind:12} home / floor: {rate:.2f} of its rate; by processor time {web:.2f} (web), {whole:.2f} (with the database);"
        f" goal {GOAL:.2f}: {'reached' if rate >= GOAL else 'MISSED'}",
        flush=True,
    )
    return rate >= GOAL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    given = parser.parse_args()
    pin(os.getpid(), first=False)
    print(f"load before: {foreign_load():.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        reached = [compare(kind, Path(folder)) for kind in given.database or ["sqlite", "postgresql"]]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
