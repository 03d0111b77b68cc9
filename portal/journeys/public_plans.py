"""The public plan: a link that shows a prospect what happens after they sign, with dates from an assumed start.

The link is a capability: derived from a nonce, revocable, without an account behind it. It shows the plan as it was on the
day it was made; a template that changes later changes nothing that somebody was promised. At the sale the plan becomes
the customer's own, and from then on the link only leads to the sign-in page: who holds an old link must not be able to
watch a customer's live plan.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import audit, links
from portal.accounts.models import Account, Staff
from portal.accounts.rules import Language, folded
from portal.audit import Event, Happened
from portal.clock import next_business_day
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import conduct, planning
from portal.journeys.models import JourneyRow, PublicPlan
from portal.journeys.plan_templates import Agreed, entries_for
from portal.journeys.plans import Entry, PathStep, StageWords, StepState, planned_days
from portal.journeys.queries import stage_words
from portal.journeys.rules import EntryKind, Status, Whose
from portal.journeys.shipped import AFTER_SALE

PURPOSE = "public_plan"


class State(StrEnum):
    """What became of a link."""

    OPEN = "open"
    REVOKED = "revoked"
    SOLD = "sold"


# What people do


def make(
    db: Session,
    *,
    prospect: str,
    product: str,
    language: Language,
    starts_on: date,
    staff_id: int,
    by: str,
    now: datetime,
) -> int:
    """A new link; gives its number. Errors: NotFound for a colleague who isn't there, Refused where there is no plan to show."""
    if db.scalar(select(Staff.id).where(Staff.id == staff_id, Staff.disabled_at.is_(None))) is None:
        raise NotFound
    entries = entries_for(db, product)
    if not entries:
        raise Refused(N_("There is nothing on the plan for this product yet."))
    row = PublicPlan(
        nonce=links.new_nonce(),
        prospect=prospect,
        product=product,
        language=language,
        starts_on=starts_on,
        entries=[asdict(entry) for entry in entries],
        staff_id=staff_id,
        created_at=now,
        created_by=by,
    )
    db.add(row)
    db.flush()
    detail = {"public_plan": row.id, "prospect": prospect, "product": product}
    audit.note(db, Event(Happened.PUBLIC_PLAN_MADE, by, now, detail=detail))
    return row.id


def revoke(db: Session, *, plan_id: int, by: str, now: datetime) -> None:
    """Ends a link for good; ended once stays ended. Errors: NotFound."""
    row = _locked(db, plan_id)
    if row.revoked_at is not None:
        return
    row.revoked_at, row.revoked_by = now, by
    db.flush()
    detail = {"public_plan": row.id, "prospect": row.prospect}
    audit.note(db, Event(Happened.PUBLIC_PLAN_REVOKED, by, now, row.account_id, detail=detail))


def sell(db: Session, *, plan_id: int, account_id: int, by: str, now: datetime) -> Agreed:
    """The prospect became this customer; gives the plan that their journey starts with. The account's row is the caller's.

    Errors: NotFound; Refused for a link that was revoked or belongs to another customer, or a customer who has one.
    """
    row = _locked(db, plan_id)
    if row.account_id == account_id:
        return _agreed(row)
    if row.revoked_at is not None or row.connected_at is not None:
        raise Refused(N_("This plan can’t be used any more: its link was ended, or it belongs to another customer."))
    if db.scalar(select(PublicPlan.id).where(PublicPlan.account_id == account_id)) is not None:
        raise Refused(N_("This customer already goes by a plan that they were shown."))
    row.account_id, row.connected_at = account_id, now
    db.flush()
    detail = {"public_plan": row.id, "prospect": row.prospect}
    audit.note(db, Event(Happened.PUBLIC_PLAN_CONNECTED, by, now, account_id, detail=detail))
    return _agreed(row)


def connect(db: Session, house: House, *, plan_id: int, account_id: int, by: str, now: datetime) -> None:
    """The same for a customer whose journey is under way already: what lies ahead becomes what they were shown.

    Errors: as `sell`, and Refused where no journey is under way.
    """
    conduct.lock_account(db, account_id)
    journey_id = db.scalar(
        select(JourneyRow.id).where(
            JourneyRow.account_id == account_id,
            JourneyRow.pipeline_key == AFTER_SALE,
            JourneyRow.status == Status.OPEN,
        )
    )
    if journey_id is None:
        raise Refused(N_("No journey is under way that this plan could be for."))
    if db.scalar(select(PublicPlan.account_id).where(PublicPlan.id == plan_id)) == account_id:
        return
    conduct.lock(db, journey_id)
    agreed = sell(db, plan_id=plan_id, account_id=account_id, by=by, now=now)
    planning.adopt(db, house, journey_id=journey_id, agreed=agreed, by=by, now=now)


def _locked(db: Session, plan_id: int) -> PublicPlan:
    row = db.get(PublicPlan, plan_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound
    return row


def _agreed(row: PublicPlan) -> Agreed:
    return Agreed(tuple(Entry.from_json(entry) for entry in row.entries), row.starts_on)


# What pages show


class PublicPlanLine(NamedTuple):
    """A link in the staff's list."""

    id: int
    prospect: str
    product: str
    language: Language
    starts_on: date
    created_at: datetime
    created_by: str
    asked: str
    """Whom the prospect can ask."""
    state: State
    ended_at: datetime | None
    account_id: int | None
    account_name: str
    path: str


_LIST = (
    select(PublicPlan, Staff.name, Account.name)
    .join(Staff, Staff.id == PublicPlan.staff_id)
    .outerjoin(Account, Account.id == PublicPlan.account_id)
)
MOST = 200


def public_plans(db: Session, house: House) -> tuple[PublicPlanLine, ...]:
    """The links, newest first; two hundred at most."""
    return tuple(
        _line(house, row, asked, account or "")
        for row, asked, account in db.execute(_LIST.order_by(PublicPlan.id.desc()).limit(MOST))
    )


def open_plans(db: Session, house: House) -> tuple[PublicPlanLine, ...]:
    """The links that a new customer could have been shown, newest first."""
    wanted = _LIST.where(PublicPlan.revoked_at.is_(None), PublicPlan.connected_at.is_(None))
    return tuple(
        _line(house, row, asked, account or "")
        for row, asked, account in db.execute(wanted.order_by(PublicPlan.id.desc()).limit(MOST))
    )


def _line(house: House, row: PublicPlan, asked: str, account_name: str) -> PublicPlanLine:
    return PublicPlanLine(
        row.id,
        row.prospect,
        row.product,
        row.language,
        row.starts_on,
        row.created_at,
        row.created_by,
        asked,
        _state(row),
        row.revoked_at or row.connected_at,
        row.account_id,
        account_name,
        path_of(house, row),
    )


def _state(row: PublicPlan) -> State:
    if row.revoked_at is not None:
        return State.REVOKED
    return State.SOLD if row.connected_at is not None else State.OPEN


def path_of(house: House, row: PublicPlan) -> str:
    """The address of the page, without the host."""
    return f"/p/{links.seal(house.secret, PURPOSE, row.id, row.nonce)}"


def find(db: Session, house: House, token: str) -> PublicPlan | None:
    """The plan behind a token, whatever became of it."""
    row = db.get(PublicPlan, links.row_of(token) or 0)
    return row if row is not None and links.is_sealed(token, house.secret, PURPOSE, row.nonce) else None


def id_of_link(db: Session, house: House, link: str) -> int | None:
    """The plan that a whole link, or only its last part, leads to; for the API and for files. None: it leads to none."""
    row = find(db, house, link.strip().rstrip("/").rpartition("/")[2])
    return row.id if row is not None else None


# Links in files

LEADS_NOWHERE = N_(
    "The link in this cell leads to no plan. The customer is taken in with the usual plan; copy the link again from the "
    "list of public plans to change that."
)
WAS_ENDED = N_("The link in this cell was ended on %(day)s. The customer is taken in with the usual plan.")
IS_SOMEBODYS = N_(
    "The plan behind this link is another customer's, “%(company)s”. This customer is taken in with the usual plan."
)
OF_OTHER_PRODUCT = N_(
    "The plan behind this link is for “%(product)s”, and this line says “%(plan)s”. The customer is taken in with the "
    "usual plan."
)
HAS_ONE = N_("This customer goes by another plan that they were shown already, and keeps it.")
NOTHING_UNDER_WAY = N_("No journey of this customer is under way that the plan behind this link could be for.")


class Named(NamedTuple):
    """A line of a file that names a public plan: by `link`; `plan` is what the customer bought, `account_id` who they are
    where we know them."""

    link: str
    plan: str
    account_id: int | None


class Link(NamedTuple):
    """What comes of a link: the plan that the customer starts with; else why there is none (a msgid and its values)."""

    plan_id: int | None
    why: str = ""
    values: dict[str, str] = {}
    is_theirs: bool = False
    """They go by it already."""


def behind(db: Session, house: House, named: Sequence[Named]) -> list[Link]:
    """What each link comes to, in the order given. At most three statements, however many there are."""
    if not named:
        return []
    tokens = [one.link.strip().rstrip("/").rpartition("/")[2] for one in named]
    numbers = sorted({links.row_of(token) or 0 for token in tokens})
    found = select(PublicPlan, Account.name).outerjoin(Account, Account.id == PublicPlan.account_id)
    rows = db.execute(found.where(PublicPlan.id.in_(numbers))).all()
    plans = {row.id: row for row, _ in rows}
    companies = {row.id: company for row, company in rows}
    known = sorted({one.account_id for one in named if one.account_id is not None})
    have = set(db.scalars(select(PublicPlan.account_id).where(PublicPlan.account_id.in_(known)))) if known else set()
    open_ones = select(JourneyRow.account_id).where(
        JourneyRow.account_id.in_(known), JourneyRow.pipeline_key == AFTER_SALE, JourneyRow.status == Status.OPEN
    )
    under_way = set(db.scalars(open_ones)) if known else set()
    come = []
    for one, token in zip(named, tokens, strict=True):
        row = plans.get(links.row_of(token) or 0)
        if row is None or not links.is_sealed(token, house.secret, PURPOSE, row.nonce):
            come.append(Link(None, LEADS_NOWHERE))
        elif row.account_id is not None and row.account_id == one.account_id:
            come.append(Link(row.id, is_theirs=True))
        elif row.revoked_at is not None:
            come.append(Link(None, WAS_ENDED, {"day": row.revoked_at.date().isoformat()}))
        elif row.connected_at is not None:
            come.append(Link(None, IS_SOMEBODYS, {"company": companies[row.id] or ""}))
        elif row.product and one.plan and folded(row.product) != folded(one.plan):
            come.append(Link(None, OF_OTHER_PRODUCT, {"product": row.product, "plan": one.plan}))
        elif one.account_id in have:
            come.append(Link(None, HAS_ONE))
        elif one.account_id is not None and one.account_id not in under_way:
            come.append(Link(None, NOTHING_UNDER_WAY))
        else:
            come.append(Link(row.id))
    return come


class ShownEntry(NamedTuple):
    """A milestone or touchpoint as the prospect reads it."""

    title: str
    text: str
    whose: Whose
    channel: str
    day: int | None
    on: date | None


class ShownStage(NamedTuple):
    name: str
    text: str
    milestones: tuple[ShownEntry, ...]


class Shown(NamedTuple):
    """All that the page says of the plan."""

    prospect: str
    product: str
    starts_on: date
    made_on: datetime
    path: tuple[PathStep, ...]
    touchpoints: tuple[ShownEntry, ...]
    stages: tuple[ShownStage, ...]
    """Those with milestones, in order; what belongs to no stage comes last, without a name."""
    asked: Staff


def shown(db: Session, row: PublicPlan, *, locale: str) -> Shown:
    """The plan as its link shows it, in the reader's language, with dates from its assumed start."""
    words = stage_words(db, conduct.current_pipeline_id(db, AFTER_SALE), locale)
    agreed = _agreed(row)
    pt = locale == "pt-BR"
    days = planned_days(agreed.entries)
    by_stage: dict[str, list[ShownEntry]] = {}
    touchpoints: list[ShownEntry] = []
    first_days: dict[str, int] = {}
    for entry in agreed.entries:
        day = days[entry.kind, entry.key]
        on = row.starts_on + timedelta(days=day) if day is not None else None
        line = ShownEntry(entry.title[pt], entry.text[pt], entry.whose, entry.channel, day, on)
        if entry.kind is EntryKind.MILESTONE:
            by_stage.setdefault(entry.stage_key, []).append(line)
        else:
            # As on the live plan: the day we really write or call, not the Saturday it falls on.
            touchpoints.append(line._replace(on=next_business_day(on) if on is not None else None))
        if day is not None:
            first_days[entry.stage_key] = min(day, first_days.get(entry.stage_key, day))
    known = {stage.key for stage in words}
    rest = [line for key, lines in by_stage.items() if key not in known for line in lines]
    return Shown(
        prospect=row.prospect,
        product=row.product,
        starts_on=row.starts_on,
        made_on=row.created_at,
        path=_path(words, first_days, row.starts_on),
        touchpoints=tuple(sorted(touchpoints, key=lambda t: (t.day is not None, t.day or 0))),
        stages=tuple(
            ShownStage(stage.customer_name, stage.customer_text, tuple(by_stage[stage.key]))
            for stage in words
            if stage.key in by_stage
        )
        + ((ShownStage("", "", tuple(rest)),) if rest else ()),
        asked=db.get_one(Staff, row.staff_id),
    )


def _path(stages: Sequence[StageWords], first_days: dict[str, int], starts_on: date) -> tuple[PathStep, ...]:
    steps = []
    for n, stage in enumerate(stages):
        day = stage.contact_day if stage.contact_day is not None else first_days.get(stage.key)
        on = next_business_day(starts_on + timedelta(days=day)) if day is not None else None
        state = StepState.NOW if n == 0 else StepState.LATER
        steps.append(PathStep(stage.key, stage.customer_name, stage.customer_text, state, on))
    return tuple(steps)
