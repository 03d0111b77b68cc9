"""Time in stage, read from visits, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

import portal.tables  # noqa: F401 - every table
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.clock import FixedClock
from portal.house import House
from portal.insights.queries import StageTime, time_in_stage
from portal.journeys import actions
from portal.journeys.models import JourneyRow, Visit
from portal.journeys.shipped import load_shipped
from portal.settings import read_settings

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
A_DAY = timedelta(days=1)
LATER = START + 20 * A_DAY


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    opened = House.open(
        read_settings({"PORTAL_DATABASE_URL": database_url, "PORTAL_SECRET_KEY": "a secret for tests, kept by nobody"}),
        FixedClock(START),
    )
    with opened.database.write() as db:
        load_shipped(db, now=START)
        for name in ("carla", "bea"):
            db.add(
                Staff(email=f"{name}@onward.example", name=name, role=Role.CONSULTANT, timezone="UTC", created_at=START)
            )
    yield opened
    opened.database.close()


def journey(house: House, number: int, *, owner_id: int, days: list[float]) -> int:
    """A journey that stayed so many days in each stage and is in the next one now."""
    with house.database.write() as db:
        account = Account(external_id=f"D-{number}", name="Lumen", plan="Pro", created_at=START, created_by="import")
        db.add(account)
        db.flush()
        person = Contact(account_id=account.id, name="Maria", email=f"m{number}@lumen.example", created_at=START)
        person.language, person.timezone, person.is_primary = Language.EN, "UTC", True
        db.add(person)
        db.flush()
        found = actions.open_after_sale(db, house, account_id=account.id, owner_id=owner_id, by="import", now=START)
        for length in days:
            now = db.scalars(select(Visit.entered_at).where(Visit.journey_id == found, Visit.left_at.is_(None))).one()
            position = db.get_one(JourneyRow, found).position
            actions.move_by_hand(
                db,
                house,
                journey_id=found,
                stage=("demand_analysis", "first_contact", "deployment", "follow_up_30")[position + 1],
                reason="They asked for it",
                by="staff:1",
                now=now + length * A_DAY,
            )
    return found


def stages(house: House, *, owner_id: int | None = None, since: datetime = START) -> tuple[StageTime, ...]:
    with house.database.read() as db:
        return time_in_stage(db, locale="en", now=LATER, since=since, owner_id=owner_id)


def test_each_stage_says_who_went_on_who_is_there_who_was_lost_and_how_long_it_took(house: House) -> None:
    journey(house, 1, owner_id=1, days=[1, 2])
    journey(house, 2, owner_id=1, days=[1])
    journey(house, 3, owner_id=1, days=[4])
    gone = journey(house, 4, owner_id=2, days=[2])
    journey(house, 5, owner_id=2, days=[])
    with house.database.write() as db:
        db.execute(update(JourneyRow).where(JourneyRow.id == gone).values(status="lost", ended_at=LATER))
    assert stages(house) == (
        StageTime("demand_analysis", "Demand analysis", 5, 4, 1, 0, median_days=1, p90_days=4, ends=False),
        StageTime("first_contact", "Contact with customer", 4, 1, 2, 1, median_days=2, p90_days=2, ends=False),
        StageTime("deployment", "Deployment & feedback", 1, 0, 1, 0, median_days=None, p90_days=None, ends=False),
    )


def test_a_whole_day_is_a_day_and_a_moment_less_is_not(house: House) -> None:
    for number, days in enumerate((29, 29 - 1 / 86400), start=1):
        journey(house, number, owner_id=number, days=[days])
    assert [s.median_days for s in stages(house, owner_id=1)] == [29, None]
    assert [s.median_days for s in stages(house, owner_id=2)] == [28, None]


def test_visits_that_began_before_the_period_are_left_out(house: House) -> None:
    journey(house, 1, owner_id=1, days=[5])
    assert [s.key for s in stages(house, since=START + A_DAY)] == ["first_contact"]
    assert stages(house, since=LATER) == ()
