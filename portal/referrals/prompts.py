"""Whom to ask for a referral, and when: journeys leave the moments as due actions, consultants close what they get."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import audit
from portal.accounts import asking_ledger as ledger
from portal.accounts.asking import Asked, Became, Instead, judge
from portal.accounts.asking import Why as Reason
from portal.accounts.models import Account, Contact
from portal.audit import AuditEvent, Event, Happened
from portal.db import insert_for
from portal.errors import NotFound
from portal.house import House
from portal.journeys import due
from portal.journeys.due import Waiting
from portal.journeys.models import DueAction, Flag, GoalRow, JourneyRow
from portal.mail import Purpose
from portal.referrals import rules
from portal.referrals.models import ReferralPrompt
from portal.referrals.rules import Moment, Result, Why, Withheld

KIND = "referral_prompt"


def prompt_due(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Carries out claimed `referral_prompt` actions: the consultant is prompted, or it is kept why not. Marks them done."""
    ids = [row.journey_id for row in rows]
    found = db.execute(
        select(JourneyRow.id, JourneyRow.account_id, Account.churned_on)
        .join(Account, Account.id == JourneyRow.account_id)
        .where(JourneyRow.id.in_(ids))
    ).all()
    account_of = {id_: account_id for id_, account_id, _ in found}
    accounts = set(account_of.values())
    churned = {account_id for _, account_id, churned_on in found if churned_on is not None}
    flagged = set(
        db.scalars(select(Flag.account_id).where(Flag.account_id.in_(accounts), Flag.closed_at.is_(None)).distinct())
    )
    promoted = _journeys_with_promoter(db, ids)
    last = _last_prompts(db, accounts)
    people = _whom_to_ask(db, ids, accounts)
    unwilling = _unwilling(db, house, set(people.values()), now=now)
    done: dict[str, list[Waiting]] = {}
    for row in rows:
        account_id = account_of[row.journey_id]
        why, about = rules.read_why(row.what)
        contact_id = people.get((row.journey_id, why), people.get((account_id, None)))
        withheld = rules.withheld(
            Moment(
                why=why,
                at=now,
                has_open_flag=account_id in flagged,
                last_prompt_at=last.get(account_id),
                is_promoter=row.journey_id in promoted,
                is_customer=account_id not in churned,
                is_unwanted=contact_id in unwilling,
            )
        )
        _remember(
            db, row, account_id=account_id, contact_id=contact_id, why=why, about=about, withheld=withheld, now=now
        )
        if withheld is None:
            last[account_id] = now
        done.setdefault(withheld or "done", []).append(row)
    for result, these in done.items():
        due.mark_done(db, these, now=now, result=result)


def _unwilling(db: Session, house: House, contact_ids: set[int], *, now: datetime) -> set[int]:
    """Who doesn't want to be asked for this at all. When to ask the others is for the consultant, who asks in person."""
    some = list(ledger.people_of(db, contact_ids).values())
    known = ledger.known_of(db, some, purposes=(Purpose.REFERRAL,), flagged=(), now=now)
    verdicts = {one: judge(Asked.REFERRAL, person, now, house.holidays) for one, person in known.people.items()}
    never = (Reason.REFUSED, Reason.FEWER_REQUESTS)
    return {one for one, verdict in verdicts.items() if isinstance(verdict, Instead) and verdict.why in never}


def _journeys_with_promoter(db: Session, journey_ids: Sequence[int]) -> set[int]:
    """Journeys on which a promoter answered: only a promoter's answer leaves an action named after itself."""
    answered = DueAction.key.startswith(f"{KIND}:answer_", autoescape=True)
    return set(
        db.scalars(select(DueAction.journey_id).where(DueAction.journey_id.in_(journey_ids), answered).distinct())
    )


def _last_prompts(db: Session, accounts: set[int]) -> dict[int, datetime]:
    given = (
        select(ReferralPrompt.account_id, func.max(ReferralPrompt.prompted_at))
        .where(ReferralPrompt.account_id.in_(accounts), ReferralPrompt.withheld.is_(None))
        .group_by(ReferralPrompt.account_id)
    )
    return {account_id: at for account_id, at in db.execute(given)}


def _whom_to_ask(db: Session, journey_ids: Sequence[int], accounts: set[int]) -> dict[tuple[int, Why | None], int]:
    """By (journey, answer): who answered last on it. By (account, None): its primary contact, else its first."""
    people: dict[tuple[int, Why | None], int] = {}
    contacts = (
        select(Contact.account_id, Contact.id)
        .where(Contact.account_id.in_(accounts), Contact.disabled_at.is_(None))
        .order_by(Contact.is_primary.desc(), Contact.id)
    )
    for account_id, contact_id in db.execute(contacts):
        people.setdefault((account_id, None), contact_id)
    answers = (
        select(AuditEvent.journey_id, AuditEvent.contact_id)
        .join(Contact, Contact.id == AuditEvent.contact_id)
        .where(
            AuditEvent.what == Happened.SURVEY_ANSWERED,
            AuditEvent.account_id.in_(accounts),
            AuditEvent.journey_id.in_(journey_ids),
            Contact.disabled_at.is_(None),
        )
        .order_by(AuditEvent.id)
    )
    for journey_id, answered_by in db.execute(answers):
        if journey_id is not None and answered_by is not None:
            people[journey_id, Why.ANSWER] = answered_by
    return people


def _remember(
    db: Session,
    row: Waiting,
    *,
    account_id: int,
    contact_id: int | None,
    why: Why,
    about: int | None,
    withheld: Withheld | None,
    now: datetime,
) -> None:
    goal_id = db.scalar(select(GoalRow.id).where(GoalRow.id == about)) if why is Why.GOAL else None
    new = {
        "journey_id": row.journey_id,
        "account_id": account_id,
        "contact_id": contact_id,
        "what": row.what,
        "why": why,
        "goal_id": goal_id,
        "prompted_at": now,
        "withheld": withheld,
        "closed_by": "",
    }
    made = insert_for(db, ReferralPrompt).values(new).on_conflict_do_nothing().returning(ReferralPrompt.id)
    prompt_id = db.scalar(made)
    if prompt_id is not None:
        detail = {"prompt": prompt_id, "why": why, **({"withheld": withheld} if withheld else {})}
        audit.note(db, Event(Happened.REFERRAL_PROMPTED, "system", now, account_id, row.journey_id, contact_id, detail))


def close_prompt(db: Session, prompt_id: int, *, result: Result, by: str, now: datetime) -> None:
    """The consultant has asked, or it was not the moment. The customer gets nothing by itself either way. A second word
    changes nothing. Errors: NotFound."""
    prompt = db.scalars(
        select(ReferralPrompt)
        .where(ReferralPrompt.id == prompt_id, ReferralPrompt.withheld.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if prompt is None:
        raise NotFound
    if prompt.closed_at is not None:
        return
    prompt.closed_at, prompt.closed_by, prompt.result = now, by, result
    db.flush()
    if result is Result.ASKED and prompt.contact_id is not None:  # it draws on their budget like any request
        who = (prompt.account_id, prompt.contact_id, prompt.journey_id, 0)
        asked = ledger.Request(Asked.REFERRAL, *who, Became.CALL, None, now, about=prompt.id)
        ledger.keep(db, [asked], waiting=(), now=now)
    detail = {"prompt": prompt.id, "result": result}
    told = Event(
        Happened.REFERRAL_PROMPT_CLOSED, by, now, prompt.account_id, prompt.journey_id, prompt.contact_id, detail
    )
    audit.note(db, told)


def reopen_prompt(db: Session, prompt_id: int) -> None:
    """Takes back that a prompt was closed. Errors: NotFound."""
    prompt = db.get(ReferralPrompt, prompt_id)
    if prompt is None or prompt.withheld is not None:
        raise NotFound
    prompt.closed_at, prompt.closed_by, prompt.result = None, "", None
    db.flush()
