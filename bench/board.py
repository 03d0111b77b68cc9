"""The board's first page with 1 000 and with 100 000 journeys: it has to cost the same.

    python -m bench.board                      both databases, about two minutes
    python -m bench.board --database sqlite --journeys 1000 10000

Goal: less than 1.3 times the processor time (web process and database together) a request.
Exit code 1 where it is missed.
"""

import argparse
import os
import tempfile
from contextlib import ExitStack
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

GOAL = 1.3
FEW, MANY = 1_000, 100_000
PATH = "/staff/pipeline"


def compare(kind: str, few: int, many: int, folder: Path) -> bool:
    """Measures and prints; gives whether the goal was reached."""
    with ExitStack() as stack:
        targets = {}
        for count in (few, many):
            url, database_pid = stack.enter_context(empty_database(kind, f"board_{count}", folder))
            database = Database(url)
            filled = fill(database, journeys=count, customers=1)
            database.close()
            port, pid = stack.enter_context(server(url))
            target = Target(port, PATH, [filled.manager], pid, database_pid)
            shown = page_of(target, 0).count(b'<li class="deal')
            targets[f"{count} journeys, {shown} cards"] = target
        turns = measured(targets)
    for name, those in turns.items():
        print_turns(kind, name, median(those))
    small, large = turns.values()
    times = ratio([turn.processor for turn in large], [turn.processor for turn in small])
    rate = ratio([turn.rate for turn in small], [turn.rate for turn in large])
    print(
        f"{kind:12} {many} / {few}: {times:.2f} times the processor time, {rate:.2f} by rate;"
        f" goal {GOAL:.1f}: {'reached' if times < GOAL else 'MISSED'}",
        flush=True,
    )
    return times < GOAL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--journeys", type=int, nargs=2, default=[FEW, MANY], metavar=("FEW", "MANY"))
    given = parser.parse_args()
    pin(os.getpid(), first=False)
    print(f"load before: {foreign_load():.1f}", flush=True)
    few, many = given.journeys
    with tempfile.TemporaryDirectory() as folder:
        kinds = given.database or ["sqlite", "postgresql"]
        reached = [compare(kind, few, many, Path(folder)) for kind in kinds]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
