"""What pages show of files of won deals."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.accounts.deals import GoodDeal
from portal.clock import local_date
from portal.journeys.import_models import Became, DealImport, ImportLine
from portal.journeys.import_plans import USE_AFTER_DAYS, restored, under_way
from portal.settings import Settings

LATEST = 20


def imports(db: Session) -> Sequence[DealImport]:
    """The latest files, newest first."""
    return db.scalars(select(DealImport).order_by(DealImport.id.desc()).limit(LATEST)).all()


def one_import(db: Session, import_id: int) -> DealImport | None:
    return db.get(DealImport, import_id)


def counts(db: Session, import_id: int) -> dict[Became, int]:
    """How many lines became what; every outcome is there."""
    found = db.execute(
        select(ImportLine.became, func.count()).where(ImportLine.import_id == import_id).group_by(ImportLine.became)
    )
    return dict.fromkeys(Became, 0) | {became: count for became, count in found}


def cautions(db: Session, import_id: int) -> int:
    """How many lines are taken in but should be looked at."""
    found = select(func.count()).where(ImportLine.import_id == import_id, ImportLine.has_cautions)
    return db.scalar(found) or 0


def waiting(db: Session, import_id: int) -> int:
    """How many lines are still to be carried out."""
    return db.scalar(select(func.count()).where(ImportLine.import_id == import_id, ImportLine.waiting)) or 0


def lines(db: Session, import_id: int, *, show: str, after: int, most: int) -> Sequence[Any]:
    """Lines that become `show` (or `cautions`), in the file's order from after a line on."""
    which = ImportLine.has_cautions if show == "cautions" else ImportLine.became == Became(show)
    return db.execute(
        select(
            ImportLine.line,
            ImportLine.became,
            ImportLine.waiting,
            ImportLine.company,
            ImportLine.account_id,
            ImportLine.findings,
        )
        .where(ImportLine.import_id == import_id, which, ImportLine.line > after)
        .order_by(ImportLine.line)
        .limit(most)
    ).all()


def refused(db: Session, import_id: int) -> Sequence[Any]:
    """Every refused line with its cells and what is wrong, in the file's order."""
    return db.execute(
        select(ImportLine.line, ImportLine.cells, ImportLine.findings)
        .where(ImportLine.import_id == import_id, ImportLine.became == Became.REFUSED)
        .order_by(ImportLine.line)
    ).all()


class FirstRow(NamedTuple):
    """A customer as they would be taken in. `use_started_on` is None for who begins at the first stage."""

    line: int
    became: Became
    deal: GoodDeal
    use_started_on: date | None


def first_rows(db: Session, found: DealImport, *, most: int, now: datetime, settings: Settings) -> list[FirstRow]:
    """The first customers of a draft, as they would be taken in; none once it is confirmed."""
    if found.confirmed_at is not None:
        return []
    today = local_date(now, settings.default_timezone)
    rows = db.execute(
        select(ImportLine.line, ImportLine.became, ImportLine.deal)
        .where(
            ImportLine.import_id == found.id,
            ImportLine.became.in_([Became.CREATED, Became.UPDATED, Became.UNCHANGED]),
        )
        .order_by(ImportLine.line)
        .limit(most)
    )
    shown = []
    for line, became, plain in rows:
        deal = restored(plain)
        start = under_way(deal.sold_on, today=today, use_after_days=USE_AFTER_DAYS)
        shown.append(FirstRow(line, became, deal, start.use_started_on if start else None))
    return shown
