"""A house with the shipped pipelines and surveys, and customers who have used the product for a month."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

import portal.tables  # noqa: F401 - every table
from portal import delivery, links, mail
from portal.accounts.asking_models import RequestRow
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.clock import FixedClock
from portal.db import Base
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import due
from portal.journeys.models import Activity, JourneyRow
from portal.journeys.shipped import load_shipped
from portal.settings import read_settings
from portal.surveys import actions as surveys
from portal.surveys.models import Invitation
from portal.surveys.rules import Answers, Reader, Shown
from portal.surveys.shipped import load_shipped_surveys
from portal.surveys.shown import digest, seal
from portal.worker import COMPOSERS, TURNS

NOTHING = Answers()
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
STARTED_ON = date(2026, 6, 1)
DAY_30 = datetime(2026, 7, 1, 12, tzinfo=UTC)
"""09:00 in São Paulo, a Wednesday."""


@dataclass(frozen=True)
class Customer:
    account_id: int
    contact_id: int
    journey_id: int


class Town:
    """Customers, and the worker's mornings."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.customers = 0
        with house.database.write() as db:
            load_shipped(db, now=START)
            load_shipped_surveys(db, now=START)
            db.add(
                Staff(
                    email="carla@onward.example",
                    name="Carla Nunes",
                    role=Role.CONSULTANT,
                    phone="+551140028922",
                    timezone="America/Sao_Paulo",
                    created_at=START,
                )
            )

    def customer(
        self, *, name: str = "Maria Souza", email: str | None = "maria@lumen.example", phone: str = ""
    ) -> Customer:
        """A customer whose use started on the first of June."""
        self.customers += 1
        with self.house.database.write() as db:
            account = Account(
                external_id=f"D-{self.customers}", name="Lumen", plan="Pro", created_at=START, created_by="import"
            )
            db.add(account)
            db.flush()
            contact = Contact(
                account_id=account.id,
                name=name,
                email=email,
                phone=phone,
                language=Language.EN,
                timezone="America/Sao_Paulo",
                is_primary=True,
                created_at=START,
            )
            db.add(contact)
            db.flush()
            journey_id = journeys.open_after_sale(
                db, self.house, account_id=account.id, owner_id=None, by="import", now=START
            )
            activity_id = db.scalar(select(Activity.id).where(Activity.journey_id == journey_id))
            assert activity_id is not None
            journeys.complete_activity(db, self.house, activity_id=activity_id, note="ok", by="staff:1", now=START)
            journeys.hear_sign_in(db, self.house, contact_id=contact.id, now=START)
            return Customer(account.id, contact.id, journey_id)

    def live_until(self, moment: datetime, *, mail_leaves: bool = True) -> None:
        """All that falls due up to then, by one worker, at its own time; and the mail of before that moment leaves, unless
        the mail server is away."""
        kinds = (*due.OWN_KINDS, "survey", "reminder")
        while True:
            with self.house.database.read() as db:
                following = due.next_due(db, kinds=kinds)
                leaves_at = mail.next_due(db) if mail_leaves else None
            if leaves_at is not None and leaves_at < moment and (following is None or leaves_at <= following):
                self.house.clock.set(max(leaves_at, self.house.clock.now()))  # type: ignore[attr-defined]
                self.leave()
                continue
            if following is None or following > moment:
                break
            self.house.clock.set(max(following, self.house.clock.now()))  # type: ignore[attr-defined]
            self.work()
        self.house.clock.set(moment)  # type: ignore[attr-defined]

    def leave(self) -> None:
        """What may leave the outbox leaves it."""
        now = self.house.clock.now()
        while delivery.deliver(self.house, composers=COMPOSERS, turns=TURNS, now=now):
            pass

    def work(self) -> None:
        """What is due now."""
        now = self.house.clock.now()
        for kinds, do in (
            (due.OWN_KINDS, due.do_own),
            (("survey",), surveys.send_due),
            (("reminder",), surveys.remind_due),
        ):
            with self.house.database.write() as db:
                if rows := due.claim(db, kinds=kinds, now=now, limit=500):
                    do(db, self.house, rows, now)

    def invitation(self, customer: Customer, day: int = 30) -> Invitation:
        with self.house.database.read() as db:
            found = db.scalar(
                select(Invitation).where(
                    Invitation.journey_id == customer.journey_id,
                    Invitation.contact_id == customer.contact_id,
                    Invitation.day == day,
                )
            )
        assert found is not None
        return found

    def ledger(self, *facts: str) -> list[tuple[Any, ...]]:
        """These facts of every request in the ledger, in the order in which they were written down."""
        with self.house.database.read() as db:
            columns = [getattr(RequestRow, fact) for fact in facts]
            return [tuple(row) for row in db.execute(select(*columns).order_by(RequestRow.id))]

    def journey(self, customer: Customer) -> JourneyRow:
        with self.house.database.read() as db:
            return db.get_one(JourneyRow, customer.journey_id)

    def win(self, customer: Customer) -> None:
        """The journey was approved meanwhile."""
        with self.house.database.write() as db:
            db.execute(
                update(JourneyRow)
                .where(JourneyRow.id == customer.journey_id)
                .values(status="won", ended_at=self.house.clock.now())
            )


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    settings = read_settings(
        {"PORTAL_DATABASE_URL": database_url, "PORTAL_SECRET_KEY": "a secret for tests that nobody needs to keep"}
    )
    opened = House.open(settings, FixedClock(START))
    Base.metadata.create_all(opened.database.write_engine)
    yield opened
    opened.database.close()


@pytest.fixture
def town(house: House) -> Town:
    return Town(house)


@pytest.fixture
def maria(town: Town) -> Customer:
    """Maria, who was asked on day 30 at nine."""
    customer = town.customer()
    town.live_until(DAY_30)
    return customer


def form_of(house: House, link: str, *, seconds: float = 20, filled: Answers = NOTHING) -> str:
    """The seal of a form that was shown so many seconds ago, with these answers filled in already."""
    shown = Shown(
        house.clock.now() - timedelta(seconds=seconds), links.new_nonce()[:16], Reader.BROWSER, digest(filled)
    )
    return seal(house.secret, links.row_of(link.removeprefix("/s/")) or 0, shown)


Later = Callable[[int], datetime]


@pytest.fixture
def later() -> Later:
    """So many days after the survey went out."""
    return lambda days: DAY_30 + timedelta(days=days)
