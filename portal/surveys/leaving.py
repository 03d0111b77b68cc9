"""Survey mails as they leave the outbox: judged anew, since days may lie between, and what can't be a mail any more becomes
what it would have become at once: a call, a message, a card; never nothing.

Composing only looks, outside any unit of work. What it withholds is judged once more with the journey held, and turned in
the same unit of work that stops the letter: once, however many workers tried it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from portal import mail
from portal.accounts import asking_ledger as ledger
from portal.accounts.asking import (
    OF_THE_PLAN,
    WHY_IT_WAITS,
    Asked,
    Became,
    Instead,
    Person,
    Send,
    Verdict,
    Wait,
    Why,
    judge,
)
from portal.accounts.asking_ledger import Request
from portal.accounts.models import Contact
from portal.errors import N_
from portal.house import House
from portal.journeys import cases, conduct, silence
from portal.journeys.conduct import Change
from portal.journeys.models import FollowUpRow, JourneyRow
from portal.journeys.rules import LATE_CONTACT_DAYS, ActivityKind, SettledBy, Status, call_instead, convert, remind_at
from portal.mail import Composer, Kind, LetterRow, Turn, Withheld
from portal.surveys import anonymous, moments, occasions, rules
from portal.surveys.actions import counted_answer
from portal.surveys.held import FURTHER_MAILS, MAIL_OF_DAY
from portal.surveys.models import AnswerRow, Invitation
from portal.surveys.paths import sealed_path
from portal.surveys.round_models import SurveyRound
from portal.surveys.stored import known_form

AGAIN = "survey_again:"
"""How the keys of fresh links begin (`actions.send_again`)."""
ANSWERED = N_("They answered before the mail went out.")
CLOSED = N_("The survey closed before the mail went out.")
WITHDRAWN, LEFT, SETTLED = (rules.LOST_ITS_REASON[why] for why in ("withdrawn", "left", "settled"))
NEW_STILL = N_("The survey itself had only just gone out.")
NEVER_LEFT = N_("The survey itself could not be delivered.")
OPEN_FLAG = N_("They told us that something is wrong: no survey in the middle of that.")


@dataclass(frozen=True)
class _Over:
    """It has lost its reason, and nothing is to be done instead."""

    said: str
    why: str = ""
    """A key of `rules.WHY_NOT`, for an invitation that then never went out; empty: it counts as asked. Who answered, was."""


@dataclass(frozen=True)
class _Rests:
    """A reminder whose time hasn't come: the survey itself left later than it was planned to."""

    until: datetime


_Judged = Verdict | _Over | _Rests


# Composing


def compose_survey(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The link of a survey mail or a reminder, judged anew at the moment it leaves.

    Errors: Withheld where it has lost its reason (answered, closed), or something stands against it now.
    """
    invitation = _invitation(db, row)
    _withhold(judged(db, house, row, invitation), row)
    assert invitation is not None  # noqa: S101 - else it was withheld
    return {"answer_url": house.url(sealed_path(house, invitation.id, invitation.nonce))}


def compose_anonymous(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The same for an anonymous one, whose link is made as it leaves."""
    if row.sent_at is None:
        _withhold(judged(db, house, row, None), row)
    return anonymous.compose(db, house, row)


def _withhold(verdict: _Judged, row: LetterRow) -> None:
    if not isinstance(verdict, Send):
        raise Withheld(_said(verdict, row))


def _said(verdict: _Judged, row: LetterRow) -> str:
    """Why it doesn't leave, as the letter's row says it (msgid)."""
    match verdict:
        case _Over(said=said):
            return said
        case _Rests():
            return NEW_STILL
        case Wait(why=why):
            return WHY_IT_WAITS[why]
        case Instead(why=Why.OPEN_FLAG):
            return OPEN_FLAG
        case Instead(why=Why.REFUSED):
            return mail.REFUSED_WHY
        case Instead(why=why):
            return rules.WHY_NOT[why] if _asked(row) in OF_THE_PLAN else moments.WHY_NO_MAIL[why]
        case Send():
            return ""


COMPOSERS: dict[Kind, Composer] = {
    **dict.fromkeys((*MAIL_OF_DAY.values(), Kind.SURVEY_REMINDER, *FURTHER_MAILS), compose_survey),
    Kind.SURVEY_ANONYMOUS: compose_anonymous,
}


# Judging


def judged(db: Session, house: House, row: LetterRow, invitation: Invitation | None) -> _Judged:
    """What is to happen with a letter that would leave now."""
    now = house.clock.now()
    if row.kind is not Kind.SURVEY_ANONYMOUS:
        if invitation is None or invitation.sent_at is None:
            return _Over(WITHDRAWN, "withdrawn")
        if counted_answer(db, invitation.id) is not None:
            return _Over(ANSWERED)
    if row.sent_at is None and (ended := _ended(db, house, row, now)) is not None:
        return ended
    if (over := _too_late(db, row, invitation, now)) is not None:
        return over
    if row.kind is not Kind.SURVEY_ANONYMOUS and _has_open_case(db, row):
        return Instead(Became.CALL if _asked(row) in OF_THE_PLAN else Became.CARD, Why.OPEN_FLAG)
    # One that left already is only shown again; one that they asked for themselves is nobody's request.
    if row.sent_at is not None or _asked(row) is None:
        return Send()
    return _by_the_budget(db, house, row, now)


def _too_early(db: Session, house: House, row: LetterRow, zone: str, now: datetime) -> _Over | _Rests | None:
    """Where the mail server was away, or the survey had to wait for somebody's hours, it could leave in one minute with the
    reminder of it."""
    assert row.journey_id is not None  # noqa: S101 - every survey's letter has one
    which = (row.journey_id, int(row.context["days"]))
    left_at = silence.left(db, [row.journey_id], now).get(which, {}).get(row.contact_id)
    if left_at is None:
        return _Over(NEVER_LEFT)
    at = remind_at(left_at, zone, house.holidays)
    return _Rests(at) if at > now else None


def _ended(db: Session, house: House, row: LetterRow, now: datetime) -> _Over | _Rests | None:
    """The customer left, or nobody is to be asked about this contact of the plan any more: as when it is planned
    (`actions.send_due`). One that an answer settled goes on to the others who are asked."""
    asked = _asked(row)
    status, zone = db.execute(select(JourneyRow.status, JourneyRow.zone).where(JourneyRow.id == row.journey_id)).one()
    if asked is not None and status is Status.LOST:
        return _Over(LEFT, "left")
    if asked is Asked.REMINDER:
        return _too_early(db, house, row, zone, now)
    if asked is not Asked.SURVEY:
        return None
    contact = db.execute(
        select(FollowUpRow.settled_by, FollowUpRow.missed_at).where(
            FollowUpRow.journey_id == row.journey_id, FollowUpRow.day == int(row.context["days"])
        )
    ).one_or_none()
    is_over = contact is not None and (
        contact.missed_at is not None or contact.settled_by not in (None, SettledBy.ANSWER)
    )
    return _Over(SETTLED, "settled") if is_over else None


def _too_late(db: Session, row: LetterRow, invitation: Invitation | None, now: datetime) -> _Judged | None:
    """After a stop of the worker, late ones are judged anew. A contact of the plan then becomes a call, another survey a
    card that is open as long as one that came in time."""
    if invitation is None:
        closes_at = _closing(db, str(row.context["occasion"]))
        return _Over(CLOSED) if row.sent_at is None and (closes_at is None or closes_at <= now) else None
    is_closed = invitation.expires_at is not None and invitation.expires_at <= now
    if row.sent_at is not None or _asked(row) in (None, Asked.REMINDER, Asked.FURTHER_REMINDER):
        return _Over(CLOSED) if is_closed else None
    if invitation.day is None:
        is_late = is_closed or now - invitation.planned_at > moments.LATEST
        return Instead(Became.CARD, Why.LATE) if is_late else None
    is_late = is_closed or now - invitation.planned_at > timedelta(days=LATE_CONTACT_DAYS)
    return Instead(Became.CALL, Why.LATE) if is_late else None


def _closing(db: Session, occasion: str) -> datetime | None:
    """When the round that an occasion belongs to closes; None where it belongs to none."""
    read = moments.read(occasion)
    return db.scalar(select(SurveyRound.closes_at).where(SurveyRound.id == read.number)) if read.kind is None else None


def _has_open_case(db: Session, row: LetterRow) -> bool:
    return bool(db.scalar(select(JourneyRow.open_flags).where(JourneyRow.id == row.journey_id)))


def _by_the_budget(db: Session, house: House, row: LetterRow, now: datetime) -> _Judged:
    request = _request(row, Became.MAIL, None, now)
    person = known_anew(db, row, request, now=now) if request is not None else None
    if request is None or person is None:
        return _Over(WITHDRAWN, "withdrawn")  # they left the customer meanwhile
    if request.asked in (Asked.FURTHER, Asked.MEETING) and row.journey_id is not None:
        person = replace(person, plan_comes_at=occasions.plan_comes_at(db, row.journey_id))
    verdict = judge(request.asked, person, now, house.holidays)
    if row.kind is Kind.SURVEY_ANONYMOUS and isinstance(verdict, Instead):
        return replace(verdict, became=Became.NOTHING)
    return verdict


def known_anew(db: Session, row: LetterRow, request: Request, *, now: datetime) -> Person | None:
    """What is known of the letter's reader now that it would leave, its own request left out; None if they are gone."""
    people = ledger.people_of(db, [request.contact_id])
    if not people:
        return None
    purposes = tuple(sorted(row.manner.purposes))
    flagged = cases.unhappy(db, list(people))
    known = ledger.known_of(db, list(people.values()), purposes=purposes, flagged=flagged, now=now, anew=request)
    person = known.people[request.contact_id]
    # As the mail's own link did it, whatever their address is by now.
    return replace(person, refused=True) if row.manner.purposes & mail.refusals(db, row.to_email) else person


def _invitation(db: Session, row: LetterRow) -> Invitation | None:
    return db.scalar(
        select(Invitation).where(
            Invitation.journey_id == row.journey_id,
            Invitation.contact_id == row.contact_id,
            Invitation.occasion == _occasion(row),
        )
    )


def _occasion(row: LetterRow) -> str:
    return str(row.context.get("occasion") or moments.of_contact(int(row.context["days"])))


def _asked(row: LetterRow) -> Asked | None:
    """What the letter asks of somebody; None for a fresh link, which they asked for themselves."""
    if row.key.startswith(AGAIN):
        return None
    match row.kind:
        case Kind.SURVEY_REMINDER:
            return Asked.REMINDER
        case Kind.SURVEY_FURTHER_REMINDER:
            return Asked.FURTHER_REMINDER
        case kind if kind in MAIL_OF_DAY.values():
            return Asked.SURVEY
        case _:
            return moments.read(_occasion(row)).asked


def _request(row: LetterRow, became: Became, why: Why | None, at: datetime) -> Request | None:
    """The letter's line in the ledger, as it would be; None where it has none."""
    asked = _asked(row)
    if asked is None or row.account_id is None or row.contact_id is None:
        return None
    is_of_plan = asked in OF_THE_PLAN
    day, occasion = (int(row.context["days"]), "") if is_of_plan else (0, _occasion(row))
    return Request(asked, row.account_id, row.contact_id, row.journey_id, day, became, why, at, occasion=occasion)


# Turning


def turn(db: Session, house: House, row: LetterRow, why: str, now: datetime) -> None:
    """What becomes of a survey's letter that was withheld: judged once more, now that the journey is held."""
    assert row.journey_id is not None  # noqa: S101 - every survey's letter has one
    change = conduct.load(db, [row.journey_id])[row.journey_id]
    if _asked(row) is None:
        mail.withhold(db, row, why=why, now=now)
        return
    invitation = _invitation(db, row)
    match judged(db, house, row, invitation):
        case Send():  # what stood against it has gone in this very moment
            mail.put_off(db, row, until=now + AT_ONCE)
        case Wait() as wait:
            if mail.put_off(db, row, until=wait.until):
                _write_down(db, row, Became.MAIL, wait.why, wait.until, now=now)
        case _Rests(until=until):
            if mail.put_off(db, row, until=until):
                _write_down(db, row, Became.MAIL, None, until, now=now)
        case _Over() as over:
            if mail.withhold(db, row, why=over.said, now=now):
                _let_go(db, row, invitation, over, now=now)
        case Instead() as instead:
            if mail.withhold(db, row, why=_said(instead, row), now=now):
                instead_of_mail(db, house, change, row, invitation, instead, now=now)


AT_ONCE = timedelta(minutes=1)
_REMINDERS = (Kind.SURVEY_REMINDER, Kind.SURVEY_FURTHER_REMINDER)
TURNS: dict[Kind, Turn] = dict.fromkeys(COMPOSERS, turn)


def _write_down(db: Session, row: LetterRow, became: Became, why: Why | None, at: datetime, *, now: datetime) -> None:
    if (request := _request(row, became, why, at)) is not None:
        ledger.turn(db, request, now=now)


def _forget(db: Session, row: LetterRow, *, now: datetime) -> None:
    if (request := _request(row, Became.MAIL, None, now)) is not None:
        ledger.take_back(db, request)


def _let_go(db: Session, row: LetterRow, invitation: Invitation | None, over: _Over, *, now: datetime) -> None:
    """Nothing was asked after all: it draws on no budget, and isn't counted among the surveys that came to somebody."""
    if row.kind in _REMINDERS:
        _forget(db, row, now=now)
    elif over.why and row.unsure_at is None:
        _forget(db, row, now=now)
        if invitation is not None and invitation.sent_at is not None:
            told = {"sent_at": None, "suppressed_at": now, "why": over.why}
            db.execute(update(Invitation).where(Invitation.id == invitation.id).values(**told))


def instead_of_mail(
    db: Session,
    house: House,
    change: Change,
    row: LetterRow,
    invitation: Invitation | None,
    instead: Instead,
    *,
    now: datetime,
) -> None:
    """What it becomes in the mail's place, with the journey held."""
    if (
        row.kind in _REMINDERS or invitation is None
    ):  # the call after silence comes anyway; the survey waits in the portal
        _write_down(db, row, instead.became, instead.why, now, now=now)
        return
    closes_at = _set_aside(db, row, invitation, instead.why, now=now)
    is_over = closes_at <= now
    if invitation.day is not None:
        contact = change.after.follow_up(invitation.day)
        is_over = change.after.status is not Status.OPEN or contact.is_settled or contact.missed_at is not None
    if (
        is_over or db.get_one(Contact, invitation.contact_id).disabled_at is not None
    ):  # nothing is to be asked any more, by whichever way
        _forget(db, row, now=now)
        return
    _write_down(db, row, instead.became, instead.why, now, now=now)
    if invitation.day is not None and instead.became is not Became.CARD:
        _call(db, change, invitation, instead.why, now=now)
        conduct.store(db, house, changes=[change], now=now)


def _set_aside(db: Session, row: LetterRow, invitation: Invitation, why: Why, *, now: datetime) -> datetime:
    """The invitation was not sent, for that reason; gives until when it can be answered all the same.

    Where an earlier try may have brought it, it stays sent, and the link in their hand opens the form.
    """
    zone = db.get_one(Contact, invitation.contact_id).timezone
    own = rules.expires_at(now, zone, days=known_form(db, invitation.survey_id).closes_after_days)
    closing = _closing(db, invitation.occasion) if invitation.day is None else None
    closes_at = min(own, closing or own)
    told: dict[str, Any] = {"expires_at": closes_at}
    if row.unsure_at is None:
        told |= {"sent_at": None, "suppressed_at": now, "why": why}
    db.execute(update(Invitation).where(Invitation.id == invitation.id).values(**told))
    return closes_at


def _call(db: Session, change: Change, invitation: Invitation, why: Why, *, now: datetime) -> None:
    """The call that settles it in the mail's place: about this person where somebody else was asked, else the contact
    itself becomes it, as if no mail had been on its way."""
    assert invitation.day is not None  # noqa: S101 - for the types
    day, person = invitation.day, invitation.contact_id
    if _others_are_asked(db, invitation, why):
        change.add([call_instead(day, now, why=why, person=person)])
    elif change.after.follow_up(day).converted_at is None:
        # After a stop of the worker the silence was over before the mail left: one call, and not two. Where others were
        # asked, it is theirs, and stays.
        silence = [ActivityKind.CALL_NO_ANSWER]
        cases.finish_activities(db, change.after.id, kinds=silence, by="rule:became_a_call", now=now, days=[day])
        change.take(convert(change.after, day, now, why=why))
    elif why not in _ABOUT_ALL:
        change.add([call_instead(day, now, why=why, person=person)])


_ABOUT_ALL = (Why.OPEN_FLAG, Why.LATE)
"""Reasons that are about the contact, whoever is asked: one call, and mails that wait still will say the same."""


def _others_are_asked(db: Session, invitation: Invitation, why: Why) -> bool:
    """Whether somebody else gets this contact's survey, as a mail or as a card in the portal."""
    answered = exists().where(AnswerRow.invitation_id == Invitation.id, AnswerRow.quarantined_at.is_(None))
    got_it = exists().where(
        LetterRow.journey_id == Invitation.journey_id,
        LetterRow.contact_id == Invitation.contact_id,
        LetterRow.kind == MAIL_OF_DAY[invitation.day or 0],
        LetterRow.sent_at.is_not(None),
    )
    by_mail: ColumnElement[bool] = Invitation.sent_at.is_not(None)
    if why in _ABOUT_ALL:
        by_mail = and_(by_mail, or_(got_it, answered))
    others = select(Invitation.id).where(
        Invitation.journey_id == invitation.journey_id,
        Invitation.day == invitation.day,
        Invitation.id != invitation.id,
        or_(by_mail, Invitation.why == Why.PREFERS_PORTAL),
    )
    return db.scalar(others.limit(1)) is not None
