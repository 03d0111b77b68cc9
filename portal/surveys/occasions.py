"""Asking beyond the plan, when its moment has come: after a meeting, on a day of use, in a stage, every so many days, by hand.

Journeys, triggers and rounds leave it as a due action; here it is judged by the contact budget like any request, in batches
(a round may be for ten thousand). Who can't get it as a mail finds it as a card in the portal, with the reason on our page.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, tuple_
from sqlalchemy.orm import Session

from portal import audit, links, mail
from portal.accounts import asking_ledger as ledger
from portal.accounts.asking import Asked, Became, Instead, Person, Send, Wait, Why, judge
from portal.accounts.asking_ledger import Addressee, Known, Request, addressees, known_of, people_of
from portal.audit import Event, Happened
from portal.clock import business_days_after, local_date
from portal.db import insert_for, insert_new, rows_of
from portal.house import House
from portal.journeys import cases, due
from portal.journeys.due import Waiting
from portal.journeys.models import DueAction, FollowUpRow, JourneyRow, StageRow
from portal.journeys.rules import Status
from portal.mail import Kind, Letter, Purpose
from portal.surveys import further_letters, moments, rules
from portal.surveys.models import AnswerRow, Invitation, RetiredSurvey
from portal.surveys.moments import Occasion, TriggerKind
from portal.surveys.round_models import SurveyRound, SurveyTrigger
from portal.surveys.rules import SurveyForm
from portal.surveys.stored import known_form, newest_surveys

ASK, REMIND = "ask", "ask_reminder"
"""Kinds of due actions; their key goes on with the occasion and, where one person is meant, `:contact:9`."""
_CONTACT = ":contact:"


def due_row(journey_id: int, occasion: str, *, due_at: datetime, now: datetime) -> dict[str, Any]:
    """A due action that asks a journey's people about something, once."""
    return {
        "journey_id": journey_id,
        "kind": ASK,
        "key": f"{ASK}:{occasion}",
        "day": 0,
        "what": occasion,
        "due_at": due_at,
        "created_at": now,
        "done_at": None,
        "result": "",
        "set_aside_at": None,
        "error": "",
    }


# What a batch is judged by


class _Where(NamedTuple):
    """A journey as far as it matters here."""

    id: int
    account_id: int
    status: Status
    zone: str
    use_started_on: Any
    visit: int
    stage: str
    plan_comes_at: datetime | None


_NEXT_OF_PLAN = (
    select(func.min(FollowUpRow.due_at))
    .where(
        FollowUpRow.journey_id == JourneyRow.id,
        FollowUpRow.settled_at.is_(None),
        FollowUpRow.missed_at.is_(None),
        FollowUpRow.sent_at.is_(None),
        FollowUpRow.converted_at.is_(None),
    )
    .scalar_subquery()
)
_WHERE = (
    select(
        JourneyRow.id,
        JourneyRow.account_id,
        JourneyRow.status,
        JourneyRow.zone,
        JourneyRow.use_started_on,
        JourneyRow.visit,
        StageRow.key,
        _NEXT_OF_PLAN,
    )
    .join(StageRow, StageRow.id == JourneyRow.stage_id)
    .where(JourneyRow.id.in_(bindparam("ids", expanding=True)))
)
_ON = select(SurveyTrigger.scope, SurveyTrigger.survey_key).where(
    SurveyTrigger.on_since.is_not(None), SurveyTrigger.survey_key.not_in(select(RetiredSurvey.key))
)


def plan_comes_at(db: Session, journey_id: int) -> datetime | None:
    """When the next contact of its plan that nobody was asked about yet comes."""
    at: datetime | None = db.scalar(select(_NEXT_OF_PLAN).where(JourneyRow.id == journey_id))
    return at


@dataclass
class _Batch:
    """What a batch is judged by."""

    where: dict[int, _Where]
    forms: dict[str, SurveyForm]
    """By the scope of a trigger, or the occasion of a round."""
    segments: dict[str, dict[str, Any]]
    closes_at: dict[str, datetime]
    people: dict[int, list[Addressee]]
    """By account."""
    single: dict[int, Addressee]
    """By contact, where one person is meant."""
    known: Known = field(default_factory=lambda: Known({}, frozenset()))

    def form_of(self, row: Waiting, occasion: Occasion) -> SurveyForm | None:
        return self.forms.get(occasion.scope or row.what)

    def asked_of(self, row: Waiting) -> list[Addressee]:
        one = _contact_of(row)
        if one is not None:
            return [self.single[one]] if one in self.single else []
        some = self.people.get(self.where[row.journey_id].account_id, [])
        language = self.segments.get(row.what, {}).get("language")
        return [person for person in some if language is None or person.language == language]


def _contact_of(row: Waiting) -> int | None:
    _, _, contact = row.key.partition(_CONTACT)
    return int(contact) if contact else None


def _load(db: Session, rows: Sequence[Waiting], purposes: tuple[Purpose, ...], *, now: datetime) -> _Batch:
    """Ten statements, however many rows."""
    ids = sorted({row.journey_id for row in rows})
    where = {row.id: _Where._make(row) for row in rows_of(db, _WHERE, {"ids": ids})}
    on = {scope: key for scope, key in rows_of(db, _ON)}
    newest = newest_surveys(db, sorted(set(on.values()))) if on else {}
    # One that became anonymous since can only be sent by hand: a single answer would say whose it is.
    forms = {scope: newest[key] for scope, key in on.items() if key in newest and not newest[key].is_anonymous}
    rounds = {
        moments.of_round(found.id): found
        for found in db.scalars(select(SurveyRound).where(SurveyRound.id.in_(_rounds_of(rows))))
    }
    forms |= {occasion: known_form(db, found.survey_id) for occasion, found in rounds.items()}
    single = [one for one in (_contact_of(row) for row in rows) if one is not None]
    accounts = {where[row.journey_id].account_id for row in rows if _contact_of(row) is None}
    batch = _Batch(
        where,
        forms,
        {occasion: found.segment for occasion, found in rounds.items()},
        {occasion: found.closes_at for occasion, found in rounds.items()},
        addressees(db, accounts) if accounts else {},
        people_of(db, single) if single else {},
    )
    comes = {person.id: where[row.journey_id].plan_comes_at for row in rows for person in batch.asked_of(row)}
    batch.known = _known(db, {p.id: p for row in rows for p in batch.asked_of(row)}, comes, purposes, now=now)
    return batch


def _rounds_of(rows: Sequence[Waiting]) -> list[int]:
    read = (moments.read(what) for what in {row.what for row in rows})
    return sorted(occasion.number for occasion in read if occasion.kind is None)


def _known(
    db: Session,
    people: dict[int, Addressee],
    comes: dict[int, datetime | None],
    purposes: tuple[Purpose, ...],
    *,
    now: datetime,
) -> Known:
    some = list(people.values())
    known = known_of(db, some, purposes=purposes, flagged=cases.unhappy(db, list(people)) if people else (), now=now)
    told: dict[int, Person] = {
        one: replace(person, plan_comes_at=comes.get(one)) for one, person in known.people.items()
    }
    return known._replace(people=told)


# Asking


@dataclass
class _Plan:
    """What is to happen with one of them, person by person."""

    row: Waiting
    form: SurveyForm
    occasion: Occasion
    now: list[Addressee] = field(default_factory=list)
    later: list[tuple[Addressee, Wait]] = field(default_factory=list)
    instead: list[tuple[Addressee, Instead]] = field(default_factory=list)

    @property
    def until(self) -> datetime:
        return min(wait.until for _, wait in self.later)

    @property
    def is_settled(self) -> bool:
        """Whether it is decided now: a mail or a card for somebody. Of an anonymous one each mail waits by itself, since
        nothing is kept that it could be told from its answer by."""
        return bool(self.now or self.instead or self.form.is_anonymous)


def ask_due(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Asks those whose moment has come, lets others wait for their hours, and leaves cards where it can't be a mail.

    The rows were claimed, one a journey, so their journeys are held. The number of statements doesn't grow with them.
    """
    batch = _load(db, rows, (Purpose.SURVEY,), now=now)
    over: dict[str, list[Waiting]] = defaultdict(list)
    waiting: list[tuple[Waiting, datetime]] = []
    plans: list[_Plan] = []
    for row in rows:
        occasion = moments.read(row.what)
        form = batch.form_of(row, occasion)
        end = _end(batch, row, occasion, form, now)
        if isinstance(end, datetime):
            waiting.append((row, end))
        elif end:
            over[end].append(row)
        elif form is not None:
            plan = _planned(batch, row, _Plan(row, form, occasion), house, now=now)
            if not (plan.is_settled or plan.later):
                over["nobody"].append(row)
            else:
                plans.append(plan)
                if not plan.is_settled:
                    waiting.append((row, plan.until))
    settled = [plan for plan in plans if plan.is_settled]
    for result, these in over.items():
        due.mark_done(db, these, now=now, result=result)
    due.postpone(db, waiting)
    _keep(db, batch, plans, now=now)
    _invite(db, batch, settled, now=now)
    _queue_mails(db, house, batch, settled, now=now)
    _plan_reminders(db, house, batch, settled, now=now)
    due.mark_done(db, [plan.row for plan in settled], now=now)
    _tell(db, batch, settled, now=now)


def _end(
    batch: _Batch, row: Waiting, occasion: Occasion, form: SurveyForm | None, now: datetime
) -> str | datetime | None:
    """Why it isn't asked at all, or not yet (then until when); None: it is asked."""
    there = batch.where[row.journey_id]
    if form is None:
        return "off"
    if there.status is Status.LOST:
        return "lost"
    match occasion.kind:
        case TriggerKind.DAY_OF_USE:
            started = there.use_started_on
            if started is None or there.status is not Status.OPEN:
                return "moved_on"
            day = moments.morning(started + timedelta(days=occasion.number), there.zone)
            return day if day > now else None  # the start of use was moved meanwhile
        case TriggerKind.STAGE:
            return "moved_on" if there.visit != occasion.number else None
        case TriggerKind.EVERY_DAYS:
            return "moved_on" if there.status is not Status.OPEN else None
        case _:
            return "closed" if batch.closes_at.get(row.what, now) < now else None


def _planned(batch: _Batch, row: Waiting, plan: _Plan, house: House, *, now: datetime) -> _Plan:
    is_late = now - row.due_at > moments.LATEST
    for person in batch.asked_of(row):
        if is_late:
            plan.instead.append((person, Instead(Became.CARD, Why.LATE)))
            continue
        match judge(plan.occasion.asked, batch.known.people[person.id], now, house.holidays):
            case Send():
                plan.now.append(person)
            case Wait() as wait:
                plan.later.append((person, wait))
            case Instead() as what:
                plan.instead.append((person, what))
    return plan


def _keep(db: Session, batch: _Batch, plans: Sequence[_Plan], *, now: datetime) -> None:
    """The ledger: what became of each request."""
    requests = []
    for plan in plans:
        settled = plan.is_settled
        kept: list[tuple[Addressee, Became, Why | None, datetime]] = [(one, Became.MAIL, None, now) for one in plan.now]
        became = Became.MAIL if settled else Became.WAITING
        kept += [(one, became, wait.why, wait.until) for one, wait in plan.later]
        card = Became.NOTHING if plan.form.is_anonymous else Became.CARD
        kept += [(one, card, what.why, now) for one, what in plan.instead]
        for person, became, why, at in kept:
            who = (person.account_id, person.id, plan.row.journey_id, 0)
            requests.append(Request(plan.occasion.asked, *who, became, why, at, occasion=plan.row.what))
    ledger.keep(db, requests, waiting=batch.known.waiting, now=now)


def _invite(db: Session, batch: _Batch, settled: Sequence[_Plan], *, now: datetime) -> None:
    """Invitations, and suppressed ones with the reason for those who find a card. None for an anonymous survey."""
    invitations = []
    for plan in settled:
        if plan.form.is_anonymous:
            continue
        each = [(person, "") for person in (*plan.now, *(person for person, _ in plan.later))]
        for person, why in [*each, *((person, str(what.why)) for person, what in plan.instead)]:
            invitations.append(
                {
                    "survey_id": plan.form.id,
                    "account_id": person.account_id,
                    "journey_id": plan.row.journey_id,
                    "contact_id": person.id,
                    "day": None,
                    "occasion": plan.row.what,
                    "nonce": links.new_nonce(),
                    "planned_at": plan.row.due_at,
                    "sent_at": None if why else now,
                    "suppressed_at": now if why else None,
                    "why": why,
                    "expires_at": _closes_at(batch, plan, person, now),
                }
            )
    if invitations:
        db.execute(insert_for(db, Invitation.__table__).on_conflict_do_nothing(), invitations)


def _closes_at(batch: _Batch, plan: _Plan, person: Addressee, now: datetime) -> datetime:
    own = rules.expires_at(now, person.timezone, days=plan.form.closes_after_days)
    return min(own, batch.closes_at.get(plan.row.what, own))


def _queue_mails(db: Session, house: House, batch: _Batch, settled: Sequence[_Plan], *, now: datetime) -> None:
    letters = []
    for plan in settled:
        for person, due_at in [*((one, now) for one in plan.now), *((one, wait.until) for one, wait in plan.later)]:
            kind = Kind.SURVEY_ANONYMOUS if plan.form.is_anonymous else further_letters.kind_of(plan.form)
            closes_at = _closes_at(batch, plan, person, now)
            letters.append(_letter(house, plan.form, plan.row, person, kind=kind, due_at=due_at, closes_at=closes_at))
    mail.queue_all(db, letters, now=now)


def _letter(
    house: House,
    form: SurveyForm,
    row: Waiting,
    person: Addressee,
    *,
    kind: Kind,
    due_at: datetime,
    closes_at: datetime,
) -> Letter:
    # It closes at midnight: the last day it can be answered is the one before.
    closes_on = local_date(closes_at, person.timezone) - timedelta(days=1)
    of = {"language": person.language, "vendor": house.settings.vendor_name}
    return Letter(
        key=f"{kind}:{row.what}:journey:{row.journey_id}:contact:{person.id}",
        kind=kind,
        to_email=person.email or "",
        language=person.language,
        due_at=due_at,
        account_id=person.account_id,
        journey_id=row.journey_id,
        contact_id=person.id,
        context=further_letters.context(form, row.what, **of, closes_on=closes_on),
    )


def _plan_reminders(db: Session, house: House, batch: _Batch, settled: Sequence[_Plan], *, now: datetime) -> None:
    """One reminder, a week later, where a mail went out. None for an anonymous survey: we can't know who is silent."""
    rows = []
    for plan in settled:
        if plan.form.is_anonymous or not (plan.now or plan.later):
            continue
        zone = batch.where[plan.row.journey_id].zone
        at = business_days_after(now, moments.REMIND_AFTER_DAYS, zone, house.holidays)
        row = due_row(plan.row.journey_id, plan.row.what, due_at=at, now=now)
        rows.append({**row, "kind": REMIND, "key": plan.row.key.replace(ASK, REMIND, 1)})
    insert_new(db, DueAction.__table__, rows, known_by=("journey_id", "key"))


def _tell(db: Session, batch: _Batch, settled: Sequence[_Plan], *, now: datetime) -> None:
    events = []
    for plan in settled:
        if plan.form.is_anonymous or not (plan.now or plan.later):
            continue
        there = batch.where[plan.row.journey_id]
        detail = told_of(plan.form, plan.row.what)
        events.append(Event(Happened.SURVEY_SENT, "system", now, there.account_id, there.id, None, detail))
    audit.note_all(db, events)


def told_of(form: SurveyForm, occasion: str) -> dict[str, Any]:
    """What the timeline says of it."""
    return {"occasion": occasion, "survey_en": form.name.en, "survey_pt": form.name.pt}


# Reminding


class _Unanswered(NamedTuple):
    """An open invitation that a reminder would be about."""

    journey_id: int
    occasion: str
    expires_at: datetime
    survey_id: int
    contact_id: int


def remind_due(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Reminds, once, those who were asked and said nothing; in batches like `ask_due`. Who wants to be asked less often, or
    had another request within a week, is left alone: the survey waits in the portal anyway."""
    of = {(row.journey_id, row.what): row for row in rows}
    asked = _unanswered(db, rows, now)
    people = people_of(db, [one.contact_id for one in asked]) if asked else {}
    known = _known(db, people, {}, (Purpose.SURVEY, Purpose.REMINDER), now=now)
    letters, requests, events = [], [], []
    for one in asked:
        person = people.get(one.contact_id)
        if person is None:
            continue
        became, why, at = Became.MAIL, None, now
        row = of[one.journey_id, one.occasion]
        form = known_form(db, one.survey_id)
        match judge(Asked.FURTHER_REMINDER, known.people[person.id], now, house.holidays):
            case Instead() as what:
                became, why = what.became, what.why
            case Wait() as wait:
                why, at = wait.why, wait.until
        if became is Became.MAIL and at < one.expires_at:
            kind = Kind.SURVEY_FURTHER_REMINDER
            letters.append(_letter(house, form, row, person, kind=kind, due_at=at, closes_at=one.expires_at))
            who = (person.account_id, one.journey_id, person.id)
            events.append(Event(Happened.SURVEY_REMINDED, "system", now, *who, told_of(form, one.occasion)))
        ids = (person.account_id, person.id, one.journey_id, 0)
        requests.append(Request(Asked.FURTHER_REMINDER, *ids, became, why, at, occasion=one.occasion))
    mail.queue_all(db, letters, now=now)
    ledger.keep(db, requests, waiting=known.waiting, now=now)
    audit.note_all(db, events)
    due.mark_done(db, rows, now=now)


def _unanswered(db: Session, rows: Sequence[Waiting], now: datetime) -> list[_Unanswered]:
    answered = select(AnswerRow.id).where(
        AnswerRow.invitation_id == Invitation.id,
        AnswerRow.quarantined_at.is_(None),
        AnswerRow.superseded_at.is_(None),
    )
    found = rows_of(
        db,
        select(
            Invitation.journey_id,
            Invitation.occasion,
            Invitation.expires_at,
            Invitation.survey_id,
            Invitation.contact_id,
        )
        .join(JourneyRow, JourneyRow.id == Invitation.journey_id)
        .where(
            tuple_(Invitation.journey_id, Invitation.occasion).in_([(row.journey_id, row.what) for row in rows]),
            Invitation.sent_at.is_not(None),
            Invitation.expires_at > now,
            JourneyRow.open_flags == 0,
            JourneyRow.status != Status.LOST,
            ~answered.exists(),
        )
        .order_by(Invitation.id),
    )
    return [_Unanswered._make(row) for row in found]
