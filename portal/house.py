"""The house a process lives in: settings, database, clock, holidays. Made once at start and handed on."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Self

import holidays
from sqlalchemy import select

from portal.clock import NO_HOLIDAYS, Clock, MovableClock, SystemClock
from portal.db import Database, DeploymentFact
from portal.settings import Settings

CLOCK_OFFSET = "clock_offset_seconds"
DEMO = "demo"
WORKER_SEEN_AT = "worker_seen_at"
"""When a worker last gave a sign of life, by the machine's clock (ISO 8601)."""


@dataclass(frozen=True)
class House:
    settings: Settings
    database: Database
    clock: Clock
    holidays: Container[date]

    @classmethod
    def open(cls, settings: Settings, clock: Clock | None = None) -> Self:
        """The house these settings describe. In demo mode its clock is kept in the database, for web, worker and shell alike."""
        database = Database(settings.database_url)
        if clock is None:
            clock = MovableClock(lambda: clock_offset(database)) if settings.demo else SystemClock()
        return cls(settings, database, clock, public_holidays(settings.holidays))

    @property
    def secret(self) -> str:
        return self.settings.secret_key.get_secret_value()

    def url(self, path: str) -> str:
        """A link for people: only ever from the configured base address, never from a request's Host."""
        return self.settings.base_url.rstrip("/") + path


def clock_offset(database: Database) -> timedelta:
    """How far the demo's clock is ahead of the machine's."""
    with database.read() as db:
        seconds = db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == CLOCK_OFFSET))
    return timedelta(seconds=float(seconds or 0))


def set_clock(house: House, moment: datetime) -> None:
    """Puts the demo's clock there, for web, worker and shell alike; a clock that is past it stays where it is."""
    ahead = moment - SystemClock().now()
    with house.database.write() as db:
        row = db.get(DeploymentFact, CLOCK_OFFSET, with_for_update=True)
        if row is None:
            db.add(DeploymentFact(name=CLOCK_OFFSET, value=str(max(ahead.total_seconds(), 0.0))))
        elif ahead.total_seconds() > float(row.value):
            row.value = str(ahead.total_seconds())


@lru_cache(maxsize=200)
def public_holidays(place: str) -> Container[date]:
    """The public holidays of `BR` or `BR-SP`; none for an empty place. Errors: NotImplementedError for an unknown one."""
    if not place:
        return NO_HOLIDAYS
    country, _, subdivision = place.partition("-")
    return holidays.country_holidays(country, subdiv=subdivision or None)
