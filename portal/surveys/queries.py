"""What pages and the API show of surveys: the one that is due, one form, invitations and what became of them, answers."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal import links
from portal.accounts.models import Contact, Staff
from portal.house import House
from portal.journeys.models import Flag, FollowUpRow, JourneyRow
from portal.journeys.rules import Outcome, Status
from portal.surveys import rules
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.paths import SURVEY, own_path, sealed_path
from portal.surveys.rules import InvitationState, Provenance, SurveyForm
from portal.surveys.stored import survey_form

_COUNTED = and_(AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None))
_HAS_ANSWER = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id, _COUNTED).exists()


class DueSurvey(NamedTuple):
    """A survey that waits for this person, for their home page."""

    invitation_id: int
    day: int
    expires_at: datetime
    minutes: int

    @property
    def path(self) -> str:
        return own_path(self.invitation_id)


def due_survey(db: Session, contact_id: int, now: datetime) -> DueSurvey | None:
    """The newest open survey of a contact, or None.

    One that was refused as a mail is here all the same (that is what it became); none while their journey is in dispute.
    """
    found = db.execute(
        select(Invitation.id, Invitation.day, Invitation.expires_at, Survey.minutes)
        .join(Survey, Survey.id == Invitation.survey_id)
        .join(JourneyRow, JourneyRow.id == Invitation.journey_id)
        .where(
            Invitation.contact_id == contact_id,
            or_(Invitation.sent_at.is_not(None), Invitation.why == "refused"),
            Invitation.expires_at > now,
            JourneyRow.open_flags == 0,
            JourneyRow.status != Status.LOST,
            ~_HAS_ANSWER,
        )
        .order_by(Invitation.id.desc())
        .limit(1)
    ).first()
    return DueSurvey(found.id, found.day, found.expires_at, found.minutes) if found is not None else None


# One form


class Consultant(NamedTuple):
    """Who reads the answers and gets in touch."""

    name: str
    email: str
    phone: str
    whatsapp: str
    meeting_url: str


class Case(NamedTuple):
    """What a dissatisfied answer set going."""

    act_by: datetime
    acted: bool
    closed: bool


class SurveyPage(NamedTuple):
    """One invitation with all that its pages show."""

    invitation_id: int
    contact_id: int
    nonce: str
    name: str
    language: str
    timezone: str
    day: int
    state: InvitationState
    why: str
    sent_at: datetime | None
    suppressed_at: datetime | None
    expires_at: datetime | None
    outcome: Outcome | None
    csat: int | None
    nps: int | None
    is_promoter: bool
    form: SurveyForm
    consultant: Consultant | None
    case: Case | None

    @property
    def first_name(self) -> str:
        return self.name.split()[0] if self.name.split() else self.name

    def is_open(self, provenance: Provenance, now: datetime) -> bool:
        """Whether this person can answer it that way now."""
        return rules.is_open(
            now, provenance, sent_at=self.sent_at, suppressed_at=self.suppressed_at, expires_at=self.expires_at
        )


def survey_page(db: Session, invitation_id: int, now: datetime) -> SurveyPage | None:
    """One invitation for its form and its thank-you page; None if there is no such thing."""
    found = db.execute(
        select(Invitation, Survey, Contact.name, Contact.language, Contact.timezone, Staff, AnswerRow)
        .join(Survey, Survey.id == Invitation.survey_id)
        .join(Contact, Contact.id == Invitation.contact_id)
        .join(JourneyRow, JourneyRow.id == Invitation.journey_id)
        .outerjoin(Staff, and_(Staff.id == JourneyRow.owner_id, Staff.disabled_at.is_(None)))
        .outerjoin(AnswerRow, and_(AnswerRow.invitation_id == Invitation.id, _COUNTED))
        .where(Invitation.id == invitation_id)
    ).first()
    if found is None:
        return None
    invitation, survey, name, language, timezone, owner, answer = found
    form = survey_form(survey)
    given = rules.Answers(answer.csat, answer.nps, answer.comment, answer.wants_help) if answer else rules.Answers()
    return SurveyPage(
        invitation_id=invitation.id,
        contact_id=invitation.contact_id,
        nonce=invitation.nonce,
        name=name,
        language=language,
        timezone=timezone,
        day=invitation.day,
        state=_state(invitation, answered=answer is not None, now=now),
        why=invitation.why,
        sent_at=invitation.sent_at,
        suppressed_at=invitation.suppressed_at,
        expires_at=invitation.expires_at,
        outcome=answer.outcome if answer else None,
        csat=given.csat,
        nps=given.nps,
        is_promoter=rules.is_promoter(given, form.thresholds),
        form=form,
        consultant=_consultant(owner),
        case=_case(db, answer.id) if answer and answer.outcome is Outcome.DISSATISFIED else None,
    )


def sealed_page(db: Session, house: House, token: str, now: datetime) -> SurveyPage | None:
    """The same by the token of a mail's link; None if it was not sealed for this invitation and this purpose."""
    page = survey_page(db, links.row_of(token) or 0, now)
    return page if page is not None and links.is_sealed(token, house.secret, SURVEY, page.nonce) else None


def _state(invitation: Invitation, *, answered: bool, now: datetime) -> InvitationState:
    return rules.state(
        now,
        sent_at=invitation.sent_at,
        suppressed_at=invitation.suppressed_at,
        expires_at=invitation.expires_at,
        answered=answered,
    )


def _consultant(owner: Staff | None) -> Consultant | None:
    if owner is None:
        return None
    return Consultant(owner.name, owner.email, owner.phone, owner.whatsapp, owner.meeting_url)


def _case(db: Session, answer_id: int) -> Case | None:
    found = db.execute(select(Flag.act_by, Flag.acted_at, Flag.closed_at).where(Flag.answer_id == answer_id)).first()
    return Case(found.act_by, found.acted_at is not None, found.closed_at is not None) if found is not None else None


# Invitations, for the API and the customer's page


class Invited(NamedTuple):
    """One contact of a journey and what became of its survey. Without an id while nobody was invited yet."""

    cursor: tuple[int, int]
    """Follow-up and invitation, which is how they are ordered."""
    invitation_id: int | None
    journey_id: int
    day: int
    contact_id: int | None
    contact_email: str
    state: InvitationState
    why: str
    """A sentence (msgid) where it was suppressed."""
    url: str
    """The answer page that the mail's link opens; empty where none was sent."""
    due_at: datetime | None
    sent_at: datetime | None
    expires_at: datetime | None
    opened_at: datetime | None
    provenance: Provenance | None


def _state_column(now: datetime) -> ColumnElement[str]:
    """The same as `rules.state`, for filtering; the contact's own facts speak where there is no invitation."""
    return case(
        (AnswerRow.id.is_not(None), InvitationState.ANSWERED.value),
        (Invitation.suppressed_at.is_not(None), InvitationState.SUPPRESSED.value),
        (and_(Invitation.sent_at.is_not(None), Invitation.expires_at <= now), InvitationState.EXPIRED.value),
        (Invitation.sent_at.is_not(None), InvitationState.SENT.value),
        (
            or_(FollowUpRow.converted_at.is_not(None), FollowUpRow.missed_at.is_not(None)),
            InvitationState.SUPPRESSED.value,
        ),
        else_=InvitationState.PLANNED.value,
    )


_Primary = aliased(Contact)


def _invitations(now: datetime) -> Any:
    return (
        select(
            FollowUpRow.id,
            FollowUpRow.journey_id,
            FollowUpRow.day,
            FollowUpRow.due_at,
            FollowUpRow.converted_why,
            FollowUpRow.missed_at,
            Invitation.id.label("invitation_id"),
            Invitation.nonce,
            Invitation.why,
            Invitation.sent_at,
            Invitation.expires_at,
            Invitation.opened_at,
            func.coalesce(Invitation.contact_id, _Primary.id).label("contact_id"),
            func.coalesce(Contact.email, _Primary.email).label("email"),
            AnswerRow.provenance,
            _state_column(now).label("state"),
        )
        .select_from(FollowUpRow)
        .outerjoin(Invitation, and_(Invitation.journey_id == FollowUpRow.journey_id, Invitation.day == FollowUpRow.day))
        .outerjoin(Contact, Contact.id == Invitation.contact_id)
        .outerjoin(AnswerRow, and_(AnswerRow.invitation_id == Invitation.id, _COUNTED))
        # Before anybody was invited: who will be, as things stand.
        .join(JourneyRow, JourneyRow.id == FollowUpRow.journey_id)
        .outerjoin(
            _Primary,
            and_(_Primary.account_id == JourneyRow.account_id, _Primary.is_primary, Invitation.id.is_(None)),
        )
        # A contact without a date is no plan yet: use hasn't started.
        .where(or_(FollowUpRow.due_at.is_not(None), Invitation.id.is_not(None), FollowUpRow.converted_at.is_not(None)))
        # Settled without a survey (a conversation came first): nothing is planned any more.
        .where(or_(Invitation.id.is_not(None), FollowUpRow.settled_at.is_(None)))
        .order_by(FollowUpRow.id, Invitation.id)
    )


def invitations(
    db: Session,
    house: House,
    *,
    now: datetime,
    journey_id: int | None = None,
    state: InvitationState | None = None,
    after: tuple[int, int] = (0, 0),
    limit: int = 50,
) -> list[Invited]:
    """Contacts and their surveys, in the order of `cursor`, from the one after `after`."""
    wanted: list[ColumnElement[bool]] = []
    if journey_id is not None:
        wanted.append(FollowUpRow.journey_id == journey_id)
    if state is not None:
        wanted.append(_state_column(now) == state.value)
    if after > (0, 0):
        later = and_(FollowUpRow.id == after[0], Invitation.id > after[1])
        wanted.append(or_(FollowUpRow.id > after[0], later))
    return [_invited(house, row) for row in db.execute(_invitations(now).where(*wanted).limit(limit))]


def _invited(house: House, row: Any) -> Invited:
    state = InvitationState(row.state)
    why = row.why or row.converted_why or ("missed" if row.missed_at is not None else "")
    return Invited(
        cursor=(row.id, row.invitation_id or 0),
        invitation_id=row.invitation_id,
        journey_id=row.journey_id,
        day=row.day,
        contact_id=row.contact_id,
        contact_email=row.email or "",
        state=state,
        why=rules.WHY_NOT.get(why, why) if state is InvitationState.SUPPRESSED else "",
        url=house.url(sealed_path(house, row.invitation_id, row.nonce)) if row.sent_at is not None else "",
        due_at=row.due_at,
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        opened_at=row.opened_at,
        provenance=row.provenance,
    )


# Answers, for the customer's page of the staff


class Given(NamedTuple):
    """One counted answer, as staff read it."""

    id: int
    invitation_id: int
    journey_id: int
    contact_id: int
    contact_name: str
    day: int
    csat: int | None
    nps: int | None
    comment: str
    wants_help: bool | None
    outcome: Outcome | None
    provenance: Provenance
    by: str
    submitted_at: datetime


def answer(db: Session, answer_id: int) -> Given | None:
    """One counted answer."""
    return next(iter(_given(db, AnswerRow.id == answer_id, limit=1)), None)


def answers_of(
    db: Session, *, account_id: int | None = None, journey_id: int | None = None, limit: int = 100
) -> Sequence[Given]:
    """The counted answers of an account or a journey, newest first."""
    of = {AnswerRow.account_id: account_id, AnswerRow.journey_id: journey_id}
    return _given(db, *(column == value for column, value in of.items() if value is not None), limit=limit)


def _given(db: Session, *wanted: ColumnElement[bool], limit: int) -> Sequence[Given]:
    found: Any = db.execute(
        select(
            AnswerRow.id,
            AnswerRow.invitation_id,
            AnswerRow.journey_id,
            AnswerRow.contact_id,
            Contact.name,
            AnswerRow.day,
            AnswerRow.csat,
            AnswerRow.nps,
            AnswerRow.comment,
            AnswerRow.wants_help,
            AnswerRow.outcome,
            AnswerRow.provenance,
            AnswerRow.by,
            AnswerRow.submitted_at,
        )
        .join(Contact, Contact.id == AnswerRow.contact_id)
        .where(_COUNTED, *wanted)
        .order_by(AnswerRow.submitted_at.desc(), AnswerRow.id.desc())
        .limit(limit)
    )
    return [Given(*row) for row in found]


# Counts, for the figures


class Tally(NamedTuple):
    """What became of one survey among one consultant's customers in one period; every count may be 0."""

    period: int
    """Which of the periods that were asked for, from 0."""
    day: int
    owner_id: int | None
    promoters: int
    passives: int
    detractors: int
    csat: tuple[int, int, int, int, int]
    """Answers 1 to 5, worst first."""
    delivered: int
    answered: int
    """Of those delivered, however much later."""
    still_open: int
    """Of those delivered, not answered yet, and it can still be."""


def tallies(
    db: Session, bounds: Sequence[datetime], *, now: datetime, day: int | None = None, owner_id: int | None = None
) -> list[Tally]:
    """Counts of the periods between each bound and the next (the end left out), by survey and consultant.

    Answers belong to the period they came in, and are the counted ones: one a person and round, none from quarantine.
    Delivered ones belong to the period they went out in, and so does whether they were answered. Two statements.
    """
    counted: dict[tuple[int, int, int | None], tuple[int, ...]] = defaultdict(lambda: (0,) * 8)
    sent: dict[tuple[int, int, int | None], tuple[int, ...]] = defaultdict(lambda: (0,) * 3)

    def period_of(moment: Any) -> ColumnElement[int]:
        return case(*((moment < end, n) for n, end in enumerate(bounds[1:])), else_=len(bounds))

    def rows(moment: Any, row_day: Any, journey_id: Any, counts: Sequence[ColumnElement[int]], only: Any) -> Any:
        period = period_of(moment)
        wanted = [moment >= bounds[0], moment < bounds[-1], only]
        if day is not None:
            wanted.append(row_day == day)
        if owner_id is not None:
            wanted.append(JourneyRow.owner_id == owner_id)
        return db.execute(
            select(period, row_day, JourneyRow.owner_id, *counts)
            .join(JourneyRow, JourneyRow.id == journey_id)
            .where(*wanted)
            .group_by(period, row_day, JourneyRow.owner_id)
        )

    score = AnswerRow.nps
    of_answers = [_how_many(score >= 9), _how_many(score.between(7, 8)), _how_many(score <= 6)]
    of_answers += [_how_many(AnswerRow.csat == face) for face in range(1, 6)]
    for period, on, owner, *counts in rows(
        AnswerRow.submitted_at, AnswerRow.day, AnswerRow.journey_id, of_answers, _COUNTED
    ):
        counted[period, on, owner] = tuple(counts)
    waits = and_(~_HAS_ANSWER, Invitation.expires_at > now)
    of_sent = [func.count(), _how_many(_HAS_ANSWER), _how_many(waits)]
    for period, on, owner, *counts in rows(
        Invitation.sent_at, Invitation.day, Invitation.journey_id, of_sent, Invitation.sent_at.is_not(None)
    ):
        sent[period, on, owner] = tuple(counts)
    found = []
    for key in sorted({*counted, *sent}, key=lambda one: (one[0], one[1], one[2] or 0)):
        promoters, passives, detractors, *csat = counted[key]
        found.append(Tally(*key, promoters, passives, detractors, tuple(csat), *sent[key]))  # type: ignore[arg-type]
    return found


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
