"""Who is at an account and how each wants to be reached: for colleagues, for staff, and for whoever wants to write to them.

`wishes_of` is what a sender asks before a request goes out; `rules.may_ask_at` and `rules.next_time_to_ask` judge it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, select, text
from sqlalchemy.orm import Session

from portal import links, mail
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.people_models import (
    NOT_REVOKED,
    OPEN_INVITATION,
    AddressChange,
    ColleagueInvitation,
    ContactRight,
    ContactWishes,
    ErasureRequest,
    Start,
    StartStepDone,
)
from portal.accounts.rules import (
    Channel,
    Language,
    Progress,
    Right,
    Standing,
    StartStep,
    Wishes,
    as_weekdays,
    standing,
)
from portal.auth import BrowserSession
from portal.db import rows_of
from portal.house import House
from portal.mail import Purpose

JOIN = "colleague_invitation"
"""The purpose of an invitation's link: `/join/<token>`."""
ADDRESS = "address_change"
"""The purpose of the link that confirms a new address: `/address/<token>`."""


# Wishes


def wishes_of(db: Session, contact_ids: Sequence[int]) -> dict[int, Wishes]:
    """How and when each of these people wants to be asked; everybody has an answer. One statement."""
    rows = db.execute(
        select(
            Contact.id,
            Contact.timezone,
            Contact.channel,
            ContactWishes.frequency,
            ContactWishes.hours_from,
            ContactWishes.hours_until,
            ContactWishes.weekdays,
        )
        .outerjoin(ContactWishes, ContactWishes.contact_id == Contact.id)
        .where(Contact.id.in_(contact_ids))
    )
    return {
        contact_id: Wishes(zone, channel, frequency, since, until, as_weekdays(bits))
        if frequency is not None
        else Wishes(zone, channel)
        for contact_id, zone, channel, frequency, since, until, bits in rows
    }


def topics_refused(db: Session, email: str | None) -> frozenset[Purpose]:
    """What somebody switched off among the topics of mails."""
    return frozenset(mail.refusals(db, email)) & frozenset(mail.TOPICS) if email else frozenset()


# The start

_PROGRESS = (
    select(Start.began_at, Start.dismissed_at, StartStepDone.step)
    .outerjoin(StartStepDone, StartStepDone.contact_id == Start.contact_id)
    .where(Start.contact_id == bindparam("contact_id"))
)


def progress_of(db: Session, contact_id: int) -> Progress | None:
    """How far this person's own start has got; None for who has none. One statement."""
    rows = rows_of(db, _PROGRESS, {"contact_id": contact_id})
    if not rows:
        return None
    return Progress(rows[0][0], frozenset(StartStep(step) for *_, step in rows if step is not None), rows[0][1])


# Colleagues


class TeamMember(NamedTuple):
    """One of an account's people, as their colleagues and staff see them."""

    id: int
    name: str
    job_title: str
    email: str
    phone: str
    channel: Channel
    language: Language
    timezone: str
    is_primary: bool
    portrait: str
    may_invite: bool
    since: datetime
    last_seen_at: datetime | None
    progress: Progress | None

    @property
    def standing(self) -> Standing:
        return standing(is_primary=self.is_primary, may_invite=self.may_invite)

    @property
    def whatsapp(self) -> str:
        """Digits for a WhatsApp link; empty without a number."""
        return self.phone.lstrip("+")


_SEEN_AT = (
    select(func.max(BrowserSession.last_seen_at)).where(BrowserSession.contact_id == Contact.id).scalar_subquery()
)
_TEAM = (
    select(
        Contact.id,
        Contact.name,
        Contact.job_title,
        func.coalesce(Contact.email, ""),
        Contact.phone,
        Contact.channel,
        Contact.language,
        Contact.timezone,
        Contact.is_primary,
        Contact.portrait,
        ContactRight.id,
        Contact.created_at,
        _SEEN_AT,
        Start.began_at,
        Start.dismissed_at,
    )
    .outerjoin(
        ContactRight,
        and_(
            ContactRight.contact_id == Contact.id,
            ContactRight.what == Right.INVITE_COLLEAGUES,
            ContactRight.revoked_at.is_(None),
        ),
    )
    .outerjoin(Start, Start.contact_id == Contact.id)
    .where(Contact.account_id == bindparam("account_id"), Contact.disabled_at.is_(None))
    .order_by(Contact.is_primary.desc(), Contact.name, Contact.id)
)
_STEPS = (
    select(StartStepDone.contact_id, StartStepDone.step)
    .join(Contact, Contact.id == StartStepDone.contact_id)
    .where(Contact.account_id == bindparam("account_id"))
)


def team(db: Session, account_id: int) -> tuple[TeamMember, ...]:
    """The people at an account, the main contact first. Two statements."""
    whose = {"account_id": account_id}
    steps: dict[int, set[StartStep]] = {}
    for contact_id, step in rows_of(db, _STEPS, whose):
        steps.setdefault(contact_id, set()).add(StartStep(step))
    members = []
    for *details, right, since, seen_at, began_at, dismissed_at in rows_of(db, _TEAM, whose):
        progress = Progress(began_at, frozenset(steps.get(details[0], ())), dismissed_at) if began_at else None
        members.append(TeamMember._make([*details, right is not None, since, seen_at, progress]))
    return tuple(members)


def standing_of(db: Session, contact_id: int) -> Standing:
    """What this person may do at their account; somebody who is gone may nothing that the others may not."""
    row = db.execute(
        select(Contact.is_primary, ContactRight.id)
        .outerjoin(
            ContactRight,
            and_(
                ContactRight.contact_id == Contact.id,
                ContactRight.what == Right.INVITE_COLLEAGUES,
                text(NOT_REVOKED),
            ),
        )
        .where(Contact.id == contact_id)
    ).one()
    return standing(is_primary=row[0], may_invite=row[1] is not None)


class Pending(NamedTuple):
    """An invitation that nobody has answered."""

    id: int
    name: str
    email: str
    language: Language
    inviter_name: str
    sent_at: datetime
    expires_at: datetime
    sendings: int

    def is_late(self, now: datetime) -> bool:
        """Whether its link no longer opens."""
        return now >= self.expires_at


def pending(db: Session, account_id: int) -> tuple[Pending, ...]:
    """The open invitations of an account, the newest first."""
    made = ColleagueInvitation
    rows = db.execute(
        select(
            made.id,
            made.name,
            made.email,
            made.language,
            made.inviter_name,
            made.sent_at,
            made.expires_at,
            made.sendings,
        )
        .where(made.account_id == account_id, text(OPEN_INVITATION))
        .order_by(made.id.desc())
    )
    return tuple(Pending._make(row) for row in rows)


# Links


def join_path(house: House, invitation: ColleagueInvitation) -> str:
    return f"/join/{links.seal(house.secret, JOIN, invitation.id, invitation.nonce)}"


def address_path(house: House, change: AddressChange) -> str:
    return f"/address/{links.seal(house.secret, ADDRESS, change.id, change.nonce)}"


def invitation_of(db: Session, house: House, token: str) -> ColleagueInvitation | None:
    """The invitation that a link was made for, answered or not; None for a forged or a replaced one."""
    row = db.get(ColleagueInvitation, links.row_of(token) or 0)
    return row if row is not None and links.is_sealed(token, house.secret, JOIN, row.nonce) else None


def change_of(db: Session, house: House, token: str) -> AddressChange | None:
    """The change of address that a link was made for."""
    row = db.get(AddressChange, links.row_of(token) or 0)
    return row if row is not None and links.is_sealed(token, house.secret, ADDRESS, row.nonce) else None


def waiting_change(db: Session, contact_id: int, *, now: datetime) -> str:
    """The new address that this person has yet to confirm; empty if there is none."""
    found = db.scalar(
        select(AddressChange.new_email).where(
            AddressChange.contact_id == contact_id,
            AddressChange.confirmed_at.is_(None),
            AddressChange.dropped_at.is_(None),
            AddressChange.expires_at > now,
        )
    )
    return found or ""


class Host(NamedTuple):
    """Whom an invited person will meet: the company, and its consultant (empty where there is none yet)."""

    company: str
    consultant: str
    has_left: bool


def host(db: Session, account_id: int) -> Host:
    row = db.execute(
        select(Account.name, func.coalesce(Staff.name, ""), Account.churned_on)
        .outerjoin(Staff, Staff.id == Account.consultant_id)
        .where(Account.id == account_id)
    ).one()
    return Host(row[0], row[1], row[2] is not None)


# One person's own data


class OwnData(NamedTuple):
    """What accounts, mail and sign-in keep of one person, as plain values."""

    person: Mapping[str, object]
    wishes: Mapping[str, object]
    mails_refused: Sequence[str]
    start: Mapping[str, object]
    letters: Sequence[Mapping[str, object]]
    sessions: Sequence[Mapping[str, object]]


def own_data(db: Session, contact_id: int) -> OwnData:
    """For the file that a person may take away."""
    person = db.get_one(Contact, contact_id)
    wishes = wishes_of(db, [contact_id])[contact_id]
    progress = progress_of(db, contact_id)
    sessions = db.execute(
        select(BrowserSession.created_at, BrowserSession.last_seen_at)
        .where(BrowserSession.contact_id == contact_id)
        .order_by(BrowserSession.id)
    )
    return OwnData(
        {
            "name": person.name,
            "job_title": person.job_title,
            "company": host(db, person.account_id).company,
            "email": person.email or "",
            "phone": person.phone,
            "language": person.language.value,
            "timezone": person.timezone,
            "birthday": person.birthday,
            "is_main_contact": person.is_primary,
            "since": person.created_at,
        },
        {
            "channel": wishes.channel.value,
            "frequency": wishes.frequency.value,
            "from": wishes.hours_from.strftime("%H:%M"),
            "until": wishes.hours_until.strftime("%H:%M"),
            "weekdays": sorted(wishes.weekdays),
        },
        sorted(purpose.value for purpose in topics_refused(db, person.email)),
        {"began": progress.began_at, "done": sorted(progress.done), "put_away": progress.dismissed_at}
        if progress
        else {},
        [
            {"subject": one.subject, "kind": one.kind.value, "to": one.to_email, "sent": one.sent_at}
            for one in mail.messages(db, contact_id=contact_id, limit=10_000)
            if one.sent_at is not None
        ],
        [{"signed_in": since, "last_seen": seen} for since, seen in sessions],
    )


def asked_to_be_forgotten_at(db: Session, contact_id: int) -> datetime | None:
    """When this person asked for it; None if they didn't, or it was settled."""
    return db.scalar(
        select(ErasureRequest.asked_at).where(
            ErasureRequest.contact_id == contact_id, ErasureRequest.settled_at.is_(None)
        )
    )


class ErasureWish(NamedTuple):
    """Somebody who asked to be forgotten, for administrators."""

    id: int
    contact_id: int
    name: str
    account_id: int
    company: str
    words: str
    asked_at: datetime


def erasure_wishes(db: Session) -> tuple[ErasureWish, ...]:
    """Who asked to be forgotten and waits, the longest first."""
    rows = db.execute(
        select(
            ErasureRequest.id,
            Contact.id,
            Contact.name,
            Account.id,
            Account.name,
            ErasureRequest.words,
            ErasureRequest.asked_at,
        )
        .join(Contact, Contact.id == ErasureRequest.contact_id)
        .join(Account, Account.id == Contact.account_id)
        .where(ErasureRequest.settled_at.is_(None))
        .order_by(ErasureRequest.asked_at, ErasureRequest.id)
    )
    return tuple(ErasureWish._make(row) for row in rows)
