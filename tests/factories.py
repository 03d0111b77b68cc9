"""Makes what a test needs with sensible details, so that a test states only the ones it is about. All give ids."""

import itertools
from collections.abc import Container
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Channel, Language, Role, folded
from portal.clock import NO_HOLIDAYS, Clock, FixedClock
from portal.db import Database
from portal.house import House
from portal.journeys import actions
from portal.journeys.actions import UnderWay
from portal.journeys.shipped import load_shipped
from portal.settings import read_settings
from portal.surveys.shipped import load_shipped_surveys

_number = itertools.count(1)


def house(
    database: Database,
    now: datetime,
    *,
    clock: Clock | None = None,
    holidays: Container[date] = NO_HOLIDAYS,
    **knobs: str,
) -> House:
    """The house around a database; its clock stands at `now`. Knobs are settings: `flag_hours="4"`."""
    environ = {
        "PORTAL_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "PORTAL_SECRET_KEY": "a-secret-that-only-the-tests-know",
        **{f"PORTAL_{name.upper()}": value for name, value in knobs.items()},
    }
    return House(read_settings(environ), database, clock or FixedClock(now), holidays)


def load_shipped_rules(db: Session, *, now: datetime) -> None:
    """The pipelines and surveys that ship."""
    load_shipped(db, now=now)
    load_shipped_surveys(db, now=now)


def staff(db: Session, name: str, role: Role, *, now: datetime, **details: Any) -> int:
    """Somebody who works here."""
    first = folded(name).split()[0]
    row = Staff(**{"email": f"{first}@onward.example", "timezone": "America/Sao_Paulo"} | details)
    row.name, row.role, row.created_at = name, role, now
    db.add(row)
    db.flush()
    return row.id


def account(db: Session, name: str, *, now: datetime, **details: Any) -> int:
    """A customer company without people or journeys."""
    given = {"external_id": f"deal-{next(_number)}", "mrr_currency": "BRL", "mrr_amount": Decimal(0)} | details
    row = Account(**given, name=name, search=folded(name), created_at=now, created_by="test")
    db.add(row)
    db.flush()
    return row.id


def contact(db: Session, account_id: int, name: str, *, now: datetime, **details: Any) -> int:
    """A person at a company, reached by e-mail unless said otherwise."""
    given = {
        "email": f"{folded(name).replace(' ', '.')}@customer{account_id}.example",
        "channel": Channel.EMAIL,
        "language": Language.EN,
        "timezone": "America/Sao_Paulo",
    } | details
    row = Contact(**given, account_id=account_id, name=name, created_at=now)
    db.add(row)
    db.flush()
    return row.id


def journey(
    db: Session,
    house: House,
    account_id: int,
    *,
    now: datetime,
    owner_id: int | None = None,
    stage: str = "",
    use_started_on: date | None = None,
) -> int:
    """The account's After-sale journey: at its first stage, or in the stage or since the start of use given."""
    under_way = UnderWay(use_started_on, stage) if stage or use_started_on else None
    return actions.open_after_sale(
        db, house, account_id=account_id, owner_id=owner_id, by="test", now=now, under_way=under_way
    )
