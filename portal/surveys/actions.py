"""What the worker and people do with surveys: send those that are due, remind once, take an answer and tell the journey.

Whom we ask: the account's main contact and the colleagues that staff ticked (`accounts.asking.whom_to_ask`); whether, when
and how each may be asked is `accounts.asking.judge`, and what became of it is in the ledger of requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from portal import audit, links, mail
from portal.accounts import asking_ledger as ledger
from portal.accounts.asking import Asked, Became, Instead, Send, Wait, Why, judge
from portal.accounts.asking_ledger import Addressee, Known, Request, addressees, known_of, people_of
from portal.accounts.models import Contact
from portal.audit import Event, Happened
from portal.db import insert_for, send, together, write_down
from portal.errors import N_, Refused
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys import cases, conduct, due, silence
from portal.journeys.actions import HeardAnswer
from portal.journeys.conduct import Change
from portal.journeys.due import Waiting
from portal.journeys.rules import Outcome, Status, call_instead, remind_at, unremindable, unsendable
from portal.mail import Kind, Letter, Purpose
from portal.surveys import further_letters, moments, rules
from portal.surveys.further_letters import CSAT_SCALE
from portal.surveys.held import MAIL_OF_DAY, Counted, Held, hold
from portal.surveys.models import AnswerRow, Draft, Invitation, Quarantine, Survey
from portal.surveys.rules import (
    Answers,
    Evidence,
    Provenance,
    QuarantineEnd,
    QuestionKind,
    Shown,
    Sign,
    SurveyForm,
    SurveyPurpose,
    Then,
    Verdict,
)
from portal.surveys.shipped import follow_up_key
from portal.surveys.stored import known_form, newest_surveys, survey_form


class Closed(Refused):
    """The survey can't be answered any more."""

    status = 410

    def __init__(self) -> None:
        super().__init__(
            N_("This survey is closed. What you have to say still counts: write or call, and we'll take it from there.")
        )


class Unanswerable(Refused):
    """The answer doesn't fit the questions; `problems` says where and why (field, msgid)."""

    status = 422

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(next(iter(problems.values())))
        self.problems = problems


# Sending: 10 000 journeys reach day 30 on the same morning, so everything here goes in batches


@dataclass
class _Batch:
    """What a batch of due surveys or reminders is judged by."""

    changes: dict[int, Change]
    people: dict[int, list[Addressee]]
    known: Known
    forms: dict[str, SurveyForm]

    def asked_of(self, row: Waiting) -> list[Addressee]:
        return self.people.get(self.changes[row.journey_id].account_id, [])


@dataclass
class _Plan:
    """What is to happen with one due survey, person by person."""

    row: Waiting
    now: list[Addressee] = field(default_factory=list)
    later: list[tuple[Addressee, Wait]] = field(default_factory=list)
    instead: list[tuple[Addressee, Instead]] = field(default_factory=list)

    @property
    def is_asked(self) -> bool:
        """Whether somebody gets the survey, as a mail or as a card in the portal."""
        return bool(self.now) or any(what.became is Became.CARD for _, what in self.instead)

    @property
    def until(self) -> datetime:
        return min(wait.until for _, wait in self.later)


def send_due(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Sends the follow-up surveys that are due to whom may be asked now; lets others wait for their hours; and turns those
    that can't go out as a mail into calls, messages and cards, with the reason.

    The rows were claimed, one a journey, so their journeys are held. The number of statements doesn't grow with them.
    """
    changes = conduct.load(db, [row.journey_id for row in rows])
    forms = newest_surveys(db, sorted({follow_up_key(row.day) for row in rows}))
    over = [row for row in rows if _is_over(changes[row.journey_id], row.day)]
    people = addressees(db, {change.account_id for change in changes.values()})
    batch = _Batch(changes, people, _known(db, people, (Purpose.SURVEY,), now=now), forms)
    going: list[_Plan] = []
    waiting: list[_Plan] = []
    converted: list[tuple[_Plan, str]] = []
    left_out = set(over)
    for row in rows:
        if row in left_out:
            continue
        plan, why = _planned(batch, row, house, now=now)
        if plan.is_asked:
            going.append(plan)
        elif plan.later:
            waiting.append(plan)
        else:
            converted.append((plan, why))
    due.mark_done(db, over, now=now, result="over")
    due.postpone(db, [(plan.row, plan.until) for plan in waiting])
    settled = [*going, *(plan for plan, _ in converted)]
    _keep(db, batch, settled, waiting, now=now)
    _invite(db, batch, settled, now=now)
    _queue_mails(db, house, batch, going, now=now)
    due.mark_done(db, [plan.row for plan in going], now=now)
    for plan in going:  # some got the survey, and somebody else is to be called
        for person, what in plan.instead:
            if what.became is not Became.CARD:
                call = call_instead(plan.row.day, now, why=what.why, person=person.id)
                changes[plan.row.journey_id].add([call])
    sent = [(plan.row.journey_id, plan.row.day) for plan in going]
    journeys.hear_surveys_sent(db, house, sent=sent, changes=changes, now=now)
    calls = [(plan.row.journey_id, plan.row.day, why) for plan, why in converted]
    journeys.convert_contacts(db, house, contacts=calls, changes=changes, now=now)


def _known(db: Session, people: dict[int, list[Addressee]], purposes: tuple[Purpose, ...], *, now: datetime) -> Known:
    some = [one for those in people.values() for one in those]
    flagged = cases.unhappy(db, [one.id for one in some])
    return known_of(db, some, purposes=purposes, flagged=flagged, now=now)


def _is_over(change: Change, day: int) -> bool:
    """Whether nobody is to be asked any more: the journey ended, or the contact is settled, missed or asked already."""
    contact = change.after.follow_up(day)
    return (
        change.after.status is not Status.OPEN
        or contact.is_settled
        or contact.is_asked
        or contact.missed_at is not None
    )


def _planned(batch: _Batch, row: Waiting, house: House, *, now: datetime) -> tuple[_Plan, str]:
    """What happens with each person, and why (a key of `rules.WHY_NOT`) where nobody can be asked."""
    plan, people = _Plan(row), batch.asked_of(row)
    why = unsendable(batch.changes[row.journey_id].after, row.day, now)
    if why is None and (follow_up_key(row.day) not in batch.forms or row.day not in MAIL_OF_DAY):
        why = Why.NO_SURVEY
    if why is not None:  # it is about the contact, whoever would be asked: one call
        plan.instead = [(person, Instead(Became.CALL, Why(why))) for person in people[:1]]
        return plan, why
    for person in people:
        match judge(Asked.SURVEY, batch.known.people[person.id], now, house.holidays):
            case Send():
                plan.now.append(person)
            case Wait() as wait:
                plan.later.append((person, wait))
            case Instead() as what:
                plan.instead.append((person, what))
    return plan, plan.instead[0][1].why if plan.instead else Why.NO_ADDRESS


def _keep(db: Session, batch: _Batch, settled: Sequence[_Plan], waiting: Sequence[_Plan], *, now: datetime) -> None:
    """The ledger: what became of each request."""
    kept: list[tuple[Waiting, Addressee, Became, Why | None, datetime]] = []
    for plan in settled:
        kept += [(plan.row, person, Became.MAIL, None, now) for person in plan.now]
        kept += [(plan.row, person, Became.MAIL, wait.why, wait.until) for person, wait in plan.later]
        kept += [(plan.row, person, what.became, what.why, now) for person, what in plan.instead]
    for plan in waiting:
        kept += [(plan.row, person, Became.WAITING, wait.why, wait.until) for person, wait in plan.later]
    requests = [
        Request(Asked.SURVEY, person.account_id, person.id, row.journey_id, row.day, became, why, at)
        for row, person, became, why, at in kept
    ]
    ledger.keep(db, requests, waiting=batch.known.waiting, now=now)


def _invite(db: Session, batch: _Batch, settled: Sequence[_Plan], *, now: datetime) -> None:
    """Invitations for those who are asked, and suppressed ones, with the reason, for those who can't be."""
    invitations = []
    for plan in settled:
        form = batch.forms.get(follow_up_key(plan.row.day))
        if form is None:
            continue
        each = [(person, "") for person in (*plan.now, *(person for person, _ in plan.later))]
        for person, why in [*each, *((person, str(what.why)) for person, what in plan.instead)]:
            invitations.append(
                {
                    "survey_id": form.id,
                    "account_id": person.account_id,
                    "journey_id": plan.row.journey_id,
                    "contact_id": person.id,
                    "day": plan.row.day,
                    "occasion": moments.of_contact(plan.row.day),
                    "nonce": links.new_nonce(),
                    "planned_at": plan.row.due_at,
                    "sent_at": None if why else now,
                    "suppressed_at": now if why else None,
                    "why": why,
                    "expires_at": rules.expires_at(now, person.timezone, days=form.closes_after_days),
                }
            )
    if invitations:
        # A contact that was asked about before (a move back by hand) keeps its invitation, and its one mail.
        db.execute(insert_for(db, Invitation.__table__).on_conflict_do_nothing(), invitations)


def _queue_mails(db: Session, house: House, batch: _Batch, going: Sequence[_Plan], *, now: datetime) -> None:
    letters = []
    for plan in going:
        row, change = plan.row, batch.changes[plan.row.journey_id]
        # A colleague whose hours haven't begun gets theirs then; it is judged anew as it leaves (`leaving`).
        for person, due_at in [*((one, now) for one in plan.now), *((one, wait.until) for one, wait in plan.later)]:
            letters.append(
                Letter(
                    key=f"survey:{row.day}:journey:{row.journey_id}:contact:{person.id}",
                    kind=MAIL_OF_DAY[row.day],
                    to_email=person.email or "",
                    language=person.language,
                    due_at=due_at,
                    account_id=change.account_id,
                    journey_id=row.journey_id,
                    contact_id=person.id,
                    context=_context(
                        batch.forms[follow_up_key(row.day)],
                        change,
                        row.day,
                        language=person.language,
                        zone=person.timezone,
                        vendor=house.settings.vendor_name,
                        sent_at=now,
                    ),
                )
            )
    mail.queue_all(db, letters, now=now)


def _context(
    form: SurveyForm, change: Change, day: int, *, language: str, zone: str, vendor: str, sent_at: datetime
) -> dict[str, Any]:
    """What a survey mail shows; its link is derived when it leaves (`compose_survey`)."""
    journey = change.after
    following = next((f.due_on for f in journey.follow_ups if f.day > day), None)
    score = form.first_score
    shown: dict[str, Any] = {
        "days": day,
        "started_on": journey.use_started_on,
        "closes_on": rules.closes_on(sent_at, zone, days=form.closes_after_days),
        "next_on": following,
        "minutes": form.minutes,
        "stage": {
            "number": journey.position + 1,
            "of": len(change.pipeline.stages),
            "name": form.name.told(language, vendor),
        },
    }
    if score is not None:
        shown["question"] = score.asked(language, vendor)
    if score is not None and score.kind is QuestionKind.CSAT:
        shown["scale"] = CSAT_SCALE
    return shown


# Reminding


class _Asked(NamedTuple):
    """An open invitation that a reminder would be about."""

    invitation_id: int
    journey_id: int
    day: int
    sent_at: datetime | None
    survey_id: int
    """The version they were asked; a newer one doesn't remind them of another."""
    person: Addressee

    @property
    def contact(self) -> tuple[int, int]:
        """Of the plan: journey and day."""
        return self.journey_id, self.day


def _unanswered(db: Session, rows: Sequence[Waiting], now: datetime) -> list[_Asked]:
    """The invitations of these contacts that were sent, are still open, and have no counted answer."""
    answered = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id, *_counts()).exists()
    found = db.execute(
        select(
            Invitation.id,
            Invitation.journey_id,
            Invitation.day,
            Invitation.sent_at,
            Invitation.survey_id,
            Invitation.contact_id,
        )
        .where(
            tuple_(Invitation.journey_id, Invitation.day).in_([(row.journey_id, row.day) for row in rows]),
            Invitation.sent_at.is_not(None),
            Invitation.expires_at > now,
            ~answered,
        )
        .order_by(Invitation.id)
    ).all()
    people = people_of(db, [contact_id for *_, contact_id in found])
    return [_Asked._make([*facts, people[who]]) for *facts, who in found if who in people]


def _counts() -> tuple[Any, Any]:
    return AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None)


def remind_due(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Reminds, once, those who were asked and said nothing, on a business day in their hours; in batches like `send_due`.
    Each has three business days from when their mail left. Who refused, or wants to be asked less often, is left alone.

    The call that follows silence is planned by the journey itself.
    """
    changes = conduct.load(db, [row.journey_id for row in rows])
    left = silence.left(db, [row.journey_id for row in rows], now)
    due_now = {}
    for row in rows:
        which, journey = (row.journey_id, row.day), changes[row.journey_id].after
        begins = silence.begins(journey.follow_up(row.day), left.get(which, {}))
        if unremindable(journey, row.day, now, house.holidays, silent_from=begins) is None:
            due_now[which] = row
    asked = [one for one in _unanswered(db, rows, now) if (one.journey_id, one.day) in due_now]
    people: dict[int, list[Addressee]] = {one.person.id: [one.person] for one in asked}
    batch = _Batch(changes, people, _known(db, people, (Purpose.SURVEY, Purpose.REMINDER), now=now), {})
    reminded: list[tuple[_Asked, datetime, Why | None]] = []
    requests: list[Request] = []
    for one in asked:
        read_from = left.get((one.journey_id, one.day), {}).get(one.person.id, one.sent_at)
        if read_from is None:  # theirs could not be delivered
            continue
        at = max(now, remind_at(read_from, changes[one.journey_id].after.zone, house.holidays))
        match judge(Asked.REMINDER, batch.known.people[one.person.id], at, house.holidays):
            case Send():
                reminded.append((one, at, None))
            case Wait(until=until, why=why):
                reminded.append((one, until, why))
            case Instead(became=became, why=why):
                requests.append(_reminder(one, became, why, now))
    done = {one.contact for one, at, _ in reminded if at <= now}
    # Where one colleague is reminded now, the others' reminders go with it, each at their own time.
    going = [(one, at, why) for one, at, why in reminded if one.contact in done]
    waiting = [(one, at, why) for one, at, why in reminded if one.contact not in done]
    _queue_reminders(db, house, batch, [(one, at) for one, at, _ in going], now=now)
    requests += [_reminder(one, Became.MAIL, why, at) for one, at, why in going]
    requests += [_reminder(one, Became.WAITING, why, at) for one, at, why in waiting if why is not None]
    ledger.keep(db, requests, waiting=batch.known.waiting, now=now)
    waits: dict[tuple[int, int], datetime] = {}
    for one, at, _ in waiting:
        waits[one.contact] = min(at, waits.get(one.contact, at))
    due.postpone(db, [(due_now[which], until) for which, until in waits.items()])
    due.mark_done(db, [row for row in rows if (row.journey_id, row.day) in done], now=now)
    over = [row for row in rows if (row.journey_id, row.day) not in done | waits.keys()]
    due.mark_done(db, over, now=now, result="over")


def _reminder(one: _Asked, became: Became, why: Why | None, at: datetime) -> Request:
    who = (one.person.account_id, one.person.id, one.journey_id, one.day)
    return Request(Asked.REMINDER, *who, became, why, at)


def _queue_reminders(
    db: Session, house: House, batch: _Batch, reminded: Sequence[tuple[_Asked, datetime]], *, now: datetime
) -> None:
    letters, events = [], []
    for one, due_at in reminded:
        person, change = one.person, batch.changes[one.journey_id]
        context = _context(
            known_form(db, one.survey_id),
            change,
            one.day,
            language=person.language,
            zone=person.timezone,
            vendor=house.settings.vendor_name,
            sent_at=one.sent_at or now,
        )
        letters.append(
            Letter(
                key=f"survey_reminder:{one.day}:journey:{one.journey_id}:contact:{person.id}",
                kind=Kind.SURVEY_REMINDER,
                to_email=person.email or "",
                language=person.language,
                due_at=due_at,
                account_id=person.account_id,
                journey_id=one.journey_id,
                contact_id=person.id,
                context=context,
            )
        )
        of = (person.account_id, one.journey_id, person.id)
        events.append(Event(Happened.SURVEY_REMINDED, "system", now, *of, {"day": one.day}))
    mail.queue_all(db, letters, now=now)
    audit.note_all(db, events)


# Answering


def counted_answer(db: Session, invitation_id: int) -> Counted | None:
    """The one answer of an invitation that counts; None while there is none."""
    found = db.execute(
        select(AnswerRow.id, AnswerRow.outcome).where(AnswerRow.invitation_id == invitation_id, *_counts())
    ).first()
    return Counted(*found) if found is not None else None


class FromForm(NamedTuple):
    """What came with a form besides the answers."""

    shown: Shown | None
    """None: no form of ours for this invitation."""
    untouched: bool = False
    trap: bool = False
    scores_opened: int = 0
    replaces: int | None = None
    """The answer that the person saw when they chose to change it."""


@dataclass(frozen=True)
class Sending:
    """How an answer came: by which way, from whom, and what tells people from machines."""

    provenance: Provenance
    by: str
    form: FromForm | None = None
    """None: whoever calls vouches that a person said it (a colleague on the phone)."""
    evidence: dict[str, Any] = field(default_factory=dict)
    replaces: int | None = None


class What(StrEnum):
    """What became of something that was sent."""

    NEW = "new"
    CHANGED = "changed"
    KNOWN = "known"
    """The same was here already."""
    OTHER = "other"
    """Another answer counts already, and this one wasn't sent to replace it."""
    SET_ASIDE = "set_aside"


class Taken(NamedTuple):
    """What became of it, the answer that counts (if any does), and why it was set aside (if it was)."""

    what: What
    counted: Counted | None
    signs: tuple[Sign, ...] = ()


def submit(
    db: Session, house: House, *, invitation_id: int, answers: Answers, sending: Sending, now: datetime
) -> Counted:
    """The same as `take` for callers that vouch for the person; gives the answer that counts."""
    taken = take(db, house, invitation_id=invitation_id, answers=answers, sending=sending, now=now)
    assert taken.counted is not None  # noqa: S101 - nothing is set aside without a form
    return taken.counted


def take(
    db: Session,
    house: House,
    *,
    invitation_id: int,
    answers: Answers,
    sending: Sending,
    now: datetime,
    held: Held | None = None,
) -> Taken:
    """Takes what was sent: an answer, a change of one, the same again, or something to set aside.

    The first verified answer wins, however often and from wherever more is sent; only who saw it may replace it, for seven
    days. What looks like a machine's is kept with its evidence and changes nothing else. It may come while the journey is
    flagged, or after it was approved. `held`: the invitation, where the caller holds it already with this form's nonce.
    Errors: NotFound; Closed after the last day; Unanswerable with what is wrong, by field.
    """
    shown = sending.form.shown if sending.form is not None else None
    asked = held if held is not None else hold(db, invitation_id, nonce=shown.nonce if shown is not None else "")
    replaces = sending.form.replaces if sending.form is not None else sending.replaces
    counted = asked.counted
    form = known_form(db, asked.survey_id)
    answers = rules.heard(form, answers)
    if counted is not None:
        if answers == asked.answers:
            return Taken(What.KNOWN, counted)
        if replaces != counted.answer_id or not asked.is_changeable(now):
            return Taken(What.OTHER, counted)
    elif not rules.is_open(
        now,
        sending.provenance,
        sent_at=asked.sent_at,
        suppressed_at=asked.suppressed_at,
        expires_at=asked.expires_at,
    ):
        raise Closed
    if wrong := rules.problems(form, answers):
        raise Unanswerable(wrong)
    outcome = rules.outcome(answers, form.thresholds)
    signs = _signs(asked, sending, now)
    if signs or asked.form_is_known:
        _set_aside(db, asked, answers, outcome, sending, signs=signs, now=now)
        return Taken(What.SET_ASIDE, counted, signs)
    earlier = _supersede(db, asked, now=now) if counted is not None else ()
    with together(db):
        answer_id = _store_answer(db, asked, answers, outcome, sending, now=now)
        _end_what_was_set_aside(db, asked, answers, by=sending.by, now=now)
        heard = _heard(asked, answers, outcome, form=form, answer_id=answer_id, earlier=earlier, by=sending.by)
        told = _told(asked, answers, outcome, sending, answer_id=answer_id, changed=counted, now=now)
        if heard is None:  # only words, where no score was asked: a sign of life that settles nothing
            audit.note(db, told)
            journeys.hear_sign_of_life(
                db, house, journey_id=asked.journey_id, contact_id=asked.contact_id, how="answer", now=now
            )
        else:
            journeys.hear_answer(db, house, answer=heard, now=now, told=[told], found=asked.journey)
        _note_opened(db, asked, sending, now=now)
    return Taken(What.NEW if counted is None else What.CHANGED, Counted(answer_id, outcome))


def _signs(asked: Held, sending: Sending, now: datetime) -> tuple[Sign, ...]:
    form = sending.form
    if form is None:
        return ()
    evidence = Evidence(
        way=sending.provenance,
        shown=form.shown,
        untouched=form.untouched,
        trap=form.trap,
        delivered_at=asked.delivered_at,
        scores_opened=form.scores_opened,
    )
    return rules.machine_signs(evidence, now)


def _row(
    asked: Held,
    answers: Answers,
    outcome: Outcome | None,
    sending: Sending,
    *,
    provenance: Provenance,
    set_aside: bool,
    now: datetime,
) -> dict[str, Any]:
    form = sending.form
    shown = form.shown if form is not None else None
    evidence = dict(sending.evidence)
    if form is not None:
        evidence |= {"way": sending.provenance, "scores_opened": form.scores_opened}
        evidence["delivered_at"] = asked.delivered_at.isoformat() if asked.delivered_at else None
    if shown is not None:
        evidence |= {"shown_at": shown.at.isoformat(), "shown_to": shown.reader}
        evidence["open_seconds"] = round((now - shown.at).total_seconds(), 1)
    return {
        "invitation_id": asked.id,
        "account_id": asked.account_id,
        "journey_id": asked.journey_id,
        "contact_id": asked.contact_id,
        "day": asked.day,
        "csat": answers.csat,
        "nps": answers.nps,
        "comment": answers.comment,
        "wants_help": answers.wants_help,
        "others": dict(answers.others),
        "outcome": outcome,
        "provenance": provenance,
        "by": sending.by,
        "submitted_at": now,
        "evidence": evidence,
        "form_nonce": shown.nonce if shown is not None else None,
        "quarantined_at": now if set_aside else None,
    }


def _add(db: Session, asked: Held, row: dict[str, Any]) -> int:
    if asked.next_id is None:
        return int(send(db, _NEW, row).scalar_one())
    write_down(db, _NUMBERED, {"id": asked.next_id, **row})
    return asked.next_id


_ANSWERS: Any = AnswerRow.__table__
_NUMBERED = insert(_ANSWERS)
_NEW = _NUMBERED.returning(_ANSWERS.c.id)


def _set_aside(
    db: Session,
    asked: Held,
    answers: Answers,
    outcome: Outcome | None,
    sending: Sending,
    *,
    signs: tuple[Sign, ...],
    now: datetime,
) -> None:
    """Keeps it with its evidence, and nothing more: it is no answer, and no sign of life."""
    if asked.form_is_known or asked.set_aside >= rules.MOST_SET_ASIDE:
        return
    row = _row(asked, answers, outcome, sending, provenance=Provenance.UNVERIFIED, set_aside=True, now=now)
    answer_id = _add(db, asked, row)
    db.execute(insert(Quarantine).values(answer_id=answer_id, signs=list(signs)))
    event = Event(Happened.SURVEY_SET_ASIDE, "system", now, asked.account_id, asked.journey_id, asked.contact_id)
    audit.note(db, event._replace(detail={"answer": answer_id, "day": asked.day, "signs": list(signs)}))


def _supersede(db: Session, asked: Held, *, now: datetime) -> tuple[int, ...]:
    """The version that counted so far counts no more; gives all earlier versions, oldest first."""
    db.execute(update(AnswerRow).where(AnswerRow.id == asked.answer_id).values(superseded_at=now))
    versions = select(AnswerRow.id).where(AnswerRow.invitation_id == asked.id, AnswerRow.quarantined_at.is_(None))
    return tuple(db.scalars(versions.order_by(AnswerRow.id)))


def _store_answer(
    db: Session, asked: Held, answers: Answers, outcome: Outcome | None, sending: Sending, *, now: datetime
) -> int:
    row = _row(asked, answers, outcome, sending, provenance=sending.provenance, set_aside=False, now=now)
    answer_id = _add(db, asked, row)
    if asked.typed is not None:
        write_down(db, _DROP_DRAFT, {"it": asked.id})
    return answer_id


_DRAFTS: Any = Draft.__table__
_DROP_DRAFT = delete(_DRAFTS).where(_DRAFTS.c.invitation_id == bindparam("it"))


def _note_opened(db: Session, asked: Held, sending: Sending, *, now: datetime) -> None:
    shown = sending.form.shown if sending.form is not None else None
    if shown is not None and asked.opened_at is None and asked.planned_at <= shown.at <= now:
        write_down(db, _OPENED, {"it": asked.id, "at": shown.at})


_OPENED = (
    update(Invitation.__table__)  # type: ignore[arg-type]
    .where(Invitation.__table__.c.id == bindparam("it"))
    .values(opened_at=bindparam("at"))
)


def _end_what_was_set_aside(db: Session, asked: Held, answers: Answers, *, by: str, now: datetime) -> None:
    """The person has spoken: what waited to be asked about is over. Confirmed is what says the same as they do."""
    if not asked.set_aside:
        return
    of_it = AnswerRow.invitation_id == asked.id
    same = and_(
        AnswerRow.csat.is_not_distinct_from(answers.csat),
        AnswerRow.nps.is_not_distinct_from(answers.nps),
        AnswerRow.wants_help.is_not_distinct_from(answers.wants_help),
        AnswerRow.comment == answers.comment,
        AnswerRow.others == dict(answers.others),
    )
    for how, wanted in ((QuarantineEnd.CONFIRMED, [of_it, same]), (QuarantineEnd.ANSWERED, [of_it])):
        db.execute(
            update(Quarantine)
            .where(Quarantine.answer_id.in_(select(AnswerRow.id).where(*wanted)), Quarantine.ended_at.is_(None))
            .values(ended_at=now, ended_by=by, how=how)
        )


def _told(
    asked: Held,
    answers: Answers,
    outcome: Outcome | None,
    sending: Sending,
    *,
    answer_id: int,
    changed: Counted | None,
    now: datetime,
) -> Event:
    detail: dict[str, Any] = {
        "answer": answer_id,
        "day": asked.day,
        "csat": answers.csat,
        "nps": answers.nps,
        "wants_help": answers.wants_help,
        "outcome": outcome,
        "provenance": sending.provenance,
    }
    if changed is None:
        what = Happened.SURVEY_ANSWERED
    else:
        what = Happened.SURVEY_CHANGED
        detail |= {"from": {"answer": changed.answer_id, "csat": asked.csat, "nps": asked.nps}}
    return Event(what, sending.by, now, asked.account_id, asked.journey_id, asked.contact_id, detail)


def _heard(
    asked: Held,
    answers: Answers,
    outcome: Outcome | None,
    *,
    form: SurveyForm,
    answer_id: int,
    earlier: tuple[int, ...],
    by: str,
) -> HeardAnswer | None:
    """The answer as the journey needs to know it; None where it says nothing either way."""
    if outcome is None:
        return None
    going = form.does.get(rules.verdict(answers, form.thresholds) or Verdict.NEUTRAL, ())
    return HeardAnswer(
        journey_id=asked.journey_id,
        answer_id=answer_id,
        contact_id=asked.contact_id,
        day=asked.day,
        outcome=outcome,
        by=by,
        words=answers.comment,
        scores={"csat": answers.csat, "nps": answers.nps, "wants_help": bool(answers.wants_help)},
        wants_help=bool(answers.wants_help),
        is_promoter=Then.REFERRAL_PROMPT in going,
        # A call for help is never left to what an administrator ticked, nor is a check-in of the plan.
        flags=Then.FLAG in going or bool(answers.wants_help) or form.purpose is SurveyPurpose.FOLLOW_UP,
        asks_what_is_missing=Then.ASK_WHAT_IS_MISSING in going,
        tells_consultant=Then.TELL_CONSULTANT in going,
        earlier=earlier,
        reminder_waits=asked.reminder_waits,
        call_waits=asked.call_waits,
        flagged=asked.is_flagged,
    )


def answer_by_phone(
    db: Session,
    house: House,
    *,
    invitation_id: int,
    answers: Answers,
    by: str,
    now: datetime,
    replaces: int | None = None,
) -> Taken:
    """What a customer answered on the phone, as staff or an integration wrote it down. Errors as in `take`."""
    sending = Sending(Provenance.PHONE, by, replaces=replaces)
    return take(db, house, invitation_id=invitation_id, answers=answers, sending=sending, now=now)


# A fresh link


def send_again(db: Session, house: House, *, invitation_id: int, now: datetime) -> None:
    """Mails the survey once more to the address on file, at most once a day; says nothing of whether there is one.

    For people whose link broke on the way: anybody may ask, and only the owner of the address gets it.
    """
    invitation = db.get(Invitation, invitation_id)
    if invitation is None or invitation.sent_at is None or counted_answer(db, invitation_id) is not None:
        return
    person = db.get_one(Contact, invitation.contact_id)
    if invitation.expires_at is None or invitation.expires_at <= now or not person.email or person.disabled_at:
        return
    form = survey_form(db.get_one(Survey, invitation.survey_id))
    kind, context = _letter_again(db, house, form, invitation, person)
    mail.queue(
        db,
        Letter(
            key=f"survey_again:{invitation_id}:{now.date().isoformat()}",
            kind=kind,
            to_email=person.email,
            language=person.language,
            account_id=invitation.account_id,
            journey_id=invitation.journey_id,
            contact_id=person.id,
            context=context,
        ),
        now=now,
    )


def _letter_again(
    db: Session, house: House, form: SurveyForm, invitation: Invitation, person: Contact
) -> tuple[Kind, dict[str, Any]]:
    """The survey's own mail, of the plan or beyond it."""
    assert invitation.sent_at is not None  # noqa: S101 - for the types
    vendor = house.settings.vendor_name
    if invitation.day is None:
        closes_on = rules.closes_on(invitation.sent_at, person.timezone, days=form.closes_after_days)
        of = {"language": person.language, "vendor": vendor}
        shown = further_letters.context(form, invitation.occasion, **of, closes_on=closes_on)
        return further_letters.kind_of(form), shown
    change = conduct.load(db, [invitation.journey_id])[invitation.journey_id]
    shown = _context(
        form,
        change,
        invitation.day,
        language=person.language,
        zone=person.timezone,
        vendor=vendor,
        sent_at=invitation.sent_at,
    )
    return MAIL_OF_DAY[invitation.day], shown
