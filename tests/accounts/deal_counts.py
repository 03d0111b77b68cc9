"""What the importer makes of won-deal files, counted: `python tests/accounts/deal_counts.py tests/data/*.csv`."""

import sys
from collections import Counter
from datetime import date
from pathlib import Path

from portal.accounts.deals import DealContext, DealReading, KnownConsultant, open_deals, read_deals
from portal.accounts.rules import Language

TODAY = date(2026, 11, 22)
CONSULTANTS = (
    KnownConsultant("carla@onward.example", "Carla Nogueira"),
    KnownConsultant("rui@onward.example", "Rui Tavares"),
    KnownConsultant("bea@onward.example", "Beatriz Lopes"),
    KnownConsultant("caio@onward.example", "Caio Andrade"),
)
CONTEXT = DealContext(
    today=TODAY, language=Language.EN, time_zone="Europe/London", currency="EUR", consultants=CONSULTANTS
)


def counted(reading: DealReading) -> dict[str, int]:
    """How many rows became what, and how often each problem and caution was met."""
    kinds = Counter(type(result).__name__ for result in reading.results)
    problems = Counter(f"problem {found.code}" for bad in reading.bad for found in bad.problems)
    cautions = Counter(
        f"caution {found.code}" for taken in (*reading.good, *reading.second_contacts) for found in taken.cautions
    )
    return dict(sorted((kinds + problems + cautions).items()))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = open_deals(Path(name))
        found = read_deals(file, CONTEXT)
        print(f"{name}: {file.encoding}, {file.delimiter!r}, {len(file.rows)} rows")
        for kind, count in counted(found).items():
            print(f"  {count:5} {kind}")
        for bad in found.bad:
            for problem in bad.problems:
                print(f"  line {bad.line}, {problem.column}: {problem.message % problem.values}")
