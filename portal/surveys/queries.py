"""What pages and the API show of surveys: the one that is due, one form, invitations and what became of them, answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, case, func, literal, null, or_, select
from sqlalchemy.orm import Session, aliased

from portal import links
from portal.accounts.asking import WHY_IT_WAITS, Asked, Became
from portal.accounts.asking_models import RequestRow
from portal.accounts.models import Account, Contact, Staff
from portal.db import rows_of
from portal.house import House
from portal.journeys.models import Flag, FollowUpRow, JourneyRow
from portal.journeys.rules import Outcome, Status
from portal.surveys import rules
from portal.surveys.models import AnswerRow, Draft, Invitation, Quarantine, Survey
from portal.surveys.moments import WHY_NO_MAIL
from portal.surveys.paths import SURVEY, own_path, sealed_path
from portal.surveys.rules import Answers, InvitationState, Provenance, Sign, SurveyForm, Then, Wording
from portal.surveys.stored import known_form

_COUNTED = and_(AnswerRow.quarantined_at.is_(None), AnswerRow.superseded_at.is_(None))
_HAS_ANSWER = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id, _COUNTED).exists()


class DueSurvey(NamedTuple):
    """A survey that waits for this person, for their home page."""

    invitation_id: int
    day: int | None
    """None: it is about no contact of the plan."""
    expires_at: datetime
    minutes: int

    @property
    def path(self) -> str:
        return own_path(self.invitation_id)


_DUE = (
    select(Invitation.id, Invitation.day, Invitation.expires_at, Survey.minutes)
    .join(Survey, Survey.id == Invitation.survey_id)
    .join(JourneyRow, JourneyRow.id == Invitation.journey_id)
    .where(
        Invitation.contact_id == bindparam("contact_id"),
        or_(Invitation.sent_at.is_not(None), Invitation.why.in_(rules.IN_THE_PORTAL), Invitation.day.is_(None)),
        Invitation.expires_at > bindparam("now"),
        JourneyRow.open_flags == 0,
        JourneyRow.status != Status.LOST,
        ~_HAS_ANSWER,
    )
    .order_by(Invitation.id.desc())
    .limit(1)
)


def due_survey(db: Session, contact_id: int, now: datetime) -> DueSurvey | None:
    """The newest open survey of a contact, or None.

    One that was refused as a mail is here all the same (that is what it became); none while their journey is in dispute.
    """
    found = rows_of(db, _DUE, {"contact_id": contact_id, "now": now})
    return DueSurvey._make(found[0]) if found else None


# One form


class Consultant(NamedTuple):
    """Who reads the answers and gets in touch."""

    name: str
    email: str
    phone: str
    whatsapp: str
    meeting_url: str
    portrait: str = ""


class Case(NamedTuple):
    """What a dissatisfied answer set going."""

    act_by: datetime
    acted: bool
    closed: bool


class SurveyPage(NamedTuple):
    """One invitation with all that its pages show."""

    invitation_id: int
    account_id: int
    contact_id: int
    nonce: str
    name: str
    language: str
    timezone: str
    day: int | None
    state: InvitationState
    why: str
    sent_at: datetime | None
    suppressed_at: datetime | None
    expires_at: datetime | None
    answer_id: int | None
    outcome: Outcome | None
    answers: Answers
    """Those that count; all None while there are none."""
    changeable_until: datetime | None
    draft: Mapping[str, str]
    """What was typed and not sent yet, by field."""
    form: SurveyForm
    consultant: Consultant | None
    case: Case | None

    @property
    def csat(self) -> int | None:
        return self.answers.csat

    @property
    def nps(self) -> int | None:
        return self.answers.nps

    @property
    def is_promoter(self) -> bool:
        return rules.is_promoter(self.answers, self.form.thresholds)

    @property
    def sets_going(self) -> tuple[Then, ...]:
        """What the answer that counts set going, by what the survey does."""
        said = rules.verdict(self.answers, self.form.thresholds)
        return self.form.does.get(said, ()) if said is not None else ()

    @property
    def first_name(self) -> str:
        return self.name.split()[0] if self.name.split() else self.name

    def is_open(self, provenance: Provenance, now: datetime) -> bool:
        """Whether this person can answer it that way now."""
        return rules.is_open(
            now, provenance, sent_at=self.sent_at, suppressed_at=self.suppressed_at, expires_at=self.expires_at
        )

    def is_changeable(self, now: datetime) -> bool:
        """Whether the person can still change their answer."""
        return self.changeable_until is not None and now < self.changeable_until


_Version = aliased(AnswerRow)
_FIRST_AT = select(func.min(_Version.submitted_at)).where(
    _Version.invitation_id == Invitation.id, _Version.quarantined_at.is_(None)
)
PAGE = (
    select(
        Invitation.id,
        Invitation.account_id,
        Invitation.contact_id,
        Invitation.nonce,
        Invitation.day,
        Invitation.why,
        Invitation.sent_at,
        Invitation.suppressed_at,
        Invitation.expires_at,
        Invitation.survey_id,
        Contact.name,
        Contact.language,
        Contact.timezone,
        Staff.name.label("staff_name"),
        Staff.email.label("staff_email"),
        Staff.phone.label("staff_phone"),
        Staff.whatsapp,
        Staff.meeting_url,
        Staff.portrait,
        Draft.typed,
        AnswerRow.id.label("answer_id"),
        AnswerRow.outcome,
        AnswerRow.csat,
        AnswerRow.nps,
        AnswerRow.comment,
        AnswerRow.wants_help,
        AnswerRow.others,
        _FIRST_AT.scalar_subquery().label("first_at"),
    )
    .join(Contact, Contact.id == Invitation.contact_id)
    .join(JourneyRow, JourneyRow.id == Invitation.journey_id)
    .outerjoin(Staff, and_(Staff.id == JourneyRow.owner_id, Staff.disabled_at.is_(None)))
    .outerjoin(AnswerRow, and_(AnswerRow.invitation_id == Invitation.id, _COUNTED))
    .outerjoin(Draft, Draft.invitation_id == Invitation.id)
    .where(Invitation.id == bindparam("invitation_id"))
)


def survey_page(db: Session, invitation_id: int, now: datetime) -> SurveyPage | None:
    """One invitation for its form and its thank-you page; None if there is no such thing."""
    found = rows_of(db, PAGE, {"invitation_id": invitation_id})
    return page_of(db, found[0], now) if found else None


def page_of(db: Session, row: Any, now: datetime) -> SurveyPage:
    """What a row of `PAGE` tells."""
    is_answered = row.answer_id is not None
    state = rules.state(
        now,
        sent_at=row.sent_at,
        suppressed_at=row.suppressed_at,
        expires_at=row.expires_at,
        answered=is_answered,
    )
    return SurveyPage(
        invitation_id=row.id,
        account_id=row.account_id,
        contact_id=row.contact_id,
        nonce=row.nonce,
        name=row.name,
        language=row.language,
        timezone=row.timezone,
        day=row.day,
        state=state,
        why=row.why,
        sent_at=row.sent_at,
        suppressed_at=row.suppressed_at,
        expires_at=row.expires_at,
        answer_id=row.answer_id,
        outcome=row.outcome,
        answers=Answers(row.csat, row.nps, row.comment or "", row.wants_help, row.others or {}),
        changeable_until=rules.changeable_until(row.first_at) if is_answered else None,
        draft=row.typed or {},
        form=known_form(db, row.survey_id),
        consultant=_consultant(row),
        case=_case(db, row.answer_id) if row.outcome is Outcome.DISSATISFIED else None,
    )


def sealed_page(db: Session, house: House, token: str, now: datetime) -> SurveyPage | None:
    """The same by the token of a mail's link; None if it was not sealed for this invitation and this purpose."""
    page = survey_page(db, links.row_of(token) or 0, now)
    return page if page is not None and links.is_sealed(token, house.secret, SURVEY, page.nonce) else None


def _consultant(row: Any) -> Consultant | None:
    if row.staff_name is None:
        return None
    return Consultant(row.staff_name, row.staff_email, row.staff_phone, row.whatsapp, row.meeting_url, row.portrait)


def _case(db: Session, answer_id: int) -> Case | None:
    # A case that was merged goes on in another one.
    opened = select(func.coalesce(Flag.merged_into_id, Flag.id)).where(Flag.answer_id == answer_id).scalar_subquery()
    main = aliased(Flag)
    found = db.execute(select(main.act_by, main.acted_at, main.closed_at).where(main.id == opened)).first()
    return Case(found.act_by, found.acted_at is not None, found.closed_at is not None) if found is not None else None


# Invitations, for the API and the customer's page


class Invited(NamedTuple):
    """One contact of a journey and what became of its survey. Without an id while nobody was invited yet."""

    cursor: tuple[int, int]
    """Follow-up and invitation, which is how they are ordered."""
    invitation_id: int | None
    journey_id: int
    day: int | None
    contact_id: int | None
    contact_email: str
    state: InvitationState
    why: str
    """A sentence (msgid) where it was suppressed, or waits though its day has come."""
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
        *_states(now),
        (
            or_(FollowUpRow.converted_at.is_not(None), FollowUpRow.missed_at.is_not(None)),
            InvitationState.SUPPRESSED.value,
        ),
        else_=InvitationState.PLANNED.value,
    )


def _states(now: datetime) -> list[tuple[ColumnElement[bool], str]]:
    return [
        (AnswerRow.id.is_not(None), InvitationState.ANSWERED.value),
        (Invitation.suppressed_at.is_not(None), InvitationState.SUPPRESSED.value),
        (and_(Invitation.sent_at.is_not(None), Invitation.expires_at <= now), InvitationState.EXPIRED.value),
        (Invitation.sent_at.is_not(None), InvitationState.SENT.value),
    ]


def _state_of_invitation(now: datetime) -> ColumnElement[str]:
    return case(*_states(now), else_=InvitationState.PLANNED.value)


_Primary = aliased(Contact)
_WAITS = (
    select(RequestRow.why)
    .where(
        RequestRow.journey_id == FollowUpRow.journey_id,
        RequestRow.day == FollowUpRow.day,
        RequestRow.asked == Asked.SURVEY,
        RequestRow.became == Became.WAITING,
    )
    .order_by(RequestRow.at)
    .limit(1)
    .scalar_subquery()
)


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
            _WAITS.label("waits"),
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
    found = []
    if after[0] < BEYOND_THE_PLAN:
        found = [_invited(house, row) for row in db.execute(_invitations(now).where(*wanted).limit(limit))]
    if len(found) < limit:
        found += _beyond_the_plan(db, house, journey_id, state, after, now=now, limit=limit - len(found))
    return found


BEYOND_THE_PLAN = 2**62
"""Stands in a cursor for the contact that a survey beyond the plan doesn't have: those come last."""


def _beyond_the_plan(
    db: Session,
    house: House,
    journey_id: int | None,
    state: InvitationState | None,
    after: tuple[int, int],
    *,
    now: datetime,
    limit: int,
) -> list[Invited]:
    """Surveys about meetings, pulses, those sent by hand; once somebody was invited."""
    of_contact = {
        "settled_at": null(),
        "due_at": Invitation.planned_at,
        "converted_why": literal(""),
        "missed_at": null(),
    }
    wanted = [Invitation.day.is_(None), Invitation.id > (after[1] if after[0] == BEYOND_THE_PLAN else 0)]
    if journey_id is not None:
        wanted.append(Invitation.journey_id == journey_id)
    if state is not None:
        wanted.append(_state_of_invitation(now) == state.value)
    rows: Any = db.execute(
        select(
            literal(BEYOND_THE_PLAN).label("id"),
            Invitation.journey_id,
            Invitation.day,
            *(column.label(name) for name, column in of_contact.items()),
            Invitation.id.label("invitation_id"),
            Invitation.nonce,
            Invitation.why,
            Invitation.sent_at,
            Invitation.expires_at,
            Invitation.opened_at,
            Invitation.contact_id,
            Contact.email,
            AnswerRow.provenance,
            null().label("waits"),
            _state_of_invitation(now).label("state"),
        )
        .join(Contact, Contact.id == Invitation.contact_id)
        .outerjoin(AnswerRow, and_(AnswerRow.invitation_id == Invitation.id, _COUNTED))
        .where(*wanted)
        .order_by(Invitation.id)
        .limit(limit)
    )
    return [_invited(house, row) for row in rows]


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
        why=_why(state, why, row.waits, beyond_the_plan=row.day is None),
        url=house.url(sealed_path(house, row.invitation_id, row.nonce)) if row.sent_at is not None else "",
        due_at=row.due_at,
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        opened_at=row.opened_at,
        provenance=row.provenance,
    )


def _why(state: InvitationState, why: str, waits: str | None, *, beyond_the_plan: bool) -> str:
    """The sentence for what wasn't sent, or isn't sent yet though its day has come."""
    if state is InvitationState.PLANNED:
        return WHY_IT_WAITS[waits] if waits else ""
    if state is not InvitationState.SUPPRESSED:
        return ""
    return WHY_NO_MAIL.get(why, why) if beyond_the_plan else rules.WHY_NOT.get(why, why)


# Answers, for the customer's page of the staff

_NAME = (Survey.name_en, Survey.name_pt)


class Given(NamedTuple):
    """One counted answer, as staff read it."""

    id: int
    invitation_id: int
    journey_id: int
    contact_id: int
    contact_name: str
    day: int | None
    csat: int | None
    nps: int | None
    comment: str
    wants_help: bool | None
    outcome: Outcome | None
    provenance: Provenance
    by: str
    submitted_at: datetime
    others: Mapping[str, Any]
    """Answers to further questions, by their keys."""
    survey: Wording
    """The name of the survey it belongs to."""


def answer(db: Session, answer_id: int) -> Given | None:
    """One counted answer."""
    return next(iter(_given(db, AnswerRow.id == answer_id, limit=1)), None)


def answers_of(
    db: Session, *, account_id: int | None = None, journey_id: int | None = None, limit: int = 100
) -> Sequence[Given]:
    """The counted answers of an account or a journey, newest first."""
    of = {AnswerRow.account_id: account_id, AnswerRow.journey_id: journey_id}
    return _given(db, *(column == value for column, value in of.items() if value is not None), limit=limit)


def answers_of_person(db: Session, contact_id: int, *, limit: int = 12) -> Sequence[Given]:
    """The counted answers of one person, the oldest of the last few first: how their scores went."""
    return _given(db, AnswerRow.contact_id == contact_id, limit=limit)[::-1]


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
            AnswerRow.others,
            *_NAME,
        )
        .join(Contact, Contact.id == AnswerRow.contact_id)
        .join(Invitation, Invitation.id == AnswerRow.invitation_id)
        .join(Survey, Survey.id == Invitation.survey_id)
        .where(_COUNTED, *wanted)
        .order_by(AnswerRow.submitted_at.desc(), AnswerRow.id.desc())
        .limit(limit)
    )
    return [Given._make([*row, Wording(en, pt)]) for *row, en, pt in found]


# Answers that were set aside


class SetAside(NamedTuple):
    """An answer that looks like a machine's, as staff judge it."""

    id: int
    invitation_id: int
    account_id: int
    account_name: str
    journey_id: int
    contact_id: int
    contact_name: str
    contact_email: str | None
    contact_phone: str
    day: int | None
    csat: int | None
    nps: int | None
    comment: str
    wants_help: bool | None
    others: Mapping[str, Any]
    outcome: Outcome | None
    submitted_at: datetime
    evidence: Mapping[str, Any]
    signs: Sequence[str]
    asked_at: datetime | None
    survey: Wording
    """The name of the survey it came to."""

    @property
    def answers(self) -> Answers:
        return Answers(self.csat, self.nps, self.comment, self.wants_help, self.others)

    @property
    def why(self) -> list[str]:
        """What makes it look so, as sentences (msgids)."""
        return [rules.WHY_SET_ASIDE[Sign(sign)] for sign in self.signs]


_SET_ASIDE = (
    select(
        AnswerRow.id,
        AnswerRow.invitation_id,
        AnswerRow.account_id,
        Account.name,
        AnswerRow.journey_id,
        AnswerRow.contact_id,
        Contact.name,
        Contact.email,
        Contact.phone,
        AnswerRow.day,
        AnswerRow.csat,
        AnswerRow.nps,
        AnswerRow.comment,
        AnswerRow.wants_help,
        AnswerRow.others,
        AnswerRow.outcome,
        AnswerRow.submitted_at,
        AnswerRow.evidence,
        Quarantine.signs,
        Quarantine.asked_at,
        *_NAME,
    )
    .join(Quarantine, Quarantine.answer_id == AnswerRow.id)
    .join(Invitation, Invitation.id == AnswerRow.invitation_id)
    .join(Survey, Survey.id == Invitation.survey_id)
    .join(Account, Account.id == AnswerRow.account_id)
    .join(Contact, Contact.id == AnswerRow.contact_id)
    .where(Quarantine.ended_at.is_(None))
    .order_by(AnswerRow.id.desc())
)


def set_aside(
    db: Session, *, account_id: int | None = None, owner_id: int | None = None, most: int = 50
) -> Sequence[SetAside]:
    """Answers in quarantine that nobody has decided about, newest first; of an account, or of a consultant's customers."""
    wanted = _SET_ASIDE
    if account_id is not None:
        wanted = wanted.where(AnswerRow.account_id == account_id)
    if owner_id is not None:
        wanted = wanted.join(JourneyRow, JourneyRow.id == AnswerRow.journey_id).where(JourneyRow.owner_id == owner_id)
    return [_aside(row) for row in rows_of(db, wanted.limit(most))]


def _aside(row: Any) -> SetAside:
    *facts, en, pt = row
    return SetAside._make([*facts, Wording(en, pt)])


def count_set_aside(db: Session, *, owner_id: int | None = None) -> int:
    """How many of them wait, of everybody's or of one consultant's customers."""
    wanted = select(func.count()).select_from(Quarantine).where(Quarantine.ended_at.is_(None))
    if owner_id is not None:
        wanted = (
            wanted.join(AnswerRow, AnswerRow.id == Quarantine.answer_id)
            .join(JourneyRow, JourneyRow.id == AnswerRow.journey_id)
            .where(JourneyRow.owner_id == owner_id)
        )
    return db.scalar(wanted) or 0


def one_set_aside(db: Session, answer_id: int) -> SetAside | None:
    """One of them; None where there is none, or it is settled."""
    return next((_aside(row) for row in rows_of(db, _SET_ASIDE.where(AnswerRow.id == answer_id))), None)


def asked_about(db: Session, invitation_id: int) -> SetAside | None:
    """The newest one of an invitation about which we asked its person."""
    wanted = _SET_ASIDE.where(AnswerRow.invitation_id == invitation_id, Quarantine.asked_at.is_not(None)).limit(1)
    return next((_aside(row) for row in rows_of(db, wanted)), None)


class Askable(NamedTuple):
    """A survey that staff may write down an answer to, while they have the person on the phone."""

    invitation_id: int
    day: int | None
    contact_name: str
    expires_at: datetime
    contact_id: int
    survey: Wording


def askable(db: Session, account_id: int, now: datetime) -> Sequence[Askable]:
    """The open surveys of an account that nobody has answered, newest first."""
    wanted = (
        select(Invitation.id, Invitation.day, Contact.name, Invitation.expires_at, Contact.id, *_NAME)
        .join(Contact, Contact.id == Invitation.contact_id)
        .join(Survey, Survey.id == Invitation.survey_id)
        .where(Invitation.account_id == account_id, Invitation.expires_at > now, ~_HAS_ANSWER)
        .where(or_(Invitation.sent_at.is_not(None), Invitation.suppressed_at.is_not(None)))
        .order_by(Invitation.id.desc())
        .limit(6)
    )
    return [Askable._make([*row, Wording(en, pt)]) for *row, en, pt in rows_of(db, wanted)]
